"""Studies as one self-contained page: everything inlined, nothing fetched, every text escaped."""

import dataclasses
from collections.abc import Mapping, Sequence

import jinja2
from markupsafe import Markup
from plotly.offline import get_plotlyjs

from archlab import figures
from archlab import format as fmt
from archlab.reports import charts, comparison, findings, headline, picture, protocol, rows, sources
from archlab.reports.anatomy import Anatomy
from archlab.reports.study_files import Study, latency_source

__all__ = ["render"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class _Section:
    """One study, ready for the template."""

    key: str
    study: Study
    title: str
    lead: str
    trust: str
    how: str
    facts: tuple[tuple[str, str], ...]
    cards: tuple[headline.Card, ...]
    front: tuple[rows.FrontRow, ...]
    ties: str
    again: str
    published: tuple[rows.PublishedRow, ...]
    anatomy: Anatomy | None
    no_anatomy: str
    box: str
    groups: tuple[protocol.Group, ...]
    causes: tuple[protocol.Cause, ...]
    corner: str


@dataclasses.dataclass(frozen=True, kw_only=True)
class _Panel:
    """One pair of axes of a comparison, ready for the template."""

    key: str
    panel: comparison.Panel
    corner: str


def render(studies: Sequence[Study], anatomies: Mapping[str, Anatomy | str]) -> str:
    """Write the page of one study, or of several with a comparison on top.

    Args:
        studies: One or more studies.
        anatomies: Name of the study → its best network taken apart, or the reason why there is none to show.
    """
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("archlab.reports"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(count=fmt.count, percent=fmt.percent)
    sections = [_section(f"s{i}", study, anatomies[study.name]) for i, study in enumerate(studies, start=1)]
    grouped = comparison.panels(studies) if len(studies) > 1 else ()
    panels = [_Panel(key=f"c{i}", panel=panel, corner=_corner(panel.reference)) for i, panel in enumerate(grouped, 1)]
    loaded = environment.loader
    assert loaded is not None
    return environment.get_template("page.html.j2").render(
        title=sections[0].title if len(sections) == 1 else f"{len(sections)} studies compared",
        sections=sections,
        panels=panels,
        charts=_charts(sections, panels),
        css=Markup(loaded.get_source(environment, "page.css")[0]),
        js=Markup(loaded.get_source(environment, "page.js")[0]),
        plotly=Markup(get_plotlyjs()),
    )


def _section(key: str, study: Study, anatomy: Anatomy | str) -> _Section:
    kinds = sources.kinds(latency_source(trial) for trial in findings.distinct(study.trials))
    return _Section(
        key=key,
        study=study,
        title=headline.title(study),
        lead=headline.lead(study),
        trust=headline.trusted(study),
        how=" and ".join(sorted(kinds, reverse=True)) or "unknown",
        facts=headline.facts(study),
        cards=headline.cards(study),
        front=rows.front_rows(study),
        ties=rows.tie_words(study),
        again=findings.confirmed_words(study),
        published=rows.published_rows(study),
        anatomy=None if isinstance(anatomy, str) else anatomy,
        no_anatomy=anatomy if isinstance(anatomy, str) else "",
        box=protocol.heading(study),
        groups=protocol.groups(study),
        causes=protocol.causes(study),
        corner=_corner(findings.reference([study])),
    )


def _charts(sections: Sequence[_Section], panels: Sequence[_Panel]) -> dict[str, Markup]:
    """Every chart of the page by the id of its place; `*-still` are pictures for paper and for pages without JS."""
    made: dict[str, Markup] = {}
    for section in sections:
        made |= _of_studies(section.key, [section.study])
    for panel in panels:
        made |= _of_studies(panel.key, panel.panel.studies)
    return made


def _of_studies(key: str, studies: Sequence[Study]) -> dict[str, Markup]:
    drawn, dots = picture.picture(studies), picture.dots(studies)
    made = {f"{key}-front": _script_json(charts.front_chart(drawn, dots))}
    still = figures.svg(figures.draw_front(drawn, width_in=9, height_in=5))
    made[f"{key}-still"] = Markup(still[still.index("<svg") :])
    corner = findings.reference(studies)
    if corner is not None and any(findings.front(study) for study in studies):
        runs = [(study.name, findings.progress(study, corner)) for study in studies]
        best, volume = charts.progress_charts(runs, studies[0].score_title)
        made |= {f"{key}-best": _script_json(best), f"{key}-volume": _script_json(volume)}
    return made


def _corner(corner: tuple[float, float] | None) -> str:
    return "" if corner is None else f"score {fmt.number(corner[0], 4)}, latency {corner[1]:g} ms"


def _script_json(text: str) -> Markup:
    """Make JSON safe inside a script element: no tag can begin in it."""
    return Markup(text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026"))
