"""Writing the ONNX file is quick: the committed benchmark, run as a user runs it."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.slow
def test_the_file_takes_less_than_half_a_second_and_far_less_than_torchs_exporter() -> None:
    command = [sys.executable, str(ROOT / "benchmarks" / "trial_speed.py"), "--networks", "12", "--trials", "4"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    document = json.loads(done.stdout.splitlines()[-1])
    steps = document["steps"]
    assert steps["onnx"]["n"] == steps["onnx by torch"]["n"] == 12
    assert steps["onnx"]["median_ms"] <= 500
    assert document["ratio"] == steps["onnx by torch"]["median_ms"] / steps["onnx"]["median_ms"]
    assert document["ratio"] > 2.5
    assert document["difference"] < 1e-6
    assert 0 < document["trials"]["less its runs"]["median_ms"] < document["trials"]["whole trial"]["median_ms"]
