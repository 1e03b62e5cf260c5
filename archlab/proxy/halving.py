"""Short trainings: a few minutes of real training on images of one's own, the hopeless stopped early.

Networks of a search come one by one: each trains to the first rung, and on as long as it is among the best third of
those seen there (`rungs` says how they are ranked); `ShortTraining.score` tells how probable the right class is to it,
or would typically be, at the last rung. A given set of networks is better judged rung by rung: `ShortTraining.halve`.
Both write what they learn, line by line, into a folder, and go on from there; several processes may share it.

Training is that of `archlab.training`: every kind of ``--data``, CPU or GPU, fp32, bf16 or fp16. All rungs of a network
are one training with one schedule, interrupted. What is scored are the averaged weights, with statistics of their own
in every BatchNorm: averaged ones lag behind, and early in a training a network may look no better than chance by them.
"""

import dataclasses
import json
import math
import shutil
import tempfile
import weakref
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from archlab.cost.count import count
from archlab.cost.trace import trace
from archlab.errors import PlanError, ProxyError, SpecError, StudyError, four_parts
from archlab.files import append_line, write_text
from archlab.model.build import build
from archlab.proxy.rungs import Rungs, Standing, best
from archlab.spec import ArchSpec
from archlab.training.data import load_data
from archlab.training.dataset import Dataset
from archlab.training.loop import train
from archlab.training.low_resolution import at_low_resolution
from archlab.training.plan import TrainPlan
from archlab.training.scoring import evaluate, settle_batch_norms

__all__ = ["ShortPlan", "ShortTraining", "is_ranked_alike", "short_plan", "short_training"]

_SIDE, _SMALL_SIDE = 64, 32
_IMAGES, _VAL_IMAGES = 4000, 1000
_MOST_RUNGS = 8
_PLAN, _RANKED_BY = "plan.json", "val_loss"


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class ShortPlan:
    """How networks are trained and stopped.

    `resolution` is the side of the images in pixels and `stem_divisor` what the stride of the first layer is divided
    by (see `at_low_resolution`). `epochs` are those of the last of `rungs`; each rung before has `eta` times fewer.
    The rest is as in `TrainPlan`.
    """

    resolution: int
    stem_divisor: int = 1
    epochs: int = 9
    rungs: int = 3
    eta: int = 3
    batch: int = 64
    lr: float = 1e-3
    precision: str | None = None
    device: str | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        """Check what halving needs; `TrainPlan` checks the rest.

        Raises:
            PlanError: For fewer than two thirds of anything to keep, or rungs that do not fit into the epochs.
        """
        is_ladder = 1 <= self.rungs <= _MOST_RUNGS and self.eta >= 2
        if not is_ladder or self.epochs < self.eta ** (self.rungs - 1):
            raise PlanError(
                four_parts(
                    "the rungs of a short training do not fit into its epochs",
                    given=f"{self.rungs} rungs, each {self.eta} times longer, in {self.epochs} epochs",
                    allowed=f"1 to {_MOST_RUNGS} rungs, eta of 2 or more, eta^(rungs - 1) epochs or more",
                    do="choose fewer rungs or more epochs",
                )
            )
        self.training()

    def epochs_at(self, rung: int) -> int:
        """Epochs after which a network stands at a rung."""
        return self.epochs // self.eta ** (self.rungs - 1 - rung)

    def training(self) -> TrainPlan:
        """The plan of one network."""
        return TrainPlan(
            resolution=self.resolution,
            epochs=self.epochs,
            batch=self.batch,
            lr=self.lr,
            warmup_epochs=0.5,
            precision=self.precision,
            device=self.device,
            seed=self.seed,
        )


