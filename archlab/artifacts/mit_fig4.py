"""EfficientViT-MIT, Fig. 4: softmax attention against ReLU linear attention, in latency over the side of the map.

Both are measured alone, with the same width, heads and 1×1 convolutions: as in the stage of B1 at stride 16 (128
channels, heads of 16) on maps from 14×14 to 32×32, that is images of 224 to 512 px, where softmax attention takes the
more multiply-adds the larger the map; and on maps with about as many positions as a head has channels, where both take
the same. The paper's text gives the range of the speed-up on a phone's CPU; which maps it measured could not be
recovered. The verdict rests on the maps of that stage.

Source: arXiv 2205.14756, Fig. 4 and its text.
"""

from collections.abc import Sequence

from torch import nn

from archlab.artifacts.artifact import Artifact
from archlab.artifacts.bench import Bench, Net
from archlab.artifacts.checks import InRange
from archlab.artifacts.paper import values
from archlab.artifacts.rows import Row
from archlab.artifacts.throughput import times_as_fast
from archlab.cost.count import CostReport, count
from archlab.cost.trace import trace_module
from archlab.model.blocks.mhsa import SelfAttention
from archlab.model.blocks.msla import LinearAttention
from archlab.model.build import initialise
from archlab.model.deploy import deploy
from archlab.spec import BlockSpec

__all__ = ["ARTIFACT", "WIDTH", "attention"]

WIDTH = 128
_SOFTMAX, _LINEAR, _RATIO = "softmax", "ReLU linear", "speed-up"
_SIDES = (14, 16, 20, 24, 28, 32)
_EQUAL = {4: 16, 6: 32, 8: 64, 11: 128}
"""Side of the map → width of a head that makes the multiply-adds about the same."""

_Case = tuple[int, int]
_CASES: dict[str, _Case] = {f"map {side}×{side}": (side, 16) for side in _SIDES}
_EQUAL_CASES: dict[str, _Case] = {f"map {side}×{side}, heads of {dim}": (side, dim) for side, dim in _EQUAL.items()}

(_PRINTED,) = values("EfficientViT-MIT", "Fig. 4 softmax vs ReLU linear attention")
_LOW, _HIGH = (float(end) for end in str(_PRINTED.value).split("-"))


def attention(kind: str, side: int, key_dim: int) -> nn.Module:
    """One attention on maps `(B, 128, side, side)`: `softmax` or `ReLU linear`."""
    heads = WIDTH // key_dim
    if kind == _SOFTMAX:
        spec = BlockSpec(kind="mhsa", width=WIDTH, heads=heads, key_dim=key_dim, value_dim=key_dim, norm="bn")
        return SelfAttention(spec, WIDTH, side)
    spec = BlockSpec(kind="msla", width=WIDTH, heads=heads, key_dim=key_dim, kernels=(), norm="bn")
    return LinearAttention(spec, WIDTH, side)


def _net(kind: str, side: int, key_dim: int) -> Net:
    def make() -> nn.Module:
        module = attention(kind, side, key_dim)
        initialise(module, seed=0)
        return deploy(module.eval())

    def costs() -> CostReport:
        return count(trace_module(attention(kind, side, key_dim), (1, WIDTH, side, side)))

    return Net(make=make, costs=costs, shape=(WIDTH, side, side))


def compute(bench: Bench) -> tuple[Row, ...]:
    """Count and time both attentions on every map."""
    nets = {
        (case, kind): _net(kind, *numbers)
        for case, numbers in (_CASES | _EQUAL_CASES).items()
        for kind in (_SOFTMAX, _LINEAR)
    }
    times = bench.times({f"{case} {kind}": net for (case, kind), net in nets.items()})
    rows = []
    for case, kind in nets:
        macs = nets[case, kind].costs().macs / 1e6
        fields = times[f"{case} {kind}"]
        rows += [
            Row(setting=case, metric=f"{kind} macs", unit="M", ours=macs, ours_source="counted"),
            Row(setting=case, metric=f"{kind} latency", unit="ms", **fields),
        ]
    ratios = [
        Row(
            setting=case,
            metric=_RATIO,
            unit="x",
            **times_as_fast(times[f"{case} {_SOFTMAX}"], times[f"{case} {_LINEAR}"]),
        )
        for case in _CASES | _EQUAL_CASES
    ]
    return (*rows, *ratios, _whole([row for row in ratios if row.setting in _CASES]))


def _whole(ratios: Sequence[Row]) -> Row:
    """The range over the maps beside the paper's, which is of another device."""
    lack = ratios[0].lack
    speeds = [row.ours for row in ratios if isinstance(row.ours, float)]
    ours = {"lack": lack} if lack else {"ours": f"{min(speeds):.1f}-{max(speeds):.1f}"}
    fields = _PRINTED.fields() | ours | {"ours_source": ratios[0].ours_source, "note": _PRINTED.setting}
    return Row(setting=f"maps {_SIDES[0]}×{_SIDES[0]} to {_SIDES[-1]}×{_SIDES[-1]}", metric="speed-up range", **fields)


ARTIFACT = Artifact(
    name="mit_fig4",
    source="EfficientViT-MIT (arXiv 2205.14756), Fig. 4: latency of softmax and of ReLU linear attention",
    needs="a device to measure on",
    compute=compute,
    checks=(
        InRange(
            claim=f"ReLU linear attention is {_LOW} to {_HIGH} times as fast as softmax attention "
            "(paper: a phone's CPU)",
            metric=_RATIO,
            low=_LOW,
            high=_HIGH,
            settings=tuple(_CASES),
        ),
    ),
)
