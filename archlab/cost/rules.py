"""What does one operator cost? One formula per operator, and a table; an operator that is not in it raises.

Convention. One multiply-add is one MAC. Convolutions, linear layers and matrix products count, attention in full, the
bias left out. Norms, activations, softmax, pooling and element-wise work count 0 here and as activations and traffic
instead. torch's FlopCounterMode on the meta device, halved, is the referee.
"""

import dataclasses
import math
from collections.abc import Callable, Sequence
from typing import Any

from archlab.cost.rows import ConvAttrs, Shape
from archlab.errors import CostRuleError, four_parts

__all__ = ["KINDS", "RULES", "Rule", "attention_macs", "conv_attrs", "conv_macs", "product_macs", "rule_for"]

Shapes = Sequence[Shape]
Formula = Callable[[Shapes, Shapes, Sequence[Any]], int]

KINDS = (
    "conv",
    "depthwise",
    "linear",
    "matmul",
    "norm",
    "softmax",
    "activation",
    "elementwise",
    "pool",
    "reduce",
    "copy",
    "view",
)


def conv_macs(inputs: Shapes, outputs: Shapes, args: Sequence[Any]) -> int:
    """MACs of a convolution of any rank and grouping: every weight once per image and output position.

    In a transposed convolution every weight meets every *input* position.

    Args:
        inputs: Shapes `(N, C_in, *)` of the image and `(C_out, C_in / groups, *kernel)` of the weight.
        outputs: The shape `(N, C_out, *)`.
        args: The operator's arguments; the seventh says whether it is transposed.
    """
    image, weight = inputs[0], inputs[1]
    positions = image[2:] if args[6] else outputs[0][2:]
    return image[0] * math.prod(positions) * math.prod(weight)


def product_macs(inputs: Shapes, outputs: Shapes, args: Sequence[Any]) -> int:
    """MACs of a matrix product `(…, M, K) × (…, K, N)`: every output element is a sum of K products.

    The two factors are the last two operands; one before them is a bias, left out.
    """
    return math.prod(outputs[0]) * inputs[-2][-1]


def linear_macs(inputs: Shapes, outputs: Shapes, args: Sequence[Any]) -> int:
    """MACs of an undecomposed linear layer: input `(…, K)`, weight `(N, K)`, then perhaps a bias."""
    return math.prod(outputs[0]) * inputs[1][-1]


def reduced_product_macs(inputs: Shapes, outputs: Shapes, args: Sequence[Any]) -> int:
    """MACs of a batch of products that is summed over its batch: `(B, M, K) × (B, K, N)`."""
    return math.prod(inputs[-2]) * inputs[-1][-1]


def vector_macs(inputs: Shapes, outputs: Shapes, args: Sequence[Any]) -> int:
    """MACs of a product whose second factor is a vector: every element of the first factor once."""
    return math.prod(inputs[-2])


def attention_macs(inputs: Shapes, outputs: Shapes, args: Sequence[Any]) -> int:
    """MACs of fused attention: queries × keys, then weights × values, in full, masked or not.

    Args:
        inputs: Shapes `(…, L, E)` of the queries, `(…, S, E)` of the keys, `(…, S, V)` of the values.
        outputs: Not read.
        args: Not read.
    """
    query, key, value = inputs[:3]
    return math.prod(query[:-1]) * key[-2] * (query[-1] + value[-1])


def conv_attrs(inputs: Shapes, args: Sequence[Any]) -> ConvAttrs:
    """Kernel, stride and groups of a convolution call."""
    kernel = tuple(inputs[1][2:])
    stride = tuple(args[3])
    return ConvAttrs(kernel=kernel, stride=stride * len(kernel) if len(stride) == 1 else stride, groups=args[8])


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Rule:
    """What an operator is and what it costs.

    `kind` is one of `KINDS`; "conv" becomes "depthwise" where every channel is its own group, "matmul" becomes "linear"
    where one factor is a parameter. An operator of no kind allocates and leaves no row. `writes` counts the results
    that inference needs; `is_overwritten` says that the first operand is written without being read.
    """

    kind: str | None
    macs: Formula | None = None
    writes: int = 1
    is_overwritten: bool = False


_PRODUCT = Rule(kind="matmul", macs=product_macs)
_VECTOR = Rule(kind="matmul", macs=vector_macs)
_ATTENTION = Rule(kind="matmul", macs=attention_macs)


def _all(rule: Rule, names: str) -> dict[str, Rule]:
    return dict.fromkeys(names.split(), rule)


