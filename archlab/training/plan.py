"""What is asked of a training, checked once at the door."""

import dataclasses
import math
from typing import Any

from archlab.errors import PlanError, four_parts, unknown_name

__all__ = ["PRECISIONS", "TrainPlan"]

PRECISIONS = ("fp32", "bf16", "fp16")

_BOUNDS: dict[str, tuple[float, float]] = {
    "epochs": (1, 100_000),
    "batch": (2, 65_536),
    "resolution": (8, 4096),
    "lr": (1e-8, 100),
    "weight_decay": (0, 10),
    "warmup_epochs": (0, 1000),
    "smoothing": (0, 0.99),
    "mixup": (0, 10),
    "ema": (0, 0.999999),
    "clip": (0, 1e6),
    "seed": (0, 2**63 - 1),
    "save_every_s": (0, 1e9),
}


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class TrainPlan:
    """AdamW with a linear warm-up and a cosine to zero.

    `lr` is the highest rate. `ema` is the decay of the averaged weights, which are scored and kept (0: none);
    `smoothing` of the labels; `mixup` its alpha (0: none); `clip` the largest gradient norm (0: any); `augment` crops
    and mirrors. `device` and `precision` None: CUDA where there is one, then bf16 or fp16; fp32 on a CPU.
    """

    resolution: int
    epochs: int = 10
    batch: int = 128
    lr: float = 1e-3
    weight_decay: float = 0.05
    warmup_epochs: float = 1.0
    smoothing: float = 0.1
    mixup: float = 0.0
    ema: float = 0.999
    clip: float = 5.0
    augment: bool = True
    precision: str | None = None
    device: str | None = None
    seed: int = 0
    save_every_s: float = 60.0

    def __post_init__(self) -> None:
        """Check every number.

        Raises:
            PlanError: For a number out of range.
            UnknownNameError: For a precision that is none.
        """
        for name, (low, high) in _BOUNDS.items():
            value = getattr(self, name)
            if not (math.isfinite(value) and low <= value <= high):
                raise PlanError(
                    four_parts(
                        f"{name} of a training is out of range",
                        given=value,
                        allowed=f"{low:g} to {high:g}",
                        do=f"choose another {name}",
                    )
                )
        if self.precision is not None and self.precision not in PRECISIONS:
            raise unknown_name("precision", self.precision, PRECISIONS)

    def to_dict(self) -> dict[str, Any]:
        """Every field as plain JSON."""
        return dataclasses.asdict(self)
