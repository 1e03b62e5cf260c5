"""The public contract: every command answers in JSON with the keys that users rely on."""

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import onnxruntime
import pytest
import torch
import yaml

import archlab as al
from archlab.cli import app
from archlab.families import published as row_of

Run = Callable[..., tuple[int, str, str]]
Answer = Callable[..., Any]

COMMANDS = [
    ["models"],
    ["space", "list"],
    ["space", "show"],
    ["profile"],
    ["measure"],
    ["search"],
    ["report"],
    ["export"],
    ["train"],
    ["prune"],
    ["analyze"],
    ["reproduce"],
    ["device", "list"],
    ["device", "show"],
    ["device", "add"],
    ["device", "remove"],
    ["device", "check"],
    ["device", "calibrate"],
    ["proxy", "list"],
    ["proxy", "score"],
    ["proxy", "correlate"],
    ["worker"],
    ["doctor"],
    ["demo"],
]


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_help_has_an_example_and_json(command: list[str], run: Run) -> None:
    status, out, _ = run(*command, "--help")
    assert status == 0
    assert f"Example: archlab {' '.join(command)}" in " ".join(out.replace("│", " ").split())
    assert "--json" in out


def test_every_command_is_listed_above() -> None:
    names = {info.name for info in app.registered_commands}
    for group in app.registered_groups:
        assert group.typer_instance is not None
        names |= {f"{group.name} {info.name}" for info in group.typer_instance.registered_commands}
    assert names == {" ".join(command) for command in COMMANDS}


def test_wrong_usage_is_exit_2(run: Run) -> None:
    status, _, err = run("search", "--device", "orin")
    assert status == 2
    assert "--budget-ms" in err


def test_models(answer: Answer) -> None:
    rows = answer("models")
    assert len(rows) == 38
    assert all({"name", "family", "resolution", "params", "macs", "top1", "source"} <= row.keys() for row in rows)
    by_name = {row["name"]: row for row in rows}
    assert by_name["edgenext_small"]["params"] == 5_586_832
    assert by_name["efficientvit_m5"]["family"] == "efficientvit_msra"
    assert by_name["convnext_tiny"]["top1"] == 82.1
    assert [row["name"] for row in answer("models", "--family", "edgenext")] == [
        row["name"] for row in rows if row["family"] == "edgenext"
    ]


def test_space_list_and_show(answer: Answer) -> None:
    assert {row["space"] for row in answer("space", "list")} >= {"convnext", "edgenext", "hybrid"}
    shown = answer("space", "show", "edgenext", "--device", "orin", "--budget-ms", "5", "--samples", "10")
    assert {"space", "axes", "size", "params", "macs", "latency_ms", "reachable"} <= shown.keys()
    assert shown["latency_ms"]["min"] <= shown["latency_ms"]["median"] <= shown["latency_ms"]["max"]
    assert shown["reachable"] is True
    assert answer("space", "show", "edgenext", "--device", "orin", "--budget-ms", "0.01", "--samples", "10")[
        "reachable"
    ] is False  # fmt: skip
    assert answer("space", "show", "convnext", "--samples", "5")["latency_ms"] is None


def test_profile_counts(answer: Answer) -> None:
    told = answer("profile", "convnext_atto")
    assert (told["params"], told["macs"]) == (3_695_520, 547_332_480)
    assert sum(row["macs"] for row in told["ops"]) == told["macs"]
    assert sum(row["bytes"] for row in told["ops"]) == told["traffic_bytes"]
    assert 0 < told["memory_bound_share"] < 1
    assert told["latency"] is None
    assert {"op", "kind", "count", "macs", "bytes", "ms"} == told["ops"][0].keys()


def test_profile_of_an_estimated_device(answer: Answer) -> None:
    told = answer("profile", "efficientvit_b1", "--device", "orin", "--resolution", "288")
    assert told["resolution"] == 288
    assert told["latency"]["source"].startswith("estimated:")
    assert told["latency"]["ci95_ms"][0] < told["latency"]["median_ms"] < told["latency"]["ci95_ms"][1]
    assert sum(row["ms"] or 0 for row in told["ops"]) == pytest.approx(told["latency"]["median_ms"], rel=0.01)


