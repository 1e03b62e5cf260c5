"""Which top-1 on ImageNet-1k would a network of this kind have been published with, and how sure is that?

Learnt from the published accuracies of hundreds of networks that were trained on ImageNet-1k alone, from what they are
made of (`published_features`) and how they were trained. Seven tenths of the answer are a Gaussian process's, three
tenths boosted trees' (`published_kernel`, `published_trees`).

The confounder. Published accuracies differ by recipe as much as by network: ResNet-50 was published with 76 and with 81
percent. Each network is learnt together with its recipe: how strong the augmentation, how many epochs, with a teacher
or not, pretrained without labels or not (`studies/published/recipes.csv`, by hand from papers and timm's tags). The
trees learn accuracies moved to one recipe by what the Gaussian process says of recipes. All predictions are made for
that one recipe, `USUAL`, so that they compare networks and not recipes. What a tag does not say (tuning, a lucky seed,
a paper's care for its own network) stays in the interval.

What the number is not. It is no measurement, and no promise for your data or recipe. The interval is made to hold
90 % of the published networks of a family that was left out; that of a network that is extrapolated is wider, the more
so the farther its sizes lie outside, and its number is to be read as a rank at best. See `studies/published/report.md`
for what holds.
"""

import dataclasses
import math

import numpy as np

from archlab.cost.rows import OpTrace
from archlab.cost.trace import trace
from archlab.errors import ProxyError, four_parts
from archlab.proxy.passes import Subject
from archlab.proxy.published_data import shipped
from archlab.proxy.published_features import described
from archlab.proxy.published_kernel import COLUMNS
from archlab.proxy.size import traced
from archlab.spec import ArchSpec

__all__ = ["SIZES", "USUAL", "Prediction", "Recipe", "predict", "published"]

_WORDS = {
    "log_macs": "multiply-adds",
    "log_params": "parameters",
    "log_written": "elements written",
    "log_side": "image side",
    "log_depth": "depth",
    "log_layers": "number of layers",
    "log_width": "mean width",
}
SIZES = tuple(_WORDS)
"""Columns in which a network may not lie outside of those learnt from."""

_CLASSES = 1000


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Recipe:
    """How a network is trained. `strength`: 0 crops and flips, 1 a bag of tricks, 2 AutoAugment, 3 mixup and CutMix."""

    strength: int
    epochs: int
    is_taught: bool = False
    is_self_supervised: bool = False

    @property
    def numbers(self) -> tuple[float, float, float, float]:
        """The columns of `published_kernel.RECIPE`."""
        return float(self.strength), math.log(self.epochs), float(self.is_taught), float(self.is_self_supervised)


USUAL = Recipe(strength=3, epochs=300)
"""DeiT's and Swin's recipe, with which most networks since 2021 were published; no teacher."""


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Prediction:
    """Predicted ImageNet-1k top-1 in percent, its 90 % interval, and whether the network is unlike those learnt from.

    `beyond` names the sizes that lie outside of what was learnt from; a network may be strange without one.
    """

    top1: float
    low: float
    high: float
    is_extrapolated: bool
    beyond: tuple[str, ...] = ()

    @property
    def note(self) -> str | None:
        """Where it extrapolates, in words; None where it does not."""
        if not self.is_extrapolated:
            return None
        where = ", ".join(_WORDS[name] for name in self.beyond) + " outside of" if self.beyond else "unlike"
        return (
            f"published extrapolates ({where} the networks it was learnt from): the interval is widened, the number "
            "is a rank at best"
        )


def predict(target: ArchSpec | OpTrace, recipe: Recipe = USUAL) -> Prediction:
    """Predict the top-1 that a network would be published with.

    Args:
        target: A spec, taken with 1000 classes whatever it has; or a trace of one image, with 1000 classes.
        recipe: How it would have been trained.

    Raises:
        ProxyError: For a spec without a classifier, or a trace without layers, of several images or other classes.
    """
    learnt = shipped()
    numbers = np.asarray([*described(_traced(target)), *recipe.numbers], np.float32).astype(np.float64)
    if not np.isfinite(numbers).all():
        raise _refusal("a network with sizes that are not finite")
    found = learnt.answer(numbers[None])
    return Prediction(
        top1=float(found.top1[0]),
        low=float(found.low[0]),
        high=float(found.high[0]),
        is_extrapolated=bool(found.is_extrapolated[0]),
        beyond=tuple(name for name, is_out in zip(COLUMNS, found.is_beyond[0], strict=True) if is_out),
    )


def published(subject: Subject) -> float:
    """Score a network: the predicted ImageNet-1k top-1 in percent, at the resolution of its spec."""
    if subject.spec is not None:
        return predict(subject.spec).top1
    return predict(trace(subject.module, resolution=subject.images_BCHW.shape[-1])).top1


def _traced(target: ArchSpec | OpTrace) -> OpTrace:
    if isinstance(target, ArchSpec):
        if target.head is None:
            raise _refusal(f"the spec {target.digest} without a head")
        return traced(target.replace(classes=_CLASSES))
    if target.batch != 1 or not target.resolution or not any(row.macs for row in target.rows):
        raise _refusal(
            f"a trace of {target.batch} images of {target.resolution} pixels with {len(target.rows)} operators"
        )
    if (made := target.rows[-1].outputs[0])[-1] != _CLASSES:
        raise _refusal(f"a network that answers {tuple(made)}, not {_CLASSES} classes")
    return target


def _refusal(given: str) -> ProxyError:
    return ProxyError(
        four_parts(
            "published cannot predict an accuracy",
            given=given,
            allowed="classifiers of ImageNet's 1000 classes, traced for one image of a known side",
            do="give a spec with a head, or choose another --proxy",
        )
    )
