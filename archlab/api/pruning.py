"""Make a trained network smaller: which of its channels can go, and what is left as a spec with weights."""

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from archlab.api.arguments import checked
from archlab.api.clock import Clock
from archlab.api.exporting import spec_yaml
from archlab.api.networks import create
from archlab.api.target import resolve
from archlab.api.training import show_training
from archlab.cost.count import count
from archlab.cost.trace import trace
from archlab.errors import PlanError, SpecError, four_parts, unknown_name
from archlab.files import write_text
from archlab.model.build import Backbone
from archlab.model.export import save_safetensors
from archlab.pruning.groups import Layout
from archlab.pruning.importance import CRITERIA, Batches, Importance, magnitude, random, taylor
from archlab.pruning.shrink import Keep, Macs, Pruned, Speedup, Target
from archlab.pruning.shrink import prune as prune_module
from archlab.spec import ArchSpec
from archlab.training.data import load_data
from archlab.training.dataset import Dataset
from archlab.training.loop import train
from archlab.training.plan import TrainPlan
from archlab.training.scoring import evaluate

__all__ = ["Pruning", "prune"]

_BATCH = 32
_DEFAULT_KEEP = 0.7
_FINETUNE_LR = 5e-4
"""Half of what a training from random weights starts from."""


class Pruning:
    """What `prune` gives: the smaller network, what it kept, and where its files are."""

    def __init__(self, model: str, found: Pruned, out: Path, facts: dict[str, Any]) -> None:
        self.model, self.spec, self.module, self.out = model, found.spec, found.module, out
        self._kept, self._facts = found.kept, facts

    @property
    def kept(self) -> pd.DataFrame:
        """One row per stage and role: channels before and after, and the share kept."""
        return pd.DataFrame(
            [{"stage": k.stage, "role": k.role, "before": k.before, "after": k.after, "share": k.share}
             for k in self._kept]
        )  # fmt: skip

    @property
    def is_finished(self) -> bool:
        """Whether a fine-tuning that was asked for is done; after an interrupt the same call goes on."""
        return bool(self._facts["is_finished"])

    def to_dict(self) -> dict[str, Any]:
        """Everything as plain JSON."""
        rows = [{"stage": k.stage, "role": k.role, "before": k.before, "after": k.after} for k in self._kept]
        return {"model": self.model, **self._facts, "kept": rows}


@checked
def prune(
    model: str,
    *,
    data: str | Path,
    out: str | Path,
    weights: str | Path | None = None,
    keep: float | None = None,
    macs: float | None = None,
    speedup: float | None = None,
    device: str | None = None,
    runtime: str | None = None,
    finetune_epochs: int = 0,
    criterion: str = "taylor",
    images: int = 128,
    seed: int = 0,
) -> Pruning:
    """Prune a network by first-order Taylor importance; its resolution and classes stay.

    What comes out builds from `OUT/spec.yaml` alone, whose path is a MODEL for every other call, with the weights of
    `OUT/weights.safetensors`.

    Args:
        model: A published name, a spec file or STUDY_DIR:DIGEST.
        data: Labelled images: ``digits``, ``cifar10:DIR``, a folder by class, or an ``.npz``.
        out: Folder of `spec.yaml`, `weights.safetensors` and `kept.csv`.
        weights: A safetensors file; None draws random weights, whose ranking means little.
        keep: Share of the prunable channels to keep; 0.7 where no target is given.
        macs: Share of the multiply-adds to keep.
        speedup: How many times faster than the whole network, on `device`.
        device: Where the speed-up holds, measured if it can be reached, else estimated; None takes ``cpu``.
        runtime: Of the device; None takes its first one.
        finetune_epochs: Passes over the training images afterwards; 0 leaves the weights as they were cut.
        criterion: ``taylor``, or ``magnitude`` and ``random`` to compare with.
        images: How many images the importance is averaged over, and how many held-out ones are scored.
        seed: Of the order of the images, and of what is drawn.

    Raises:
        PlanError: For data that do not fit, or a target that is none or out of reach.
        SpecError: For a network without a spec or a classifier.
    """
    folder = Path(out)
    _check_device(speedup, {"device": device, "runtime": runtime})
    clock = Clock(device or "cpu", runtime) if speedup is not None else None
    target = _target(keep, macs, speedup, clock)
    spec = _spec_of(model, resolve(model).spec)
    dataset = _fitting(load_data(data, side=spec.resolution), spec)
    module = create(model, weights=weights, seed=seed)
    assert isinstance(module, Backbone)
    batches = list(dataset.first(images).batches(_BATCH, spec.resolution, seed))
    found = prune_module(spec, module, _importance(criterion, batches, seed), target)
    spec_path, weights_path = folder / "spec.yaml", folder / "weights.safetensors"
    write_text(spec_path, spec_yaml(found.spec))
    held_out = dataset.first(1, images)
    top1 = {"before": _top1(module, held_out), "after": _top1(found.module, held_out)}
    facts: dict[str, Any] = {"spec": str(spec_path), "weights": str(weights_path), "top1": top1}
    facts |= _sizes(spec, found.spec) | _latency(clock, spec, found.spec)
    facts["is_finished"] = _finetuned(found, dataset, folder, finetune_epochs, seed)
    if finetune_epochs:
        top1["finetuned"] = _top1(found.module, held_out)
    save_safetensors(found.module.cpu(), weights_path)
    answer = Pruning(model, found, folder, facts)
    write_text(folder / "kept.csv", answer.kept.to_csv(index=False))
    return answer


