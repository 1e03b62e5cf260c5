"""What every row of RULES, and every shortcut beside it, promises: joining the table is being tested."""

import itertools
from collections.abc import Callable, Sequence
from typing import Any

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from archlab.cost.rules import KINDS, RULES
from archlab.cost.shortcuts import SHORTCUTS

COUNTED = sorted(name for name, rule in RULES.items() if rule.macs is not None)


def meta(*shape: int) -> torch.Tensor:
    return torch.empty(shape, device="meta")


def overloads(name: str) -> list[Any]:
    packets = [getattr(torch.ops.aten, form, None) for form in (name, f"{name}_")]
    return [getattr(packet, overload) for packet in packets if packet is not None for overload in packet.overloads()]


@pytest.mark.parametrize("name", RULES)
def test_rule_names_an_operator_and_a_known_kind(name: str) -> None:
    assert overloads(name), f"aten has no operator {name}"
    assert RULES[name].kind in {*KINDS, None}
    assert RULES[name].writes in (1, 2)


@pytest.mark.parametrize("name", RULES)
def test_rule_counts_macs_where_its_kind_multiplies(name: str) -> None:
    assert (RULES[name].macs is not None) == (RULES[name].kind in {"conv", "matmul"})


QUERY, KEY, VALUE = (2, 3, 5, 8), (2, 3, 7, 8), (2, 3, 7, 4)
ATTENTION = 2 * 3 * 5 * 7 * (8 + 4)
CALLS: dict[str, tuple[tuple[tuple[int, ...], ...], tuple[int, ...], int]] = {
    # operator: shapes of its operands, shape of its result, multiply-adds by hand
    "convolution": (((2, 6, 9, 9), (8, 3, 3, 3), (8,)), (2, 8, 4, 4), 2 * 4 * 4 * 8 * 3 * 9),
    "mm": (((4, 5), (5, 6)), (4, 6), 4 * 5 * 6),
    "bmm": (((3, 4, 5), (3, 5, 6)), (3, 4, 6), 3 * 4 * 5 * 6),
    "addmm": (((6,), (4, 5), (5, 6)), (4, 6), 4 * 5 * 6),
    "_addmm_activation": (((6,), (4, 5), (5, 6)), (4, 6), 4 * 5 * 6),
    "baddbmm": (((3, 4, 6), (3, 4, 5), (3, 5, 6)), (3, 4, 6), 3 * 4 * 5 * 6),
    "linear": (((2, 4, 5), (6, 5), (6,)), (2, 4, 6), 2 * 4 * 5 * 6),
    "addbmm": (((4, 6), (3, 4, 5), (3, 5, 6)), (4, 6), 3 * 4 * 5 * 6),
    "mv": (((4, 5), (5,)), (4,), 20),
    "addmv": (((4,), (4, 5), (5,)), (4,), 20),
    "dot": (((5,), (5,)), (), 5),
    "vdot": (((5,), (5,)), (), 5),
    "_scaled_dot_product_flash_attention": ((QUERY, KEY, VALUE), (2, 3, 5, 4), ATTENTION),
    "_scaled_dot_product_flash_attention_for_cpu": ((QUERY, KEY, VALUE), (2, 3, 5, 4), ATTENTION),
    "_scaled_dot_product_efficient_attention": ((QUERY, KEY, VALUE), (2, 3, 5, 4), ATTENTION),
    "_scaled_dot_product_cudnn_attention": ((QUERY, KEY, VALUE), (2, 3, 5, 4), ATTENTION),
    "_scaled_dot_product_fused_attention_overrideable": ((QUERY, KEY, VALUE), (2, 3, 5, 4), ATTENTION),
}
CONV_ARGS = (None, None, None, [2, 2], [0, 0], [1, 1], False, [0, 0], 2)


@pytest.mark.parametrize("name", COUNTED)
def test_formula_gives_the_hand_count(name: str) -> None:
    inputs, output, by_hand = CALLS[name]
    formula = RULES[name].macs
    assert formula is not None
    assert formula(inputs, [output], CONV_ARGS) == by_hand


