"""Every artifact, counted only: rows that say what they are, claims that are judged, small networks that build."""

import pytest

from archlab.artifacts import ARTIFACTS
from archlab.artifacts.artifact import Artifact, reproduce
from archlab.artifacts.bench import Bench
from archlab.artifacts.paper import CARRIED
from archlab.artifacts.verdict import RANK
from archlab.model.check import check

PAPERS = {
    "edgenext": "EdgeNeXt (arXiv 2206.10589)",
    "msra": "EfficientViT-MSRA (arXiv 2305.07027)",
    "mit": "EfficientViT-MIT (arXiv 2205.14756)",
    "convnext": "ConvNeXt (arXiv 2201.03545)",
}


@pytest.fixture(params=ARTIFACTS)
def artifact(request: pytest.FixtureRequest) -> Artifact:
    return ARTIFACTS[request.param]


def test_it_is_called_after_its_paper(artifact: Artifact) -> None:
    paper, _, item = artifact.name.partition("_")
    assert item
    assert artifact.source.startswith(PAPERS[paper])
    assert artifact.needs
    assert ARTIFACTS[artifact.name] is artifact


def test_rows_and_claims(artifact: Artifact) -> None:
    outcome = reproduce(artifact, Bench())
    assert outcome.rows
    assert outcome.findings
    assert outcome.verdict in RANK
    assert outcome.because
    for row in outcome.rows:
        assert (row.ours is None) != (row.lack is None), f"{row.setting}, {row.metric}: a value, or why there is none"
        assert row.ours is None or row.ours_source, f"{row.setting}, {row.metric}: where is our value from?"
        assert row.paper is None or (row.paper_source and row.paper_status.startswith(CARRIED)), row
    keys = [(row.setting, row.metric) for row in outcome.rows]
    assert len(keys) == len(set(keys))


def test_small_networks_can_be_trained_and_are_asked_for(artifact: Artifact) -> None:
    for spec in artifact.small.values():
        check(spec)
        assert spec.head is not None
        assert spec.resolution <= 64
    if artifact.small:
        assert "trained" in artifact.needs
