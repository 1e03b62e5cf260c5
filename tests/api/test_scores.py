"""Scores as rows: what `published` knows besides its number, and what a network without a spec can be scored by."""

import pytest

import archlab as al
from archlab.api.scores import score_rows
from archlab.errors import ProxyError, SpecError
from archlab.families import published as row_of
from archlab.model import timm_gate
from archlab.proxy import PROXIES
from archlab.proxy.published import predict

LAYOUT = {name for name, row in PROXIES.items() if row.needs == "nothing"}


def test_published_says_how_sure_it_is_and_the_others_cannot() -> None:
    sure, unsure = score_rows("efficientvit_m0", proxies=["published", "params"])
    found = predict(row_of("efficientvit_m0").spec)
    assert [sure["score"], *sure["interval"]] == pytest.approx([found.top1, found.low, found.high], rel=1e-9)
    assert sure["note"] is None
    assert (unsure["interval"], unsure["note"]) == (None, None)
    assert list(al.score("efficientvit_m0", proxies=["params"])) == ["proxy", "score", "seconds", "interval", "note"]


def test_a_note_where_it_extrapolates() -> None:
    found = predict(row_of("convnext_atto").spec.replace(resolution=32))
    assert found.note is not None
    assert found.note.startswith("published extrapolates (")
    assert "image side" in found.note
    assert "outside of the networks it was learnt from" in found.note


def test_a_network_of_timm_is_scored_by_its_layout() -> None:
    """mobilenetv3_large_100 has 5,483,032 parameters; published with 75.77 (timm's results file, ra_in1k)."""
    skipped: list[str] = []
    rows = {row["proxy"]: row for row in score_rows("timm:mobilenetv3_large_100", on_skip=skipped.append)}
    assert rows.keys() == LAYOUT
    assert not skipped
    low, high = rows["published"]["interval"]
    assert low < 75.77 < high
    assert rows["published"]["note"] is None
    assert rows["params"]["interval"] is None


def test_a_network_of_timm_has_no_score_that_needs_weights() -> None:
    with pytest.raises(
        SpecError, match=r"naswot cannot score a network of timm; given: timm:lcnet_050; allowed: .*pub"
    ):
        score_rows("timm:lcnet_050", proxies=["published", "naswot"])


def test_a_network_of_timm_with_other_classes_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    made = timm_gate.create("lcnet_050", num_classes=10)
    monkeypatch.setattr(timm_gate, "create", lambda name: made)
    with pytest.raises(ProxyError, match=r"given: a network that answers \(1, 10\), not 1000 classes"):
        score_rows("timm:lcnet_050", proxies=["published"])
    skipped: list[str] = []
    assert {row["proxy"] for row in score_rows("timm:lcnet_050", on_skip=skipped.append)} == LAYOUT - {"published"}
    assert len(skipped) == 1
    assert skipped[0].startswith("published: ")
