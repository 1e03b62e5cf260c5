"""From a network to its values: latency first, skipped where hopeless, each number with its source."""

import math
import platform
import types
from typing import Any

import pytest

from archlab.cost.count import count
from archlab.cost.trace import trace
from archlab.device import registry
from archlab.device.backends.ort import OrtBackend
from archlab.device.cache import MeasurementCache
from archlab.device.catalog import device
from archlab.device.measure import backend_of
from archlab.errors import DeviceChanged, DeviceError, EngineBuildError, UnknownNameError, UnsteadyMeasurement
from archlab.families import published
from archlab.latency import PREDICTORS
from archlab.proxy import score
from archlab.study import evaluate, presence
from archlab.study.evaluate import Evaluator
from archlab.study.plan import StudyPlan
from archlab.study.record import Record

XXS = published("edgenext_xx_small").spec.replace(resolution=64)
NANO = published("convnext_nano").spec.replace(resolution=64)


def plan(**changes: Any) -> StudyPlan:
    return StudyPlan(**{"budget_ms": 5.0, "device": "orin", "proxy": "params", **changes})


class Clock:
    """Stands in for `measure`: the latencies it answers, one after the other."""

    def __init__(self, *answers: tuple[float, float, str]) -> None:
        self.answers = list(answers)
        self.asked: list[Any] = []

    def __call__(self, module: Any, device: Any, run: Any, **options: Any) -> Any:
        median, half, quality = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        self.asked.append((run, options))
        return types.SimpleNamespace(
            median_ms=median,
            ci95_ms=(median - half, median + half),
            quality=quality,
            source=f"measured:{run.runtime}@{device.name}",
            environment={"cached": len(self.asked) == 2, "fingerprint": backend_of(device, run).fingerprint(device)},
        )


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock((4.0, 0.1, "ok"))
    monkeypatch.setattr(evaluate, "measure", made)
    return made


def test_a_device_out_of_reach_is_estimated() -> None:
    found = Evaluator(plan(objectives=("score", "latency_ms", "macs"))).evaluate(XXS)
    traced = trace(XXS)
    expected = PREDICTORS["roofline"].predict(traced, device("orin"))
    assert found.values["latency_ms"] == expected.ms
    assert found.intervals == {"latency_ms": (expected.lo_ms, expected.hi_ms)}
    assert found.values["score"] == score("params", XXS).score
    assert found.values["macs"] == found.macs == count(traced).macs
    assert found.sources == {
        "latency_ms": "estimated:roofline@orin",
        "score": "proxy:params",
        "macs": "counted:archlab",
    }
    assert (found.params, found.quality, found.skipped) == (traced.params, None, None)


def test_clearly_over_the_budget_is_not_scored() -> None:
    found = Evaluator(plan(budget_ms=0.1)).evaluate(NANO)
    assert set(found.values) == {"latency_ms"}
    assert found.skipped is not None
    assert found.skipped.startswith("estimated:roofline@orin of at least ")
    assert found.skipped.endswith("clearly over the budget of 0.1 ms, so it was not scored")
    assert Evaluator(plan(budget_ms=0.1, skip_factor=1000.0)).evaluate(NANO).skipped is None


def test_a_device_in_reach_is_measured(clock: Clock) -> None:
    found = Evaluator(plan(device="cpu", runtime="torch", measure_s=1.0, threads=1)).evaluate(XXS)
    assert found.values["latency_ms"] == 4.0
    half = math.hypot(0.1, 2 * 0.015 * 4.0 * math.sqrt(2))  # within one measurement, and between two
    assert found.intervals["latency_ms"] == pytest.approx((4.0 - half, 4.0 + half))
    assert (found.sources["latency_ms"], found.quality) == ("measured:torch@cpu", "ok")
    run, options = clock.asked[0]
    assert (run.runtime, run.max_s, run.threads) == ("torch", 1.0, 1)
    assert (options["input_shape"], options["digest"]) == ((1, 3, 64, 64), XXS.digest)


@pytest.mark.parametrize(
    ("first", "second", "kept"),
    [
        ((4.0, 1.0, "noisy"), (4.4, 0.2, "ok"), 4.4),
        ((4.0, 1.0, "noisy"), (4.4, 0.2, "noisy"), 4.4),
        ((4.0, 0.1, "noisy"), (4.4, 0.2, "noisy"), 4.0),
    ],
)
def test_a_noisy_network_is_measured_once_more(first: Any, second: Any, kept: float, clock: Clock) -> None:
    clock.answers = [first, second]
    assert Evaluator(plan(device="cpu")).evaluate(XXS).values["latency_ms"] == kept
    assert len(clock.asked) == 2


