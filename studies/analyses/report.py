"""Write studies/analyses/report.md and its figures from the rows that analyse.py found; every verdict from the rows.

python studies/analyses/report.py        (from the root of the repository)
"""

import itertools
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from archlab import figures
from archlab.analysis.intervals import of_repeats, share_text
from archlab.figures import Line, LinePoint, draw_lines

HERE = Path("studies/analyses")
TRIO = {"msra_mhsa": "plain attention", "msra_split": "split features", "msra_cascade": "cascade"}
FIG2 = {"deit": ("DeiT-T", 32.2), "swin": ("Swin-T", 44.9)}
"""Network → what the paper analyses, and its memory-bound share (%) by a secondary summary."""
VALUES = ["similarity", "low", "high", "flatness"]
INTRO = """# Analyses of the trained networks

What the analyses of EfficientViT (MSRA, arXiv 2305.07027, figs. 2 and 4) say of small networks trained on CIFAR-10 at
32 px (`studies/trained`): a DeiT and a Swin of the depth of DeiT-T and Swin-T made narrow, and M0 with plain attention,
with split features and with the cascade. They have minutes of training, not 300 epochs on ImageNet, and maps of few
positions: the verdicts are about these networks.

Commands: `python studies/analyses/analyse.py heads --data cifar10.npz`, `python studies/analyses/analyse.py memory`,
`python studies/analyses/report.py`. Every sentence that an analysis said is in `findings.csv`.
"""
HEADS = """## How alike heads are (fig. 4)

Cosine similarity of a head's map to the nearest other head's. `mean`: averaged over the heads, as the paper; `max`: of
any two heads. On {images} held-out images; intervals of 95 % over the images. Flatness is the similarity to a flat map.

| network | seed | formula | all blocks | last third less first third | most alike block | its flatness |
|---|---|---|---|---|---|---|"""
MEMORY = """## Memory-bound time (fig. 2)

Share of the time in operators that move data, on one thread of a CPU, batch {batch}; intervals of 95 % over five
repeats of the profile. Variants have as many layers as the network, fewer of which attend; weights do not move times.

| network | attention layers | runtime | memory-bound | ms |
|---|---|---|---|---|"""
BESIDE = (
    "A secondary summary of the paper's figure has {printed} % for {name} on a GPU; ours is a narrow network on a CPU, "
    "so only the size of the number compares."
)


def main() -> None:
    """Write the report and both figures."""
    heads, memory = (pd.read_csv(HERE / f"{name}.csv") for name in ("head_similarity", "memory_bound"))
    text = [INTRO, _heads(heads), _late(heads), _splitting(heads), _memory(memory)]
    (HERE / "report.md").write_text("\n".join(text), encoding="utf-8")
    _write("head_similarity", _head_figure(heads))
    _write("memory_bound", _memory_figure(memory))


def _heads(rows: pd.DataFrame) -> str:
    lines = [HEADS.format(images=rows.images.max())]
    for (net, seed, formula), own in _groups(rows, ["net", "seed", "formula"]):
        top = max(_records(own), key=lambda row: row["similarity"])
        most = f"{top['block']} of {len(own)} ({top['similarity']:.3f}) | {top['flatness']:.3f}"
        lines.append(
            f"| {net} | {seed} | {formula} | {_ends(own, 'all_blocks', 'all')} | "
            f"{_ends(own, 'late_less_early', 'late')} | {most} |"
        )
    return "\n".join([*lines, "", "![similarity of heads by block](head_similarity.svg)", ""])


