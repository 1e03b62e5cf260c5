"""What decides how well a kernel uses a device? The numbers that the learned part of `kernel_net.py` sees.

Logarithms of the sizes, the products per byte, how much is lost where a size is no multiple of a tile, and what a
compiled loop holds. What has no meaning for a kind is 0.
"""

import numpy as np
import numpy.typing as npt

from archlab.latency.launches_rows import LAUNCH_COLUMNS

__all__ = ["inputs_of"]

Floats = npt.NDArray[np.float64]

_TILES = (("width", 64), ("width", 128), ("depth", 32), ("positions", 64), ("positions", 7))
_ODD = 8


def inputs_of(kinds: npt.NDArray[np.intp], table: Floats) -> Floats:
    """The inputs of each kernel, `(kernels, inputs)`.

    Args:
        kinds: Codes into `LAUNCH_KINDS`; the network learns its own place for each.
        table: `(kernels, len(LAUNCH_COLUMNS))`.
    """

    def column(name: str) -> Floats:
        found: Floats = table[:, LAUNCH_COLUMNS.index(name)]
        return found

    traffic = column("read_bytes") + column("write_bytes") + column("weight_bytes")
    is_product = (column("macs") > 0).astype(np.float64)
    names = ("rows", "width", "depth", "copies", "area", "stride", "positions", "joined", "operands")
    made = [_log(column(name)) for name in names]
    made += [
        _log(traffic),
        (_log(column("macs")) - _log(traffic)) * is_product,
        _log(column("steps")) * (column("steps") > 0),
        (_log(column("steps")) - _log(traffic)) * (column("steps") > 0),
        column("moved") / np.maximum(1, traffic),
        _log(column("write_bytes")) - _log(traffic),
        (_log(column("weight_bytes")) - _log(traffic)) * is_product,
        column("is_inner"),
        column("is_wide"),
    ]
    made += [np.log(_waste(column(name), tile)) * (is_product if name != "positions" else 1) for name, tile in _TILES]
    made += [(column(name) % _ODD != 0) * is_product for name in ("width", "depth")]
    return np.column_stack(made)


def _log(values: Floats) -> Floats:
    result: Floats = np.log(np.maximum(values, 1))
    return result


def _waste(values: Floats, tile: int) -> Floats:
    """Size rounded up to whole tiles, over the size."""
    safe = np.maximum(values, 1)
    result: Floats = np.ceil(safe / tile) * tile / safe
    return result
