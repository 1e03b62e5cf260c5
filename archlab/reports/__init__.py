"""Studies for people: tables, one page per study, and studies side by side.

written = reports.write("studies/hybrid-orin-5ms")          # report.html, front.csv, front.svg in that folder
written = reports.write("studies/a", "studies/b")           # one page with both, in the first folder
"""

import dataclasses
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

from archlab import figures
from archlab.cost.count import count
from archlab.cost.rows import OpTrace
from archlab.cost.trace import trace
from archlab.device.catalog import DEVICES
from archlab.errors import ArchlabError, PlanError, four_parts
from archlab.files import write_text
from archlab.latency import PREDICTORS, Roofline
from archlab.reports import comparison, headline, html, picture, sources, tables
from archlab.reports.anatomy import Anatomy, dissect
from archlab.reports.study_files import Study, latency_source, read
from archlab.study import result

__all__ = ["Written", "read", "take_apart", "write"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Written:
    """The files of a report."""

    report: Path
    figures: tuple[Path, ...]
    front_csv: Path


def write(*folders: Path | str, out: Path | str | None = None) -> Written:
    """Write the report of one study, or one report of several with a comparison on top.

    Every folder gets its own ``front.csv`` and ``front.svg``. Several studies also get ``comparison.csv`` and one
    ``comparison-N.svg`` for each pair of axes: studies of different devices, runtimes or precisions never share one.

    Args:
        folders: Study folders.
        out: Where ``report.html`` and the comparison go; without it the first folder.

    Raises:
        StudyError: When a folder is damaged.
        StorageFullError: When nothing more can be written; older files stay whole.
    """
    studies = _read_all(folders)
    target = Path(out) if out is not None else studies[0].folder
    page = html.render(studies, {study.name: take_apart(study) for study in studies})
    written = [_write_front(study) for study in studies]
    if len(studies) > 1:
        written = [_write_comparison(studies, target)]
    write_text(target / "report.html", page)
    return Written(report=target / "report.html", figures=written[0][1], front_csv=written[0][0])


def _read_all(folders: Sequence[Path | str]) -> list[Study]:
    """Read every folder once; studies whose folders have the same name are called by their paths."""
    if not folders:
        raise PlanError(
            four_parts("nothing to report", given="no folder", allowed="one or more study folders", do="name one")
        )
    studies = [read(folder) for folder in {Path(folder).resolve(): folder for folder in reversed(folders)}.values()]
    names = Counter(study.name for study in studies)
    return [s if names[s.name] == 1 else dataclasses.replace(s, name=str(s.folder)) for s in reversed(studies)]


def take_apart(study: Study) -> Anatomy | str:
    """Split the costs of the study's best network by stage and operator, or say why it cannot be done."""
    best = result.best(study.trials)
    if best is None or best.spec is None:
        return "There is no network within the budget to take apart."
    try:
        walked = trace(best.spec)
        return dissect(best.spec, count(walked), _group_ms(walked, latency_source(best)))
    except ArchlabError as error:
        return f"The best network could not be taken apart: {error}"


def _group_ms(walked: OpTrace, source: str) -> dict[int, float] | None:
    """Split an estimated latency over the operators, if the predictor that gave it is still here."""
    origin = sources.parse(source)
    predictor, device = PREDICTORS.get(origin.by), DEVICES.get(origin.device)
    if origin.kind != "estimated" or not isinstance(predictor, Roofline) or device is None:
        return None
    groups, times_ms = predictor.group_ms(walked, device)
    return {int(row): float(ms) for row, ms in zip(groups.anchors, times_ms, strict=True)}


def _write_front(study: Study) -> tuple[Path, tuple[Path, ...]]:
    drawn = picture.picture([study], title=headline.title(study))
    return _write_files(study.folder / "front.csv", [study], {study.folder / "front.svg": drawn})


def _write_comparison(studies: Sequence[Study], target: Path) -> tuple[Path, tuple[Path, ...]]:
    panels = comparison.panels(studies)
    drawn = {
        target / f"comparison-{i}.svg": picture.picture(panel.studies, title=panel.title)
        for i, panel in enumerate(panels, start=1)
    }
    return _write_files(target / "comparison.csv", studies, drawn)


def _write_files(
    csv: Path, studies: Sequence[Study], pictures: Mapping[Path, figures.FrontPicture]
) -> tuple[Path, tuple[Path, ...]]:
    write_text(csv, tables.front_table(*studies).to_csv(index=False))
    for path, drawn in pictures.items():
        write_text(path, figures.svg(figures.draw_front(drawn)))
    return csv, tuple(pictures)
