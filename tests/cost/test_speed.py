"""Counting is quick: the committed benchmark, run as a user runs it."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.slow
def test_counting_stays_under_25_ms_of_cpu_time_and_far_under_fvcore() -> None:
    command = [sys.executable, str(ROOT / "benchmarks" / "count_speed.py"), "--networks", "40"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    table, document = done.stdout.splitlines()[:-1], json.loads(done.stdout.splitlines()[-1])
    assert [line.split()[0] for line in table[1:3]] == ["archlab", "fvcore"]
    assert document["archlab"]["n"] == document["fvcore"]["n"] == 40
    assert document["archlab"]["mean_ms"] <= 25
    assert document["ratio"] == document["fvcore"]["mean_ms"] / document["archlab"]["mean_ms"]
    assert document["ratio"] > 3
