"""How the latencies of a study came about, in words and numbers, for ``run.json`` and the report."""

import dataclasses
from typing import Any

from archlab.device import telemetry
from archlab.device.catalog import Device, RunSpec
from archlab.device.witness import NEAR_SHARE, NETWORK
from archlab.proxy import PROXIES
from archlab.study.identity import Fingerprint
from archlab.study.plan import StudyPlan

__all__ = ["describe"]


def describe(
    plan: StudyPlan, device: Device, run: RunSpec, predictor: Any | None, fingerprint: Fingerprint
) -> dict[str, Any]:
    """Describe device, fingerprint, protocol and score.

    Args:
        plan: What was asked.
        device: The device's row.
        run: How networks run on it.
        predictor: The latency predictor, None where the device is measured.
        fingerprint: The device and its software; empty where it is estimated, the machine's own stands there then.

    Returns:
        Plain values; of the way to a board only its kind, for a study is shown to others.
    """
    proxy = PROXIES[plan.proxy]
    here = telemetry.fingerprint()
    is_board = device.reach not in (None, "local")
    return {
        "device": dataclasses.asdict(_without_way(device) if is_board else device),
        "fingerprint": dict(fingerprint) or here,
        **({"host": here} if is_board else {}),
        "protocol": _measured(plan, run, device) if predictor is None else _estimated(plan, run, device, predictor),
        "score": {"name": proxy.name, "title": proxy.title, "source": proxy.source},
    }


def _without_way(device: Device) -> Device:
    assert device.reach is not None
    return dataclasses.replace(device, reach=device.reach.partition(":")[0], ssh_options=(), python="python3")


def _measured(plan: StudyPlan, run: RunSpec, device: Device) -> dict[str, Any]:
    where = "this machine" if device.reach == "local" else f"the device {device.name}"
    return {
        "kind": "measured",
        "lines": [
            f"every network ran on {where} with random weights, which do not change its time",
            f"warm-up until steady, then at most {run.max_s:g} s; the value is the median",
            "runs that the operating system interrupted do not count; where it grants it, the networks go first",
            *_witnessed(device),
            "a noisy network, and one near the budget, was measured twice and has the mean of both medians",
            "the interval is that of a second measurement's median, by the spread between measurements of an anchor",
            "the budget is applied at the upper end of the interval",
            *_skips(plan),
        ],
        "runtime": run.runtime,
        "precision": run.precision,
        "batch": run.batch,
        "threads": run.threads,
    }


def _witnessed(device: Device) -> list[str]:
    if device.reach != "local" or device.kind != "cpu":
        return []
    near = f"{100 * NEAR_SHARE:g} %"
    return [f"runs count only while a witness beside them ({NETWORK}) takes what it usually takes, within {near}"]


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
