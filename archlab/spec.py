"""One language for every network: an `ArchSpec` is stages, a stage is an entry and blocks, a block is one branch.

A block is ONE residual branch ``x + f(x)`` (or, as a stage's entry, the layer that changes the shape). So a block of
EfficientViT-MSRA is five entries (dw, ffn, cga, dw, ffn) and a module of EfficientViT-MIT two (msla, mbconv), and
the MHSA : FFN ratio of a network is read off a plain sequence. What a kind does not use is None; the kind's file
under ``model/blocks`` checks that. Fields that are None or at their neutral default are left out of the canonical
JSON, so adding a field never changes a digest.
"""

import dataclasses
import functools
import hashlib
import json
from collections.abc import Iterator, Mapping
from typing import Any, ClassVar, Self

from pydantic import ConfigDict, TypeAdapter, ValidationError

from archlab.errors import SpecError, four_parts, unknown_name

__all__ = ["ArchSpec", "BlockSpec", "HeadSpec", "StageSpec"]

Widths = int | tuple[int, ...]
"""One width for all heads, or one per head."""

_LIMITS = {"resolution": (8, 4096), "width": (1, 65_536), "blocks": (0, 512), "classes": (0, 1_000_000)}


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class BlockSpec:
    """One residual branch, or the entry layer of a stage.

    `width` counts output channels; `hidden` is the inner width; `kernels` are sides of square kernels, one per
    convolution, scale or head as the kind says; `splits` counts the channel groups of an SDTA encoder; `key_dim` and
    `value_dim` are widths per head; `window` is the side of an attention window (None: the whole map); `position` is
    the positional encoding; `eps` replaces the epsilon of the norms (None: 1e-5 for BatchNorm, 1e-6 for LayerNorm).
    """

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid", strict=True)

    kind: str
    width: int
    stride: int = 1
    hidden: int | None = None
    kernels: tuple[int, ...] | None = None
    splits: int | None = None
    heads: int | None = None
    key_dim: Widths | None = None
    value_dim: Widths | None = None
    window: int | None = None
    position: str | None = None
    norm: str | None = None
    act: str | None = None
    eps: float | None = None


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class StageSpec:
    """An entry that sets the stage's width and stride, then blocks that keep both."""

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid", strict=True)

    entry: BlockSpec
    blocks: tuple[BlockSpec, ...] = ()

    @property
    def width(self) -> int:
        """Channels of the stage's output."""
        return self.entry.width

    @property
    def depth(self) -> int:
        """Number of residual branches after the entry."""
        return len(self.blocks)


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class HeadSpec:
    """The classifier: `kind` names the order of pooling and norm, `widths` the hidden layers before the classes."""

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid", strict=True)

    kind: str
    norm: str
    widths: tuple[int, ...] = ()
    act: str | None = None
    eps: float | None = None


