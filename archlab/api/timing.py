"""How long networks take: measured where a device answers, estimated where none does."""

from collections.abc import Sequence
from typing import Any

import pandas as pd
from torch import nn

from archlab.api.arguments import checked
from archlab.api.patience import patiently
from archlab.api.target import Target, resolve
from archlab.device.cache import MeasurementCache
from archlab.device.catalog import Device, RunSpec, run_for
from archlab.device.catalog import device as find_device
from archlab.device.measure import measure as measure_module
from archlab.device.measurement import Measurement
from archlab.device.power import LOOP_S
from archlab.latency import PREDICTORS, predictor_for
from archlab.model.deploy import deploy
from archlab.model.export import graph_hash, to_onnx

__all__ = ["deployed", "digest_of", "measure", "measure_rows", "timed"]

_POWER = ("power_w", "idle_power_w", "energy_mj")


@checked
def measure_rows(
    models: Sequence[str],
    *,
    device: str,
    runtime: str | None = None,
    precision: str | None = None,
    batch: int = 1,
    resolution: int | None = None,
    threads: int | None = None,
    layout: str | None = None,
    energy: bool = False,
) -> list[dict[str, Any]]:
    """Measure or estimate networks; see `measure`. Plain rows with the keys of the public contract."""
    place = find_device(device)
    run = run_for(
        place,
        runtime=runtime,
        precision=precision,
        layout=layout,
        batch=batch,
        threads=threads,
        power_s=LOOP_S if energy else 0.0,
    )
    targets = [resolve(model).at(resolution) for model in models]
    row = _measured if place.reach else _estimated
    return [row(target, place, run) for target in targets]


@checked
def measure(models: str | Sequence[str], *, device: str, **options: Any) -> pd.DataFrame:
    """Measure networks on a device; one that cannot be reached is estimated, and `source` says so.

    Args:
        models: One MODEL or several: a published name, a spec file, STUDY_DIR:DIGEST or timm:NAME.
        device: A catalog name.
        **options: `runtime`, `precision`, `layout`, `batch`, `resolution` (pixels) and `threads`; left out, the
            device's own. `energy` (True or False) reads the power as well, which takes a few seconds a network.

    Returns:
        One row per network with `median_ms`, `p90_ms`, `iqr_ms`, `ci95_ms` (the interval in ms), `n` (runs that
        count), `quality` and `source`; an estimate has no `p90_ms`, `iqr_ms`, `n` and `quality`. With `energy`:
        `power_w` in a loop, `idle_power_w`, and `energy_mj` of one inference above idle, None where nobody tells. An
        estimate far outside of what its fit has seen has a `note`, and so has a noisy measurement: what it is doubted
        for.
    """
    names = [models] if isinstance(models, str) else list(models)
    return pd.DataFrame(measure_rows(names, device=device, **options))


def deployed(target: Target) -> nn.Module:
    """The network as it would run on a device: BatchNorm folded where archlab knows how."""
    module = target.build().eval()
    return module if target.spec is None else deploy(module)


def digest_of(target: Target, batch: int = 1) -> str:
    """The spec's digest; of a network without a spec the hash of its graph, as long as a digest."""
    if target.spec is not None:
        return target.spec.digest
    side = target.resolution
    return graph_hash(to_onnx(target.build().eval(), (batch, 3, side, side)))[:12]


def timed(module: nn.Module, place: Device, run: RunSpec, *, side: int, digest: str | None) -> Measurement:
    """Measure a network as it stands, or take what is known of it; a link that breaks meanwhile is waited for.

    Args:
        module: The network as it shall run.
        place: A device that can be reached.
        run: How to run.
        side: Of the input, in pixels.
        digest: Name of the network in the answer; None takes the hash of its graph.
    """
    shape, cache = (run.batch, 3, side, side), MeasurementCache()
    return patiently(lambda: measure_module(module, place, run, input_shape=shape, digest=digest, cache=cache))


def _measured(target: Target, place: Device, run: RunSpec) -> dict[str, Any]:
    digest = target.spec.digest if target.spec else None
    found = timed(deployed(target), place, run, side=target.resolution, digest=digest)
    row = found.summary()
    power = {name: found.environment.get(name) for name in _POWER} if run.power_s else {}
    doubt = found.environment.get("doubt")
    note = {"note": f"{target.name} is noisy: {doubt}"} if doubt else {}
    return {"model": target.name, **row, "digest": row["digest"][:12], **power, **note}


def _estimated(target: Target, place: Device, run: RunSpec) -> dict[str, Any]:
    guess = PREDICTORS[predictor_for(place)].predict(target.trace(), place, run)
    return {
        "model": target.name,
        "digest": digest_of(target),
        "device": place.name,
        "runtime": run.runtime,
        "precision": run.precision,
        "batch": run.batch,
        "source": guess.source,
        "median_ms": guess.ms,
        "p90_ms": None,
        "iqr_ms": None,
        "ci95_ms": [guess.lo_ms, guess.hi_ms],
        "n": None,
        "quality": None,
        **(dict.fromkeys(_POWER) if run.power_s else {}),
        **({} if guess.note is None else {"note": guess.note}),
    }
