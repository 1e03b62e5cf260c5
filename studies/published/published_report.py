"""Make the tables and the figure of `report.md` from `predictions.csv`.

    python studies/published/published_report.py

Kendall's tau is taken over pairs whose accuracies are at least 0.2 points apart; "equal cost" are those whose
multiply-adds (timm's count) are within a factor 1.5. Intervals are 95 % percentile bootstraps over families.
"""

import csv
import io
from pathlib import Path

import numpy as np
import numpy.typing as npt
from matplotlib.figure import Figure

from archlab import figures
from archlab.figures.sheet import sheet, tidy
from archlab.files import write_text
from archlab.proxy.ranking import Floats, Mask, again, near, tau

HERE = Path(__file__).parent
SMALL_MACS = 1.3e9
GAP, COST = 0.2, 1.5
OURS = ("convnext", "edgenext", "efficientvit_mit", "efficientvit_msra")
WAYS = {
    "params": "parameters",
    "macs": "multiply-adds",
    "activations": "activations",
    "boosting": "gradient boosting on operator counts",
    "boosting_recipe": "the same, with the recipe",
    "unknown": "published, learnt without recipes",
    "usual": "published, asked for one recipe",
    "trees": "its trees alone, with the recipe",
    "smooth": "its Gaussian process alone, with the recipe",
    "published": "published, with the recipe",
    "perfect": "the accuracy itself, moved to one recipe by what the fit says",
}
COUNTS = ("params", "macs", "activations")


def main() -> None:
    """Read, count, write."""
    columns, numbers = _read("predictions.csv")
    write_text(HERE / "summary.csv", _summary(columns, numbers))
    write_text(HERE / "summary_five_folds.csv", _summary(*_read("predictions_five_folds.csv")))
    write_text(HERE / "families.csv", _families(columns["family"], numbers))
    write_text(HERE / "intervals.csv", _intervals(columns["family"], numbers))
    write_text(HERE / "published.svg", figures.svg(_drawn(numbers)))


def _read(name: str) -> tuple[dict[str, npt.NDArray[np.str_]], dict[str, Floats]]:
    """All columns as text, and those that are numbers; `perfect` is the accuracy moved to the usual recipe."""
    with (HERE / name).open(newline="") as file:
        rows = list(csv.DictReader(file))
    columns = {name: np.array([row[name] for row in rows]) for name in rows[0]}
    texts = {"model", "side", "tag", "family", "recipe"}
    numbers = {name: values.astype(np.float64) for name, values in columns.items() if name not in texts}
    numbers["perfect"] = numbers["top1"] + numbers["usual"] - numbers["published"]
    return columns, numbers


def pairs(macs: Floats, mask: Mask, recipe: npt.NDArray[np.str_] | None = None) -> Mask:
    """Pairs of equal cost within a mask, `(networks, networks)`; of the same recipe, if recipes are given."""
    is_in = near(macs, COST) & mask[:, None] & mask[None, :]
    return is_in if recipe is None else is_in & (recipe[:, None] == recipe[None, :])


def _summary(columns: dict[str, npt.NDArray[np.str_]], numbers: dict[str, Floats]) -> str:
    macs, top1 = numbers["macs"], numbers["top1"]
    everything, small = np.ones(len(top1), np.bool_), macs < SMALL_MACS
    is_miniature = np.char.startswith(columns["model"], "test_")
    ours = np.isin(columns["family"], OURS)
    sets = {
        "all": (everything, None),
        "under 1.3 GMACs": (small, None),
        "same recipe": (everything, columns["recipe"]),
        "same recipe, under 1.3 GMACs": (small, columns["recipe"]),
        "without timm's test miniatures": (~is_miniature, None),
        "four families": (ours, None),
    }
    times = again(len(top1), groups=columns["family"])
    never = times[:0]
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["set", "way", "networks", "pairs", "tau", "tau_low", "tau_high", "mean_error"])
    for name, (mask, recipe) in sets.items():
        asked = pairs(macs, mask, recipe)
        for way, title in WAYS.items():
            drawn = never if name == "four families" else times
            found = tau(numbers[way], top1, gap=GAP, pairs=asked, times_RN=drawn)
            bounds = ["" if np.isnan(value) else f"{value:.3f}" for value in (found.low, found.high)]
            error = "" if way in (*COUNTS, "perfect") else f"{np.abs(numbers[way] - top1)[mask].mean():.3f}"
            writer.writerow([name, title, mask.sum(), found.pairs, f"{found.value:.3f}", *bounds, error])
    return text.getvalue()


def _families(family: npt.NDArray[np.str_], numbers: dict[str, Floats]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["family", "networks", "bias", "mean_error", "in_interval", "pairs", "tau"])
    error, is_in = numbers["published"] - numbers["top1"], _held(numbers)
    names, counts = np.unique(family, return_counts=True)
    for name, count in sorted(zip(names, counts, strict=True), key=lambda pair: (-pair[1], pair[0])):
        mask = family == name
        asked = pairs(numbers["macs"][mask], mask[mask])
        nothing = again(int(count), number=0)
        found = tau(numbers["published"][mask], numbers["top1"][mask], gap=GAP, pairs=asked, times_RN=nothing)
        rank = f"{found.value:.3f}" if found.pairs else ""
        means = [error[mask].mean(), np.abs(error[mask]).mean(), is_in[mask].mean()]
        writer.writerow([name, count, *(f"{value:.3f}" for value in means), found.pairs, rank])
    return text.getvalue()


def _held(numbers: dict[str, Floats]) -> Mask:
    held: Mask = (numbers["low"] <= numbers["top1"]) & (numbers["top1"] <= numbers["high"])
    return held


def _intervals(family: npt.NDArray[np.str_], numbers: dict[str, Floats]) -> str:
    odd = numbers["is_extrapolated"] > 0
    small = numbers["macs"] < SMALL_MACS
    sets = {"all": np.ones(len(odd), np.bool_), "under 1.3 GMACs": small, "ordinary": ~odd, "extrapolated": odd}
    sets["four families"] = np.isin(family, OURS)
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["set", "networks", "in_interval", "median_width", "mean_error"])
    for name, mask in sets.items():
        width = (numbers["high"] - numbers["low"])[mask]
        error = np.abs(numbers["published"] - numbers["top1"])[mask]
        values = [_held(numbers)[mask].mean(), np.median(width), error.mean()]
        writer.writerow([name, mask.sum(), *(f"{value:.3f}" for value in values)])
    return text.getvalue()


def _drawn(numbers: dict[str, Floats]) -> Figure:
    figure = sheet(6.4, 6.0)
    axes = figure.add_subplot()
    low, high = (
        np.maximum(numbers["published"] - numbers["low"], 0),
        np.maximum(numbers["high"] - numbers["published"], 0),
    )
    axes.errorbar(
        numbers["top1"], numbers["published"], yerr=[low, high], fmt="none", ecolor="0.85", elinewidth=0.6, zorder=1
    )
    odd = numbers["is_extrapolated"] > 0
    for mask, label, colour in ((~odd, "ordinary", "tab:blue"), (odd, "extrapolated", "tab:orange")):
        axes.scatter(numbers["top1"][mask], numbers["published"][mask], s=8, color=colour, label=label, zorder=2)
    ends = [float(numbers["top1"].min()), float(numbers["top1"].max())]
    axes.plot(ends, ends, color="0.4", linewidth=0.8)
    axes.legend(frameon=False)
    tidy(axes, "published top-1 (%)", "predicted, family left out (%)")
    return figure


if __name__ == "__main__":
    main()
