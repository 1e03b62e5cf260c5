"""EdgeNeXt's ablations: the real variants are what the tables say, the small ones their likeness."""

import pytest

from archlab.artifacts import ARTIFACTS, edgenext_table7, edgenext_table8, edgenext_table9, edgenext_table10
from archlab.artifacts.artifact import Outcome, reproduce
from archlab.artifacts.bench import Bench
from archlab.artifacts.edgenext_ablation import real_of
from archlab.artifacts.rows import NEEDS_COMPUTE
from archlab.artifacts.trained import Trained
from archlab.artifacts.verdict import IN_SIGN, NEEDS_MEANS, NOT_REPRODUCED
from archlab.families import published
from archlab.spec import ArchSpec

TABLES = {
    "edgenext_table7": edgenext_table7,
    "edgenext_table8": edgenext_table8,
    "edgenext_table9": edgenext_table9,
    "edgenext_table10": edgenext_table10,
}


def layout(spec: ArchSpec) -> str:
    """One letter per encoder: c convolution, S SDTA; stages apart."""
    return " ".join("".join("S" if b.kind == "sdta" else "c" for b in stage.blocks) for stage in spec.stages)


@pytest.mark.parametrize(
    ("table", "setting", "expected"),
    [
        ("edgenext_table7", "EdgeNeXt-S", "ccc ccS ccccccccS ccS"),
        ("edgenext_table7", "without SDTA encoders", "ccc ccc ccccccccc ccc"),
        ("edgenext_table8", "SDTA in all blocks of the last stage", "ccc ccc ccccccccc SSS"),
        ("edgenext_table8", "SDTA in all blocks of the last two stages", "ccc ccc SSSSSSSSS SSS"),
        ("edgenext_table9", "in stages 3 and 4", "ccc ccc ccccccccS ccS"),
        ("edgenext_table9", "in every stage", "ccS ccS ccccccccS ccS"),
        ("edgenext_table10", "at the start of the stage", "ccc Scc Scccccccc Scc"),
    ],
)
def test_the_real_variants(table: str, setting: str, expected: str) -> None:
    assert layout(real_of(TABLES[table].SETTINGS[setting])) == expected


def test_kernels_and_splits_of_table_7() -> None:
    settings = edgenext_table7.SETTINGS
    seven = real_of(settings["without SDTA and with kernel 7 everywhere"])
    assert {block.kernels for stage in seven.stages for block in stage.blocks} == {(7,)}
    fixed = real_of(settings["with fixed splits and without positional encoding"])
    sdta = [block for stage in fixed.stages for block in stage.blocks if block.kind == "sdta"]
    assert [(block.splits, block.position) for block in sdta] == [(4, None)] * 3


def test_the_adopted_design_is_edgenext_small() -> None:
    assert real_of({}) == published("edgenext_small").spec


def test_the_small_variants_are_alike() -> None:
    small = ARTIFACTS["edgenext_table8"].small
    assert layout(small["SDTA in all blocks of the last two stages"]) == "cc cc SSSSSS SS"
    assert layout(small["one SDTA at the end of stages 2 to 4 (adopted)"]) == "cc cS cccccS cS"
    for table in TABLES:
        for spec in ARTIFACTS[table].small.values():
            assert (spec.resolution, spec.widths) == (64, (24, 48, 88, 168))


def trained(table: str, means: dict[str, float]) -> tuple[Trained, ...]:
    """Three seeds of every setting, ±0.1 about the mean."""
    small = ARTIFACTS[table].small
    return tuple(
        Trained(
            net=setting,
            digest=small[setting].replace(classes=50).digest,
            data="tiny50",
            resolution=64,
            epochs=30,
            seed=seed,
            top1=mean + 0.1 * (seed - 1),
        )
        for setting, mean in means.items()
        for seed in range(3)
    )


def judged(table: str, means: dict[str, float]) -> Outcome:
    return reproduce(ARTIFACTS[table], Bench(trained=trained(table, means)))


def test_table_7() -> None:
    base, plain, seven = "EdgeNeXt-S", "without SDTA encoders", "without SDTA and with kernel 7 everywhere"
    assert judged("edgenext_table7", {base: 61.1, plain: 60.0, seven: 59.0}).verdict == IN_SIGN
    assert judged("edgenext_table7", {base: 61.1, plain: 60.0, seven: 61.0}).verdict == NOT_REPRODUCED
    assert judged("edgenext_table7", {base: 61.1, plain: 60.0}).verdict == NEEDS_COMPUTE
    assert judged("edgenext_table7", {}).because == "networks trained at small scale"


def test_table_8_also_judges_the_latency() -> None:
    last, both, adopted = ARTIFACTS["edgenext_table8"].small
    outcome = judged("edgenext_table8", {last: 60.0, both: 62.0, adopted: 61.0})
    assert [finding.verdict for finding in outcome.findings] == [IN_SIGN, IN_SIGN, NEEDS_MEANS, NEEDS_MEANS]


def test_table_9_and_10() -> None:
    adopted, every = "in stages 2, 3 and 4 (adopted)", "in every stage"
    assert judged("edgenext_table9", {adopted: 61.0, every: 60.5}).verdict == IN_SIGN
    assert judged("edgenext_table9", {adopted: 61.0, every: 62.0}).verdict == NOT_REPRODUCED
    start, end = ARTIFACTS["edgenext_table10"].small
    assert judged("edgenext_table10", {start: 60.0, end: 61.0}).verdict == IN_SIGN
    assert judged("edgenext_table10", {start: 61.0, end: 60.0}).verdict == NOT_REPRODUCED


def test_no_value_of_the_paper_stands_in_the_unconfirmed_tables() -> None:
    for table in TABLES:
        rows = reproduce(ARTIFACTS[table], Bench()).rows
        assert all(row.paper is None for row in rows if row.metric in ("top1", "latency"))


def test_accuracies_of_small_networks_say_so() -> None:
    outcome = judged("edgenext_table10", dict.fromkeys(ARTIFACTS["edgenext_table10"].small, 60.0))
    scores = [row for row in outcome.rows if row.metric == "top1"]
    assert all(row.is_small_scale and row.ours_source.startswith("trained: tiny50 at 64 px") for row in scores)
