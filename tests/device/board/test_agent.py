"""The agent against hosts that make mistakes or mean harm: it ends by itself, says why, and leaves nothing."""

import contextlib
import hashlib
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import onnx
import pytest
from onnx import TensorProto, helper

from archlab.device.board import agent, link
from archlab.device.board.link import Link
from archlab.device.board.refusal import Refusal

AGENT = Path(link.__file__).with_name("agent.py")
Start = Callable[..., "subprocess.Popen[bytes]"]


@pytest.fixture
def start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Start]:
    """Starts an agent as the host does, its folders under a private temporary one."""
    (tmp_path / "tmp").mkdir()
    monkeypatch.setenv("TMPDIR", str(tmp_path / "tmp"))
    started = []

    def run(*words: str, source: bytes | None = None, digest: str | None = None) -> "subprocess.Popen[bytes]":
        argv = [sys.executable, "-I", "-c", link.LOADER, "--lock", str(tmp_path / "lock"), *words]
        process = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        started.append(process)
        sent = AGENT.read_bytes() if source is None else source
        say(process, f"archlab-agent {len(sent)} {digest or hashlib.sha256(sent).hexdigest()}\n".encode() + sent)
        return process

    yield run
    for process in started:
        process.kill()
        process.wait()
        for pipe in (process.stdin, process.stdout, process.stderr):
            with contextlib.suppress(OSError):
                pipe.close()


def say(process: "subprocess.Popen[bytes]", data: bytes) -> None:
    assert process.stdin is not None
    process.stdin.write(data)
    process.stdin.flush()


def end(process: "subprocess.Popen[bytes]", seconds: float = 30) -> tuple[int, str]:
    """Wait for the agent to end; its status and what it says on stderr. Its stdin stays open."""
    status = process.wait(timeout=seconds)
    assert process.stderr is not None
    return status, process.stderr.read().decode()


def greeted(process: "subprocess.Popen[bytes]") -> dict[str, Any]:
    assert process.stdout is not None
    return dict(json.loads(process.stdout.readline().removeprefix(b"ARCHLAB-AGENT ")))


def test_garbage_ends_it(start: Start, tmp_path: Path) -> None:
    process = start()
    greeted(process)
    say(process, b"\x00\xff\x00 what is this\n")
    assert end(process) == (3, "archlab agent: a line is no JSON\n")
    assert list((tmp_path / "tmp").iterdir()) == []


def test_a_header_of_ten_gigabytes_ends_it(start: Start) -> None:
    process = start()
    doc = {"op": "prepare", "runtime": "ort", "precision": "fp32", "threads": 1, "bytes": 10**10, "sha256": "0" * 64}
    say(process, json.dumps(doc).encode() + b"\n")
    assert end(process) == (3, "archlab agent: 10000000000 bytes were announced; the limit is 268435456\n")


def test_a_line_without_end_ends_it(start: Start) -> None:
    process = start()
    say(process, b"x" * 70_000)
    assert end(process) == (3, "archlab agent: a line is longer than 65536 bytes\n")


def test_a_stream_that_drips_ends_it(start: Start) -> None:
    process = start("--limit", "line_s=1")
    greeted(process)
    began = time.monotonic()
    try:
        for _ in range(100):
            say(process, b" ")
            time.sleep(0.1)
    except BrokenPipeError:
        pass
    assert end(process) == (3, "archlab agent: a line did not end within 1 s\n")
    assert time.monotonic() - began < 9


def test_bytes_that_do_not_come_end_it(start: Start) -> None:
    process = start("--limit", "payload_s=1")
    doc = {"op": "prepare", "runtime": "ort", "precision": "fp32", "threads": 1, "bytes": 1000, "sha256": "0" * 64}
    say(process, json.dumps(doc).encode() + b"\nabc")
    status, said = end(process)
    assert status == 3
    assert said.startswith("archlab agent: 1000 bytes did not come within 1.03")


