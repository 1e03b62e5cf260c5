"""What one walk over a network leaves behind: a row per operator, joined layer by layer.

Convention. Shapes include the batch. `macs` follow the counting rules of `rules.py`. `read_elems` are the elements of
every operand (parameters and buffers included; what an expand repeats is read once), `write_elems` the elements of the
results that inference needs (not the statistics a norm keeps for training). A view does no work: all its counts are 0.
"""

import dataclasses
import functools
from collections.abc import Iterator

__all__ = ["ConvAttrs", "LayerTrace", "OpRow", "OpTrace", "Segment", "Shape", "stage_of"]

Shape = tuple[int, ...]


def stage_of(path: str) -> str:
    """`stages.1` inside a stage, else the first part of the module path (`head`; empty for the root)."""
    first, _, rest = path.partition(".")
    return f"stages.{rest.partition('.')[0]}" if first == "stages" and rest else first


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class ConvAttrs:
    """What the shapes of a convolution do not tell: `kernel` and `stride` per spatial axis, and the groups."""

    kernel: tuple[int, ...]
    stride: tuple[int, ...]
    groups: int


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class OpRow:
    """One operator call.

    `op` is the aten name without overload and without the underscore of the in-place form. `module` is the dotted path
    of the innermost module that was running. `sources` are the indices of the rows that made its activation inputs,
    looked up through views, so that no source is a view; -1 is the network's input; parameters are not listed.
    `weight_elems` are the elements of parameters and buffers that it reads; `params` those parameters that no row
    before it read, so that they add up to the network's. `is_constant` says that no input of the network reaches it
    (a positional encoding, say): a runtime may fold it away.
    """

    op: str
    kind: str
    module: str
    inputs: tuple[Shape, ...]
    outputs: tuple[Shape, ...]
    sources: tuple[int, ...] = ()
    weight_elems: int = 0
    params: int = 0
    macs: int = 0
    activation_elems: int = 0
    read_elems: int = 0
    write_elems: int = 0
    is_constant: bool = False
    attrs: ConvAttrs | None = None

    @property
    def stage(self) -> str:
        """The stage or head that it belongs to."""
        return stage_of(self.module)

    def moved(self, prefix: str, first: int, source: int) -> "OpRow":
        """The same row inside a larger trace, where its layer starts at row `first` and reads from row `source`."""
        return OpRow(
            op=self.op,
            kind=self.kind,
            module=f"{prefix}.{self.module}" if prefix and self.module else prefix or self.module,
            inputs=self.inputs,
            outputs=self.outputs,
            sources=tuple([s + first if s >= 0 else source for s in self.sources]),
            weight_elems=self.weight_elems,
            params=self.params,
            macs=self.macs,
            activation_elems=self.activation_elems,
            read_elems=self.read_elems,
            write_elems=self.write_elems,
            is_constant=self.is_constant,
            attrs=self.attrs,
        )


@dataclasses.dataclass(frozen=True, kw_only=True)
class LayerTrace:
    """The walk over one module: its rows, and what the next module needs to go on.

    `unread` are parameters that no row read, by module path; `output` is the row that made the first output (-1 where
    the input is passed through) and `output_shape` its shape.
    """

    rows: tuple[OpRow, ...]
    params: int
    unread: tuple[tuple[str, int], ...]
    output: int
    output_shape: Shape

    @functools.cached_property
    def totals(self) -> tuple[int, int, int]:
        """Sums over the rows: macs, activation elements, elements read and written."""
        macs = sum(row.macs for row in self.rows)
        activation = sum(row.activation_elems for row in self.rows)
        return macs, activation, sum(row.read_elems + row.write_elems for row in self.rows)


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Segment:
    """A layer in its place: its module path, its first row's index, and the row it reads from."""

    prefix: str
    first: int
    source: int
    layer: LayerTrace


@dataclasses.dataclass(frozen=True, kw_only=True)
class OpTrace:
    """All operators of a network in the order of execution, at one input size.

    `params` is exact: every parameter once, read or not. `digest` is that of a spec; None where a module was
    traced: its weights may be folded or cut.
    """

    segments: tuple[Segment, ...]
    params: int
    resolution: int | None
    batch: int
    digest: str | None = None

    @functools.cached_property
    def rows(self) -> tuple[OpRow, ...]:
        """Every operator with its full module path and sources in this trace."""
        return tuple(self._joined())

    @property
    def unread(self) -> tuple[tuple[str, int], ...]:
        """Parameters that no row reads, by full module path."""
        return tuple(
            (".".join(part for part in (segment.prefix, path) if part), elems)
            for segment in self.segments
            for path, elems in segment.layer.unread
        )

    def _joined(self) -> Iterator[OpRow]:
        for segment in self.segments:
            if not segment.prefix and segment.first == 0:
                yield from segment.layer.rows
            else:
                for row in segment.layer.rows:
                    yield row.moved(segment.prefix, segment.first, segment.source)
