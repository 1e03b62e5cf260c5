"""From spec to network: lay it out on the meta device, then fill it from a seed.

Legend of the shape suffixes: B batch, C channels, H and W rows and columns.
"""

import dataclasses
from typing import TypeVar

import torch
from torch import Tensor, nn

from archlab.errors import SpecError, four_parts
from archlab.model.block import Block
from archlab.model.blocks import BLOCKS
from archlab.model.check import check
from archlab.model.heads import HEADS, Head
from archlab.model.layers import Resettable, is_jit_tracing
from archlab.spec import ArchSpec, BlockSpec, HeadSpec

__all__ = ["Backbone", "FeatureInfo", "build", "build_head", "build_layer", "check", "initialise"]

_MAX_PARAMS = 4_000_000_000

Module = TypeVar("Module", bound=nn.Module)


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class FeatureInfo:
    """What one output of a backbone is: the number of its stage, its stride to the input, its channels."""

    stage: int
    stride: int
    width: int


class Stage(nn.Module):
    """An entry that changes the shape, then residual branches."""

    def __init__(self, entry: Block, blocks: list[Block]) -> None:
        super().__init__()
        self.entry = entry
        self.blocks = nn.Sequential(*blocks)

    def forward(self, x_BCHW: Tensor) -> Tensor:
        """Give the stage's map."""
        y_BCHW: Tensor = self.blocks(self.entry(x_BCHW))
        return y_BCHW


class Backbone(nn.Module):
    """The network of a spec: logits, or the last map without a head, or the maps of all stages."""

    def __init__(self, spec: ArchSpec, stages: list[Stage], head: Head | None, *, features_only: bool) -> None:
        super().__init__()
        self.spec = spec
        self.features_only = features_only
        self.stages = nn.ModuleList(stages)
        self.head = head
        self.feature_info = tuple(
            FeatureInfo(stage=i, stride=stride, width=width)
            for i, (stride, width) in enumerate(zip(spec.strides, spec.widths, strict=True))
        )
        self.is_fixed_size = any(BLOCKS[layer.kind].fixes_side(layer) for _, layer in spec.layers())

    def forward(self, x_BCHW: Tensor) -> Tensor | list[Tensor]:
        """Run on images `(B, 3, H, W)`."""
        if self.is_fixed_size and not (is_jit_tracing() or torch.compiler.is_compiling()):
            self._check_side(x_BCHW)
        maps: list[Tensor] = []
        for stage in self.stages:
            x_BCHW = stage(x_BCHW)
            maps.append(x_BCHW)
        if self.features_only:
            return maps
        return x_BCHW if self.head is None else self.head(x_BCHW)

    def _check_side(self, x_BCHW: Tensor) -> None:
        side = self.spec.resolution
        if x_BCHW.shape[-2:] != (side, side):
            raise SpecError(
                four_parts(
                    "this network attends in windows or with a bias table and takes one input side only",
                    given=f"{x_BCHW.shape[-2]}×{x_BCHW.shape[-1]}",
                    allowed=f"{side}×{side}",
                    do="resize the images, or build the network for that resolution",
                )
            )


def build(spec: ArchSpec, *, device: str = "cpu", seed: int = 0, features_only: bool = False) -> Backbone:
    """Build the network of a spec, in training mode, with first values drawn from a seed.

    Args:
        spec: The network.
        device: Where its parameters live; `meta` allocates nothing and draws nothing.
        seed: Of the weights; the global random state is left alone.
        features_only: Give a list of the maps of all stages instead of logits; no head is built.

    Raises:
        SpecError: If the network is impossible (see `check`), or too large for any device.
    """
    check(spec)
    with torch.device("meta"):
        stages = _stages(spec)
        has_head = spec.head is not None and spec.classes > 0 and not features_only
        head = build_head(spec.head, spec.widths[-1], spec.classes) if has_head and spec.head is not None else None
        module = Backbone(spec, stages, head, features_only=features_only)
    if device == "meta":
        return module
    num_params = sum(p.numel() for p in module.parameters())
    if num_params > _MAX_PARAMS:
        raise SpecError(
            four_parts(
                "the network is too large to build",
                given=f"{num_params} parameters",
                allowed=f"at most {_MAX_PARAMS}",
                do="choose smaller widths",
            )
        )
    return _fill(module, device, seed)


def build_layer(spec: BlockSpec, in_width: int, in_side: int, *, device: str = "meta", seed: int = 0) -> Block:
    """Build one entry or block for a map of `in_width` channels and `in_side` rows and columns; nothing is checked."""
    with torch.device("meta"):
        layer = _make(spec, in_width, in_side)
    return layer if device == "meta" else _fill(layer, device, seed)


def build_head(spec: HeadSpec, width: int, classes: int) -> Head:
    """Build a classifier on the current default device, its values not yet set."""
    kind: type[nn.Module] = HEADS[spec.kind]
    head = kind(spec, width, classes)
    assert isinstance(head, Head)
    return head


@torch.no_grad()
def initialise(module: nn.Module, *, seed: int) -> None:
    """Set every parameter and buffer to its first value, children before parents, from one generator."""
    device = next(iter([*module.parameters(), *module.buffers()])).device
    generator = torch.Generator(device).manual_seed(seed)
    for part in reversed(list(module.modules())):
        if isinstance(part, Resettable):
            part.reset(generator)


def _fill(module: Module, device: str, seed: int) -> Module:
    """Allocate and initialise; drawn on the CPU, so that a seed means the same weights on every device."""
    module.to_empty(device="cpu")
    initialise(module, seed=seed)
    return module.to(device)


def _make(spec: BlockSpec, in_width: int, in_side: int) -> Block:
    kind: type[nn.Module] = BLOCKS[spec.kind]
    block = kind(spec, in_width, in_side)
    assert isinstance(block, Block)
    return block


def _stages(spec: ArchSpec) -> list[Stage]:
    stages = []
    width, side = 3, spec.resolution
    for stage in spec.stages:
        entry = _make(stage.entry, width, side)
        side = BLOCKS[stage.entry.kind].out_side(stage.entry, side)
        width = stage.width
        stages.append(Stage(entry, [_make(block, width, side) for block in stage.blocks]))
    return stages
