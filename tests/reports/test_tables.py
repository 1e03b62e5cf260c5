"""Tables keep every digit and name every unit."""

import dataclasses
import io
import json
from pathlib import Path

import pandas as pd

from archlab.reports import study_files, tables
from archlab.spec import ArchSpec, BlockSpec, StageSpec


def test_front_table_holds_the_trials_own_numbers(study_dir: Path) -> None:
    study = study_files.read(study_dir)
    table = tables.front_table(study)
    raw = {doc["digest"]: doc for doc in map(json.loads, (study_dir / "trials.jsonl").read_text().splitlines())}
    assert len(table) > 3 and table["latency_ms"].is_monotonic_increasing and table["score"].is_monotonic_increasing
    for row in table.itertuples():
        values = raw[row.digest]["evaluation"]["values"]
        assert (row.score, row.latency_ms) == (values["score"], values["latency_ms"])
        assert row.latency_high_ms <= 5.0
        assert row.budget_share == row.latency_ms / 5.0
        assert row.latency_source == "estimated:roofline@orin"


def test_front_csv_survives_a_round_trip(study_dir: Path) -> None:
    table = tables.front_table(study_files.read(study_dir))
    again = pd.read_csv(io.StringIO(table.to_csv(index=False)), dtype={"digest": str})
    assert list(again.columns) == list(table.columns)
    assert again["latency_ms"].tolist() == table["latency_ms"].tolist()
    assert again["digest"].tolist() == table["digest"].tolist()


def test_trials_table_has_every_trial(study_dir: Path) -> None:
    table = tables.trials_table(study_files.read(study_dir))
    assert table["number"].tolist() == list(range(60))
    assert table["state"].value_counts().to_dict() == {"complete": 58, "failed": 1, "skipped": 1}
    assert table["origin"].str.startswith("repeat of").sum() == 3


def test_published_table_judges_the_budget_at_the_upper_end(study_dir: Path) -> None:
    study = study_files.read(study_dir)
    table = tables.published_table(study)
    assert table["latency_ms"].is_monotonic_increasing and len(table) == 9
    assert (table["within_budget"] == (table["latency_high_ms"] <= 5.0)).all()
    missing = dataclasses.replace(study.run.baselines[0], latency_ms=None, latency_interval=None)
    run = dataclasses.replace(study.run, baselines=[missing, *study.run.baselines[1:]])
    last = tables.published_table(dataclasses.replace(study, run=run)).iloc[-1]
    assert last["model"] == "edgenext_xx_small" and last["within_budget"] is None


def test_empty_front_keeps_its_columns(study_dir: Path) -> None:
    study = study_files.read(study_dir)
    assert tables.front_table(dataclasses.replace(study, trials=())).columns[:3].tolist() == [
        "study",
        "digest",
        "score",
    ]


def test_kinds_are_counted_in_runs() -> None:
    def block(kind: str) -> BlockSpec:
        return BlockSpec(kind=kind, width=8)

    entry = block("patchify")
    stages = (
        StageSpec(entry=entry, blocks=tuple(block(kind) for kind in ("convnext", "convnext", "sdta", "convnext"))),
        StageSpec(entry=entry),
    )
    assert tables.kinds_text(ArchSpec(resolution=32, stages=stages)) == "2 convnext, 1 sdta, 1 convnext | no block"
