"""Published latency tables as few-shot tasks: latencies by device, features of the networks, who is whose sibling.

The tables are read where they lie and never copied: HELP's NAS-Bench-201, FBNet and OFA latencies (MIT) as parquet
files below a folder `bench`, timm's benchmark files merged to one CSV.
"""

import dataclasses
import json
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

__all__ = ["Bench", "fbnet", "nasbench201", "ofa", "timm_bench"]

Floats = npt.NDArray[np.float64]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Bench:
    """Latencies `ms` (n, d), NaN where not measured, of networks with `features` (n, f) and `macs` (n,) or None.

    `hardware` is the physical device of each column: columns of one hardware are siblings.
    """

    name: str
    devices: tuple[str, ...]
    hardware: tuple[str, ...]
    ms: Floats
    features: Floats
    macs: Floats | None

    def columns(self, devices: tuple[str, ...]) -> list[int]:
        """Positions of devices."""
        return [self.devices.index(device) for device in devices]

    def others(self, device: str) -> tuple[str, ...]:
        """Devices of another hardware."""
        own = self.hardware[self.devices.index(device)]
        return tuple(d for d, hardware in zip(self.devices, self.hardware, strict=True) if hardware != own)


def nasbench201(folder: Path) -> Bench:
    """15,625 cells; features are the counts of the four operations that a cell may have, dead ones included."""
    latency = pd.read_parquet(folder / "nasbench201/latency_help.parquet").set_index("arch_idx").sort_index()
    cells = pd.read_parquet(folder / "nasbench201/accuracy.parquet").set_index("arch_idx").sort_index()
    edges = cells[["e10", "e20", "e21", "e30", "e31", "e32"]].to_numpy()
    counts = np.stack([(edges == operation).sum(axis=1) for operation in (1, 2, 3, 4)], axis=1)
    devices = tuple(str(column) for column in latency.columns)
    return Bench(
        name="nasbench201",
        devices=devices,
        hardware=tuple(_without_batch(device) for device in devices),
        ms=latency.to_numpy(np.float64),
        features=counts.astype(np.float64),
        macs=cells["flops_m_cifar100"].to_numpy(np.float64),
    )


_FBNET_STAGES = np.array([0, *[1] * 4, *[2] * 4, *[3] * 4, *[4] * 4, *[5] * 4, 6])


def fbnet(folder: Path) -> Bench:
    """5,000 networks of 22 layers; features are each layer's expansion, its depthwise work, whether it is skipped or
    grouped, and the sums of all of these by stage and over the network. MACs are not in the table.
    """
    table = pd.read_parquet(folder / "fbnet_help/latency.parquet").sort_values("arch_id")
    names: dict[str, list[str]] = json.loads((folder / "fbnet_help/ops.json").read_text(encoding="utf-8"))
    parsed = np.array([_fbnet_operation(names[str(code)][0]) for code in range(len(names))])
    layers = parsed[table[[f"op{layer:02d}" for layer in range(22)]].to_numpy()]  # (n, 22, 4)
    kinds = [layers[:, :, kind] for kind in range(layers.shape[2])]
    stages = [np.stack([kind[:, stage == _FBNET_STAGES].sum(axis=1) for stage in range(7)], axis=1) for kind in kinds]
    totals = [kind.sum(axis=1, keepdims=True) for kind in kinds]
    return _help_bench("fbnet", table, np.hstack([*kinds, *stages, *totals]))


def ofa(folder: Path) -> Bench:
    """5,000 networks of MobileNetV3's space; features are each block's expansion and depthwise work, depths, and the
    square of the resolution, alone and times the sums over the network. MACs are not in the table.
    """
    table = pd.read_parquet(folder / "ofa/latency_help.parquet").sort_values("arch_id")
    depth, kernel, expand = (np.array([json.loads(t) if isinstance(t, str) else t for t in table[c]], np.float64)
                             for c in ("depth", "ks", "expand"))  # fmt: skip
    block = np.arange(20) % 4
    is_there = block < np.repeat(depth, 4, axis=1)
    area = (table["resolution"].to_numpy(np.float64) / 224)[:, None] ** 2
    blocks = [np.where(is_there, part, 0.0) for part in (expand, expand * kernel**2)]
    sums = np.hstack([part.reshape(len(table), 5, 4).sum(axis=2) for part in blocks])
    return _help_bench("ofa", table, np.hstack([*blocks, sums, depth, area, sums * area, depth * area]))


def timm_bench(path: Path) -> Bench:
    """timm's throughputs as ms per image; features are logarithms of MACs, activations, parameters and image side."""
    table = pd.read_csv(path)
    columns = [str(column) for column in table.columns if str(column).startswith("ips_")]
    table = table[(table[["gmacs", "macts", "params_M"]] > 0).all(axis=1) & table[columns].notna().any(axis=1)]
    devices = tuple(column.removeprefix("ips_") for column in columns)
    features = np.log(table[["gmacs", "macts", "params_M", "img_size"]].to_numpy(np.float64))
    return Bench(
        name="timm_bench",
        devices=devices,
        hardware=tuple(_timm_hardware(device) for device in devices),
        ms=1e3 / table[columns].to_numpy(np.float64),
        features=np.column_stack([features, features[:, 0] - features[:, 1], features[:, 2] - features[:, 0]]),
        macs=table["gmacs"].to_numpy(np.float64),
    )


def _help_bench(name: str, table: pd.DataFrame, features: Floats) -> Bench:
    columns = [str(column) for column in table.columns if str(column).startswith("lat_ms_")]
    devices = tuple(column.removeprefix("lat_ms_") for column in columns)
    hardware = tuple(_without_batch(device) for device in devices)
    ms = table[columns].to_numpy(np.float64)
    return Bench(name=name, devices=devices, hardware=hardware, ms=ms, features=features, macs=None)


def _fbnet_operation(name: str) -> tuple[float, float, float, float]:
    """Expansion, expansion × kernel², is it skipped, is it grouped: from a name as `k5_e6`, `k3_e1_g2`, `skip`."""
    if name == "skip":
        return 0.0, 0.0, 1.0, 0.0
    kernel, expansion = (float(part[1:]) for part in name.split("_")[:2])
    return expansion, expansion * kernel**2, 0.0, float(name.endswith("_g2"))


def _without_batch(device: str) -> str:
    stem, _, last = device.rpartition("_")
    return stem if last in ("1", "32", "64", "256") and stem != "essential_ph" else device


def _timm_hardware(device: str) -> str:
    for part, hardware in (("3090", "RTX 3090"), ("4090", "RTX 4090"), ("pro6000", "RTX PRO 6000"), ("i9", "Core i9")):
        if part in device:
            return hardware
    raise ValueError(f"whose column is {device!r}?")