RULES: dict[str, Rule] = {
    "convolution": Rule(kind="conv", macs=conv_macs),
    **_all(_PRODUCT, "mm bmm addmm baddbmm _addmm_activation"),
    "linear": Rule(kind="matmul", macs=linear_macs),
    "addbmm": Rule(kind="matmul", macs=reduced_product_macs),
    **_all(_VECTOR, "mv addmv dot vdot"),
    **_all(_ATTENTION, "_scaled_dot_product_flash_attention _scaled_dot_product_flash_attention_for_cpu"),
    **_all(_ATTENTION, "_scaled_dot_product_efficient_attention _scaled_dot_product_cudnn_attention"),
    **_all(_ATTENTION, "_scaled_dot_product_fused_attention_overrideable"),
    **_all(Rule(kind="norm"), "native_layer_norm native_batch_norm native_group_norm cudnn_batch_norm"),
    **_all(Rule(kind="norm"), "_native_batch_norm_legit _native_batch_norm_legit_no_training _batch_norm_no_update"),
    **_all(Rule(kind="softmax"), "_softmax _safe_softmax _log_softmax"),
    **_all(
        Rule(kind="activation"),
        "relu gelu silu hardswish hardsigmoid hardtanh sigmoid tanh mish elu celu glu softplus leaky_relu threshold"
        " log_sigmoid_forward _prelu_kernel softshrink hardshrink rrelu_with_noise",
    ),
    **_all(
        Rule(kind="elementwise"),
        "add sub rsub mul div reciprocal pow sqrt rsqrt exp exp2 expm1 log log2 log10 log1p neg abs sign sgn erf erfc"
        " sin cos tan atan atan2 sinh cosh floor ceil round trunc frac remainder fmod floor_divide clamp clamp_min"
        " clamp_max minimum maximum fmin fmax lerp addcmul addcdiv where masked_fill eq ne lt le gt ge logical_and"
        " logical_or logical_not logical_xor bitwise_and bitwise_or bitwise_not bitwise_xor __rshift__ __lshift__"
        " isnan isinf nan_to_num xlogy logit logaddexp hypot native_dropout",
    ),
    **_all(
        Rule(kind="pool"),
        "max_pool2d_with_indices max_pool3d_with_indices adaptive_max_pool2d avg_pool1d avg_pool2d avg_pool3d"
        " _adaptive_avg_pool2d _adaptive_avg_pool3d adaptive_avg_pool1d upsample_linear1d upsample_bilinear2d"
        " upsample_bicubic2d upsample_trilinear3d upsample_nearest1d upsample_nearest2d upsample_nearest3d"
        " _upsample_nearest_exact2d _upsample_bilinear2d_aa _upsample_bicubic2d_aa grid_sampler_2d",
    ),
    **_all(
        Rule(kind="reduce"),
        "sum mean min max amax amin prod var std norm linalg_vector_norm logsumexp argmax argmin any all"
        " cumsum cumprod",
    ),
    **_all(Rule(kind="reduce", writes=2), "var_mean std_mean aminmax"),
    **_all(
        Rule(kind="copy"),
        "clone _to_copy cat stack index index_put index_select index_add index_fill gather scatter scatter_add"
        " embedding roll flip rot90 repeat repeat_interleave constant_pad_nd reflection_pad1d reflection_pad2d"
        " replication_pad1d replication_pad2d pixel_shuffle pixel_unshuffle channel_shuffle im2col col2im tril triu"
        " slice_scatter select_scatter arange linspace zeros zeros_like ones ones_like full full_like new_zeros"
        " new_ones new_full scalar_tensor eye tril_indices triu_indices bucketize searchsorted complex nonzero"
        " _local_scalar_dense",
    ),
    **_all(Rule(kind="copy", writes=2), "sort topk"),
    **_all(Rule(kind="copy", is_overwritten=True), "fill zero copy"),
    **_all(
        Rule(kind="view"),
        "view _unsafe_view _reshape_alias permute transpose t expand squeeze unsqueeze slice select split"
        " split_with_sizes unsafe_split unbind unfold as_strided alias detach lift_fresh diagonal"
        " view_as_real view_as_complex",
    ),
    **_all(Rule(kind=None), "empty empty_like empty_strided new_empty new_empty_strided"),
}


def rule_for(op: str, module: str) -> Rule:
    """The rule of an operator.

    Args:
        op: aten name without overload, e.g. `convolution`.
        module: Dotted path of the module that called it, for the message.

    Raises:
        CostRuleError: When no rule is known; a silent 0 would make every sum a lie.
    """
    rule = RULES.get(op)
    if rule is None:
        raise CostRuleError(
            four_parts(
                f"no counting rule for operator {op!r}",
                given=f"called in module {module or '(the root)'!r}",
                allowed=f"the {len(RULES)} operators of archlab.cost.rules.RULES",
                do=f"add one: RULES[{op!r}] = Rule(kind=..., macs=formula or None)",
            )
        )
    return rule
