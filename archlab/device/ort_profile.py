"""What ONNX Runtime's profiler says, here or on a board, put down to modules by the names of the nodes."""

import re
import statistics
from collections import defaultdict
from collections.abc import Iterator
from typing import Any

from archlab.device.runtime import OpTime

__all__ = ["module_path", "read_profile"]

_APPENDED = re.compile(r"(/+(\w*Fusion\w*|WithoutBiases|transpose_[ab]|sink_port_\d+))+/*$")


def read_profile(events: list[dict[str, Any]]) -> tuple[OpTime, ...]:
    """Turn the profiler's events into one row per node, the first run left out.

    Args:
        events: The profiler's JSON: entries of category Node, named ``<node>_kernel_time``, durations in µs.

    Returns:
        Rows in the order of execution; `ms` is the median over the runs. A node that the runtime made itself (a
        reorder, a fused activation) is put down to the module of the node before it.
    """
    times_us: dict[tuple[int, str, str], list[float]] = defaultdict(list)
    for index, op, name, duration_us in _kernels(events):
        times_us[index, op, name].append(duration_us)
    rows = []
    module = ""
    for (_, op, name), all_us in times_us.items():
        module = module_path(name) if name.startswith("/") else module
        ms = statistics.median(all_us[1:] or all_us) / 1000
        rows.append(OpTime(op=op, node=name, module=module, ms=ms, calls=1))
    return tuple(rows)


def module_path(node: str) -> str:
    """Read the module's dotted path off a node's name.

    A file of ours names nodes ``/<path>/<operator>``; torch's exporter by scope, ``/stages.0/blocks.1/mlp/Conv``, and
    repeats the name of a list before its members, ``/stages/stages.0/…``. What a runtime appends when it fuses or
    splits nodes is left out. The name of a node of the whole network has no module in it.
    """
    scope = [part for part in _APPENDED.sub("", node).split("/") if part][:-1]
    return ".".join(part for i, part in enumerate(scope) if not _is_list_of(part, scope[i + 1 : i + 2]))


def _is_list_of(part: str, following: list[str]) -> bool:
    return any(re.fullmatch(re.escape(part) + r"\.\d+", member) for member in following)


def _kernels(events: list[dict[str, Any]]) -> Iterator[tuple[int, str, str, float]]:
    for event in events:
        name, facts = event.get("name", ""), event.get("args", {})
        if event.get("cat") == "Node" and name.endswith("_kernel_time"):
            yield int(facts.get("node_index", -1)), facts["op_name"], name.removesuffix("_kernel_time"), event["dur"]
