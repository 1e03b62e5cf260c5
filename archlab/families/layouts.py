"""At which strides does a hybrid network have stages? It depends on the stem alone."""

from collections.abc import Mapping

__all__ = ["DOWNSAMPLES", "LAYOUTS", "STRIDES"]

STRIDES = (2, 4, 8, 16, 32, 64)
"""Total strides at which any hybrid network has a stage."""

LAYOUTS: Mapping[str, tuple[int, ...]] = {
    "patchify": (4, 8, 16, 32),
    "overlap": (4, 8, 16, 32),
    "overlap16": (16, 32, 64),
    "conv": (2, 4, 8, 16, 32),
}
"""Strides of the stages by stem."""

DOWNSAMPLES = ("norm_patch", "mbconv", "patch_merge")
"""Entries of the stages after the first."""