@pytest.mark.parametrize("name", ["convolution", "mm", "bmm", "addmm", "baddbmm"])
def test_torch_counts_the_same_times_two(name: str) -> None:
    inputs, output, by_hand = CALLS[name]
    tensors: list[Any] = [meta(*shape) for shape in inputs]
    more = CONV_ARGS[3:] if name == "convolution" else ()
    with FlopCounterMode(display=False) as counter:
        result = getattr(torch.ops.aten, name).default(*tensors, *more)
    assert tuple(result.shape) == output
    assert counter.get_total_flops() == 2 * by_hand


def layouts(*shape: int) -> list[torch.Tensor]:
    """The same shape as it comes out of different operators: plain, permuted, sliced, of one row."""
    plain = meta(*shape)
    last = meta(shape[0], *shape[2:], shape[1]).movedim(-1, 1)
    sliced = meta(shape[0], shape[1] * 2, *shape[2:]).narrow(1, 0, shape[1])
    return [plain, last, sliced]


def images() -> list[torch.Tensor]:
    return [t for shape in [(2, 6, 5, 7), (1, 6, 5, 7), (2, 1, 4, 4), (2, 6, 1, 1)] for t in layouts(*shape)]


def pairs() -> list[tuple[torch.Tensor, ...]]:
    same = [pair for shape in [(2, 6, 5, 7), (1, 6, 5, 7)] for pair in itertools.product(layouts(*shape), repeat=2)]
    wide = [(x, other) for x in layouts(2, 6, 5, 7) for other in (meta(6, 1, 1), meta(1, 6, 1, 1), meta(7), meta())]
    return [*same, *wide, *[(b, a) for a, b in wide], (meta(2, 1, 5), meta(1, 3, 1))]


def tokens() -> list[torch.Tensor]:
    return [*layouts(2, 9, 8), meta(9, 8), meta(4, 3, 3, 8)]


def norm_args(x: torch.Tensor) -> tuple[Any, ...]:
    return x, [x.shape[-1]], meta(x.shape[-1]), meta(x.shape[-1]), 1e-5


def batch_norm_args(x: torch.Tensor) -> tuple[Any, ...]:
    return (x, *[meta(x.shape[1]) for _ in range(4)], False, 0.1, 1e-5)