def _late(rows: pd.DataFrame) -> str:
    """Claim: the heads of late blocks are the most alike. Judged over seeds; over images where there is one seed."""
    text = ["### Verdict: are late blocks the most alike?\n"]
    for net in ("swin", "deit"):
        own = _mean(rows, net)
        if not len(own):
            text.append(f"- {net}: *needs compute* (not trained).")
            continue
        first = own.groupby("seed").first()
        ups = int((first.late_low > 0).sum())
        low, high = first.late_low.iloc[0], first.late_high.iloc[0]
        if len(first) > 1:
            _, low, high = of_repeats(np.array(list(first.late_less_early)))
        blocks = own.groupby("block")[["flatness", "similarity"]].mean()
        third = max(1, len(blocks) // 3)
        early, later = blocks.iloc[:third].mean(), blocks.iloc[-third:].mean()
        seeds = f"{len(first)} seed{'s' if len(first) > 1 else ''}"
        word = "yes" if low > 0 else "no, the other way round" if high < 0 else "not settled"
        text.append(
            f"- {net}, {seeds}: **{word}**; last third less first third {_over_seeds(first.late_less_early)}, above 0 "
            f"beyond its interval over images in {ups} of {len(first)}. From the first third to the last, flatness "
            f"goes from {early.flatness:.3f} to {later.flatness:.3f}, and what similarity there is beyond it from "
            f"{early.similarity - early.flatness:.3f} to {later.similarity - later.flatness:.3f}."
        )
    return "\n".join([*text, ""])


def _splitting(rows: pd.DataFrame) -> str:
    """Claim: heads that see a split of the features are less alike."""
    text = ["### Verdict: does splitting the features lower the similarity?\n"]
    by_net = {net: _mean(rows, net).groupby("seed").first() for net in TRIO}
    text += [
        f"- {what}: {_over_seeds(by_net[net].all_blocks)}; flatness {_mean(rows, net).flatness.mean():.3f}, beyond it "
        f"{(_mean(rows, net).similarity - _mean(rows, net).flatness).mean():+.3f}"
        if len(by_net[net])
        else f"- {what}: *needs compute* (not trained)"
        for net, what in TRIO.items()
    ]
    plain = by_net["msra_mhsa"]
    for net in ("msra_split", "msra_cascade"):
        seeds = plain.index.intersection(by_net[net].index)
        if not len(seeds):
            continue
        gaps = by_net[net].all_blocks[seeds] - plain.all_blocks[seeds]
        _, low, high = of_repeats(np.array(list(gaps)))
        apart = (by_net[net].all_high[seeds] < plain.all_low[seeds]).sum()
        word = "not settled" if not high < 0 and not low > 0 else "yes" if high < 0 else "no, higher"
        word = f"one seed only, {'lower' if apart else 'not lower'}" if len(seeds) < 2 else word
        text.append(
            f"- {TRIO[net]} less plain attention, {len(seeds)} seed{'s' if len(seeds) > 1 else ''}: "
            f"{_over_seeds(gaps)}; below it beyond the intervals over images in {apart} of {len(seeds)}: **{word}**."
        )
    return "\n".join([*text, ""])


def _memory(rows: pd.DataFrame) -> str:
    own = _totals(rows)
    lines = [MEMORY.format(batch=own.batch.iloc[0])]
    for row in _records(own):
        lines.append(
            f"| {row['net']} | {row['attention_share']:.0%} | {row['runtime']} | {_share(row)} | {row['ms']:.1f} |"
        )
    lines += ["", "![memory-bound share by share of attention](memory_bound.svg)", ""]
    lines.append("### Verdict: is much of the time memory-bound, and less with less attention?\n")
    for net, (name, printed) in FIG2.items():
        for runtime, some in _groups(own[own.net == net], ["runtime"]):
            steps = _records(some.sort_values("attention_share", ascending=False))
            falls = all(b["memory_high"] < a["memory_low"] for a, b in itertools.pairwise(steps))
            word = "falls at each step beyond the intervals" if falls else "does not fall at each step"
            first, last = (100 * steps[i]["memory_share"] for i in (0, -1))
            beside = BESIDE.format(printed=printed, name=name)
            lines.append(f"- {net}, {runtime[0]}: **{word}**, from {first:.1f} % to {last:.1f} %. {beside}")
    return "\n".join([*lines, ""])


def _records(rows: pd.DataFrame) -> list[dict[str, Any]]:
    found: Any = rows.to_dict("records")
    return list(found)


def _totals(rows: pd.DataFrame) -> pd.DataFrame:
    """One row per network, share of attention and runtime."""
    keys = ["net", "attention_share", "runtime"]
    first = rows.groupby(keys, sort=False).first()
    return first.assign(ms=rows.groupby(keys, sort=False).ms.sum()).reset_index()


def _mean(rows: pd.DataFrame, net: str) -> pd.DataFrame:
    return rows[(rows.net == net) & (rows.formula == "mean")]


def _groups(rows: pd.DataFrame, keys: Sequence[str]) -> list[tuple[Any, pd.DataFrame]]:
    return [(key, own) for key, own in rows.groupby(list(keys), sort=False)]


def _ends(rows: pd.DataFrame, column: str, ends: str) -> str:
    row: Any = rows.iloc[0]
    return f"{row[column]:.3f} ({row[f'{ends}_low']:.3f} to {row[f'{ends}_high']:.3f})"


def _share(row: dict[str, Any]) -> str:
    return share_text((row["memory_share"], row["memory_low"], row["memory_high"]))


def _over_seeds(values: "pd.Series[float]") -> str:
    """Mean over the seeds with Student's interval, where there are two or more."""
    mean, low, high = of_repeats(np.array(list(values)))
    return f"{mean:+.3f}" if np.isnan(low) else f"{mean:+.3f} ({low:+.3f} to {high:+.3f} over seeds)"


def _head_figure(rows: pd.DataFrame) -> Any:
    lines = []
    for net in dict.fromkeys(rows.net):
        blocks = _records(_mean(rows, net).groupby("block")[VALUES].mean().reset_index())
        points = tuple(LinePoint(x=r["block"], y=r["similarity"], low=r["low"], high=r["high"]) for r in blocks)
        lines.append(Line(label=str(net), points=points))
        if net in FIG2:
            flat = tuple(LinePoint(x=r["block"], y=r["flatness"]) for r in blocks)
            lines.append(Line(label=f"{net}: flat map", points=flat, is_dashed=True))
    title = "Similarity of a head to its nearest, means over seeds, bars over images"
    return draw_lines(lines, title=title, x_title="attention block", y_title="cosine similarity (mean over heads)")


def _memory_figure(rows: pd.DataFrame) -> Any:
    lines = []
    for (net, runtime), own in _groups(_totals(rows), ["net", "runtime"]):
        if net in FIG2:
            points = [
                LinePoint(x=100 * r["attention_share"], y=100 * r["memory_share"], low=100 * r["memory_low"],
                          high=100 * r["memory_high"])
                for r in _records(own.sort_values("attention_share"))
            ]  # fmt: skip
            lines.append(Line(label=f"{net}, {runtime}", points=tuple(points)))
    title = "Memory-bound share of the time and share of attention"
    return draw_lines(lines, title=title, x_title="attention among the layers (%)", y_title="memory-bound (%)")


def _write(name: str, figure: Any) -> None:
    (HERE / f"{name}.svg").write_text(figures.svg(figure), encoding="utf-8")


if __name__ == "__main__":
    main()