def test_a_host_that_goes_ends_it_and_its_folder(start: Start, tmp_path: Path) -> None:
    process = start()
    greeted(process)
    assert [path.stat().st_mode & 0o777 for path in (tmp_path / "tmp").iterdir()] == [0o700]
    assert process.stdin is not None
    process.stdin.close()
    assert end(process) == (3, "archlab agent: stdin was closed\n")
    assert list((tmp_path / "tmp").iterdir()) == []


def test_silence_ends_it(start: Start) -> None:
    process = start("--limit", "idle_s=0.5")
    greeted(process)
    assert end(process) == (3, "archlab agent: no request came within 0.5 s\n")


def test_a_folder_of_a_killed_agent_is_wiped_by_the_next(start: Start, tmp_path: Path) -> None:
    first = start()
    greeted(first)
    (old,) = (tmp_path / "tmp").iterdir()
    first.kill()
    first.wait()
    assert old.exists()
    greeted(start())
    assert not old.exists()


def test_a_source_that_arrives_damaged_is_not_run(start: Start) -> None:
    process = start(source=b"print('run')", digest="0" * 64)
    status, said = end(process)
    assert status == 1
    assert said == "archlab agent: the source arrived damaged\n"
    assert process.stdout is not None
    assert process.stdout.read() == b""


@pytest.fixture
def child(tmp_path: Path) -> Iterator[Link]:
    words = ["--lock", str(tmp_path / "lock")]
    found = Link("here", [sys.executable, "-I", "-c", link.LOADER, *words])
    yield found
    found.close()


ORDER = {"runtime": "ort", "precision": "fp32", "threads": 1}


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"runtime": "../../bin/sh"}, "runtime of prepare is not allowed"),
        ({"precision": "fp16 --saveEngine=/etc/passwd"}, "precision of prepare is not allowed"),
        ({"threads": True}, "threads of prepare is not allowed"),
        ({"threads": 0}, "threads of prepare is not allowed"),
        ({"path": "/etc/passwd"}, "prepare takes exactly: bytes, precision, runtime, sha256, threads"),
    ],
)
def test_what_a_request_says_is_never_a_path_or_an_argument(child: Link, changes: dict[str, Any], told: str) -> None:
    with pytest.raises(Refusal, match=told):
        child.ask("prepare", b"no request\n", **(ORDER | changes))
    assert child.ask("telemetry")["ok"] is True


def test_an_operation_that_does_not_exist_is_refused(child: Link) -> None:
    with pytest.raises(Refusal, match="no such operation"):
        child.ask("_wipe", stem="/home")


def test_a_model_that_arrives_damaged_is_refused(child: Link) -> None:
    child._send(json.dumps({"op": "prepare", **ORDER, "bytes": 3, "sha256": "0" * 64}).encode() + b"\nabc")
    answer = child._document(child._line(time.monotonic() + 30))
    assert (answer["ok"], answer["error"]) == (False, "damaged")


def _model(tensor: TensorProto) -> bytes:
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, [1])
    y = helper.make_tensor_value_info("y", TensorProto.FLOAT, [1])
    graph = helper.make_graph([helper.make_node("Add", ["x", "w"], ["y"])], "g", [x], [y], [tensor])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8).SerializeToString()


def _external(location: str) -> TensorProto:
    tensor = TensorProto(name="w", data_type=TensorProto.FLOAT, dims=[1], data_location=TensorProto.EXTERNAL)
    entry = tensor.external_data.add()
    entry.key, entry.value = "location", location
    return tensor


@pytest.mark.parametrize("location", ["weights.bin", "../../../etc/passwd", "/etc/passwd"])
def test_a_model_with_data_outside_is_refused(child: Link, location: str) -> None:
    with pytest.raises(Refusal, match="only embedded weights are taken") as caught:
        child.ask("prepare", _model(_external(location)), **ORDER)
    assert caught.value.code == "external_data"


