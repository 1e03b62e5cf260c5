"""How did the numbers come about? The facts that a reader needs before trusting a front, group by group.

Facts that the study does not hold are left out, not guessed.
"""

import dataclasses
import re
import shlex
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

from archlab import format as fmt
from archlab.reports import findings, sources
from archlab.reports.study_files import Study, latency_source
from archlab.study.anchor import ANCHOR, spread_share, steady_ms
from archlab.study.trust import trust

__all__ = ["Cause", "Group", "causes", "groups", "heading", "held_out_words"]

_KNOWN = {"kind", "lines", "runtime", "precision", "batch", "threads", "predictor", "held_out", "points"}
_UNTOLD = {"name", "title", "kind", "notes", "source", "calibration", "reach", "precision", "backends"}
"""Facts of a device that stand elsewhere on the page, or that speak of how the catalog came about."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Group:
    """A heading and its facts as `(name, text)`."""

    title: str
    facts: tuple[tuple[str, str], ...]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Cause:
    """Why some trials gave no result: one example of the text, and how many share it."""

    state: str
    text: str
    times: int


def heading(study: Study) -> str:
    """Say what the box tells: how it was measured, or how it was estimated."""
    kinds = sources.kinds(latency_source(trial) for trial in findings.distinct(study.trials))
    words = kinds or ((str(study.run.protocol["kind"]),) if study.run.protocol.get("kind") else ("done",))
    return f"How it was {' and '.join(sorted(words, reverse=True))}"


def groups(study: Study) -> tuple[Group, ...]:
    """Collect the facts of the box."""
    made = [
        Group(title="Latency", facts=tuple(_latency(study))),
        Group(title="Score", facts=tuple(_score(study))),
        Group(title="Search", facts=tuple(_search(study))),
        Group(title="Run", facts=tuple(_run(study))),
    ]
    return tuple(group for group in made if group.facts)


def held_out_words(held_out: Mapping[str, Any] | None) -> str:
    """Say how wrong the predictor is on models it was not fitted on."""
    if not held_out:
        return "not known"
    parts = []
    if held_out.get("mean_abs_pct") is not None:
        parts.append(f"{fmt.number(held_out['mean_abs_pct'])} % mean absolute error")
    if held_out.get("within_10_share") is not None:
        parts.append(f"{fmt.percent(held_out['within_10_share'])} of the points within 10 %")
    if held_out.get("kendall_tau") is not None:
        parts.append(f"Kendall's τ {fmt.number(held_out['kendall_tau'], 2)}")
    if held_out.get("coverage") is not None:
        parts.append(f"{fmt.percent(held_out['coverage'])} of the points inside their interval")
    families = held_out.get("families")
    names = f" ({', '.join(families)})" if isinstance(families, list) else ""
    size = len(families) if isinstance(families, list) else families
    basis = f"over {held_out.get('points', 'an unknown number of')} points"
    return f"{', '.join(parts)}, {basis}" + (f" of {size} families{names}, each left out in turn" if size else "")


def causes(study: Study) -> tuple[Cause, ...]:
    """Group the failed and skipped trials by cause, texts that differ only in their numbers together."""
    lost = [trial for trial in study.trials if trial.state != "complete"]
    keys = [(trial.state, re.sub(r"\d[\d.,]*", "#", trial.error or "no reason given")) for trial in lost]
    example = dict(zip(reversed(keys), (trial.error or "no reason given" for trial in reversed(lost)), strict=True))
    counted = Counter(keys).most_common()
    return tuple(Cause(state=key[0], text=example[key], times=times) for key, times in counted)


def _latency(study: Study) -> Iterator[tuple[str, str]]:
    protocol = study.run.protocol
    device = study.plan.device
    yield "device", f"{device} ({study.device_title})" if study.device_title != device else device
    found = sorted({sources.parse(latency_source(trial)).words for trial in findings.distinct(study.trials)})
    if found:
        yield "latency is", "; ".join(found)
    for key in ("runtime", "precision", "batch", "threads"):
        if protocol.get(key) is not None:
            yield key, str(protocol[key])
    if protocol.get("predictor"):
        yield "predictor", str(protocol["predictor"])
        yield "held-out error", held_out_words(protocol.get("held_out"))
    for place, line in enumerate(protocol.get("lines") or ()):
        yield "" if place else "procedure", str(line)
    for key in sorted(protocol.keys() - _KNOWN):
        if isinstance(protocol[key], str | int | float):
            yield key.replace("_", " "), _plain(protocol[key])
    yield from _anchor(study)
    yield "budget", f"{study.plan.budget_ms:g} ms, applied at the upper end of the latency's interval"


def _anchor(study: Study) -> Iterator[tuple[str, str]]:
    """The anchor's readings, and the windows in which the device was not what it was."""
    if not study.anchor:
        return
    times = [reading.ms for reading in study.anchor]
    yield (
        "anchor",
        (
            f"{ANCHOR}, measured {len(times)} times through the search: "
            f"{fmt.interval((min(times), max(times)))}; spread between measurements taken as "
            f"{100 * spread_share(steady_ms(study.anchor)):.1f} % (standard deviation)"
        ),
    )
    for reading in study.anchor:
        if not reading.is_steady:
            window = "those measured since the reading before may be off by as much"
            yield "drift", f"{100 * reading.drift:+.1f} % after {reading.after} networks: {window}"
    again = findings.confirmed_words(study)
    if again:
        yield "second measurement", again


