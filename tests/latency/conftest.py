"""Traces made by hand, so that what a rule says of them can be counted on paper."""

import math
from collections.abc import Callable

import pytest

from archlab.cost.rows import ConvAttrs, LayerTrace, OpRow, OpTrace, Segment, Shape
from archlab.latency.calibrate import Calibration, calibrate


class Sketch:
    """Rows one after another; every method gives the index of its row, -1 is the network's input."""

    def __init__(self, *input_shape: int) -> None:
        self.rows: list[OpRow] = []
        self._shapes: dict[int, Shape] = {-1: input_shape}

    def add(
        self,
        op: str,
        kind: str,
        *sources: int,
        out: Shape | None = None,
        weights: tuple[Shape, ...] = (),
        macs: int = 0,
        attrs: ConvAttrs | None = None,
        is_constant: bool = False,
    ) -> int:
        """Any operator; it writes the shape of its first source unless told."""
        inputs = (*(self._shapes[s] for s in sources), *weights)
        shape = out or inputs[0]
        weight_elems = sum(map(math.prod, weights))
        self.rows.append(
            OpRow(
                op=op,
                kind=kind,
                module="",
                inputs=inputs,
                outputs=(shape,),
                sources=sources,
                weight_elems=weight_elems,
                macs=macs,
                activation_elems=math.prod(shape),
                read_elems=sum(map(math.prod, inputs)),
                write_elems=math.prod(shape),
                is_constant=is_constant,
                attrs=attrs,
            )
        )
        self._shapes[len(self.rows) - 1] = shape
        return len(self.rows) - 1

    def conv(self, source: int, width: int, kernel: int = 1, stride: int = 1, groups: int = 1) -> int:
        """A convolution that keeps the side but for its stride."""
        batch, channels, side, _ = self._shapes[source]
        weight = (width, channels // groups, kernel, kernel)
        out = (batch, width, side // stride, side // stride)
        attrs = ConvAttrs(kernel=(kernel, kernel), stride=(stride, stride), groups=groups)
        kind = "depthwise" if groups == channels > 1 else "conv"
        macs = math.prod(out) * math.prod(weight[1:])
        return self.add("convolution", kind, source, out=out, weights=(weight,), macs=macs, attrs=attrs)

    def linear(self, source: int, width: int) -> int:
        """A linear layer on the last axis, without bias."""
        shape = self._shapes[source]
        out = (*shape[:-1], width)
        weight = (shape[-1], width)
        return self.add("mm", "linear", source, out=out, weights=(weight,), macs=math.prod(shape) * width)

    def product(self, left: int, right: int) -> int:
        """A batched product (B, M, K) × (B, K, N)."""
        first, second = self._shapes[left], self._shapes[right]
        out = (*first[:-1], second[-1])
        return self.add("bmm", "matmul", left, right, out=out, macs=math.prod(first) * second[-1])

    def norm(self, source: int, op: str = "native_layer_norm") -> int:
        """A norm with scale and shift over the channels."""
        shape = self._shapes[source]
        width = shape[1] if op == "native_batch_norm" else shape[-1]
        return self.add(op, "norm", source, weights=((width,), (width,)))

    def trace(self) -> OpTrace:
        """The rows as a whole network."""
        shape = self.rows[-1].outputs[0]
        layer = LayerTrace(rows=tuple(self.rows), params=0, unread=(), output=len(self.rows) - 1, output_shape=shape)
        segment = Segment(prefix="", first=0, source=-1, layer=layer)
        return OpTrace(segments=(segment,), params=0, resolution=None, batch=1)


@pytest.fixture
def sketch() -> Callable[..., Sketch]:
    return Sketch


@pytest.fixture(scope="session")
def refit() -> Callable[[str], Calibration]:
    """Fits from the carried rows, each device once a session."""
    found: dict[str, Calibration] = {}

    def once(device: str) -> Calibration:
        if device not in found:
            found[device] = calibrate(device)
        return found[device]

    return once