def test_data_outside_hidden_in_a_branch_is_found(child: Link) -> None:
    constant = helper.make_node("Constant", [], ["b"], value=_external("../x"))
    out = helper.make_tensor_value_info("b", TensorProto.FLOAT, [1])
    branch = helper.make_graph([constant], "then", [], [out])
    choice = helper.make_node("If", ["c"], ["y"], then_branch=branch, else_branch=branch)
    condition = helper.make_tensor_value_info("c", TensorProto.BOOL, [1])
    result = helper.make_tensor_value_info("y", TensorProto.FLOAT, [1])
    model = helper.make_model(helper.make_graph([choice], "g", [condition], [result]))
    with pytest.raises(Refusal, match="only embedded weights are taken"):
        child.ask("prepare", model.SerializeToString(), **ORDER)


@pytest.mark.parametrize(
    "data", [b"no model", b"\xff" * 100, random.Random(0).randbytes(64), b"\x3a\xff\xff\xff\xff\x0f"], ids=range(4)
)
def test_bytes_that_are_no_model_are_refused(child: Link, data: bytes) -> None:
    with pytest.raises(Refusal) as caught:
        child.ask("prepare", data, **ORDER)
    assert caught.value.code in {"bad_model", "build_failed"}


def test_a_sound_model_is_taken_afterwards(child: Link) -> None:
    with pytest.raises(Refusal):
        child.ask("prepare", b"no model", **ORDER)
    weights = helper.make_tensor("w", TensorProto.FLOAT, [1], [1.0])
    onnx.checker.check_model(onnx.load_model_from_string(_model(weights)))
    handle = child.ask("prepare", _model(weights), **ORDER)["handle"]
    assert len(child.ask("run", handle=handle, runs=7, seconds=1.0)["wall_ns"]) == 7


def test_one_measurement_at_a_time(tmp_path: Path) -> None:
    words = [sys.executable, "-I", "-c", link.LOADER, "--lock", str(tmp_path / "lock"), "--limit", "queue_s=1"]
    first, second = Link("first", words), Link("second", words)
    try:
        model = _model(helper.make_tensor("w", TensorProto.FLOAT, [1], [1.0]))
        handle = first.ask("prepare", model, **ORDER)["handle"]
        with pytest.raises(Refusal, match="the board was in use") as caught:
            second.ask("prepare", model, **ORDER)
        assert caught.value.code == "busy"
        first.ask("release", handle=handle)
        assert second.ask("prepare", model, **ORDER)["queue_s"] < 1
    finally:
        first.close()
        second.close()


def test_a_pipe_in_place_of_the_lock_ends_it(start: Start, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "lock")
    status, said = end(start())
    assert (status, said.splitlines()[-1][-16:]) == (3, "cannot be opened")


def test_a_folder_that_another_agent_wipes_before_it_is_locked_is_made_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    real, made = tempfile.mkdtemp, []

    def robbed(prefix: str) -> str:
        made.append(real(prefix=prefix))
        if len(made) == 1:
            Path(made[0]).rmdir()
        return made[-1]

    monkeypatch.setattr(tempfile, "mkdtemp", robbed)
    folder, fd = agent.private_folder()
    os.close(fd)
    assert folder == made[1]
    assert Path(folder).is_dir()


@pytest.mark.parametrize("rows", [[], [{}], [None], [{"computeMs": 1.0}], [{"computeMs": "x"}]])
def test_empty_or_incomplete_times_are_refused(rows: list[Any]) -> None:
    with pytest.raises(agent.Refused, match="the tool's times are empty or incomplete") as caught:
        agent.trt_times(rows)
    assert caught.value.code == "run_failed"


def test_times_by_hand() -> None:
    rows = [{"computeMs": 1.5, "startEnqMs": 0.0, "endEnqMs": 0.25}]
    assert agent.trt_times(rows) == ([1_500_000], 0.25)
