"""Scoring one network by several rows of the table: laid out once, built once, its passes shared.

Networks are scored on small images, 64 pixels, at a sixteenth of the work; what a score would have grown by at the
network's own side is added (see `Proxy.area_power`), so that a network made for larger images keeps its advantage.
Scoring uses one thread, so that a score does not depend on the number of cores; training takes all that it may.
"""

import contextlib
import dataclasses
import functools
import math
import time
from collections.abc import Callable, Iterator, Sequence

import torch

from archlab.errors import ArchlabError, ProxyError, SpecError, four_parts
from archlab.model.build import build, check
from archlab.proxy.halving import ShortTraining
from archlab.proxy.passes import Subject
from archlab.proxy.row import Proxy, ProxyScore
from archlab.proxy.subject import fresh, images
from archlab.spec import ArchSpec

__all__ = ["Settings", "score_rows", "score_side"]

_SIDE = 64


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Settings:
    """How networks are scored; see `archlab.proxy.scores`."""

    resolution: int | None = None
    batch_size: int = 16
    seed: int = 0
    training: ShortTraining | None = None


def score_side(spec: ArchSpec) -> int:
    """Input side in pixels at which a network is scored: 64, or its own where it cannot be built for 64."""
    side = min(_SIDE, spec.resolution)
    try:
        check(spec.replace(resolution=side))
    except SpecError:
        return spec.resolution
    return side


def score_rows(
    rows: Sequence[Proxy],
    spec: ArchSpec,
    settings: Settings,
    on_skip: Callable[[str, ArchlabError], object] | None,
) -> list[ProxyScore]:
    """Score a network by several rows; see `archlab.proxy.scores`, which looks them up by name.

    Raises:
        ProxyError: When the network has no such score, and `on_skip` is None.
    """
    bench = _Bench(rows, spec, settings)
    found = []
    for row in rows:
        try:
            found.append(bench.score(row))
        except ArchlabError as error:
            if on_skip is None:
                raise
            on_skip(row.name, error)
    return found


class _Bench:
    """A network laid out and built once, for all scores that are asked for."""

    def __init__(self, rows: Sequence[Proxy], spec: ArchSpec, settings: Settings) -> None:
        self._reads = frozenset[str]().union(*(row.reads for row in rows))
        self._spec, self._settings = spec, settings
        self._side = settings.resolution or score_side(spec)

    @functools.cached_property
    def _layout(self) -> Subject:
        """Counts and trained scores need neither weights nor images."""
        side = self._spec.resolution
        nothing_1CHW = torch.empty(1, 3, side, side, device="meta")
        return Subject(
            lambda: build(self._spec, device="meta"),
            nothing_1CHW,
            seed=self._settings.seed,
            reads=(),
            spec=self._spec,
            training=self._settings.training,
        )

    @functools.cached_property
    def _built(self) -> Subject:
        drawn = torch.Generator()
        module = fresh(self._spec.replace(resolution=self._side), self._settings.seed, drawn)
        shown_BCHW = images(self._settings.batch_size, self._side, self._settings.seed)
        return Subject(module, shown_BCHW, seed=self._settings.seed, reads=self._reads, spec=self._spec, drawn=drawn)

    def score(self, row: Proxy) -> ProxyScore:
        started = time.perf_counter()
        is_built = row.needs in {"weights", "images"}
        try:
            with contextlib.nullcontext() if row.trains else _one_thread():
                value = row.score(self._built if is_built else self._layout)
        except (RuntimeError, ValueError) as error:  # torch's own words for what cannot run, out of memory included
            raise self._refusal(row, " ".join(str(error).split())[:160], "networks that run at that side") from None
        if not math.isfinite(value):
            raise self._refusal(row, value, "a finite score")
        if is_built:
            value += row.area_power(self._settings.batch_size) * 2 * math.log(self._spec.resolution / self._side)
        return ProxyScore(proxy=row.name, score=value, seconds=time.perf_counter() - started)

    def _refusal(self, row: Proxy, given: object, allowed: str) -> ProxyError:
        return ProxyError(
            four_parts(
                f"{row.name} cannot score the network {self._spec.digest}",
                given=given,
                allowed=allowed,
                do="choose another --proxy",
            )
        )


@contextlib.contextmanager
def _one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
