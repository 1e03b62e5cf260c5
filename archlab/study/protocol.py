"""How the latencies of a study came about, in words and numbers, for ``run.json`` and the report."""

import dataclasses
from typing import Any

from archlab.device import telemetry
from archlab.device.catalog import Device, RunSpec
from archlab.proxy import PROXIES
from archlab.study.plan import StudyPlan

__all__ = ["describe"]


def describe(plan: StudyPlan, device: Device, run: RunSpec, predictor: Any | None) -> dict[str, Any]:
    """Describe device, fingerprint, protocol and score.

    Args:
        plan: What was asked.
        device: The device's row.
        run: How networks run on it.
        predictor: The latency predictor, None where the device is measured.
    """
    proxy = PROXIES[plan.proxy]
    return {
        "device": dataclasses.asdict(device),
        "fingerprint": telemetry.fingerprint(),
        "protocol": _measured(plan, run) if predictor is None else _estimated(plan, run, device, predictor),
        "score": {"name": proxy.name, "title": proxy.title, "source": proxy.source},
    }


def _measured(plan: StudyPlan, run: RunSpec) -> dict[str, Any]:
    return {
        "kind": "measured",
        "lines": [
            "every network ran on this machine with random weights, which do not change its time",
            f"warm-up until steady, then at most {run.max_s:g} s; the value is the median, with its 95 % interval",
            "runs that the operating system interrupted do not count; a noisy network was measured a second time",
            "the budget is applied at the upper end of the interval",
            *_skips(plan),
        ],
        "runtime": run.runtime,
        "precision": run.precision,
        "batch": run.batch,
        "threads": run.threads,
    }


def _estimated(plan: StudyPlan, run: RunSpec, device: Device, predictor: Any) -> dict[str, Any]:
    held_out = predictor.held_out(device)
    return {
        "kind": "estimated",
        "lines": [
            "no network ran on the device: each latency is a prediction from the network's operators",
            "the interval comes from the error on published models of families that the fit had not seen",
            "the budget is applied at the upper end of the interval",
            *_skips(plan),
        ],
        "precision": run.precision,
        "batch": run.batch,
        "predictor": getattr(predictor, "name", type(predictor).__name__.lower()),
        "held_out": None if held_out is None else dataclasses.asdict(held_out),
        "points": getattr(held_out, "points", None),
    }


def _skips(plan: StudyPlan) -> list[str]:
    return [f"a network whose interval starts above {plan.skip_factor:g} times the budget was not scored"]