def _target(keep: float | None, macs: float | None, speedup: float | None, clock: Clock | None) -> Target[Layout]:
    given = {name: value for name, value in (("keep", keep), ("macs", macs), ("speedup", speedup)) if value is not None}
    if len(given) > 1:
        raise PlanError(
            four_parts(
                "pruning has one target",
                given=", ".join(f"{name} {value}" for name, value in given.items()),
                allowed="one of keep, macs, speedup",
                do="leave the others out",
            )
        )
    if speedup is not None and clock is not None:
        return Speedup(goal=1 / speedup if speedup > 0 else 0.0, clock=clock)
    return Macs(goal=macs) if macs is not None else Keep(goal=_DEFAULT_KEEP if keep is None else keep)


def _check_device(speedup: float | None, given: Mapping[str, str | None]) -> None:
    """Say that a device is for speed-ups only."""
    for name, value in given.items():
        if value is not None and speedup is None:
            raise PlanError(
                four_parts(
                    f"{name} has no effect on this target",
                    given=f"{name} {value}",
                    allowed="device and runtime with speedup",
                    do=f"give speedup as well, or leave {name} out",
                )
            )


def _spec_of(model: str, spec: ArchSpec | None) -> ArchSpec:
    if spec is None or spec.head is None or not spec.classes:
        raise SpecError(
            four_parts(
                "no network of archlab to prune"
                if spec is None
                else "pruning reads a loss, and the network has no head",
                given=model,
                allowed="a published name, a spec file with a head, or STUDY_DIR:DIGEST",
                do="choose another model",
            )
        )
    return spec


def _fitting(dataset: Dataset, spec: ArchSpec) -> Dataset:
    """The data, as labels of the network's classes."""
    if dataset.classes > spec.classes:
        raise PlanError(
            four_parts(
                "the data have more classes than the network",
                given=f"{dataset.classes} classes in {dataset.name}",
                allowed=f"at most {spec.classes}",
                do="choose the data that the network was trained on, or train it on these: archlab train",
            )
        )
    return dataclasses.replace(dataset, classes=spec.classes)


def _importance(criterion: str, batches: Batches, seed: int) -> Importance:
    if criterion not in CRITERIA:
        raise unknown_name("criterion of pruning", criterion, CRITERIA)
    return {"taylor": lambda: taylor(batches), "magnitude": magnitude, "random": lambda: random(seed)}[criterion]()


def _sizes(before: ArchSpec, after: ArchSpec) -> dict[str, Any]:
    whole, left = count(trace(before)), count(trace(after))
    return {
        "digest": after.digest,
        "macs": left.macs,
        "params": left.params,
        "before": {"digest": before.digest, "macs": whole.macs, "params": whole.params},
    }


def _top1(module: Backbone, held_out: Dataset) -> float:
    """Share of right answers (%)."""
    return evaluate(module, held_out, module.spec.resolution)[1]


def _latency(clock: Clock | None, before: ArchSpec, after: ArchSpec) -> dict[str, Any]:
    """What was timed, if anything was."""
    if clock is None:
        return {}
    times = {"before_ms": clock(before), "after_ms": clock(after)}
    return {"latency": {**times, "device": clock.place.name, "source": clock.source}}


def _finetuned(found: Pruned, dataset: Dataset, folder: Path, epochs: int, seed: int) -> bool:
    """Train the pruned network in place; False where an interrupt ended that."""
    if epochs == 0:
        return True
    plan = TrainPlan(resolution=found.spec.resolution, epochs=epochs, seed=seed, lr=_FINETUNE_LR)
    with show_training() as show:
        return train(found.module, dataset, plan, out=folder / "finetune", on_progress=show).is_finished
