"""The numbers that the estimates rest on, as carried beside this file: published latencies, traced networks, constants.

`data/README.md` says where each table comes from.
"""

import csv
import dataclasses
import functools
import json
from pathlib import Path
from typing import Any

import numpy as np

from archlab.latency.estimate import HeldOut
from archlab.latency.features import COLUMNS, Features
from archlab.latency.kernels import KINDS
from archlab.latency.terms import TERMS

__all__ = ["CALIBRATED", "Constants", "Network", "Published", "constants", "latencies", "networks", "path_of"]

CALIBRATED = ("t4", "orin", "nano")
"""Devices with constants, in the order in which they are fitted."""

_DATA = Path(__file__).parent / "data"

Key = tuple[str, int, int]


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Published:
    """One published latency; `addend` names what its source times beside the network, empty where nothing."""

    device: str
    source: str
    model: str
    key: Key
    ms: float
    stated_macs: float | None
    addend: str
    why_not: str


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Network:
    """A traced network: `key` is its name, input side and classes; `groups` has equal groups merged."""

    key: Key
    family: str
    macs: int
    groups: Features


@dataclasses.dataclass(frozen=True, kw_only=True)
class Constants:
    """What a calibrated device needs for an estimate.

    `coefficients` follow `TERMS`; `addends_ms` are what sources time beside the network; `spread` is the uncertainty of
    the coefficients' logarithms, `low` and `high` the 5 % and 95 % quantiles of the held-out scores
    log(published / predicted) / spread, and `range_ms` the latencies that the fit has seen.
    """

    device: str
    coefficients: tuple[float, ...]
    addends_ms: dict[str, float]
    spread: tuple[tuple[float, ...], ...]
    low: float
    high: float
    range_ms: tuple[float, float]
    held_out: HeldOut
    leave_network_out: HeldOut

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON: coefficients by the name of their term."""
        plain = dataclasses.asdict(self)
        names = [term.name for term in TERMS]
        return plain | {"coefficients": dict(zip(names, self.coefficients, strict=True))}

    @staticmethod
    def from_dict(document: dict[str, Any]) -> "Constants":
        """Read what `to_dict` wrote."""
        named = document["coefficients"]
        changes: dict[str, Any] = {
            "coefficients": tuple(named[term.name] for term in TERMS),
            "spread": tuple(tuple(row) for row in document["spread"]),
            "range_ms": tuple(document["range_ms"]),
            "held_out": HeldOut(**document["held_out"]),
            "leave_network_out": HeldOut(**document["leave_network_out"]),
        }
        return Constants(**(document | changes))


def path_of(device: str) -> Path:
    """The file of a device's constants."""
    return _DATA / f"{device}.json"


@functools.cache
def constants(device: str) -> Constants:
    """Read the constants of a calibrated device."""
    return Constants.from_dict(json.loads(path_of(device).read_text(encoding="utf-8")))


@functools.cache
def latencies() -> tuple[Published, ...]:
    """Read the published latencies, used or not."""
    addends = {row["source"]: row["addend"] for row in _rows("sources.csv")}
    return tuple(
        Published(
            device=row["device"],
            source=row["source"],
            model=row["model"],
            key=(row["network"], int(row["resolution"]), int(row["classes"])),
            ms=float(row["ms"]),
            stated_macs=float(row["stated_macs"]) if row["stated_macs"] else None,
            addend=addends[row["source"]],
            why_not=row["why_not"],
        )
        for row in _rows("latencies.csv")
    )


@functools.cache
def networks() -> dict[Key, Network]:
    """Read the traced networks."""
    groups: dict[str, list[dict[str, str]]] = {}
    for row in _rows("groups.csv"):
        groups.setdefault(row["id"], []).append(row)
    return {
        (row["network"], int(row["resolution"]), int(row["classes"])): Network(
            key=(row["network"], int(row["resolution"]), int(row["classes"])),
            family=row["family"],
            macs=int(row["macs"]),
            groups=_features(groups[row["id"]]),
        )
        for row in _rows("networks.csv")
    }


def _features(rows: list[dict[str, str]]) -> Features:
    return Features(
        runtime="trt",
        kinds=np.array([KINDS.index(row["kind"]) for row in rows], np.intp),
        table=np.array([[float(row[name]) for name in COLUMNS] for row in rows]),
        anchors=np.empty(0, np.intp),
    )


def _rows(name: str) -> list[dict[str, str]]:
    with (_DATA / name).open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))
