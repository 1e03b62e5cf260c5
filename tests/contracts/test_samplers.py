"""Every row of SAMPLERS keeps the contract: networks of the space, each once, the same for the same seed."""

import itertools
import json
import math
from pathlib import Path
from typing import Any

import optuna
import pytest

from archlab import space
from archlab.families import published
from archlab.study import SAMPLERS, engine
from archlab.study.plan import StudyPlan
from archlab.study.record import Evaluation


class Services:
    """Latency is the number of channels, the score too, less what attention costs."""

    def __init__(self) -> None:
        self.seen: list[str] = []

    def evaluate(self, spec: Any) -> Evaluation:
        self.seen.append(spec.digest)
        width, depth = sum(spec.widths), sum(spec.depths)
        values = {"score": math.log(width * depth), "latency_ms": width * depth / 1000}
        return Evaluation(values=values, sources=dict.fromkeys(values, "made up"), macs=1, params=1)

    def baseline(self, spec: Any, limit_ms: float) -> Evaluation:
        raise RuntimeError("not here")

    def learn(self, records: Any) -> None:
        """Nothing to learn."""

    def smallest_upper_ms(self, space: Any) -> tuple[float, str]:
        return 0.0, "made up"

    def fingerprint(self) -> dict[str, str]:
        return {}

    def recover(self) -> bool:
        return False

    def anchor_ms(self) -> float | None:
        return None

    def expect_spread(self, spread: float) -> None:
        raise AssertionError("nothing was measured")

    def remeasure(self, networks: Any, anchor_ms: float | None) -> Any:
        raise AssertionError("nothing was measured")

    def describe(self) -> dict[str, Any]:
        return {}


def plan(sampler: str, **changes: Any) -> StudyPlan:
    return StudyPlan(**{"budget_ms": 3.0, "device": "orin", "sampler": sampler, "trials": 40, **changes})


def digests(out: Path) -> list[str]:
    return [json.loads(line)["digest"] for line in (out / "trials.jsonl").read_text().splitlines()]


@pytest.mark.parametrize("name", SAMPLERS)
def test_a_row_says_what_it_is(name: str) -> None:
    row = SAMPLERS[name]
    assert row.name == name
    assert row.title
    assert issubclass(getattr(optuna.samplers, row.kind), optuna.samplers.BaseSampler)


@pytest.mark.parametrize("name", SAMPLERS)
def test_every_trial_is_a_new_network_of_the_space(name: str, tmp_path: Path) -> None:
    services = Services()
    result = engine.run(plan(name, space="hybrid"), tmp_path / "s", services=services)
    assert (result.trials, result.unique, result.failed) == (40, 40, 0)
    assert len(set(services.seen)) == len(services.seen) == 40
    hybrid = space.load("hybrid")
    for line in (tmp_path / "s/trials.jsonl").read_text().splitlines():
        record = json.loads(line)
        assert hybrid.decode(record["point"]).digest == record["digest"]


@pytest.mark.parametrize("name", SAMPLERS)
def test_a_seed_fixes_the_search(name: str, tmp_path: Path) -> None:
    found = []
    for folder, seed in (("a", 3), ("b", 3), ("c", 4)):
        engine.run(plan(name, space="edgenext", trials=30, seed=seed), tmp_path / folder, services=Services())
        found.append(digests(tmp_path / folder))
    assert found[0] == found[1]
    assert found[0] != found[2]


@pytest.mark.parametrize("name", SAMPLERS)
def test_going_on_repeats_nothing(name: str, tmp_path: Path) -> None:
    for trials in (24, 40):
        engine.run(plan(name, space="edgenext", trials=trials), tmp_path / "s", services=Services())
    found = digests(tmp_path / "s")
    assert len(found) == len(set(found)) == 40


@pytest.mark.parametrize("name", SAMPLERS)
def test_a_small_space_is_seen_whole(name: str, tmp_path: Path) -> None:
    path = tmp_path / "tiny.yaml"
    path.write_text(
        "family: convnext\naxes:\n  - {name: width, choices: [8, 16, 24]}\n  - {name: kernel_0, choices: [3, 5, 7]}\n"
    )
    services = Services()
    result = engine.run(plan(name, space=str(path), trials=60), tmp_path / "s", services=services)
    tiny = space.load(str(path))
    everything = {tiny.decode({"width": w, "kernel_0": k}).digest for w, k in itertools.product((8, 16, 24), (3, 5, 7))}
    assert set(services.seen) == everything
    assert len(services.seen) == result.unique == 9
    assert result.trials == 29  # nine networks, then twenty repeats say that nothing is left


@pytest.mark.parametrize("name", sorted(set(SAMPLERS) - {"random"}))
def test_it_learns_what_is_within_the_budget(name: str, tmp_path: Path) -> None:
    """Under a budget that few random networks meet, later suggestions meet it more often than random ones do."""
    shares = {}
    for sampler in (name, "random"):
        out = tmp_path / sampler
        engine.run(plan(sampler, space="edgenext", trials=100, budget_ms=8.0), out, services=Services())
        lines = [json.loads(line) for line in (out / "trials.jsonl").read_text().splitlines()]
        late = [line["violations"]["latency_ms"] <= 0 for line in lines if line["origin"] == "sampled"][30:]
        shares[sampler] = sum(late) / len(late)
    assert shares[name] > shares["random"] + 0.1


def test_published_networks_can_be_learnt_from() -> None:
    """They lie in the space, so a sampler sees their axes."""
    hybrid = space.load("hybrid")
    assert hybrid.contains(published("efficientvit_m5").spec)
