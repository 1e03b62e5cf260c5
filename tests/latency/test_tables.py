"""The carried tables fit together, and constants survive their trip through JSON."""

import csv
import json

import numpy as np
import pytest

from archlab.latency.tables import CALIBRATED, Constants, constants, latencies, networks, path_of
from archlab.latency.terms import TERMS

DATA = path_of("t4").parent


@pytest.mark.parametrize("device", CALIBRATED)
def test_constants_survive_json(device):
    known = constants(device)
    assert Constants.from_dict(json.loads(json.dumps(known.to_dict()))) == known
    assert all(value > 0 for value in known.coefficients)
    spread = np.array(known.spread)
    assert spread.shape == (len(TERMS), len(TERMS))
    np.testing.assert_allclose(spread, spread.T, rtol=1e-3, atol=1e-3)
    assert known.low < 0 < known.high


def test_every_row_has_a_source_a_network_and_a_reason_if_unused():
    with (DATA / "sources.csv").open(newline="", encoding="utf-8") as file:
        sources = {row["source"]: row for row in csv.DictReader(file)}
    with (DATA / "latencies.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == len(latencies())
    for row in rows:
        assert sources[row["source"]]["licence"]
        assert row["device"] in CALIBRATED
        assert (row["used"] == "no") == bool(row["why_not"])
        assert (row["network"], int(row["resolution"]), int(row["classes"])) in networks()


def test_the_readme_names_every_source():
    text = (DATA / "README.md").read_text(encoding="utf-8")
    for part in (
        "keras_cv_attention_models",
        "efficientvit",
        "netspresso",
        "EdgeNeXt",
        "torch2trt",
        "mmdeploy",
        "timm",
    ):
        assert part in text
    for file in DATA.glob("*.csv"):
        assert file.name in text


def test_macs_of_the_groups_are_the_networks_but_for_folded_constants():
    """EdgeNeXt's positional encoding and relative position tables are worked out once, when an engine is built."""
    for network in networks().values():
        running = network.groups.column("count") @ network.groups.column("macs")
        assert 0.96 * network.macs <= running <= network.macs


def test_transfer_is_known_of_the_sources_that_include_it():
    timed = {row.source: row.addend for row in latencies()}
    assert timed["mit_readme"] == timed["mit_paper"] == "mit"
    assert timed["netspresso"] == timed["kecam"] == ""
