"""One network under scoring, and the passes through it that several scores share, each made once and only if read.

| pass | what runs | who reads it |
|---|---|---|
| `look` | all images once, no loss | naswot, swap, meco, jacob_cov, the parts of az_nas |
| `learning` | two half batches, cross entropy, backward; twice for `curvature` | grad_norm, snip, fisher, zico, grasp |
| `flow` | absolute weights, one input of ones, backward | synflow, tf_tas |
| `noise` | Gaussian weights, Gaussian images twice | zen |

Norms of batches take their statistics from the batch; everything else runs as in evaluation. A pass leaves the
weights as they are, so a score does not depend on which others are asked for.

Legend of the shape suffixes: B batch, C channels, H and W rows and columns.
"""

import functools
from collections.abc import Callable, Iterable

import torch
from torch import Tensor, nn

from archlab.cost.count import CostReport, count
from archlab.cost.trace import trace
from archlab.proxy.flow import Flow, flow
from archlab.proxy.halving import ShortTraining
from archlab.proxy.learning import HALVES, Learning, learn
from archlab.proxy.look import Look, look
from archlab.proxy.noise import Noise, disturb
from archlab.spec import ArchSpec

__all__ = ["READS", "Subject"]

READS = {
    "kernel": "how many activation bits each pair of images shares (`look.shared_BB`)",
    "patterns": "which bits the images put on each unit (`look.patterns`)",
    "layers": "feature maps of one image, layer by layer (`look.lambdas`)",
    "graph": "the maps after each entry and block, differentiable (`look.maps`, `look.images_BCHW`)",
    "gradients": "gradients of the loss (`learning.gradients`)",
    "channels": "outputs of convolutions and linear layers times their gradients (`learning.channels`)",
    "curvature": "the Hessian times the gradient (`learning.curvature`)",
    "flow": "synaptic flow (`flow`)",
    "noise": "what a disturbed input does (`noise`)",
}
"""What a row of the table may say it reads."""


class Subject:
    """A network, what it is shown, and lazily its passes.

    Args:
        module: A network as it is to be scored, initialised, on the meta device where only its layout is asked for; or
            what makes it, once it is asked for.
        images_BCHW: Images `(B, 3, H, W)` of mean 0 and deviation 1.
        labels_B: Their classes; drawn from `seed` if left out.
        seed: Of everything that a score draws.
        reads: What the scores to come will read; a subset of `READS`, all if left out.
        spec: The network's spec at its own resolution, where it has one.
        training: The short trainings that the network joins, for scores that train.
        parts: Mini-batches that the images are learnt from; ZiCo needs the two.
        drawn: Where `subject.reinitialise` left off drawing the weights of this seed; spares `noise` drawing them.
    """

    def __init__(
        self,
        module: nn.Module | Callable[[], nn.Module],
        images_BCHW: Tensor,
        *,
        labels_B: Tensor | None = None,
        seed: int = 0,
        reads: Iterable[str] = READS,
        spec: ArchSpec | None = None,
        training: ShortTraining | None = None,
        parts: int = HALVES,
        drawn: torch.Generator | None = None,
    ) -> None:
        self._made, self.images_BCHW, self.seed = module, images_BCHW, seed
        self.reads, self.spec, self.training = frozenset(reads), spec, training
        self._labels_B, self._parts, self._drawn = labels_B, parts, drawn
        assert self.reads <= READS.keys()

    @functools.cached_property
    def module(self) -> nn.Module:
        """The network."""
        return self._made if isinstance(self._made, nn.Module) else self._made()

    @functools.cached_property
    def look(self) -> Look:
        """Run all images once."""
        return look(self.module, self.images_BCHW, self.reads)

    @functools.cached_property
    def learning(self) -> Learning:
        """Gradients of the cross entropy on the parts of the batch."""
        shown, labels = self.images_BCHW, self._labels_B
        return learn(self.module, shown, labels, seed=self.seed, reads=self.reads, parts=self._parts)

    @functools.cached_property
    def flow(self) -> Flow:
        """Synaptic flow of every weight."""
        return flow(self.module, self.images_BCHW)

    @functools.cached_property
    def noise(self) -> Noise:
        """What a small change of a Gaussian input does to the last map."""
        return disturb(self.module, self.images_BCHW, self.seed, self._drawn)

    @functools.cached_property
    def counts(self) -> CostReport:
        """What one image of the side shown costs."""
        return count(trace(self.module, resolution=self.images_BCHW.shape[-1]))

    def generator(self) -> torch.Generator:
        """A fresh source of random numbers, the same at every call."""
        return torch.Generator().manual_seed(self.seed)
