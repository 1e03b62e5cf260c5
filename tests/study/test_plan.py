"""Plans: two doors, one value, and every mistake in one line."""

from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from archlab.errors import ArchlabError, PlanError, UnknownNameError
from archlab.families.refit import Refit
from archlab.proxy import DEFAULT
from archlab.study.plan import StudyPlan, read_plan

GOOD = {"budget_ms": 5, "device": "orin"}


def test_defaults() -> None:
    plan = StudyPlan(budget_ms=5.0, device="orin")
    assert (plan.space, plan.trials, plan.sampler, plan.proxy) == ("hybrid", 200, "tpe", DEFAULT)
    assert plan.name == "hybrid-orin-5ms"
    assert StudyPlan(budget_ms=2.5, device="cpu", space="spaces/mine.yaml").name == "mine-cpu-2.5ms"
    assert StudyPlan(budget_ms=5.0, device="orin", minutes=3.0).trials is None


def test_yaml_and_back(tmp_path: Path) -> None:
    plan = StudyPlan(budget_ms=5.0, device="orin", minutes=1.5, objectives=("score", "latency_ms", "params"))
    path = tmp_path / "plan.yaml"
    path.write_text(plan.to_yaml())
    assert read_plan(path) == plan


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"bugdet_ms": 5}, r"plan: no plan field 'bugdet_ms'.*did you mean 'budget_ms'"),
        ({"trials": "many"}, r"plan: trials is wrong; given: 'many'; allowed: .*integer.*; mend that field"),
        ({"trials": True}, r"plan: trials is wrong; given: True"),
        ({"trials": 0}, r"trials is out of range; given: 0; allowed: 1 to 1e\+06; give another trials"),
        ({"budget_ms": -1}, r"budget_ms is out of range; given: -1"),
        ({"budget_ms": float("nan")}, r"holds a value that no plan has"),
        ({"seed": 10**400}, r"plan: seed is wrong|seed is out of range"),
        ({"objectives": ["score"]}, r"objectives do not make a search; given: score; allowed: score and latency_ms"),
        ({"device": None}, r"plan: device is wrong; given: None; allowed: .*string"),
    ],
)
def test_mistakes_are_named(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ArchlabError, match=message):
        StudyPlan.from_dict({**GOOD, **changes})


def test_missing_and_unknown() -> None:
    with pytest.raises(PlanError, match=r"plan: budget_ms is wrong; given: nothing; allowed: .*missing|required"):
        StudyPlan.from_dict({"device": "orin"})
    with pytest.raises(PlanError, match=r"plan is no plan; given: list"):
        StudyPlan.from_dict([1])
    with pytest.raises(UnknownNameError, match=r"no sampler 'tpee'.*did you mean 'tpe'"):
        StudyPlan.from_dict({**GOOD, "sampler": "tpee"})
    with pytest.raises(UnknownNameError, match=r"no objective 'latency'.*did you mean 'latency_ms'"):
        StudyPlan.from_dict({**GOOD, "objectives": ["score", "latency"]})


@pytest.mark.parametrize("text", ["{", "a: [", "\x00", "!!python/object:os.system x", "2024-01-01", ""])
def test_no_yaml_no_plan(text: str, tmp_path: Path) -> None:
    path = tmp_path / "plan.yaml"
    path.write_text(text)
    with pytest.raises(PlanError, match=r"plan"):
        read_plan(path)
    with pytest.raises(PlanError, match=r"cannot read the plan"):
        read_plan(tmp_path / "none.yaml")


def test_what_may_change_when_a_study_goes_on() -> None:
    plan = StudyPlan(budget_ms=5.0, device="orin")
    assert plan.changed_field(plan.replace(trials=400, minutes=3.0, storage="sqlite:///x.db")) is None
    assert plan.changed_field(plan.replace(seed=1)) == "seed"


SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | st.dates()
FIELDS = st.sampled_from([*StudyPlan.__dataclass_fields__, "x"])


@settings(max_examples=200, deadline=None)
@given(st.dictionaries(FIELDS, SCALARS | st.lists(SCALARS, max_size=3), max_size=6) | SCALARS | st.lists(SCALARS))
def test_malformed_plans_end_in_one_line(document: Any) -> None:
    try:
        plan = StudyPlan.from_dict(document)
    except ArchlabError as error:
        assert "\n" not in str(error)
    else:
        assert StudyPlan.from_dict(yaml.safe_load(plan.to_yaml())) == plan


def test_a_password_is_not_written_down() -> None:
    url = "postgresql+psycopg://lab:s3cret@127.0.0.1/optuna"
    plan = StudyPlan(budget_ms=5.0, device="orin", storage=url)
    assert plan.storage == url
    assert plan.to_dict()["storage"] == "postgresql+psycopg://lab:***@127.0.0.1/optuna"
    assert "s3cret" not in plan.to_yaml()


def test_networks_for_small_images() -> None:
    found = StudyPlan(budget_ms=5.0, device="orin", resolution=32, stem_divisor=2, classes=10)
    assert found.search_space().refit == Refit(resolution=32, stem_divisor=2, classes=10)
    assert StudyPlan.from_dict(found.to_dict()) == found
    assert StudyPlan(budget_ms=5.0, device="orin").search_space().refit is None


@pytest.mark.parametrize("changes", [{"stem_divisor": 2}, {"classes": 10}])
def test_small_networks_need_a_resolution(changes: dict[str, int]) -> None:
    with pytest.raises(PlanError, match=r"only networks for images of one side.*give the resolution"):
        StudyPlan(budget_ms=5.0, device="orin", **changes)  # type: ignore[arg-type]


@pytest.mark.parametrize(("resolution", "divisor"), [(20, 2), (32, 8), (32, 3)])
def test_images_that_the_space_has_no_network_for(resolution: int, divisor: int) -> None:
    plan = StudyPlan(budget_ms=5.0, device="orin", resolution=resolution, stem_divisor=divisor)
    with pytest.raises(PlanError, match=f"the space hybrid has no networks for such images; given: {resolution} px"):
        plan.search_space()


def test_a_score_that_trains_is_not_spent_on_a_network_over_the_budget() -> None:
    assert StudyPlan(budget_ms=4.0, device="cpu").skip_ms == 6.0
    assert StudyPlan(budget_ms=4.0, device="cpu", proxy="short_train").skip_ms == 4.0
    assert StudyPlan(budget_ms=4.0, device="cpu", proxy="short_train", skip_factor=2.0).skip_ms == 8.0


def test_images_make_a_training_the_score() -> None:
    assert StudyPlan(budget_ms=4.0, device="cpu").proxy == "published"
    assert StudyPlan(budget_ms=4.0, device="cpu", data="digits").proxy == "short_train"
    assert StudyPlan(budget_ms=4.0, device="cpu", data="digits", proxy="zen").proxy == "zen"
