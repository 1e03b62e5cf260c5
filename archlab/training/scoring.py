"""How good is a network on images it was not trained on, and does it fit them at all?

Legend of the shape suffixes: B batch, H and W rows and columns, C channels, K classes.
"""

import contextlib
import itertools
from collections.abc import Callable, Iterator

import torch
from torch import nn
from torch.nn import functional
from torch.optim.swa_utils import update_bn

from archlab.errors import PlanError, four_parts
from archlab.training.dataset import Dataset, to_input

__all__ = ["check_classes", "evaluate", "settle_batch_norms"]

_BATCH = 256
_SETTLE_BATCH, _SETTLE_BATCHES = 64, 16


@torch.no_grad()
def evaluate(
    module: nn.Module, dataset: Dataset, resolution: int, *, between: Callable[[], None] = lambda: None
) -> tuple[float, float]:
    """Score on the images held out; gives the mean cross-entropy and the share of right answers (top-1, %).

    Args:
        module: From images to logits; it keeps its mode.
        dataset: Whose `val_images` are scored.
        resolution: Side of the network's input, in pixels.
        between: Called between two batches; what it raises ends the scoring.
    """
    device = next(module.parameters()).device
    loss, right = 0.0, 0
    with _evaluating(module):
        for start in range(0, len(dataset.val_labels), _BATCH):
            between()
            x_BHWC = torch.from_numpy(dataset.val_images[start : start + _BATCH]).to(device)
            labels_B = torch.from_numpy(dataset.val_labels[start : start + _BATCH]).to(device)
            logits_BK = module(to_input(x_BHWC, dataset, resolution)).float()
            loss += functional.cross_entropy(logits_BK, labels_B, reduction="sum").item()
            right += int((logits_BK.argmax(1) == labels_B).sum())
    return loss / len(dataset.val_labels), 100 * right / len(dataset.val_labels)


def settle_batch_norms(module: nn.Module, dataset: Dataset, resolution: int, *, seed: int = 0) -> None:
    """Measure the statistics of every BatchNorm anew on up to 1,024 training images; a network without any is left.

    Averaged weights need it, above all early in a training (Izmailov et al., UAI 2018, arXiv 1803.05407, section 3.2).
    """
    device = next(module.parameters()).device
    whole = max(1, min(_SETTLE_BATCHES, len(dataset.images) // _SETTLE_BATCH))  # statistics of one image are none
    with torch.random.fork_rng([device] if device.type == "cuda" else []):
        torch.manual_seed(seed)  # for what drops paths
        update_bn(itertools.islice(dataset.batches(_SETTLE_BATCH, resolution, seed), whole), module, device)


@torch.no_grad()
def check_classes(module: nn.Module, dataset: Dataset, resolution: int) -> None:
    """Run two images through, without touching the statistics of norms.

    Raises:
        PlanError: If the network does not give logits for every class of the data.
    """
    x_BCHW, _ = next(dataset.batches(2, resolution, None))
    with _evaluating(module):
        shape = tuple(module(x_BCHW.to(next(module.parameters()).device)).shape)
    if len(shape) != 2 or shape[1] != dataset.classes:
        raise PlanError(
            four_parts(
                "the network has not the classes of the data",
                given=f"outputs {shape[1:]}, {dataset.classes} classes in {dataset.name}",
                allowed=f"{dataset.classes} logits",
                do="build the network for the classes of the data",
            )
        )


@contextlib.contextmanager
def _evaluating(module: nn.Module) -> Iterator[None]:
    was_training = module.training
    module.eval()
    try:
        yield
    finally:
        module.train(was_training)
