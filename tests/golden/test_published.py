"""The published sizes, built: parameters to the last one, multiply-adds as printed to four digits of a G.

`published.csv` was counted on other implementations (see its last column), with torch's counter on the meta device.
"""

import csv
from pathlib import Path

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from archlab.families import all_published, published
from archlab.model.build import build

_TABLE = (Path(__file__).parent / "published.csv").read_text()
ROWS = {row["name"]: row for row in csv.DictReader(_TABLE.splitlines())}
ROUNDING = 0.00005


def test_every_published_network_has_a_golden_row() -> None:
    assert {row.name for row in all_published()} == set(ROWS)


@pytest.mark.parametrize("name", ROWS)
def test_rows_say_what_was_counted_elsewhere(name: str) -> None:
    row = published(name)
    assert row.params == int(ROWS[name]["params"])
    assert row.macs / 1e9 == pytest.approx(float(ROWS[name]["macs_g"]), abs=ROUNDING)
    assert row.resolution == row.spec.resolution == int(ROWS[name]["resolution"])


@pytest.mark.parametrize("name", ROWS)
def test_built_networks_have_the_published_size(name: str) -> None:
    row = published(name)
    module = build(row.spec, device="meta").eval()
    assert sum(parameter.numel() for parameter in module.parameters()) == row.params
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        module(torch.empty(1, 3, row.resolution, row.resolution, device="meta"))
    assert counter.get_total_flops() == 2 * row.macs
