"""How long does a group run? A fixed part, then computing and moving data at once: one coefficient per term.

    time of a group = Σ floor terms + √((Σ compute terms)² + (Σ traffic terms)²);  time of a network = Σ over its groups

The root is the roofline with its edge rounded: close to the slower of the two, up to 1.4 times it where both take
equally long. A term is one column of the features, counted for some kinds of groups, times one coefficient of the
device. All coefficients are positive and all columns grow with width, depth and resolution, so a larger network of the
same kinds is never faster (a width that is no multiple of 8 makes a linear layer another kind, `kernels.py`).
"""

import dataclasses

import numpy as np
import numpy.typing as npt

from archlab.latency.features import COLUMNS, Features
from archlab.latency.kernels import KINDS

__all__ = ["PARTS", "TERMS", "Design", "Term", "design"]

PARTS = ("floor", "compute", "traffic")

_GEMM = ("conv", "grouped", "pointwise", "pointwise_even", "pointwise_odd")
_PRODUCTS = ("matmul", "attention")
_LIGHT = ("elementwise", "reduce", "copy")

_BYTES_PER_ELEM = 2


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Term:
    """One coefficient: µs per group, ns per step of depth, ps per multiply-add, score or byte, as `unit` says."""

    name: str
    part: str
    column: str
    kinds: tuple[str, ...]
    unit: str


def _each(name: str, *kinds: str) -> Term:
    return Term(name=name, part="floor", column="count", kinds=kinds, unit="us")


def _macs(name: str, *kinds: str) -> Term:
    return Term(name=name, part="compute", column="padded_macs", kinds=kinds, unit="ps_per_mac")


def _scores(name: str, column: str) -> Term:
    return Term(name=name, part="compute", column=column, kinds=("attention",), unit="ps_per_score")


def _bytes(name: str, *kinds: str, column: str = "io_elems", part: str = "traffic") -> Term:
    return Term(name=name, part=part, column=column, kinds=kinds, unit="ps_per_byte")


TERMS: tuple[Term, ...] = (
    _each("launch_gemm", *_GEMM),
    _each("launch_depthwise", "depthwise"),
    _each("launch_product", *_PRODUCTS),
    _each("launch_first_norm", "first_norm"),
    _each("launch_norm", "norm"),
    _each("launch_light", *_LIGHT),
    Term(name="crossing", part="floor", column="crossings", kinds=KINDS, unit="us"),
    _bytes("crossing_bytes", *KINDS, column="crossing_elems", part="floor"),
    Term(name="depth", part="floor", column="depth", kinds=_GEMM, unit="ns"),
    _macs("conv_macs", "conv"),
    _macs("grouped_macs", "grouped"),
    _macs("depthwise_macs", "depthwise"),
    _macs("pointwise_macs", "pointwise"),
    _macs("pointwise_even_macs", "pointwise_even"),
    _macs("pointwise_odd_macs", "pointwise_odd"),
    _macs("product_macs", *_PRODUCTS),
    _scores("scores", "score_elems"),
    _scores("biased_scores", "biased_score_elems"),
    _scores("scaled_scores", "scaled_score_elems"),
    _bytes("weight_bytes", *KINDS, column="weight_elems"),
    _bytes("gemm_bytes", *_GEMM, *_PRODUCTS),
    _bytes("depthwise_bytes", "depthwise"),
    _bytes("first_norm_bytes", "first_norm"),
    _bytes("norm_bytes", "norm"),
    _bytes("light_bytes", *_LIGHT),
)
"""Every coefficient of the roofline, in the order of the design's columns."""

_IN_MS = {"us": 1e-3, "ns": 1e-6, "ps_per_mac": 1e-9, "ps_per_score": 1e-9, "ps_per_byte": 1e-9 * _BYTES_PER_ELEM}
_ALL_COLUMNS = (*COLUMNS, "io_elems")
_TERM_COLUMNS = np.array([_ALL_COLUMNS.index(term.column) for term in TERMS])
_TERM_SCALES = np.array([_IN_MS[term.unit] for term in TERMS])
_APPLIES = np.array([[kind in term.kinds for term in TERMS] for kind in KINDS])
_IN_PART = np.array([[term.part == part for term in TERMS] for part in PARTS])


@dataclasses.dataclass(frozen=True, kw_only=True)
class Design:
    """What the coefficients are multiplied by: `table` in ms per unit of coefficient, `(groups, terms)`.

    `counts` says how often a group occurs, `starts` where the groups of each network begin.
    """

    table: npt.NDArray[np.float64]
    counts: npt.NDArray[np.float64]
    starts: npt.NDArray[np.intp]

    def weighted(self, coefficients: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """Sum the table over each network, `(networks, terms)`, so that times the coefficients it is ms.

        Compute and traffic count as much as they decide: by their cosine and sine in the root. Times the coefficients
        the sums are also the derivatives of ms in the coefficients' logarithms.
        """
        _, compute, traffic = (self.table @ (coefficients * is_part) for is_part in _IN_PART)
        both = np.maximum(np.hypot(compute, traffic), np.finfo(np.float64).tiny)
        weights = np.column_stack([np.ones_like(both), compute / both, traffic / both])
        kept = self.table * (weights @ _IN_PART) * self.counts[:, None]
        total: npt.NDArray[np.float64] = np.add.reduceat(kept, self.starts, axis=0)
        return total

    def group_ms(self, coefficients: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """Time of each group, as often as it occurs, in ms."""
        floor, compute, traffic = (self.table @ (coefficients * is_part) for is_part in _IN_PART)
        result: npt.NDArray[np.float64] = self.counts * (floor + np.hypot(compute, traffic))
        return result


def design(*networks: Features) -> Design:
    """Lay out the features of some networks for the coefficients."""
    table = np.concatenate([found.table for found in networks])
    kinds = np.concatenate([found.kinds for found in networks])
    read, write = (table[:, COLUMNS.index(name)] for name in ("read_elems", "write_elems"))
    counts = table[:, COLUMNS.index("count")].copy()
    table[:, COLUMNS.index("count")] = 1.0
    values = np.column_stack([table, read + write])[:, _TERM_COLUMNS]
    sizes = [len(found.kinds) for found in networks]
    return Design(
        table=values * _APPLIES[kinds] * _TERM_SCALES,
        counts=counts,
        starts=np.cumsum([0, *sizes[:-1]]).astype(np.intp),
    )
