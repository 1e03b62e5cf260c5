"""What a prediction says: milliseconds, an interval, and how wrong the predictor was on what it had not seen."""

import dataclasses

__all__ = ["Estimate", "HeldOut"]


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class HeldOut:
    """Error on networks of families that the fit had not seen.

    `mean_abs_pct` is the mean of |predicted / published - 1| in percent, `within_10_share` the share of points within
    ten percent, `kendall_tau` the rank correlation, `coverage` the share of points that a 90 % interval held whose
    width was settled without their family.
    """

    mean_abs_pct: float
    within_10_share: float
    kendall_tau: float
    coverage: float | None
    points: int
    families: int


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Estimate:
    """A latency that nobody measured: `lo_ms` to `hi_ms` holds the truth nine times in ten."""

    ms: float
    lo_ms: float
    hi_ms: float
    predictor: str
    device: str
    held_out: HeldOut

    @property
    def source(self) -> str:
        """How the number came about, e.g. `estimated:roofline@orin`."""
        return f"estimated:{self.predictor}@{self.device}"