def test_measure_an_estimated_device(answer: Answer) -> None:
    rows = answer("measure", "edgenext_small", "efficientvit_b1", "--device", "orin")
    assert [row["model"] for row in rows] == ["edgenext_small", "efficientvit_b1"]
    keys = {"model", "digest", "device", "runtime", "precision", "batch", "source"}
    keys |= {"median_ms", "p90_ms", "iqr_ms", "ci95_ms", "n", "quality"}
    assert keys <= rows[0].keys()
    assert rows[0]["source"].startswith("estimated:")
    assert rows[0]["p90_ms"] is rows[0]["iqr_ms"] is rows[0]["n"] is rows[0]["quality"] is None


def test_measure_here(answer: Answer) -> None:
    (row,) = answer("measure", "efficientvit_m0", "--device", "cpu")
    assert row["source"] == "measured:ort@cpu"
    assert row["quality"] in {"ok", "noisy"}
    assert row["n"] > 10
    assert row["ci95_ms"][0] <= row["median_ms"] <= row["ci95_ms"][1]


def test_two_networks_in_turns(answer: Answer, run: Any) -> None:
    row = answer("measure", "efficientvit_m0", "efficientvit_m3", "--device", "cpu", "--paired")
    assert (row["a"], row["b"], row["verdict"]) == ("efficientvit_m0", "efficientvit_m3", "faster")
    assert row["ratio"] < row["ci95"][1] < 1
    assert row["pairs"] >= 30
    status, _, err = run("measure", "efficientvit_m0", "--device", "cpu", "--paired")
    assert status == 2
    assert "--paired compares two models, 1 were given" in err


def test_export_onnx_runs_with_the_same_outputs(answer: Answer, tmp_path: Path) -> None:
    out = tmp_path / "net.onnx"
    told = answer("export", "efficientvit_m0", "--format", "onnx", "--out", out)
    assert told["bytes"] == out.stat().st_size
    assert told["sha256"] == hashlib.sha256(out.read_bytes()).hexdigest()
    image = torch.rand(1, 3, 224, 224, generator=torch.Generator().manual_seed(3))
    session = onnxruntime.InferenceSession(out)
    (theirs,) = session.run(None, {session.get_inputs()[0].name: image.numpy()})
    ours = al.create("efficientvit_m0")(image).detach()
    assert (ours - torch.from_numpy(theirs)).abs().max() < 1e-4


def test_export_spec_and_safetensors_read_back(answer: Answer, tmp_path: Path) -> None:
    spec, weights = tmp_path / "net.yaml", tmp_path / "net.safetensors"
    answer("export", "edgenext_xx_small", "--format", "spec", "--out", spec)
    answer("export", "edgenext_xx_small", "--format", "safetensors", "--out", weights)
    assert yaml.safe_load(spec.read_text())["resolution"] == 256
    assert answer("profile", spec)["digest"] == answer("profile", "edgenext_xx_small")["digest"]
    image = torch.rand(1, 3, 256, 256)
    ours = al.create(str(spec), weights=weights, seed=5)(image)
    torch.testing.assert_close(ours, al.create("edgenext_xx_small")(image))


def test_devices(answer: Answer) -> None:
    rows = {row["name"]: row for row in answer("device", "list")}
    assert rows["cpu"]["how"] == "measured"
    assert rows["orin"]["how"] == "estimated"
    shown = answer("device", "show", "orin")
    assert shown["held_out"]["points"] > 5
    assert "fingerprint" in answer("device", "show", "cpu")


def test_proxies(answer: Answer) -> None:
    rows = answer("proxy", "list")
    assert sum(row["default"] for row in rows) == 1
    scores = answer("proxy", "score", "efficientvit_m0", "--proxy", "params", "--proxy", "macs")
    assert [row["proxy"] for row in scores] == ["params", "macs"]
    assert {"proxy", "score", "seconds", "interval", "note"} == scores[0].keys()
    untrained = {row["name"] for row in rows if row["needs"] != "data"}
    assert {row["proxy"] for row in answer("proxy", "score", "efficientvit_m0")} == untrained


