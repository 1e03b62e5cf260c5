"""archlab profile on a device that is measured: runtime, precision and threads as asked, times that add up."""

import importlib.util
from collections.abc import Callable
from typing import Any

import pytest

Answer = Callable[..., Any]


def test_times_stand_beside_the_counts(answer: Answer) -> None:
    told = answer("profile", "efficientvit_m0", "--device", "cpu", "--runtime", "ort", "--threads", "1")
    assert told["latency"]["runtime"] == "ort"
    assert told["memory_bound_basis"] == "time, measured:ort@cpu"
    assert {"op", "kind", "count", "macs", "bytes", "ms"} == told["ops"][0].keys()
    for rows in (told["ops"], told["layers"], told["kernels"]):
        assert sum(row["ms"] for row in rows) == pytest.approx(told["profiled_ms"])
    assert told["joined_share"] > 0.98
    assert [row["layer"] for row in told["layers"]][:2] == ["stages.0.entry", "stages.0.blocks.0"]
    assert sum(row["macs"] for row in told["ops"]) == told["macs"]


def test_without_a_device_nothing_is_timed(answer: Answer) -> None:
    told = answer("profile", "efficientvit_m0")
    assert (told["profiled_ms"], told["joined_share"], told["kernels"]) == (None, None, [])
    assert {row["ms"] for row in told["ops"]} == {None}


def test_the_tables_say_operators_and_layers(run: Callable[..., tuple[int, str, str]]) -> None:
    status, out, err = run("profile", "efficientvit_m0", "--device", "cpu", "--layers")
    assert status == 0, err
    assert "profiled: " in out
    assert "of it in known modules, the rest by kind" in out
    assert "stages.2.blocks.1" in out
    assert "convolution" in out


@pytest.mark.skipif(importlib.util.find_spec("openvino") is None, reason="openvino is not installed")
def test_precision_reaches_the_runtime(answer: Answer, refused: Callable[..., str]) -> None:
    words = ("profile", "efficientvit_m0", "--device", "cpu", "--runtime", "openvino")
    told = answer(*words, "--precision", "fp32")
    assert (told["latency"]["runtime"], told["latency"]["precision"]) == ("openvino", "fp32")
    assert "does not offer this precision; given: precision 'int8'; allowed: fp32, bf16" in refused(
        *words, "--precision", "int8"
    )


@pytest.mark.parametrize("word", ["--runtime", "--precision", "--threads"])
def test_how_to_run_without_where_is_refused(word: str, refused: Callable[..., str]) -> None:
    value = {"--runtime": "ort", "--precision": "fp32", "--threads": "2"}[word]
    line = refused("profile", "efficientvit_m0", word, value)
    name = word.removeprefix("--")
    assert f"{name} without a device says nothing; given: {word} {value}; allowed: {name} together with" in line
