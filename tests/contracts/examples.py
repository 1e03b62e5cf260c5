"""Examples of every kind of block, which the contract suites go through."""

from typing import Any

import pytest

from archlab.spec import BlockSpec

__all__ = ["CASES", "EXAMPLES", "SIDE", "WIDTH"]

WIDTH, SIDE = 24, 12
BN: dict[str, Any] = {"width": WIDTH, "norm": "bn", "act": "relu"}
LN: dict[str, Any] = {"width": WIDTH, "norm": "ln", "act": "gelu"}
MIXER: dict[str, Any] = {"kind": "mhsa", "width": WIDTH, "heads": 3}

EXAMPLES: dict[str, list[BlockSpec]] = {  # on a map of 24 channels and 12 rows
    "bottleneck": [
        BlockSpec(kind="bottleneck", hidden=10, kernels=(3,), **BN),
        BlockSpec(kind="bottleneck", hidden=10, kernels=(3,), stride=2, **(BN | {"width": 30})),
    ],
    "cga": [
        BlockSpec(kind="cga", heads=3, key_dim=4, kernels=(5, 3, 7), window=5, position="bias", **BN),
        BlockSpec(kind="cga", heads=3, key_dim=(4, 6, 2), value_dim=(5, 11, 8), kernels=(5, 3, 3), eps=1e-3, **BN),
        BlockSpec(kind="cga", heads=3, key_dim=4, kernels=(5, 3, 7), window=5, **LN),
    ],
    "conv": [
        BlockSpec(kind="conv", width=10, stride=2, kernels=(3,), norm="bn", act="silu"),
        BlockSpec(kind="conv", width=10, kernels=(5,), norm="ln", act="gelu_tanh"),
    ],
    "conv_pool": [
        BlockSpec(kind="conv_pool", width=10, stride=4, kernels=(7,), norm="bn", act="relu"),
        BlockSpec(kind="conv_pool", width=10, stride=2, kernels=(3,), norm="bn", act="gelu"),
    ],
    "convnext": [
        BlockSpec(kind="convnext", hidden=50, kernels=(7,), **LN),
        BlockSpec(kind="convnext", hidden=50, kernels=(5,), **BN),
    ],
    "dsconv": [BlockSpec(kind="dsconv", kernels=(3,), **BN)],
    "dw": [
        BlockSpec(kind="dw", width=WIDTH, kernels=(5,), norm="bn"),
        BlockSpec(kind="dw", width=WIDTH, kernels=(5,), norm="ln"),
    ],
    "dw_bottleneck": [
        BlockSpec(kind="dw_bottleneck", hidden=10, kernels=(3,), **BN),
        BlockSpec(kind="dw_bottleneck", hidden=50, kernels=(5,), stride=2, **(BN | {"width": 30})),
    ],
    "dw_first": [
        BlockSpec(kind="dw_first", hidden=50, kernels=(5,), **BN),
        BlockSpec(kind="dw_first", hidden=50, kernels=(3,), stride=2, **(BN | {"width": 30})),
    ],
    "dw_lean": [
        BlockSpec(kind="dw_lean", hidden=50, kernels=(5,), **BN),
        BlockSpec(kind="dw_lean", hidden=50, kernels=(5,), **(BN | {"norm": "bn_first"})),
        BlockSpec(kind="dw_lean", hidden=50, kernels=(7,), stride=2, **(LN | {"width": 30})),
    ],
    "ffn": [BlockSpec(kind="ffn", hidden=40, **BN), BlockSpec(kind="ffn", hidden=40, **LN)],
    "fused_mbconv": [
        BlockSpec(kind="fused_mbconv", hidden=40, kernels=(3,), **BN),
        BlockSpec(kind="fused_mbconv", hidden=40, kernels=(3,), stride=2, **(BN | {"width": 30})),
    ],
    "mbconv": [
        BlockSpec(kind="mbconv", hidden=40, kernels=(3,), **BN),
        BlockSpec(kind="mbconv", hidden=40, kernels=(5,), stride=2, **(BN | {"width": 30, "norm": "bn_last"})),
    ],
    "mhsa": [
        BlockSpec(norm="ln", **MIXER),
        BlockSpec(norm="ln", position="fourier", key_dim=5, value_dim=7, **MIXER),
        BlockSpec(norm="ln", position="bias", window=5, **MIXER),
        BlockSpec(norm="bn", position="bias", **MIXER),
        BlockSpec(norm="bn", position="fourier", window=4, value_dim=10, **MIXER),
    ],
    "msla": [BlockSpec(kind="msla", width=WIDTH, heads=2, key_dim=6, kernels=(3, 5), norm="bn")],
    "norm_patch": [
        BlockSpec(kind="norm_patch", width=30, stride=2, kernels=(2,), norm="ln"),
        BlockSpec(kind="norm_patch", width=30, stride=3, kernels=(3,), norm="bn"),
    ],
    "overlap_stem": [
        BlockSpec(kind="overlap_stem", width=16, stride=4, kernels=(3, 5), norm="bn", act="relu"),
        BlockSpec(kind="overlap_stem", width=16, stride=8, kernels=(3, 3, 3), norm="bn", act="hardswish"),
        BlockSpec(kind="overlap_stem", width=16, stride=4, kernels=(3, 3), norm="ln", act="relu"),
    ],
    "patch_merge": [
        BlockSpec(kind="patch_merge", hidden=96, stride=2, kernels=(3,), **(BN | {"width": 30})),
        BlockSpec(kind="patch_merge", hidden=96, stride=2, kernels=(3,), **(LN | {"width": 30})),
    ],
    "patch_tokens": [
        BlockSpec(kind="patch_tokens", width=30, stride=4, kernels=(4,), position="learned"),
        BlockSpec(kind="patch_tokens", width=30, stride=2, kernels=(2,)),
    ],
    "patchify": [
        BlockSpec(kind="patchify", width=30, stride=4, kernels=(4,), norm="ln"),
        BlockSpec(kind="patchify", width=30, stride=2, kernels=(2,), norm="bn"),
    ],
    "resconv": [BlockSpec(kind="resconv", kernels=(3,), **BN), BlockSpec(kind="resconv", kernels=(3,), hidden=9, **BN)],
    "sdta": [
        BlockSpec(kind="sdta", hidden=50, kernels=(3,), splits=4, heads=3, position="fourier", **LN),
        BlockSpec(kind="sdta", hidden=50, kernels=(3,), splits=2, heads=3, key_dim=5, **LN),
        BlockSpec(kind="sdta", hidden=50, kernels=(5,), splits=3, heads=2, position="fourier", **BN),
    ],
    "split": [
        BlockSpec(kind="split", heads=3, key_dim=4, kernels=(5, 3, 7), window=5, position="bias", **BN),
        BlockSpec(kind="split", heads=3, key_dim=8, value_dim=(5, 11, 8), kernels=(5, 3, 3), **LN),
    ],
    "swin_merge": [
        BlockSpec(kind="swin_merge", width=30, stride=2, norm="ln", eps=1e-5),
        BlockSpec(kind="swin_merge", width=30, stride=5, norm="ln"),
    ],
    "swmsa": [
        BlockSpec(kind="swmsa", width=WIDTH, heads=3, window=4, position="bias", norm="ln"),
        BlockSpec(kind="swmsa", width=WIDTH, heads=3, window=5, key_dim=5, value_dim=7, norm="ln"),
        BlockSpec(kind="swmsa", width=WIDTH, heads=3, window=12, position="bias", norm="ln"),
    ],
    "wmsa": [
        BlockSpec(kind="wmsa", width=WIDTH, heads=3, window=4, position="bias", norm="ln", eps=1e-5),
        BlockSpec(kind="wmsa", width=WIDTH, heads=4, window=5, key_dim=5, norm="ln"),
    ],
}
CASES = [pytest.param(spec, id=f"{kind}-{i}") for kind, specs in EXAMPLES.items() for i, spec in enumerate(specs)]
