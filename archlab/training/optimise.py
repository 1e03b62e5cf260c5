"""How do the weights move? AdamW without decay on norms and biases, warm-up and cosine, averaged weights.

Sources: AdamW (arXiv 1711.05101), cosine (arXiv 1608.03983).
"""

import copy
import math

import torch
from torch import nn

__all__ = ["Average", "adamw", "rate"]

_UNDECAYED = ("bias", "position", "pos_embd", "table")
"""Parts of names of parameters that are offsets or positions, not weights."""


def adamw(module: nn.Module, *, lr: float, weight_decay: float) -> torch.optim.AdamW:
    """Build AdamW; parameters of one axis, biases and tables of positions do not decay."""
    decayed: list[nn.Parameter] = []
    free: list[nn.Parameter] = []
    for name, parameter in module.named_parameters():
        if not parameter.requires_grad:
            continue
        is_free = parameter.squeeze().ndim <= 1 or any(word in name for word in _UNDECAYED)
        (free if is_free else decayed).append(parameter)
    groups = [{"params": decayed, "weight_decay": weight_decay}, {"params": free, "weight_decay": 0.0}]
    return torch.optim.AdamW([g for g in groups if g["params"]], lr=lr, fused=True)


def rate(step: int, *, steps: int, warmup_steps: int, lr: float) -> float:
    """Learning rate of a step: from near zero to `lr` in a line, then to zero along half a cosine."""
    if step < warmup_steps:
        return lr * (step + 1) / warmup_steps
    done = (step - warmup_steps) / max(1, steps - warmup_steps)
    return lr * 0.5 * (1 + math.cos(math.pi * done))


class Average:
    """The exponential moving average of a network's parameters and buffers.

    Early on the decay is (1 + t) / (10 + t) after t updates, so that the first random weights are soon forgotten.
    """

    def __init__(self, module: nn.Module, decay: float) -> None:
        self.module = copy.deepcopy(module).eval().requires_grad_(False)
        self.decay = decay
        pairs = list(zip(self.module.state_dict().values(), module.state_dict().values(), strict=True))
        self._floats = [(ours, theirs) for ours, theirs in pairs if ours.is_floating_point()]
        self._counters = [(ours, theirs) for ours, theirs in pairs if not ours.is_floating_point()]

    @torch.no_grad()
    def update(self, updates: int) -> None:
        """Move towards the weights of now; counters are copied."""
        share = 1 - min(self.decay, (1 + updates) / (10 + updates))
        torch._foreach_lerp_([ours for ours, _ in self._floats], [theirs for _, theirs in self._floats], share)
        for ours, theirs in self._counters:
            ours.copy_(theirs)
