"""How fast? The times of a bench turned round: images a second at the papers' batches, and times as fast as another."""

from collections.abc import Mapping
from typing import Any

from archlab.artifacts.bench import Bench, Net

__all__ = ["batch_of", "per_second", "throughputs", "times_as_fast"]

_CPU_BATCH, _GPU_BATCH = 16, 256


def throughputs(bench: Bench, nets: Mapping[str, Net]) -> Mapping[str, dict[str, Any]]:
    """Measure networks beside each other; for each the fields of a row: `ours` in images a second, interval, source.

    Args:
        bench: What there is to measure with.
        nets: Setting → network.
    """
    batch = batch_of(bench)
    return {setting: per_second(fields, batch) for setting, fields in bench.times(nets, batch=batch).items()}


def batch_of(bench: Bench) -> int:
    """Images per inference: 16 on a CPU, as in EfficientViT-MSRA, Table 2; 256 on everything else."""
    return _CPU_BATCH if bench.device is None or bench.device.kind == "cpu" else _GPU_BATCH


def per_second(fields: Mapping[str, Any], batch: int) -> dict[str, Any]:
    """Turn the fields of a time in ms per batch into those of a throughput in images a second."""
    if "lack" in fields:
        return dict(fields)
    low_ms, high_ms = fields["ours_ci95"]
    return {
        **fields,
        "ours": batch * 1000 / fields["ours"],
        "ours_ci95": (batch * 1000 / high_ms, batch * 1000 / low_ms),
        "ours_source": f"{fields['ours_source']}, batch {batch}",
    }


def times_as_fast(slow: Mapping[str, Any], fast: Mapping[str, Any]) -> dict[str, Any]:
    """How many times as fast is one network as another? From the fields of both times, those of the ratio's row.

    The interval reaches as far as the ends of both intervals allow; a mark on either time stays in the source.
    """
    if "lack" in fast:
        return dict(fast)
    (slow_low, slow_high), (fast_low, fast_high) = slow["ours_ci95"], fast["ours_ci95"]
    sources = fast["ours_source"], slow["ours_source"]
    return {
        **fast,
        "ours": slow["ours"] / fast["ours"],
        "ours_ci95": (slow_low / fast_high, slow_high / fast_low),
        "ours_source": next((source for source in sources if "," in source), sources[0]),
    }