def conv_calls() -> list[tuple[Any, ...]]:
    calls = []
    for x, groups in itertools.product([*layouts(2, 6, 9, 8), *layouts(1, 6, 9, 8), meta(2, 6, 9, 8)], (1, 2, 6)):
        weight = meta(12, 6 // groups, 3, 3)
        calls += [
            (x, weight, meta(12), [1, 1], [1, 1], [1, 1], False, [0, 0], groups),
            (x, weight, None, [2, 2], [0, 2], [2, 1], False, [0, 0], groups),
        ]
    pointwise = [(x, meta(4, 6, 1, 1), None, [1], [0], [1], False, [0], 1) for x in layouts(2, 6, 9, 8)]
    return [*calls, *pointwise, (meta(2, 6, 9, 8), meta(6, 4, 2, 2), None, [2, 2], [0, 0], [1, 1], True, [0, 0], 1)]


def reductions() -> list[tuple[Any, ...]]:
    dims: list[Any] = [[2, 3], [1], [-1], [0, 1, 2, 3]]
    return [(x, d, keep) for x in layouts(2, 6, 5, 7) for d in dims for keep in (False, True)]


EXAMPLES: dict[str, Callable[[], Sequence[tuple[Any, ...]]]] = {
    **dict.fromkeys(["add", "sub", "mul", "div"], pairs),
    **dict.fromkeys(["mean", "sum"], reductions),
    "linalg_vector_norm": lambda: [(x, 2, *rest) for x, *rest in reductions()],
    "clamp": lambda: [(x, 0.0, 6.0) for x in images()],
    "clamp_min": lambda: [(x, 1e-12) for x in images()],
    "hardtanh": lambda: [(x, 0.0, 6.0) for x in images()],
    "native_layer_norm": lambda: [norm_args(x) for x in tokens()],
    "native_batch_norm": lambda: [batch_norm_args(x) for x in images()],
    "convolution": conv_calls,
    "addmm": lambda: [(meta(6), a, meta(5, 6)) for a in (meta(4, 5), meta(5, 4).t())],
    "mm": lambda: [(a, b) for a in (meta(4, 5), meta(5, 4).t()) for b in (meta(5, 6), meta(6, 5).t())],
    "bmm": lambda: [(a, meta(3, 5, 6)) for a in (meta(3, 4, 5), meta(3, 5, 4).mT, meta(4, 3, 5).transpose(0, 1))],
    "_softmax": lambda: [(x, -1, False) for x in images()],
    "_safe_softmax": lambda: [(x, -1) for x in images()],
    "cat": lambda: [([a, b, a], d) for a, b in itertools.product(layouts(2, 6, 5, 7), repeat=2) for d in (0, 1, -1)],
}


@pytest.mark.parametrize("name", SHORTCUTS)
def test_shortcut_gives_torchs_shapes_and_strides(name: str) -> None:
    """Of the first result: the others are statistics that no network reads in eval mode."""
    assert name in RULES
    calls = EXAMPLES.get(name, lambda: [(x,) for x in images()])()
    operator = getattr(torch.ops.aten, name)
    taken = 0
    for call in calls:
        quick = SHORTCUTS[name](call)
        if quick is None:
            continue
        taken += 1
        slow = operator(*call)
        ours, theirs = as_tuple(quick), as_tuple(slow)
        assert len(ours) == len(theirs)
        assert layout(ours[0]) == layout(theirs[0]), describe(call)
        assert ours[0].dtype == theirs[0].dtype
    assert taken >= min(len(calls), 2), "the shortcut takes nothing"


def test_shortcuts_leave_what_is_wrong_to_torch() -> None:
    conv = (meta(1, 6, 9, 9), meta(8, 4, 3, 3), None, [1, 1], [0, 0], [1, 1], False, [0, 0], 1)
    assert SHORTCUTS["convolution"](conv) is None
    assert SHORTCUTS["convolution"]((meta(1, 4, 2, 2), *conv[1:])) is None
    assert SHORTCUTS["addmm"]((meta(6), meta(4, 5), meta(4, 6))) is None
    assert SHORTCUTS["addmm"]((meta(7), meta(4, 5), meta(5, 6))) is None
    assert SHORTCUTS["mm"]((meta(4, 5), meta(4, 6))) is None
    assert SHORTCUTS["bmm"]((meta(3, 4, 5), meta(2, 5, 6))) is None
    assert SHORTCUTS["add"]((meta(2, 3), meta(2, 4))) is None
    assert SHORTCUTS["add"]((meta(2, 3), torch.empty(2, 3))) is None
    assert SHORTCUTS["cat"](([meta(2, 3), meta(3, 3)], 1)) is None
    assert SHORTCUTS["native_layer_norm"]((meta(2, 8), [6], None, None, 1e-5)) is None
    assert SHORTCUTS["native_batch_norm"]((*batch_norm_args(meta(2, 3, 4, 4))[:5], True, 0.1, 1e-5)) is None
    assert SHORTCUTS["relu"]((torch.empty(2, device="meta", dtype=torch.int64),)) is None


def as_tuple(result: Any) -> tuple[torch.Tensor, ...]:
    return result if isinstance(result, tuple) else (result,)


def layout(tensor: torch.Tensor) -> list[tuple[int, int]]:
    """Sizes with the strides that matter: those of dimensions larger than 1."""
    return [(size, stride if size > 1 else 0) for size, stride in zip(tensor.shape, tensor.stride(), strict=True)]


def describe(call: tuple[Any, ...]) -> str:
    return str([(tuple(a.shape), a.stride()) if isinstance(a, torch.Tensor) else a for a in call])