def test_near_the_budget_it_is_measured_twice_and_has_the_mean(clock: Clock) -> None:
    clock.answers = [(4.7, 0.02, "ok"), (4.9, 0.02, "ok")]
    found = Evaluator(plan(device="cpu")).evaluate(XXS)
    assert found.values["latency_ms"] == pytest.approx(4.8)
    half = math.hypot(0.02, 2 * 0.015 * 4.8 * math.sqrt(1.5))  # of a third median, by the mean of two
    assert found.intervals["latency_ms"] == pytest.approx((4.8 - half, 4.8 + half))
    assert [options["cache"] is None for _, options in clock.asked] == [False, True]


@pytest.mark.parametrize("ms", [4.4, 5.3])
def test_clear_of_the_budget_once_is_enough(ms: float, clock: Clock) -> None:
    clock.answers = [(ms, 0.02, "ok")]
    Evaluator(plan(device="cpu")).evaluate(XXS)
    assert len(clock.asked) == 1


def test_a_wider_spread_widens_the_interval(clock: Clock) -> None:
    judge = Evaluator(plan(device="cpu", budget_ms=50.0))
    judge.expect_spread(0.05)
    low, high = judge.evaluate(XXS).intervals["latency_ms"]
    assert high - low == pytest.approx(2 * math.hypot(0.1, 2 * 0.05 * 4.0 * math.sqrt(2)))


def test_the_anchor_is_measured_past_the_cache(clock: Clock) -> None:
    judge = Evaluator(plan(device="cpu"))
    assert judge.anchor_ms() == 4.0
    _, options = clock.asked[0]
    assert (options["cache"], options["digest"]) == (None, published("edgenext_xx_small").spec.digest)
    clock.answers = [(4.0, 0.1, "noisy")]
    assert judge.anchor_ms() is None
    assert Evaluator(plan()).anchor_ms() is None


def test_a_failed_measurement_is_no_latency(clock: Clock) -> None:
    clock.answers = [(4.0, 1.0, "failed")]
    with pytest.raises(UnsteadyMeasurement, match=rf"no run of the network {XXS.digest} on cpu gave a time; given: "):
        Evaluator(plan(device="cpu")).evaluate(XXS)


def test_a_network_that_the_device_cannot_build_is_skipped_with_the_log(monkeypatch: pytest.MonkeyPatch) -> None:
    log = "[E] no kernel for LayerNorm " * 30

    def refuse(*args: Any, **options: Any) -> Any:
        raise EngineBuildError(f"trtexec cannot build it; given: exit 1; allowed: x; its log ends with: {log}")

    monkeypatch.setattr(evaluate, "measure", refuse)
    found = Evaluator(plan(device="cpu")).evaluate(XXS)
    assert (found.values, found.sources, found.quality) == ({}, {}, None)
    assert found.skipped is not None
    assert found.skipped.endswith(log)
    assert found.macs == count(trace(XXS)).macs


