"""`al.correlate`: a user's own networks, the project's, and tables that cannot be used."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import archlab as al
from archlab.api import correlating
from archlab.api.known import known_networks
from archlab.api.target import Target
from archlab.cost.rows import OpTrace
from archlab.cost.trace import trace as traced
from archlab.errors import ArchlabError, CostRuleError, PlanError, ProxyError, UnknownNameError
from archlab.families import published
from archlab.model.build import build
from archlab.proxy import ProxyScore, evidence
from archlab.proxy.evidence import Benchmark, Trained, pack
from archlab.proxy.halving import ShortTraining

MODELS = ["efficientvit_m0", "efficientvit_m1", "efficientvit_m2", "efficientvit_m3", "efficientvit_m4",
          "efficientvit_m5", "edgenext_xx_small", "edgenext_x_small", "convnext_atto"]  # fmt: skip
COLUMNS = ["proxy", "part", "tau", "low", "high", "pairs", "networks", "spearman", "seconds", "source"]


@pytest.fixture(scope="module")
def sizes() -> list[int]:
    return [sum(p.numel() for p in build(published(name).spec, device="meta").parameters()) for name in MODELS]


@pytest.fixture
def table(sizes: list[int]) -> pd.DataFrame:
    """Made-up accuracies: 50 % and a point more for each network that has fewer parameters."""
    return pd.DataFrame({"model": MODELS, "top1": 50.0 + np.argsort(np.argsort(sizes))})


def written(table: pd.DataFrame, folder: Path) -> Path:
    path = folder / "networks.csv"
    table.to_csv(path, index=False)
    return path


def test_a_table_of_my_own(table: pd.DataFrame, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Accuracies follow the parameters, so `params` ranks all pairs; without latencies none are equal."""
    found = al.correlate(written(table, tmp_path), proxies=["az_complexity"])
    assert list(found.columns) == COLUMNS
    assert set(found.proxy) == {"az_complexity", "params", "macs"}
    assert set(found.part) == {"all pairs", "equal cost"}
    best = found[(found.proxy == "params") & (found.part == "all pairs")].iloc[0]
    assert (best.tau, best.pairs, best.networks, best.spearman) == (1.0, 36, 9, 1.0)
    assert best.source == "9 networks of your own"
    assert found.iloc[0].proxy == "params"
    pd.testing.assert_frame_equal(
        found[found.proxy == "macs"].drop(columns=["proxy", "seconds"]).reset_index(drop=True),
        found[found.proxy == "az_complexity"].drop(columns=["proxy", "seconds"]).reset_index(drop=True),
    )
    assert "9 of 9 networks scored" in capsys.readouterr().err


def test_latencies_and_seeds(table: pd.DataFrame) -> None:
    """Two seeds of each, 2 points apart: a deviation of √2, so that differences below 2 points do not count."""
    twice = pd.concat([table, table.assign(top1=table.top1 + 2)]).assign(latency_ms=3.0)
    found = al.correlate(twice, proxies=["params"]).set_index(["proxy", "part"])
    assert found.loc[("params", "all pairs"), "pairs"] == 36 - 8
    assert found.loc[("params", "equal latency"), "pairs"] == 36 - 8


def test_one_network_under_two_names_is_one(table: pd.DataFrame, tmp_path: Path) -> None:
    al.export("efficientvit_m0", format="spec", out=tmp_path / "same.yaml")
    more = pd.DataFrame({"model": [str(tmp_path / "same.yaml")], "top1": [40.0]})
    found = known_networks(pd.concat([table, more]), pytest.fail)
    assert len(found) == 9
    assert found[0].top1 == (table.top1[0], 40.0)
    assert found[0].latency_ms is None
    assert found[0].macs == published("efficientvit_m0").macs


