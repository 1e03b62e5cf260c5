"""A maker of study folders that look like real ones: small networks of several kinds with plausible numbers."""

import json
import math
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from archlab.reports.study_files import Run, Study
from archlab.spec import ArchSpec, BlockSpec, HeadSpec, StageSpec
from archlab.study.plan import StudyPlan
from archlab.study.record import Evaluation, Record

MakeStudy = Callable[..., Path]

PUBLISHED = (  # name, family, resolution, params, MACs, top-1: as printed by their papers
    ("edgenext_xx_small", "edgenext", 256, 1_327_216, 257_900_000, 71.23),
    ("edgenext_x_small", "edgenext", 256, 2_336_804, 533_200_000, 74.96),
    ("edgenext_small", "edgenext", 256, 5_586_832, 1_253_200_000, 79.41),
    ("efficientvit_m3", "efficientvit_msra", 224, 6_900_000, 263_000_000, 73.4),
    ("efficientvit_m5", "efficientvit_msra", 224, 12_400_000, 522_000_000, 77.1),
    ("efficientvit_b1", "efficientvit_mit", 224, 9_100_000, 519_000_000, 79.39),
    ("efficientvit_b2", "efficientvit_mit", 224, 24_300_000, 1_600_000_000, 82.1),
    ("efficientvit_b3", "efficientvit_mit", 224, 48_600_000, 3_950_000_000, 83.47),
    ("convnext_tiny", "convnext", 224, 28_589_128, 4_455_000_000, 82.1),
)
DEVICES = {
    "orin": {"name": "orin", "title": "Jetson AGX Orin 64 GB, MAXN", "kind": "board", "precision": "fp16"},
    "cpu": {"name": "cpu", "title": "this machine's CPU", "kind": "cpu", "precision": "fp32"},
}
HELD_OUT = {"mean_abs_pct": 11.8, "within_10_share": 0.54, "kendall_tau": 0.86, "points": 41, "families": 6}