@dataclasses.dataclass(frozen=True, kw_only=True)
class ArchSpec:
    """A whole network at one input side; `head` None or `classes` 0 makes it a backbone without a classifier."""

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid", strict=True)

    resolution: int
    stages: tuple[StageSpec, ...]
    classes: int = 1000
    head: HeadSpec | None = None

    def __post_init__(self) -> None:
        _check_limits(self)

    @property
    def widths(self) -> tuple[int, ...]:
        """Channels after each stage."""
        return tuple(stage.width for stage in self.stages)

    @property
    def depths(self) -> tuple[int, ...]:
        """Residual branches in each stage."""
        return tuple(stage.depth for stage in self.stages)

    @property
    def strides(self) -> tuple[int, ...]:
        """Total downsampling after each stage, relative to the input side."""
        totals: list[int] = []
        for stage in self.stages:
            totals.append(stage.entry.stride * (totals[-1] if totals else 1))
        return tuple(totals)

    @functools.cached_property
    def digest(self) -> str:
        """First 12 hex digits of the SHA-256 of the canonical JSON: the key of files and messages."""
        return hashlib.sha256(self.to_json().encode()).hexdigest()[:12]

    def layers(self) -> Iterator[tuple[str, BlockSpec]]:
        """Yield every entry and block with its module path, in the order of the data flow."""
        for i, stage in enumerate(self.stages):
            yield f"stages.{i}.entry", stage.entry
            for j, block in enumerate(stage.blocks):
                yield f"stages.{i}.blocks.{j}", block

    def replace(self, **changes: Any) -> Self:
        """Copy with some fields changed."""
        return dataclasses.replace(self, **changes)

    def to_dict(self) -> dict[str, Any]:
        """Plain lists and dicts without neutral fields, ready for YAML or JSON; `from_dict` is its inverse."""
        document = _plain(self)
        assert isinstance(document, dict)
        return document

    def to_json(self) -> str:
        """The canonical JSON: sorted keys, no spaces, no neutral fields."""
        return json.dumps(self.to_dict(), sort_keys=True, separators=(",", ":"))

    @staticmethod
    def from_dict(document: object, *, where: str = "spec") -> "ArchSpec":
        """Parse what `to_dict` wrote, strictly.

        Args:
            document: A mapping as read from YAML or JSON.
            where: Name of the source, for messages.

        Raises:
            SpecError: For an unknown key, a wrong type or a number out of range; the message names the field.
        """
        if not isinstance(document, Mapping):
            raise SpecError(
                four_parts(
                    f"{where} is no network spec",
                    given=type(document).__name__,
                    allowed="a mapping with resolution, stages, classes, head",
                    do="write one with: archlab export MODEL --format spec --out F",
                )
            )
        try:
            return _PARSER.validate_json(json.dumps(document, allow_nan=False), strict=True)
        except ValidationError as error:
            raise _spec_error(error, where) from None
        except (TypeError, ValueError, RecursionError) as error:
            raise SpecError(
                four_parts(
                    f"{where} holds a value that no spec has",
                    given=str(error)[:120],
                    allowed="numbers, texts and lists",
                    do="compare with: archlab export MODEL --format spec --out F",
                )
            ) from None


_PARSER = TypeAdapter(ArchSpec)


def _plain(value: object) -> object:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        items = ((f, getattr(value, f.name)) for f in dataclasses.fields(value))
        return {f.name: _plain(v) for f, v in items if not _is_neutral(f, v)}
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    return value


def _is_neutral(field: "dataclasses.Field[Any]", value: object) -> bool:
    return value is None or (field.default is not dataclasses.MISSING and value == field.default)


def _spec_error(error: ValidationError, where: str) -> SpecError:
    first = error.errors(include_url=False)[0]
    path = ".".join(str(part) for part in first["loc"]) or where
    if first["type"] == "unexpected_keyword_argument":
        known = {f.name for c in (BlockSpec, StageSpec, HeadSpec, ArchSpec) for f in dataclasses.fields(c)}
        return SpecError(f"{where}: at {path}: {unknown_name('spec field', str(first['loc'][-1]), known)}")
    given = "nothing" if first["type"] == "missing" else repr(first.get("input"))
    return SpecError(
        four_parts(
            f"{where}: {path} is wrong",
            given=given if len(given) <= 60 else given[:57] + "…",
            allowed=first["msg"],
            do="mend that field; archlab export MODEL --format spec shows a valid file",
        )
    )


def _check_limits(spec: ArchSpec) -> None:
    widths = [block.width for _, block in spec.layers()]
    checks = [("resolution", spec.resolution), ("classes", spec.classes)]
    checks += [("blocks", stage.depth) for stage in spec.stages] + [("width", w) for w in widths]
    for name, value in checks:
        low, high = _LIMITS[name]
        if not low <= value <= high:
            raise SpecError(
                four_parts(
                    f"{name} is out of range",
                    given=value,
                    allowed=f"{low} to {high}",
                    do=f"choose another {name}",
                )
            )
    if not spec.stages:
        raise SpecError(
            four_parts("a network needs a stage", given="no stages", allowed="one or more", do="add a stage")
        )