def test_what_cannot_be_scored_is_said_and_left_out(
    table: pd.DataFrame, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """`zen` fails for two of nine networks, and `fisher` for one, which leaves eight."""
    lacking = {"zen": MODELS[:2], "fisher": MODELS[:1]}

    def scores_of(target: Target, names: list[str], *, on_skip: Callable[..., object], **_: object) -> list[ProxyScore]:
        found = []
        for name in names:
            if target.name in lacking.get(name, []):
                on_skip(name, ProxyError("not today"))
            else:
                found.append(ProxyScore(proxy=name, score=float(len(str(target.spec))), seconds=0.1))
        return found

    monkeypatch.setattr(correlating, "scores_of", scores_of)
    found = al.correlate(table, proxies=["zen", "fisher"])
    assert set(found.proxy) == {"fisher", "params", "macs"}
    assert set(found[found.proxy == "fisher"].networks) == {8}
    said = capsys.readouterr().err
    assert f"{MODELS[1]}: no zen: not today" in said
    assert "zen: left out: fewer than 8 networks" in said


def test_seconds_are_of_scores_by_themselves(table: pd.DataFrame, monkeypatch: pytest.MonkeyPatch) -> None:
    """Three of nine networks are scored by one at a time, in 1, 2 and 6 s: one of each third of the costs.

    By multiply-adds the networks are M0, M1, M2, EdgeNeXt XXS, M3, M4, M5, EdgeNeXt XS and ConvNeXt Atto.
    """
    calls: list[tuple[str, int]] = []
    seconds = {"efficientvit_m1": 1.0, "efficientvit_m3": 2.0, "edgenext_x_small": 6.0}

    def scores_of(target: Target, names: list[str], **_: object) -> list[ProxyScore]:
        calls.append((target.name, len(names)))
        return [ProxyScore(proxy=name, score=len(calls), seconds=seconds.get(target.name, 50.0)) for name in names]

    monkeypatch.setattr(correlating, "scores_of", scores_of)
    found = al.correlate(table, proxies=["zen"])
    assert set(found.seconds) == {2.0}
    assert {name for name, many in calls if many == 1} == set(seconds)
    assert len(calls) == 6 + 3 * 3


def test_all_networks_join_one_short_training(
    table: pd.DataFrame, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """As in a search: each trains beside those before, on the images that were given."""
    images = np.random.default_rng(0).integers(0, 256, (40, 32, 32, 3), dtype=np.uint8)
    np.savez(tmp_path / "few.npz", images=images, labels=np.arange(40) % 4)
    joined: list[ShortTraining | None] = []

    def scores_of(target: Target, names: list[str], *, training: ShortTraining | None, **_: object) -> list[ProxyScore]:
        joined.append(training)
        return [ProxyScore(proxy=name, score=float(len(joined)), seconds=0.1) for name in names]

    monkeypatch.setattr(correlating, "scores_of", scores_of)
    al.correlate(table, proxies=["short_train"], data=tmp_path / "few.npz", seed=3)
    first = joined[0]
    assert first is not None
    assert all(one is first for one in joined)
    assert (len(first.dataset.images), first.dataset.classes, first.plan.seed) == (36, 4, 3)
    joined.clear()
    al.correlate(table, proxies=["zen"])
    assert set(joined) == {None}
    with pytest.raises(PlanError, match="no such data; given: nowhere"):
        al.correlate(table, proxies=["short_train"], data="nowhere")


def test_networks_of_timm_have_scores_of_their_layout(table: pd.DataFrame, capsys: pytest.CaptureFixture[str]) -> None:
    more = pd.concat([table, pd.DataFrame({"model": ["timm:test_vit"], "top1": [30.0]})])
    found = al.correlate(more, proxies=["meco"]).set_index(["proxy", "part"])
    assert found.loc[("params", "all pairs"), "networks"] == 10
    assert found.loc[("meco", "all pairs"), "networks"] == 9
    assert "timm:test_vit: a network of timm has no more than the scores of its layout" in capsys.readouterr().err


def test_a_network_that_cannot_be_counted_is_left_out(
    table: pd.DataFrame, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def trace(target: Target) -> OpTrace:
        if target.name == MODELS[0]:
            raise CostRuleError("no rule for its operators")
        return traced(target.spec)

    monkeypatch.setattr(Target, "trace", trace)
    found = al.correlate(table, proxies=["params"])
    assert set(found[found.part == "all pairs"].networks) == {8}
    assert f"{MODELS[0]}: left out: no rule for its operators" in capsys.readouterr().err


def test_the_projects_own_networks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Costs are those of the networks as trained, which here are equal; the half `tune` is not looked at."""
    nets = [
        Trained(name=name, origin="published", half="report" if i else "tune", macs=5, latency_ms=1.0,
                top1=(50.0 + i,), spec=published(name).spec)
        for i, name in enumerate(MODELS)
    ]  # fmt: skip
    path = tmp_path / "some.json.gz"
    path.write_bytes(pack(Benchmark(recipe="made up", networks=tuple(nets))))
    monkeypatch.setattr(evidence, "BENCHMARK", path)
    found = al.correlate(proxies=["params"])
    assert set(found.pairs) == {28}
    assert set(found.networks) == {8}
    assert found.source[0] == "8 networks of the benchmark, half report: made up"
    assert "no ImageNet accuracies" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"top1": None}, "no column top1; given: columns model"),
        ({"model": None}, "no column model"),
        ({"top1": "good"}, "top1 is wrong in row 1.*given: good; allowed: a percentage"),
        ({"top1": 140.0}, "given: 140"),
        ({"top1": 0.7}, "fractions; given: a best top1 of 0.7; allowed: percent"),
        ({"top1": 70.0}, "do not tell the networks apart; given: top1 from 70.00 to 70.00; allowed: .* 0.20 points"),
        ({"latency_ms": -1.0}, "latency_ms is wrong in row 1"),
    ],
)
def test_tables_that_are_refused(changes: dict[str, object], told: str, table: pd.DataFrame, tmp_path: Path) -> None:
    for name, value in changes.items():
        table = table.drop(columns=name) if value is None else table.assign(**{name: value})
    for given in (table, written(table, tmp_path)):
        with pytest.raises(PlanError, match=told) as caught:
            al.correlate(given, proxies=["params"])
        assert str(caught.value).count("; ") >= 3


@pytest.mark.parametrize(
    ("change", "error", "told"),
    [
        (lambda table: table[:7], PlanError, "too few networks .*given: 7 that can be scored; allowed: 8 or more"),
        (lambda table: table.replace("efficientvit_m0", "efficientvit_m7"), UnknownNameError, "no model"),
    ],
)
def test_networks_that_are_refused(
    change: Callable[[pd.DataFrame], pd.DataFrame], error: type[ArchlabError], told: str, table: pd.DataFrame
) -> None:
    with pytest.raises(error, match=told):
        al.correlate(change(table), proxies=["params"])


def test_files_and_scores_that_are_refused(table: pd.DataFrame, tmp_path: Path) -> None:
    with pytest.raises(PlanError, match=r"no such table of networks; given: .*nowhere\.csv"):
        al.correlate(tmp_path / "nowhere.csv")
    (tmp_path / "binary.csv").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(PlanError, match=r"binary\.csv is no table"):
        al.correlate(tmp_path / "binary.csv")
    (tmp_path / "empty.csv").write_text("")
    with pytest.raises(PlanError, match="no column model; given: columns none"):
        al.correlate(tmp_path / "empty.csv")
    with pytest.raises(PlanError, match=r"networks is wrong; given: 5 \(int\); allowed: a path or a DataFrame"):
        al.correlate(5)
    with pytest.raises(PlanError, match="seed is wrong"):
        al.correlate(table, seed="0")
    with pytest.raises(UnknownNameError, match="did you mean 'params'"):
        al.correlate(table, proxies=["parms"])


@pytest.mark.slow
def test_every_score_that_needs_no_training(table: pd.DataFrame) -> None:
    found = al.correlate(table)
    free = {row["name"] for row in al.proxies().to_dict("records") if row["needs"] != "data"}
    assert set(found.proxy) == free
    assert found[found.part == "all pairs"].tau.between(-1, 1).all()
