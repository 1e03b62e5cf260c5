"""Bad input gets one clear line of four parts and exit 1, and nothing is lost or half written."""

import resource
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
import yaml
from safetensors.torch import load_file, save_file

import archlab as al

Refused = Callable[..., str]
SEARCH = ("search", "--space", "edgenext", "--proxy", "params", "--trials", "3")


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["profile", "edgenext_smal"], "did you mean 'edgenext_small'"),
        (["profile", "timm:no_such_net"], "no timm model 'no_such_net'"),
        (["profile", "nowhere.yaml"], "no such spec file"),
        (["profile", "nowhere:abc"], "no study in that folder"),
        (["profile", "edgenext_small", "--resolution", "250"], "250"),
        (["profile", "edgenext_small", "--device", "orinn"], "did you mean 'orin'"),
        (["measure", "edgenext_small", "--device", "orinn"], "did you mean 'orin'"),
        (["measure", "edgenext_small", "--device", "orin", "--precision", "int8"], "given: int8; allowed: fp16"),
        (["measure", "edgenext_small", "--device", "cpu", "--runtime", "tflite"], "tflite"),
        (["measure", "edgenext_small", "--device", "cpu", "--threads", "4096"], "4096"),
        (["space", "show", "hybird"], "did you mean 'hybrid'"),
        (["models", "--family", "resnet"], "no family 'resnet'"),
        (["proxy", "score", "edgenext_small", "--proxy", "synflo"], "did you mean 'synflow'"),
        ([*SEARCH, "--budget-ms", "5", "--device", "orinn"], "did you mean 'orin'"),
        ([*SEARCH[:2], "edgnext", "--budget-ms", "5", "--device", "orin"], "did you mean 'edgenext'"),
        (["search", "--budget-ms", "5", "--device", "orin", "--proxy", "naswott"], "did you mean 'naswot'"),
        (["search", "--budget-ms", "5", "--device", "orin", "--sampler", "tpee"], "did you mean 'tpe'"),
        ([*SEARCH, "--budget-ms", "-1", "--device", "orin"], "budget_ms is out of range"),
        ([*SEARCH, "--budget-ms", "nan", "--device", "orin"], "budget_ms"),
        ([*SEARCH, "--budget-ms", "5", "--device", "orin", "--storage", "nonsense"], "nonsense"),
        ([*SEARCH, "--budget-ms", "5", "--device", "orin", "--runtime", "banana"], "given: banana; allowed: trtexec"),
        ([*SEARCH, "--budget-ms", "5", "--device", "orin", "--threads", "4"], "one threads only; given: 4"),
        (["export", "efficientvit_m0", "--format", "spec", "--out", "/proc/nope/s.yaml"], "No such file"),
        (["export", "efficientvit_m0", "--format", "spec", "--out", "/"], "Is a directory"),
        (["report", "nowhere"], "no such study folder"),
        (["worker", "--storage", "nonsense", "--study", "x"], "nonsense"),
    ],
    ids=lambda value: " ".join(value[-4:]) if isinstance(value, list) else "",
)
def test_refused(words: list[str], told: str, refused: Refused, tmp_path: Path) -> None:
    out = ["--out", str(tmp_path / "study")] if words[0] == "search" else []
    assert told in refused(*words, *out)
    assert not (tmp_path / "study").exists()


def test_a_budget_that_no_network_meets_says_the_smallest(refused: Refused, tmp_path: Path) -> None:
    line = refused(*SEARCH, "--budget-ms", "0.05", "--device", "orin", "--out", tmp_path / "study")
    assert "0.05" in line
    assert "ms" in line.split("allowed:")[1]
    assert not (tmp_path / "study").exists()


def test_a_front_that_does_not_lie_in_the_space(
    refused: Refused, answer: Callable[..., object], tmp_path: Path
) -> None:
    study, out = tmp_path / "study", tmp_path / "other"
    answer(*SEARCH, "--budget-ms", "5", "--device", "orin", "--out", study)
    command = ["search", "--space", "efficientvit_mit", "--proxy", "params", "--trials", "3"]
    line = refused(*command, "--budget-ms", "5", "--device", "orin", "--from", study, "--out", out)
    assert "no network of that front lies in the space 'efficientvit_mit'" in line
    assert not out.exists()
    assert "a study folder holds many networks" in refused("profile", study)


def test_ctrl_c_says_how_to_go_on(tmp_path: Path) -> None:
    out = tmp_path / "study"
    words = [*SEARCH[:-1], "200", "--budget-ms", "5", "--device", "orin", "--out", str(out)]
    script = f"from archlab.cli import main; main({words!r})"
    search = subprocess.Popen([sys.executable, "-c", script], stderr=subprocess.PIPE, text=True)
    assert search.stderr is not None
    first = search.stderr.readline()
    search.send_signal(signal.SIGINT)
    rest = search.communicate(timeout=120)[1]
    assert first.startswith("phase search")
    assert search.returncode == 130
    assert "run the same command again, a search or a training goes on where it stopped" in rest
    assert "Traceback" not in rest