def _score(study: Study) -> Iterator[tuple[str, str]]:
    score = study.run.score
    yield "accuracy score", score.title or score.name if score else study.plan.proxy
    if score:
        yield "called", f"{score.name} (archlab search --proxy {score.name})"
    if score and score.source:
        yield "source", score.source
    found = trust(study.plan, study.trials)
    yield "rank correlation", found.correlation_words()
    if found.networks:
        yield "cost", found.cost_words()
    yield "caution", "higher is better; a score is a hint which network learns better, and no accuracy"


def _search(study: Study) -> Iterator[tuple[str, str]]:
    states = Counter(trial.state for trial in study.trials)
    networks = findings.distinct(study.trials)
    feasible = sum(trial.is_feasible for trial in networks)
    repeats = sum(trial.is_repeat for trial in study.trials)
    yield "space", study.plan.space
    yield "sampler", f"{study.plan.sampler}, seed {study.plan.seed}"
    yield "trials", f"{len(study.trials)}, of which {states['complete']} complete"
    yield "distinct networks", str(len(networks))
    if repeats:
        yield "repeats", f"{repeats}, told again without an evaluation"
    share = fmt.percent(feasible / len(networks)) if networks else fmt.DASH
    yield "within the budget", f"{feasible} distinct networks, {share}"
    yield "skipped", str(states["skipped"])
    yield "failed", str(states["failed"])
    noisy = Counter(trial.evaluation.quality for trial in networks if trial.evaluation and trial.evaluation.quality)
    if noisy:
        yield "quality", ", ".join(f"{times} {word}" for word, times in noisy.most_common())
    if study.run.cache_hits is not None and study.run.protocol.get("kind") == "measured":
        yield "answers from the cache", str(study.run.cache_hits)


def _run(study: Study) -> Iterator[tuple[str, str]]:
    run = study.run
    if run.started:
        yield "started", run.started
    if study.seconds is not None:
        yield "took", fmt.duration(study.seconds)
    if run.argv:
        yield "command", shlex.join(run.argv)
    if run.git and run.git.get("hash"):
        yield "git", f"{run.git['hash']}{' with local changes' if run.git.get('dirty') else ''}"
    versions = {"archlab": run.version, **run.versions}
    known = [f"{name} {version}" for name, version in versions.items() if version]
    if known:
        yield "versions", ", ".join(known)
    for title, facts in (("device facts", study.device_row), ("search ran on", run.fingerprint)):
        text = "; ".join(f"{key.replace('_', ' ')} {_plain(facts[key])}" for key in facts if _is_told(key, facts[key]))
        if text:
            yield title, text


def _is_told(key: str, value: object) -> bool:
    return key not in _UNTOLD and value not in (None, "", [], {}) and not isinstance(value, dict)


def _plain(value: object) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
