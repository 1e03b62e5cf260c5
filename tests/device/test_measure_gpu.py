"""The study that runs on a borrowed GPU, once through on a GPU made of paper: a loan is too short for slips."""

import csv
import dataclasses
import importlib.util
import json
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
import torch

from archlab.device.backends.cuda import MODES, CudaBackend
from archlab.errors import DeviceUnreachable
from archlab.families import published

SCRIPT = Path(__file__).parents[2] / "studies" / "gpu" / "measure_gpu.py"


def loaded(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def paper() -> Any:
    return loaded(Path(__file__).with_name("test_cuda.py")).PaperDriver()


def read(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as stream:
        return list(csv.DictReader(stream))


@pytest.mark.slow
def test_every_run_has_a_row_and_a_second_start_goes_on(tmp_path: Path, paper: Any, capsys: Any) -> None:
    script = loaded(SCRIPT)
    spec = dataclasses.replace(published("edgenext_xx_small").spec, resolution=64)
    script.published = lambda name: SimpleNamespace(spec=spec)  # type: ignore[attr-defined]
    backends = dict.fromkeys(MODES, CudaBackend(paper))
    asked = [str(tmp_path), "--models", "edgenext_xx_small", "--no-power", "--seconds", "0.05", "--minutes"]
    for minutes in ("0.05", "5"):
        script.main([*asked, minutes], backends)
    rows = read(tmp_path / "latency.csv")
    assert len(rows) == 2 * 3 * 2 + 2
    assert len({(row["runtime"], row["precision"], row["layout"]) for row in rows}) == len(rows)
    assert {row["gpu"] for row in rows} == {"NVIDIA Paper"}
    graph = next(row for row in rows if row["runtime"] == "cuda_graph" and row["precision"] == "fp32")
    assert float(graph["median_ms"]) == 2.0
    assert float(graph["relative_error"]) < 1e-4
    assert graph["tf32"] == "off"
    assert read(tmp_path / "kernels.csv")[0]["op"].startswith("not profiled: torch's profiler saw no kernel")
    assert json.loads((tmp_path / "gpu.json").read_text())["gpu_arch"] == "sm_90"


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU here")
def test_without_a_gpu_it_says_so(tmp_path: Path) -> None:
    with pytest.raises(DeviceUnreachable, match="torch sees no NVIDIA GPU"):
        loaded(SCRIPT).main([str(tmp_path / "out")])