def block(kind: str, width: int, rng: random.Random) -> BlockSpec:
    """One valid block of the named kind."""
    if kind == "convnext":
        return BlockSpec(
            kind=kind, width=width, kernels=(rng.choice((3, 5, 7)),), hidden=4 * width, norm="ln", act="gelu"
        )
    if kind == "sdta":
        return BlockSpec(
            kind=kind, width=width, kernels=(3,), splits=2, heads=4, hidden=4 * width, norm="ln", act="gelu",
            position=rng.choice((None, "fourier")),
        )  # fmt: skip
    if kind == "msla":
        return BlockSpec(kind=kind, width=width, kernels=(5,), heads=max(1, width // 16), key_dim=16, norm="bn")
    if kind == "mhsa":
        return BlockSpec(kind=kind, width=width, heads=4, key_dim=width // 4, norm="ln")
    if kind == "ffn":
        return BlockSpec(kind=kind, width=width, hidden=2 * width, norm="ln", act="gelu")
    return BlockSpec(kind="mbconv", width=width, kernels=(3,), hidden=4 * width, norm="bn", act="hardswish")


def network(rng: random.Random) -> ArchSpec:
    """Four stages: convolutions first, then one kind of token mixer with its feed-forward layers."""
    base = rng.choice((24, 32, 40, 48, 64))
    stages = []
    for i, growth in enumerate((1, 2, 3, 5)):
        width = base * growth
        entry = (
            BlockSpec(kind="patchify", width=width, stride=4, kernels=(4,), norm="ln")
            if i == 0
            else BlockSpec(kind="norm_patch", width=width, stride=2, kernels=(2,), norm="ln")
        )
        mixer = rng.choice(("convnext", "sdta", "msla", "mhsa")) if i > 1 else "convnext"
        kinds = [rng.choice(("convnext", "mbconv")) if i < 2 else "convnext"] * rng.randint(1, 6)
        kinds += [kind for _ in range(rng.randint(1, 2)) for kind in ((mixer, "ffn") if mixer == "mhsa" else (mixer,))]
        stages.append(StageSpec(entry=entry, blocks=tuple(block(kind, width, rng) for kind in kinds)))
    return ArchSpec(resolution=rng.choice((192, 224, 256)), stages=tuple(stages), head=HeadSpec(kind="pool", norm="ln"))


def rough_cost(spec: ArchSpec) -> tuple[int, int]:
    """Params and MACs, good enough to look real."""
    sides = [spec.resolution // stride for stride in spec.strides]
    weights = [8.2 * w * w * (d + 0.5) for w, d in zip(spec.widths, spec.depths, strict=True)]
    macs = sum(w * side * side for w, side in zip(weights, sides, strict=True))
    return int(sum(weights) + 1000 * spec.widths[-1]), int(macs)


def rough_latency_ms(macs: float, depth: int) -> float:
    """A launch floor per layer and a share for the arithmetic."""
    return 0.35 + 0.065 * depth + macs / 0.9e9


def rough_score(macs: float, params: float, noise: float) -> float:
    """Something like a zero-cost score: it grows with size, with scatter."""
    return 820 + 130 * math.log10(macs / 1e8) + 60 * math.log10(params / 1e6) + 28 * noise


class Folder:
    """Writes one study folder, trial by trial."""

    def __init__(self, device: str, kind: str, budget_ms: float, seed: int) -> None:
        self.device, self.kind, self.budget_ms = device, kind, budget_ms
        self.source = f"{kind}:{'roofline' if kind == 'estimated' else 'ort'}@{device}"
        self.rng = random.Random(seed)
        self.factor = 1.0 if device == "orin" else 4.0
        self.records: list[dict[str, Any]] = []

    def interval(self, ms: float) -> list[float]:
        half = 0.16 if self.kind == "estimated" else self.rng.uniform(0.002, 0.03)
        return [ms * (1 - half), ms * (1 + half)]

    def evaluation(self, macs: int, params: int, depth: int, wobble: float = 0.05) -> dict[str, Any]:
        ms = self.factor * rough_latency_ms(macs, depth) * self.rng.uniform(1 - wobble, 1 + wobble)
        return {
            "values": {"score": rough_score(macs, params, self.rng.gauss(0, 1)), "latency_ms": ms},
            "sources": {"score": "proxy:naswot", "latency_ms": self.source},
            "intervals": {"latency_ms": self.interval(ms)},
            "macs": macs, "params": params, "quality": None if self.kind == "estimated" else "ok",
        }  # fmt: skip

    def add(self, **changes: Any) -> None:
        spec = network(self.rng)
        params, macs = rough_cost(spec)
        evaluation = self.evaluation(macs, params, sum(spec.depths))
        record = {
            "number": len(self.records), "state": "complete", "digest": spec.digest, "spec": spec.to_dict(),
            "point": {}, "origin": "sampled", "evaluation": evaluation,
            "violations": {"latency_ms": evaluation["intervals"]["latency_ms"][1] - self.budget_ms},
            "seconds": self.rng.uniform(0.3, 1.4), "seed": 0, "error": None,
        }  # fmt: skip
        self.records.append({**record, **changes})

    def repeat(self, number: int) -> None:
        old = self.records[number]
        self.records.append({**old, "number": len(self.records), "origin": f"repeat of {number}"})

    def baselines(self) -> list[dict[str, Any]]:
        rows = []
        for name, family, side, params, macs, top1 in PUBLISHED:
            seen = self.evaluation(macs, params, 24)
            rows.append({
                "model": name, "family": family, "digest": f"{abs(hash(name)) % 16**12:012x}", "resolution": side,
                "score": seen["values"]["score"], "latency_ms": seen["values"]["latency_ms"],
                "latency_interval": seen["intervals"]["latency_ms"], "latency_source": self.source, "top1": top1,
                "macs": macs, "params": params,
            })  # fmt: skip
        return rows

    def protocol(self) -> dict[str, Any]:
        common = {"kind": self.kind, "precision": DEVICES[self.device]["precision"], "batch": 1}
        if self.kind == "estimated":
            return {**common, "runtime": "tensorrt", "threads": None, "predictor": "roofline", "held_out": HELD_OUT,
                    "points": 41, "lines": ["without host transfer"]}  # fmt: skip
        return {**common, "runtime": "ort", "threads": 2, "predictor": None, "held_out": None,
                "lines": ["median of at least 30 runs after 0.2 s of warm-up"]}  # fmt: skip

    def run(self) -> dict[str, Any]:
        states = [record["state"] for record in self.records]
        return {
            "argv": ["archlab", "search", "--budget-ms", f"{self.budget_ms:g}", "--device", self.device],
            "version": "0.1.0", "git": {"hash": "71d6f9c0", "dirty": True},
            "versions": {"python": "3.11.2", "torch": "2.13.0", "optuna": "5.0.0", "onnxruntime": "1.23.0"},
            "seed": 0, "device": DEVICES[self.device], "fingerprint": {"cpu": "AMD EPYC 7B13", "cores": 2},
            "plan": {}, "started": "2026-11-21T09:30:12+00:00", "seconds": 143.7, "trials": len(states),
            "failed": states.count("failed"), "skipped": states.count("skipped"), "feasible": 0, "unique": 0,
            "protocol": self.protocol(), "cache_hits": 3, "front": [], "best": None,
            "score": {"name": "naswot", "title": "NASWOT: how differently images light up",
                      "source": "Mellor et al. 2021, arXiv 2006.04647"},
            "baselines": self.baselines(),
        }  # fmt: skip

    def write(self, folder: Path) -> Path:
        folder.mkdir(parents=True, exist_ok=True)
        plan = StudyPlan(budget_ms=self.budget_ms, device=self.device, proxy="naswot", trials=len(self.records))
        (folder / "plan.yaml").write_text(plan.to_yaml())
        (folder / "run.json").write_text(json.dumps(self.run()))
        (folder / "trials.jsonl").write_text(
            "".join(Record.from_dict(record).to_json() + "\n" for record in self.records)
        )
        return folder


def write_study(
    folder: Path,
    *,
    device: str = "orin",
    kind: str = "estimated",
    trials: int = 60,
    budget_ms: float = 5.0,
    seed: int = 0,
) -> Path:
    """Write a study with some repeats, one failed and one skipped trial."""
    maker = Folder(device, kind, budget_ms, seed)
    for number in range(trials - 2):
        if number % 17 == 16:
            maker.repeat(number - 9)
        else:
            maker.add()
    maker.add(state="failed", evaluation=None, violations={}, error="CostRuleError: no rule for aten.fft_fft2")
    maker.add(state="skipped", evaluation=None, violations={}, error="predicted 31 ms, clearly over the budget")
    return maker.write(folder)


@pytest.fixture
def make_study() -> MakeStudy:
    return write_study


@pytest.fixture(scope="session")
def write_study_once() -> MakeStudy:
    """The same maker, for fixtures that outlive a test."""
    return write_study


@pytest.fixture
def study_dir(tmp_path: Path) -> Path:
    return write_study(tmp_path / "hybrid-orin-5ms")


def make_record(
    number: int,
    score: float,
    ms: float,
    half_ms: float = 0.0,
    *,
    budget_ms: float = 5.0,
    kind: str = "measured",
    **changes: Any,
) -> Record:
    """A complete record of a network that is known by its number only."""
    values = {"values": {"score": score, "latency_ms": ms}, "sources": {"latency_ms": f"{kind}:ort@cpu"}}
    fields: dict[str, Any] = {
        "number": number, "state": "complete", "digest": f"{number:012d}", "spec": None, "point": None,
        "origin": "sampled", "violations": {"latency_ms": ms + half_ms - budget_ms}, "seconds": 1.0, "seed": 0,
        "evaluation": Evaluation(**values, intervals={"latency_ms": (ms - half_ms, ms + half_ms)} if half_ms else {}),
    }  # fmt: skip
    return Record(**{**fields, **changes})


def make_value(
    *records: Record, budget_ms: float = 5.0, device: str = "cpu", facts: dict[str, Any] | None = None, **run: Any
) -> Study:
    """A study as it is in memory, without a folder."""
    plan = StudyPlan(budget_ms=budget_ms, device=device, proxy="naswot")
    return Study(
        folder=Path("studies/small"), name="small", plan=plan, run=Run(device=facts or {}, **run), trials=records
    )


@pytest.fixture
def record() -> Callable[..., Record]:
    return make_record


@pytest.fixture
def study_of() -> Callable[..., Study]:
    return make_value
