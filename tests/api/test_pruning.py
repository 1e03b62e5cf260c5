"""al.prune and archlab prune: files, keys, targets, refusals, and a result that every other call takes."""

import contextlib
import json
import os
import signal
import statistics
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
import yaml

import archlab as al
from archlab.api import pruning
from archlab.api.exporting import spec_yaml
from archlab.cli import main
from archlab.errors import PlanError, SpecError, UnknownNameError
from archlab.families import FAMILIES
from archlab.spec import ArchSpec
from archlab.training.data import load_data
from archlab.training.progress import TrainProgress
from archlab.training.scoring import evaluate

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def spec_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    spec = FAMILIES["convnext"].make(resolution=32, classes=12, width=8, growth="1-1-2-2", unit=1)
    path = tmp_path_factory.mktemp("spec") / "small.yaml"
    path.write_text(spec_yaml(spec))
    return path


def test_what_comes_out_is_a_network_for_every_other_call(spec_file: Path, tmp_path: Path) -> None:
    found = al.prune(str(spec_file), data="digits", out=tmp_path, macs=0.7, images=16)
    answer = found.to_dict()
    assert {"spec", "weights", "digest", "macs", "params", "kept"} <= answer.keys()
    assert answer["macs"] <= 0.7 * answer["before"]["macs"]
    kept = ArchSpec.from_dict(yaml.safe_load((tmp_path / "spec.yaml").read_text()))
    assert (kept.resolution, kept.classes, kept.digest) == (32, 12, answer["digest"])
    module = al.create(answer["spec"], weights=answer["weights"])
    x = torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        assert torch.equal(module(x), found.module(x))
    profiled = al.profile(answer["spec"])
    assert profiled.macs == answer["macs"]
    assert set(found.kept.columns) == {"stage", "role", "before", "after", "share"}
    assert (found.kept.after <= found.kept.before).all()
    assert (tmp_path / "kept.csv").read_text().startswith("stage,role,before,after,share")


def test_the_same_call_gives_the_same_network(spec_file: Path, tmp_path: Path) -> None:
    first, again = (
        al.prune(str(spec_file), data="digits", out=tmp_path / name, keep=0.6, images=8, seed=3) for name in ("a", "b")
    )
    assert first.spec == again.spec
    assert (tmp_path / "a/weights.safetensors").read_bytes() == (tmp_path / "b/weights.safetensors").read_bytes()


@pytest.mark.slow
def test_a_speed_up_that_is_estimated_says_so(tmp_path: Path) -> None:
    spec = FAMILIES["convnext"].make(resolution=64, classes=10, width=96, unit=1)
    model = tmp_path / "large.yaml"
    model.write_text(spec_yaml(spec))
    answer = al.prune(str(model), data="digits", out=tmp_path / "out", speedup=1.05, device="orin", images=4).to_dict()
    told = answer["latency"]
    assert told["source"].startswith("estimated:")
    assert told["after_ms"] * 1.05 <= told["before_ms"]


def test_fine_tuning_trains_what_was_pruned(
    spec_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["prune", str(spec_file), "--data", "digits", "--out", str(tmp_path), "--finetune-epochs", "1", "--images",
              "8", "--json"])  # fmt: skip
    assert ended.value.code == 0
    answer = json.loads(capsys.readouterr().out)
    assert answer["is_finished"]
    assert answer["top1"].keys() == {"before", "after", "finetuned"}
    assert (tmp_path / "finetune/metrics.csv").is_file()
    tuned = al.create(answer["spec"], weights=tmp_path / "finetune/weights.safetensors")
    kept = al.create(answer["spec"], weights=answer["weights"])
    assert answer["top1"]["finetuned"] == evaluate(kept, load_data("digits").first(1, 8), 32)[1]
    pairs = zip(tuned.state_dict().values(), kept.state_dict().values(), strict=True)
    assert all(torch.equal(left, right) for left, right in pairs)


def test_an_interrupted_fine_tuning_shows_what_there_is(
    spec_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    @contextlib.contextmanager
    def interrupting() -> Iterator[Callable[[TrainProgress], None]]:
        yield lambda told: os.kill(os.getpid(), signal.SIGINT) if told.step == 1 else None

    words = ["prune", str(spec_file), "--data", "digits", "--out", str(tmp_path), "--finetune-epochs", "1"]
    monkeypatch.setattr(pruning, "show_training", interrupting)
    with pytest.raises(SystemExit) as ended:
        main([*words, "--images", "8"])
    assert ended.value.code == 130
    told = capsys.readouterr()
    assert "finetuned" in told.out
    assert "run the same command again" in told.err


def test_impossible_requests_are_told_apart(spec_file: Path, tmp_path: Path) -> None:
    model, given = str(spec_file), {"data": "digits", "out": tmp_path, "images": 8}
    with pytest.raises(PlanError, match=r"pruning has one target; given: keep 0.5, macs 0.5; .*leave the others out"):
        al.prune(model, keep=0.5, macs=0.5, **given)
    with pytest.raises(PlanError, match=r"no such target of pruning; given: 1.5 of the network; allowed: more than 0"):
        al.prune(model, keep=1.5, **given)
    with pytest.raises(PlanError, match=r"cannot be pruned that far; given: 0.01 of it; allowed: 0.\d+ or more"):
        al.prune(model, keep=0.01, **given)
    with pytest.raises(PlanError, match=r"device has no effect on this target; .*give speedup as well"):
        al.prune(model, keep=0.5, device="cpu", **given)
    with pytest.raises(UnknownNameError, match=r"no criterion of pruning 'tailor'; .*did you mean 'taylor'"):
        al.prune(model, criterion="tailor", **given)
    with pytest.raises(SpecError, match=r"the network has no head; given: efficientvit_l0"):
        al.prune("efficientvit_l0", **given)


def test_data_with_more_classes_than_the_network_are_refused(spec_file: Path, tmp_path: Path) -> None:
    few = tmp_path / "few.yaml"
    few.write_text(spec_file.read_text().replace("classes: 12", "classes: 3"))
    with pytest.raises(
        PlanError, match=r"more classes than the network; given: 10 classes in digits; allowed: at most 3"
    ):
        al.prune(str(few), data="digits", out=tmp_path / "out", images=8)


@pytest.mark.slow
def test_the_measured_speed_moves_the_right_way(tmp_path: Path) -> None:
    """CPU time of one thread, the two networks in turns."""
    model = tmp_path / "large.yaml"
    model.write_text(spec_yaml(FAMILIES["convnext"].make(resolution=64, classes=10, width=96, unit=1)))
    found = al.prune(str(model), data="digits", out=tmp_path / "out", macs=0.5, images=8)
    modules = [al.deploy(al.create(str(model))), al.deploy(found.module)]
    x = torch.randn(4, 3, 64, 64)
    times: list[list[float]] = [[], []]
    with torch.no_grad():
        for _ in range(12):
            for module, own in zip(modules, times, strict=True):
                began = time.process_time()
                module(x)
                own.append(time.process_time() - began)
    whole, pruned = (statistics.median(own[2:]) for own in times)
    assert pruned < 0.9 * whole
