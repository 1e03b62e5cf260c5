"""Which maps does a network attend by? Read off while it runs on images, from archlab's blocks and from others'.

Three forms are known: a module with a method `attention_maps(x)` that gives `(B or more, heads, rows, columns)` for its
input (every attention of archlab has it, and a module of one's own may), torch's `nn.MultiheadAttention`, and
attention as timm writes it, whose maps go through a module `attn_drop`.

Legend of the shape suffixes: B batch, P batch times windows, C channels, H and W rows and columns of an image, h heads,
R rows and K columns of a map.
"""

import contextlib
import dataclasses
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from archlab.errors import PlanError, four_parts
from archlab.model.attention import written_out
from archlab.model.blocks import BLOCKS

__all__ = ["AttentionMap", "attention_maps"]

_KNOWN = "modules with a method attention_maps(x), torch's nn.MultiheadAttention, timm's attention with attn_drop"


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class AttentionMap:
    """The map of one call of one module: `maps` `(P, h, R, K)`, the windows of an image one after the other."""

    path: str
    kind: str
    maps_PhRK: Tensor


_AFTER_FOUR = ("need_weights", "attn_mask", "average_attn_weights", "is_causal")
"""Arguments of torch's attention behind query, key, value and key_padding_mask."""
_KINDS: dict[type[nn.Module], str] = {block: kind for kind, block in BLOCKS.items()}

Note = Callable[[Tensor], None]


@torch.no_grad()
def attention_maps(module: nn.Module, x_BCHW: Tensor) -> list[AttentionMap]:
    """Run a network once and list its attention maps in the order of execution; the network stays as it is.

    Args:
        module: In evaluation mode.
        x_BCHW: Images.

    Raises:
        PlanError: For a network without attention, or whose attention is of no known form.
    """
    found: list[AttentionMap] = []
    parts = list(_outermost(module))
    if not parts:
        raise _none_known(module)
    with contextlib.ExitStack() as stack:
        for path, part in parts:
            stack.enter_context(_listening(part, _noted(found, path, part)))
        stack.enter_context(written_out())
        module(x_BCHW)
    return found


def _outermost(module: nn.Module, path: str = "") -> Iterator[tuple[str, nn.Module]]:
    """Every attention that lies in no other one."""
    if _form(module) is not None:
        yield path, module
        return
    for name, child in module.named_children():
        yield from _outermost(child, f"{path}.{name}" if path else name)


def _form(part: nn.Module) -> str | None:
    if callable(getattr(part, "attention_maps", None)):
        return "method"
    if isinstance(part, nn.MultiheadAttention):
        return "torch"
    return "timm" if isinstance(getattr(part, "attn_drop", None), nn.Module) else None


def _noted(found: list[AttentionMap], path: str, part: nn.Module) -> Note:
    kind = _KINDS.get(type(part), type(part).__name__)

    def note(maps_PhRK: Tensor) -> None:
        found.append(AttentionMap(path=path, kind=kind, maps_PhRK=maps_PhRK.detach()))

    return note


@contextlib.contextmanager
def _listening(part: Any, note: Note) -> Iterator[None]:
    """Call `note` with the maps whenever the module runs."""
    form = _form(part)
    handles: list[RemovableHandle] = []
    fused = getattr(part, "fused_attn", None)
    if form == "method":
        handles.append(part.register_forward_pre_hook(_asks(note)))
    elif form == "torch":
        handles.append(part.register_forward_pre_hook(_with_weights, with_kwargs=True))
        handles.append(part.register_forward_hook(lambda _, __, out: note(out[1])))
    else:
        handles.append(part.attn_drop.register_forward_pre_hook(lambda _, args: note(args[0])))
        if fused is not None:
            part.fused_attn = False
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()
        if form == "timm" and fused is not None:
            part.fused_attn = fused


def _asks(note: Note) -> Callable[[Any, Any], None]:
    """Ask a module for its maps on the input that it is about to get; what it runs to answer is not asked again."""
    is_asked = False

    def ask(part: Any, args: Any) -> None:
        nonlocal is_asked
        if is_asked:
            return
        is_asked = True
        try:
            note(part.attention_maps(*args))
        finally:
            is_asked = False

    return ask


def _with_weights(_: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
    """Make torch's attention give the weights of every head, and keep what else it was asked."""
    asked = dict(zip(_AFTER_FOUR, args[4:], strict=False)) | kwargs
    return args[:4], {**asked, "need_weights": True, "average_attn_weights": False}


def _none_known(module: nn.Module) -> PlanError:
    named = {type(part).__name__ for part in module.modules()}
    alike = sorted(name for name in named if "attn" in name.lower() or "attention" in name.lower())
    return PlanError(
        four_parts(
            "no attention whose maps can be read in this network",
            given=", ".join(alike) if alike else f"{type(module).__name__}, no attention at all",
            allowed=_KNOWN,
            do="give the module a method attention_maps(x), or choose a network with attention",
        )
    )
