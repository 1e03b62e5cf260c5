"""Why is a network as fast, and as good, as it is? One call per analysis, on archlab's networks and on anybody's."""

import re
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from torch import nn

from archlab.analysis import Analysis, Conditions, Finding, Subject, find
from archlab.api.arguments import checked
from archlab.api.networks import create
from archlab.api.target import resolve
from archlab.device.catalog import device as find_device
from archlab.device.catalog import run_for
from archlab.errors import PlanError, four_parts
from archlab.figures import svg
from archlab.files import write_text
from archlab.spec import ArchSpec
from archlab.training.data import load_data

__all__ = ["analyze", "analyze_document", "shown_columns"]

_RUN = ("runtime", "precision", "batch", "threads")


@checked
def analyze(
    name: str,
    model: str | nn.Module,
    *,
    data: str | Path | None = None,
    weights: str | Path | None = None,
    device: str | None = None,
    resolution: int | None = None,
    **options: Any,
) -> Finding:
    """Analyse a network.

    Args:
        name: ``memory_bound``, ``head_similarity``, ``sensitivity`` or ``redundancy``.
        model: A published name, a spec file, STUDY_DIR:DIGEST or timm:NAME; or any module that takes images
            `(B, 3, resolution, resolution)`, which is put into evaluation mode.
        data: Images: ``digits``, ``cifar10:DIR``, a folder by class or an .npz; None generates some.
        weights: A safetensors file; None draws random weights. A module brings its own.
        device: Where time is measured, or estimated; None takes the analysis's own.
        resolution: Input side in pixels; None takes the network's own, which a foreign module does not tell.
        **options: What the analysis takes besides: `runtime`, `precision`, `batch`, `threads`, `images`, `formula`,
            `knobs`, `proxy`, `keep`, `seed`.

    Returns:
        The finding: its `rows` are a DataFrame, its `sentence` says what was found, its `plot()` draws the figure.

    Raises:
        UnknownNameError: No such analysis, network, device, formula or knob.
        PlanError: For an option that the analysis does not take, or a module whose input side is not known.
    """
    analysis = find(name)
    given = {"data": data, "device": device, **options}
    _check_taken(analysis, {key: value for key, value in given.items() if value is not None})
    subject = _subject(model, weights, resolution)
    return analysis.run(subject, _conditions(analysis, given))


def analyze_document(name: str, model: str, *, out: str | Path, **options: Any) -> dict[str, Any]:
    """Analyse a network and write rows and figure into a folder; plain values with the keys of the public contract."""
    found = analyze(name, model, **options)
    folder = Path(out)
    stem = f"{found.name}-{re.sub(r'[^A-Za-z0-9_.-]+', '_', Path(model).name)}"
    figure, table = folder / f"{stem}.svg", folder / f"{stem}.csv"
    folder.mkdir(parents=True, exist_ok=True)
    write_text(table, found.rows.to_csv(index=False))
    write_text(figure, svg(found.plot()))
    return {
        "analysis": found.name,
        "model": model,
        "rows": found.rows.to_dict("records"),
        "finding": found.sentence,
        "figure": str(figure),
        "table": str(table),
    }


def shown_columns(name: str) -> tuple[str, ...]:
    """Name the columns of an analysis that a terminal has room for."""
    return find(name).shows


def _check_taken(analysis: Analysis, given: Mapping[str, object]) -> None:
    for name in given:
        if name not in analysis.takes:
            raise PlanError(
                four_parts(
                    f"{name} has no effect on {analysis.name}",
                    given=f"{name} {given[name]}",
                    allowed=", ".join(sorted(analysis.takes)),
                    do=f"leave {name} out",
                )
            )


def _subject(model: str | nn.Module, weights: str | Path | None, resolution: int | None) -> Subject:
    if isinstance(model, str):
        target = resolve(model).at(resolution)
        is_plain = target.spec is None and weights is None
        module = target.build().eval() if is_plain else create(model, weights=weights, resolution=resolution)
        return Subject(
            name=model,
            module=module,
            resolution=target.resolution,
            spec=target.spec,
            family=target.family,
            weights="random weights" if weights is None else f"weights of {Path(weights).name}",
        )
    spec = getattr(model, "spec", None)
    spec = spec if isinstance(spec, ArchSpec) else None
    side = resolution or (spec.resolution if spec else None)
    if weights is not None or side is None:
        raise PlanError(
            four_parts(
                "a module brings its own weights" if side else "the input side of this module is not known",
                given=f"weights {weights}" if side else type(model).__name__,
                allowed="weights for a network that is named" if side else "any side in pixels that it takes",
                do="load them into the module before" if side else "give resolution=224, say",
            )
        )
    return Subject(
        name=type(model).__name__, module=model.eval(), resolution=side, spec=spec, weights="its own weights"
    )


def _conditions(analysis: Analysis, given: Mapping[str, Any]) -> Conditions:
    chosen = {key: value for key, value in given.items() if value is not None}
    place_name = chosen.pop("device", analysis.place)
    place = None if place_name is None else find_device(place_name)
    asked = {key: chosen.pop(key) for key in _RUN if key in chosen}
    if place is not None:
        chosen |= {"place": place, "run": run_for(place, **asked)}
    if "data" in chosen:
        chosen["data"] = load_data(chosen["data"])
    if "knobs" in chosen:
        chosen["knobs"] = _names(chosen["knobs"])
    return Conditions(**chosen, on_progress=_progress())


def _names(names: str | Sequence[str]) -> tuple[str, ...]:
    return (names,) if isinstance(names, str) else tuple(names)


def _progress() -> Callable[[str], None]:
    """Lines on stderr, each on top of the one before on a terminal, and none elsewhere."""

    def show(line: str) -> None:
        sys.stderr.write(f"\r\033[K{line}")
        sys.stderr.flush()

    def hide(line: str) -> None:
        """Say nothing where nobody watches."""

    return show if sys.stderr.isatty() else hide