def test_the_predicted_accuracy_shows_its_interval_and_warns(run: Run, answer: Answer, tmp_path: Path) -> None:
    status, out, err = run("proxy", "score", "efficientvit_m0", "--proxy", "published", "--proxy", "params")
    assert (status, err) == (0, "")
    assert "90 % interval" in out
    assert "90 % interval" not in run("proxy", "score", "efficientvit_m0", "--proxy", "params")[1]
    small = tmp_path / "small.yaml"
    small.write_text(yaml.safe_dump(row_of("convnext_atto").spec.replace(resolution=32).to_dict()))
    status, _, err = run("proxy", "score", small, "--proxy", "published")
    assert status == 0
    assert err.startswith("archlab: note: published extrapolates (")
    [row] = answer("proxy", "score", small, "--proxy", "published")
    low, high = row["interval"]
    assert low < row["score"] < high
    assert row["note"] in err


def test_doctor(answer: Answer) -> None:
    rows = {row["check"]: row for row in answer("doctor")}
    assert rows["torch"]["detail"].startswith(torch.__version__.split("+")[0])
    assert rows["device cpu"]["state"] == "ok"


def test_search_report_and_resume(answer: Answer, tmp_path: Path) -> None:
    out = tmp_path / "study"
    command = ["search", "--budget-ms", "5", "--device", "orin", "--space", "edgenext", "--proxy", "params"]
    first = answer(*command, "--trials", "6", "--out", out)
    keys = {
        "study",
        "out",
        "device",
        "budget_ms",
        "trials",
        "feasible",
        "unique",
        "seconds",
        "best",
        "front",
        "baselines",
    }
    assert keys <= first.keys()
    assert first["trials"] == first["unique"] == 6
    assert {"digest", "score", "latency_ms", "latency_source", "macs", "params"} <= first["front"][0].keys()
    assert {"model", "digest", "score", "latency_ms", "latency_source", "top1"} <= first["baselines"][0].keys()
    assert first["best"] in {row["digest"] for row in first["front"]}
    more = answer(*command, "--trials", "8", "--out", out)
    assert more["trials"] == 8
    out = out.rename(tmp_path / "renamed")
    more = answer(*command, "--trials", "9", "--out", out)
    assert (more["study"], more["trials"], more["unique"]) == ("renamed", 9, 9)
    files = {path.name for path in out.iterdir()}
    assert {"plan.yaml", "trials.jsonl", "front.csv", "best.yaml", "report.html", "run.json", "journal.log"} <= files
    told = answer("report", out)
    assert Path(told["report"]).read_text().count("<html") == 1
    assert answer("profile", f"{out}:{more['best']}")["digest"] == more["best"]
    study = al.load(out)
    assert study.best().digest == more["best"]
    assert list(study.front()["digest"]) == [row["digest"] for row in more["front"]]
    assert "Study(" in repr(study)


def test_people_get_tables(run: Run, tmp_path: Path) -> None:
    for words, expected in (
        (["models", "--family", "edgenext"], "edgenext_small"),
        (["space", "list"], "hybrid"),
        (["space", "show", "convnext", "--samples", "3", "--device", "t4", "--budget-ms", "3"], "can be met"),
        (["profile", "efficientvit_m0", "--device", "orin"], "estimated:"),
        (["measure", "efficientvit_m0", "--device", "t4"], "estimated:"),
        (["device", "list"], "Jetson AGX Orin"),
        (["device", "show", "t4"], "held_out"),
        (["proxy", "list"], "params"),
        (["proxy", "score", "efficientvit_m0", "--proxy", "params"], "params"),
        (["doctor"], "onnxruntime"),
        (["export", "efficientvit_m0", "--format", "spec", "--out", str(tmp_path / "a.yaml")], "wrote"),
    ):
        status, out, err = run(*words)
        assert status == 0, (words, err)
        assert expected in out, (words, out)
