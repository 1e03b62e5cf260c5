"""Every kind of block names the channels along its tensors: lengths fit, nothing is forgotten, one place per label."""

import pytest

from archlab.model.blocks import BLOCKS
from archlab.model.build import build_layer
from archlab.model.channels import Channels, Labels
from archlab.pruning.groups import ROLES
from archlab.spec import BlockSpec
from tests.contracts.examples import CASES, SIDE, WIDTH


class Drawn:
    """Hands out labels and remembers their roles."""

    def __init__(self) -> None:
        self.roles: list[str] = []

    def __call__(self, role: str, size: int) -> Labels:
        first = len(self.roles)
        self.roles += [role] * size
        return tuple(range(first, first + size))


def described(spec: BlockSpec) -> tuple[Channels, Drawn, Labels, Labels]:
    drawn = Drawn()
    x = drawn("embedding", WIDTH)
    is_block = "block" in BLOCKS[spec.kind].roles and spec.stride == 1
    y = x if is_block else drawn("embedding", spec.width)
    found = BLOCKS[spec.kind].channels(spec, x, y, drawn)
    assert found is not None, f"{spec.kind} says nothing of its channels"
    return found, drawn, x, y


@pytest.mark.parametrize("spec", CASES)
def test_labels_fit_the_tensors_and_none_is_forgotten(spec: BlockSpec) -> None:
    found, drawn, x, y = described(spec)
    tensors = build_layer(spec, WIDTH, SIDE).state_dict()
    seen: set[int] = set()
    for name, parts in found.tensors.items():
        if name not in tensors:
            continue
        shape = tensors[name].shape
        if parts[0][0]:
            assert sum(len(axes[0]) for axes in parts) == shape[0], name
        for axes in parts:
            seen.update(label for labels in axes for label in labels)
            assert all(not labels or len(labels) == shape[i] for i, labels in enumerate(axes) if i), name
    heads_only = {label for label, role in enumerate(drawn.roles) if role == "heads"}
    assert seen | heads_only == set(range(len(drawn.roles))), "a label without a tensor"
    assert set(drawn.roles) <= {*ROLES, "follower"}
    unnamed = [name for name in tensors if name not in found.tensors and not name.endswith("num_batches_tracked")]
    assert all("bias.table" in name for name in unnamed), unnamed
    assert {*x, *y} <= seen


@pytest.mark.parametrize("spec", CASES)
def test_fields_hold_the_widths_of_the_spec(spec: BlockSpec) -> None:
    found, drawn, _, _ = described(spec)
    for field, widths in found.fields.items():
        counts = tuple(len(width) for width in widths)
        given = getattr(spec, field)
        if isinstance(given, tuple):
            assert counts == given
        elif given is not None:
            assert set(counts) == {given}
    inner = {label for label, role in enumerate(drawn.roles) if role not in ("embedding", "follower")}
    counted = {label for widths in found.fields.values() for width in widths for label in width}
    scales = {label for label, role in enumerate(drawn.roles) if role == "qkv"}
    assert inner - counted <= scales, "a width that no field of the spec holds"