class ShortTraining:
    """Networks under short training, and the folder that remembers them."""

    def __init__(self, dataset: Dataset, plan: ShortPlan, out: Path | None = None) -> None:
        """Open a folder, or go on with it.

        Args:
            dataset: What to train and to score on.
            plan: How.
            out: Folder of `rungs.jsonl`, of `plan.json`, and of the trainings in work; None takes one that goes with
                this value.

        Raises:
            StudyError: If `out` holds short trainings of another plan or of other data.
        """
        if out is None:
            out = Path(tempfile.mkdtemp(prefix="short_train-"))
            weakref.finalize(self, shutil.rmtree, out, ignore_errors=True)
        self.dataset, self.plan, self.out = dataset, plan, out
        self._file = out / "rungs.jsonl"
        self._claim()

    def score(self, spec: ArchSpec) -> float:
        """Train a network as far as it deserves beside those before it, and say how probable the right class is to it.

        That is the geometric mean over the images held out, in percent: 100·exp(-loss), as expected at the last rung.

        Args:
            spec: At its own resolution and with its own classes.

        Raises:
            ProxyError: If the network cannot be trained on such images, or its loss becomes no number.
            KeyboardInterrupt: After an interrupt; the same call goes on.
        """
        small = self._small(spec)
        standing = self._trained(small, 0)
        while self._known().goes_on(standing, self.plan.eta):
            standing = self._trained(small, standing.rung + 1)
        self._forget(small)
        return 100 * math.exp(-self._known().expected_loss(standing))

    def halve(self, specs: Iterable[ArchSpec]) -> list[Standing]:
        """Train all to the first rung, the best of them to the next, and so on; raises as `score` does.

        Returns:
            The last standing of each network, in the order given; of equal networks one.
        """
        alive = {small.digest: small for small in map(self._small, specs)}
        last: dict[str, Standing] = {}
        for rung in range(self.plan.rungs):
            here = {digest: self._trained(small, rung) for digest, small in alive.items()}
            last |= here
            kept = {one.digest for one in best(list(here.values()), self.plan.eta)}
            for digest in alive.keys() - kept:
                self._forget(alive[digest])
            alive = {digest: small for digest, small in alive.items() if digest in kept}
        for small in alive.values():
            self._forget(small)
        return list(last.values())

    def _small(self, spec: ArchSpec) -> ArchSpec:
        plan = self.plan
        divisor = plan.stem_divisor if spec.resolution > plan.resolution else 1  # its stem is made for such images
        try:
            return at_low_resolution(spec, plan.resolution, stem_divisor=divisor, classes=self.dataset.classes)
        except SpecError as error:
            raise _refusal(spec, error) from None

    def _trained(self, small: ArchSpec, rung: int) -> Standing:
        """Where a network stands at a rung; trained up to there if nobody did."""
        known = self._known().at(rung, small.digest)
        if known is not None:
            return known
        epochs = self.plan.epochs_at(rung)
        module = build(small, seed=self.plan.seed)
        try:
            result = train(module, self.dataset, self.plan.training(), out=self._run(small), until=epochs)
        except PlanError as error:
            raise _refusal(small, error) from None
        if len(result.metrics) < epochs:
            raise KeyboardInterrupt
        settle_batch_norms(module, self.dataset, self.plan.resolution, seed=self.plan.seed)
        val_loss, top1 = evaluate(module, self.dataset, self.plan.resolution)
        if not math.isfinite(val_loss):
            raise _refusal(small, f"a loss of {val_loss} on the images held out")
        standing = Standing(
            digest=small.digest,
            macs=count(trace(small)).macs,
            rung=rung,
            epochs=epochs,
            top1=top1,
            val_loss=val_loss,
            seconds=round(sum(one.seconds for one in result.metrics[:epochs]), 3),
        )
        append_line(self._file, json.dumps(standing.to_dict()))
        return standing

    def _known(self) -> Rungs:
        lines = self._file.read_text(encoding="utf-8").splitlines() if self._file.is_file() else []
        return Rungs(self.plan.rungs, (Standing(**json.loads(line)) for line in lines))

    def _run(self, small: ArchSpec) -> Path:
        return self.out / small.digest

    def _forget(self, small: ArchSpec) -> None:
        """Delete the training of a network that goes no further; what it reached stays in the table."""
        shutil.rmtree(self._run(small), ignore_errors=True)

    def _claim(self) -> None:
        path = self.out / _PLAN
        ours = {"data": self.dataset.digest, "ranked_by": _RANKED_BY, **dataclasses.asdict(self.plan)}
        theirs: dict[str, Any] = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else ours
        changed = [name for name in ours if theirs.get(name) != ours[name]]
        if changed:
            name = changed[0]
            raise StudyError(
                four_parts(
                    "the folder holds other short trainings",
                    given=f"{self.out}: {name} {theirs.get(name)} there, {ours[name]} now",
                    allowed="the same data and settings, to go on with them",
                    do="choose another folder, or delete this one",
                )
            )
        if not path.is_file():
            write_text(path, json.dumps(ours))


def _refusal(spec: ArchSpec, why: object) -> ProxyError:
    return ProxyError(
        four_parts(
            f"short_train cannot train the network {spec.digest}",
            given=str(why).partition(";")[0],
            allowed="networks that learn from images of that side",
            do="choose another resolution or another --proxy",
        )
    )


def is_ranked_alike(folder: Path) -> bool:
    """Tell whether a folder holds short trainings that were ranked as they are today."""
    path = folder / _PLAN
    return path.is_file() and json.loads(path.read_text(encoding="utf-8")).get("ranked_by") == _RANKED_BY


def short_plan(dataset: Dataset, *, seed: int = 0) -> ShortPlan:
    """The plan that suits images: at 32 px with half the stem's stride, or, where they are larger, at 64 px."""
    is_small = dataset.side <= _SMALL_SIDE
    return ShortPlan(resolution=_SMALL_SIDE if is_small else _SIDE, stem_divisor=2 if is_small else 1, seed=seed)


def short_training(data: str | Path | None = None, out: Path | None = None, *, seed: int = 0) -> ShortTraining:
    """Open short trainings as a search makes them: on up to 4,000 images of `data`, on digits where there are none.

    What is known so far lies in the folder `out`, or in one that goes with the value.

    Raises:
        PlanError: If the images cannot be read.
        StudyError: If `out` holds other short trainings.
    """
    dataset = load_data(data or "digits", side=_SIDE).first(_IMAGES, _VAL_IMAGES)
    return ShortTraining(dataset, short_plan(dataset, seed=seed), out)
