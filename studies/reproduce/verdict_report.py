"""Write the report on the papers that were run again: how many reproduce, claim by claim, and the figures.

    python studies/reproduce/verdict_report.py

Reads `outcomes.csv`, `claims.csv` and `rows/`, as `reproduce_all.py` writes them, and `remarks.csv`, where what is
likely behind an outcome is said by hand; verdicts are never written by hand. Writes `report.md` and `figures/*.svg`.
"""

import csv
from collections.abc import Iterator, Sequence
from pathlib import Path

from verdict_figures import DRAWN, verdicts

from archlab.artifacts.verdict import RANK
from archlab.figures.sheet import svg
from archlab.files import write_text

__all__ = ["main", "read"]

HERE = Path(__file__).parent
PAPERS = {
    "edgenext": "EdgeNeXt",
    "msra": "EfficientViT-MSRA",
    "mit": "EfficientViT-MIT",
    "convnext": "ConvNeXt",
}
WORDS = RANK[::-1]
_SHOWN = 40

Row = dict[str, str]


def main() -> None:
    """Write the report and the figures."""
    outcomes, claims = read(HERE / "outcomes.csv"), read(HERE / "claims.csv")
    write_text(HERE / "figures" / "verdicts.svg", svg(verdicts(_by_paper(claims), WORDS)))
    remarks = {row["artifact"]: row["remark"] for row in read(HERE / "remarks.csv")}
    drawn = _figures([row["artifact"] for row in outcomes])
    text = ["# The papers' tables and figures, run again", "", *_head(), "", *_counts(outcomes, "artifacts")]
    text += [
        "",
        *_counts(claims, "claims"),
        "",
        "![verdicts](figures/verdicts.svg)",
        "",
        "## Verdicts",
        "",
        *_verdicts(outcomes),
    ]
    for row in outcomes:
        mine = [claim for claim in claims if claim["artifact"] == row["artifact"]]
        text += ["", *_section(row, mine, remarks.get(row["artifact"], ""), row["artifact"] in drawn)]
    write_text(HERE / "report.md", "\n".join(text) + "\n")


def read(path: Path) -> list[Row]:
    """The rows of a table, none where it is not there."""
    if not path.is_file():
        return []
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def _head() -> list[str]:
    return [
        "Made by `reproduce_all.py` and `verdict_report.py`. Every verdict is computed: each claim by the",
        "rule of its check, as `archlab/artifacts/checks.py` states it, the artifact's from its claims. A",
        "contradiction weighs most, then what is missing, so one claim that needs data keeps an artifact from",
        "being called reproduced. Costs and latencies are those of the real networks at the paper's",
        "resolution; latencies are measured on the device named, batch 1 and one thread unless the row says",
        "otherwise, all networks of a table in turns. Accuracies are of small networks trained on small",
        "images: they can tell a direction and reach *reproduced in sign only* at most. A value of the paper",
        "that no accessible copy confirms is not printed.",
        "",
        "Every small network that an accuracy column needs has had one epoch, on 128 images of digits, as a",
        "smoke test (`smoke.csv`; no verdict rests on it): `archlab reproduce NAME --count-only --train",
        "--data digits --images 128 --trained DIR`. With real images, more epochs and one call per `--seed`,",
        "the same command fills the column.",
    ]


def _counts(rows: Sequence[Row], what: str) -> Iterator[str]:
    """One line per paper: how many of its artifacts or claims have each verdict."""
    yield f"| {what} | {' | '.join(WORDS)} | all |"
    yield "|---|" + "---|" * (len(WORDS) + 1)
    for prefix, paper in PAPERS.items():
        yield _count_line(paper, [row for row in rows if row["artifact"].startswith(f"{prefix}_")])
    yield _count_line("**all**", rows)


def _by_paper(rows: Sequence[Row]) -> dict[str, dict[str, int]]:
    counts: dict[str, dict[str, int]] = {paper: {} for paper in PAPERS.values()}
    for row in rows:
        words = counts[PAPERS[row["artifact"].partition("_")[0]]]
        words[row["verdict"]] = words.get(row["verdict"], 0) + 1
    return counts


def _count_line(name: str, rows: Sequence[Row]) -> str:
    numbers = [sum(row["verdict"] == word for row in rows) for word in WORDS]
    return f"| {name} | {' | '.join(str(number) for number in numbers)} | {len(rows)} |"


def _verdicts(outcomes: Sequence[Row]) -> Iterator[str]:
    yield "| artifact | verdict | because |"
    yield "|---|---|---|"
    for row in outcomes:
        yield f"| [{row['artifact']}](#{row['artifact']}) | {row['verdict']} | {_cell(row['because'])} |"


def _section(outcome: Row, claims: Sequence[Row], remark: str, is_drawn: bool) -> Iterator[str]:
    name = outcome["artifact"]
    yield f"## {name}"
    yield ""
    yield f"{outcome['source']}. Device: {outcome['device']}. **{outcome['verdict'].capitalize()}.**"
    if remark:
        yield ""
        yield remark
    yield ""
    yield "| claim | verdict | because |"
    yield "|---|---|---|"
    yield from (f"| {_cell(row['claim'])} | {row['verdict']} | {_cell(row['detail'])} |" for row in claims)
    if is_drawn:
        yield ""
        yield f"![{name}](figures/{name}.svg)"
    yield ""
    yield from _table(read(HERE / "rows" / f"{name}.csv"), name)


def _table(rows: Sequence[Row], name: str) -> Iterator[str]:
    yield "| setting | metric | paper | ours | unit | ours is |"
    yield "|---|---|---|---|---|---|"
    for row in rows[:_SHOWN]:
        ours = _number(row["ours"])
        if row["ours_low"]:
            ours += f" ({_number(row['ours_low'])}–{_number(row['ours_high'])})"
        cells = (
            row["setting"],
            row["metric"],
            _number(row["paper"]),
            ours,
            row["unit"],
            row["ours_source"] or row["lack"],
        )
        yield f"| {' | '.join(_cell(cell) for cell in cells)} |"
    if len(rows) > _SHOWN:
        yield ""
        yield f"The other {len(rows) - _SHOWN} rows stand in [rows/{name}.csv](rows/{name}.csv)."


def _figures(names: Sequence[str]) -> set[str]:
    """Draw what there is to draw; gives the names that have a figure."""
    drawn = set()
    for name in names:
        figure = DRAWN[name](read(HERE / "rows" / f"{name}.csv")) if name in DRAWN else None
        if figure is not None:
            write_text(HERE / "figures" / f"{name}.svg", svg(figure))
            drawn.add(name)
    return drawn


def _number(text: str) -> str:
    try:
        value = float(text)
    except ValueError:
        return text or "–"
    return f"{value:.4g}"


def _cell(text: str) -> str:
    return text.replace("|", "\\|") or "–"


if __name__ == "__main__":
    main()