def test_a_device_that_changed_gives_no_latency(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    judge = Evaluator(plan(device="cpu"))
    known = dict(judge.fingerprint())
    assert known["runtime"].startswith("onnxruntime ")
    judge.evaluate(XXS)
    assert judge.recover() is False
    monkeypatch.setattr(OrtBackend, "fingerprint", lambda self, device: known | {"governor": "powersave"})
    with pytest.raises(DeviceChanged, match=r"cpu changed during the search: governor was .* and is powersave"):
        judge.evaluate(XXS)
    with pytest.raises(DeviceChanged):
        judge.recover()
    assert judge.fingerprint() == known


def test_a_throttled_network_is_marked(clock: Clock) -> None:
    clock.answers = [(4.0, 0.1, "throttled")]
    found = Evaluator(plan(device="cpu")).evaluate(XXS)
    assert (found.quality, len(clock.asked)) == ("throttled", 1)


def test_what_run_json_says_of_a_board(monkeypatch: pytest.MonkeyPatch) -> None:
    registry.add("orin", reach="ssh:jane@lab.example:22", options=("ProxyJump=gate",), python="/home/jane/python3")
    board = {"jetpack": "6.2", "power_mode": "MAXN"}
    monkeypatch.setattr(presence, "backend_of", lambda device, run: types.SimpleNamespace(fingerprint=lambda d: board))
    told = Evaluator(plan(device="orin")).describe()
    assert (told["fingerprint"], told["host"]["python"]) == (board, platform.python_version())
    assert (told["device"]["reach"], told["protocol"]["kind"]) == ("ssh", "measured")
    assert told["protocol"]["lines"][0].startswith("every network ran on the device orin with random weights")
    assert "jane" not in str(told)
    assert "gate" not in str(told)


def test_an_estimated_device_has_no_fingerprint() -> None:
    judge = Evaluator(plan())
    assert judge.fingerprint() == {}
    assert judge.describe()["fingerprint"]["python"] == platform.python_version()


def test_what_the_pace_rules_out_is_not_measured(clock: Clock) -> None:
    """Eight networks at 4 ms; one of 100 times the multiply-adds takes at least 400 ms."""
    judge = Evaluator(plan(device="cpu"))
    for _ in range(8):
        judge.evaluate(XXS)
    found = judge.evaluate(NANO)
    ratio = count(trace(NANO)).macs / count(trace(XXS)).macs
    assert len(clock.asked) == 8
    assert found.values["latency_ms"] == pytest.approx(4.0 * ratio)
    assert found.sources["latency_ms"] == "estimated:pace@cpu"
    assert found.skipped is not None
    assert "before it was measured" in found.skipped
    assert judge.describe()["cache_hits"] == 1


def test_a_baseline_is_scored_even_where_it_is_not_timed(clock: Clock) -> None:
    judge = Evaluator(plan(device="cpu"))
    known = judge.evaluate(XXS)
    record = Record(
        number=0, state="complete", digest=XXS.digest, spec=XXS, point={}, origin="sampled", evaluation=known,
        violations={}, seconds=0.0, seed=0,
    )  # fmt: skip
    judge.learn([record] * 7)
    found = judge.baseline(NANO, 20.0)
    assert set(found.values) == {"score"}
    assert found.skipped is not None
    assert found.skipped.startswith("not timed: its multiply-adds put it above ")
    assert set(judge.baseline(NANO, 1e6).values) == {"score", "latency_ms"}


def test_a_score_that_trains_is_not_spent_on_a_baseline_over_the_budget(
    clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    judge = Evaluator(plan(device="cpu", proxy="short_train", budget_ms=2.0))
    monkeypatch.setitem(judge.score.__dict__, "_training", None)  # would raise if it trained
    found = judge.baseline(XXS, 1000.0)
    assert judge.plan.skip_ms < found.values["latency_ms"]
    assert set(found.values) == {"latency_ms"}
    assert found.skipped is not None
    assert "so it was not scored" in found.skipped


def test_how_it_was_done_is_told(clock: Clock) -> None:
    told = Evaluator(plan()).describe()
    assert (told["device"]["name"], told["score"]["name"]) == ("orin", "params")
    assert told["protocol"]["kind"] == "estimated"
    assert told["protocol"]["predictor"] == "roofline"
    assert told["protocol"]["held_out"]["points"] == told["protocol"]["points"] > 0
    assert "measured" not in str(told["protocol"])
    measured = Evaluator(plan(device="cpu", batch=2)).describe()["protocol"]
    assert (measured["kind"], measured["runtime"], measured["batch"]) == ("measured", "ort", 2)


def test_names_and_runs_are_checked_at_once() -> None:
    with pytest.raises(UnknownNameError, match="no proxy 'x'"):
        Evaluator(plan(proxy="x"))
    with pytest.raises(UnknownNameError, match="no device 'x'"):
        Evaluator(plan(device="x"))
    with pytest.raises(UnknownNameError, match="runtime"):
        Evaluator(plan(device="cpu", runtime="x"))
    with pytest.raises(DeviceError, match="batch"):
        Evaluator(plan(batch=2)).evaluate(XXS)


@pytest.mark.slow
def test_a_real_measurement(tmp_path: Any) -> None:
    """Nothing stands in here: the network is exported, run and timed."""
    cache = MeasurementCache(tmp_path / "m.sqlite")
    judge = Evaluator(plan(device="cpu", budget_ms=1000.0, measure_s=0.5), cache=cache)
    found = judge.evaluate(XXS)
    low, high = found.intervals["latency_ms"]
    assert 0.05 < low <= found.values["latency_ms"] <= high < 1000
    assert found.sources["latency_ms"] == "measured:ort@cpu"
    if found.quality == "ok":
        assert judge.evaluate(XXS).values["latency_ms"] == found.values["latency_ms"]
        assert judge.cache_hits == 1