def test_a_damaged_study_is_left_as_it_is(refused: Refused, answer: Callable[..., object], tmp_path: Path) -> None:
    out = tmp_path / "study"
    command = [*SEARCH, "--budget-ms", "5", "--device", "orin", "--out", out]
    answer(*command)
    journal = out / "journal.log"
    lines = journal.read_bytes().splitlines(keepends=True)
    journal.write_bytes(b"".join([*lines[:3], b"garbage\n", *lines[4:]]))
    before = {path.name: path.read_bytes() for path in out.iterdir()}
    assert "damaged" in refused(*command)
    assert {path.name: path.read_bytes() for path in out.iterdir()} == before
    (out / "trials.jsonl").write_text("{broken\n{broken\n")
    assert "trials.jsonl" in refused("report", out)


def test_another_plan_in_the_same_folder(refused: Refused, answer: Callable[..., object], tmp_path: Path) -> None:
    out = tmp_path / "study"
    answer(*SEARCH, "--budget-ms", "5", "--device", "orin", "--out", out)
    assert "budget_ms" in refused(*SEARCH, "--budget-ms", "6", "--device", "orin", "--out", out)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"resolution": "256"}, "resolution is wrong"),
        ({"resolutoin": 256}, "did you mean 'resolution'"),
        ({"stages": []}, "a network needs a stage"),
    ],
    ids=["type", "key", "empty"],
)
def test_bad_spec_files(change: dict[str, object], told: str, refused: Refused, tmp_path: Path) -> None:
    path = tmp_path / "net.yaml"
    al.export("edgenext_xx_small", format="spec", out=path)
    path.write_text(yaml.safe_dump(yaml.safe_load(path.read_text()) | change))
    assert told in refused("profile", path)


@pytest.mark.parametrize(
    ("stage", "block", "change", "told"),
    [(1, 1, {"heads": 7}, "heads"), (1, 1, {"splits": 40}, "splits"), (0, 0, {"kernels": [4]}, "kernel")],
    ids=["heads", "splits", "kernel"],
)
def test_impossible_networks(
    stage: int, block: int, change: dict[str, object], told: str, refused: Refused, tmp_path: Path
) -> None:
    path = tmp_path / "net.yaml"
    al.export("edgenext_xx_small", format="spec", out=path)
    document = yaml.safe_load(path.read_text())
    document["stages"][stage]["blocks"][block] |= change
    path.write_text(yaml.safe_dump(document))
    line = refused("profile", path)
    assert told in line
    assert f"stages.{stage}.blocks.{block}" in line


def test_text_that_is_no_yaml(refused: Refused, tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("a: [")
    (tmp_path / "b.json").write_bytes(b"\xff\xfe\x00")
    assert "cannot be parsed" in refused("profile", tmp_path / "a.yaml")
    assert "no text file" in refused("profile", tmp_path / "b.json")


@pytest.mark.parametrize("change", ["missing", "extra", "shape", "garbage"])
def test_weights_that_do_not_fit(change: str, refused: Refused, tmp_path: Path) -> None:
    path = tmp_path / "w.safetensors"
    al.export("efficientvit_m0", format="safetensors", out=path)
    state = load_file(path)
    first = next(name for name in state if name.endswith("conv.weight"))
    if change == "missing":
        del state[first]
    elif change == "extra":
        state["nobody.knows.me"] = torch.zeros(1)
    elif change == "shape":
        state[first] = torch.zeros(3)
    save_file(state, path)
    if change == "garbage":
        path.write_bytes(b"not a file of tensors")
    line = refused("export", "efficientvit_m0", "--format", "onnx", "--weights", path, "--out", tmp_path / "n.onnx")
    expected = {"missing": first, "extra": "nobody.knows.me", "shape": first, "garbage": "w.safetensors"}[change]
    assert expected in line
    assert not (tmp_path / "n.onnx").exists()


def limited(size: int, *argv: object) -> subprocess.CompletedProcess[str]:
    """Run the command line in a process whose files may not grow beyond `size` bytes: a full disk, for real."""
    script = f"from archlab.cli import main; main({[str(word) for word in argv]!r})"
    return subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (size, size)),
    )


def test_a_full_disk_in_mid_search_loses_nothing(answer: Callable[..., object], tmp_path: Path) -> None:
    out = tmp_path / "study"
    command = [*SEARCH[:-1], "12", "--budget-ms", "5", "--device", "orin", "--out", out]
    done = limited(60_000, *command)
    assert done.returncode == 1, done.stderr
    assert "full" in done.stderr
    assert "Traceback" not in done.stderr
    told = answer(*command)
    assert isinstance(told, dict)
    assert told["trials"] == 12


def test_a_full_disk_while_exporting_leaves_no_half_file(tmp_path: Path) -> None:
    out = tmp_path / "net.safetensors"
    done = limited(100_000, "export", "efficientvit_m0", "--format", "safetensors", "--out", out)
    assert done.returncode == 1, done.stderr
    assert "disk is full" in done.stderr
    assert list(tmp_path.glob("*.safetensors*")) == []
