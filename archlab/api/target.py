"""What a user calls a network: a published name, a spec file, STUDY_DIR:DIGEST or timm:NAME (MODEL)."""

import dataclasses
import json
from pathlib import Path
from typing import Any

import torch
import yaml
from torch import nn

from archlab.cost.trace import OpTrace, trace
from archlab.errors import PlanError, SpecError, StudyError, four_parts, unknown_name
from archlab.families import FAMILIES, all_named, published
from archlab.model import timm_gate
from archlab.model.build import build, check
from archlab.spec import ArchSpec

__all__ = ["Target", "resolve"]

_SUFFIXES = {".yaml", ".yml", ".json"}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Target:
    """A network a user named: `spec` is None for networks of timm, which have no spec."""

    name: str
    spec: ArchSpec | None
    family: str | None
    resolution: int
    module: nn.Module | None = None

    def build(self, **options: Any) -> nn.Module:
        """Give the module on the CPU with random weights; `options` go to `archlab.model.build.build`."""
        if self.spec is not None:
            return build(self.spec, **options)
        assert self.module is not None
        return self.module

    def trace(self, batch: int = 1) -> OpTrace:
        """Trace the network on the meta device."""
        if batch < 1:
            raise PlanError(
                four_parts("no such batch", given=batch, allowed="1 or more", do="give the number of images at once")
            )
        if self.spec is not None:
            return trace(self.spec, batch=batch)
        return trace(self.build(), resolution=self.resolution, batch=batch)

    def at(self, resolution: int | None) -> "Target":
        """The same network at another input side (in pixels); a network of fixed side is rebuilt for it."""
        if resolution is None or resolution == self.resolution:
            return self
        if self.spec is None:
            return _of_module(self.name, self.build(), resolution)
        spec = self.spec.replace(resolution=resolution)
        check(spec)
        return dataclasses.replace(self, resolution=resolution, spec=spec)


def resolve(model: str) -> Target:
    """Find the network that `model` names.

    Raises:
        UnknownNameError: When no such network exists.
        SpecError: When the spec file is no valid network.
        StudyError: When the study folder lacks that digest.
    """
    if model.startswith("timm:"):
        module = timm_gate.create(model.removeprefix("timm:"))
        facts: Any = module.pretrained_cfg
        return _of_module(model, module, int(facts["input_size"][-1]))
    path = Path(model)
    if path.suffix.lower() in _SUFFIXES:
        return _of_spec(model, read_spec(path), None)
    if (path / "trials.jsonl").is_file():
        raise StudyError(
            four_parts(
                "a study folder holds many networks",
                given=model,
                allowed=f"{model}:DIGEST, with a digest of its front.csv",
                do="name one of them",
            )
        )
    folder, colon, digest = model.rpartition(":")
    if colon and not model.startswith("timm:"):
        return _of_spec(model, _from_study(Path(folder), digest), None)
    names = [row.name for row in all_named()]
    if model not in names:
        raise unknown_name(
            "model",
            model,
            names,
            do="archlab models lists the names; a spec file, STUDY_DIR:DIGEST and timm:NAME work too",
        )
    row = published(model)
    return _of_spec(model, row.spec, row.family)


def _of_module(name: str, module: nn.Module, resolution: int) -> Target:
    """A network without a spec, once it is known to take images of that side."""
    try:
        with torch.no_grad():
            module(torch.zeros(1, 3, resolution, resolution))
    except (RuntimeError, AssertionError) as error:
        raise SpecError(
            four_parts(
                f"{name} does not run on images of that side",
                given=f"{resolution} px",
                allowed=" ".join(str(error).split())[:160] or "the side it was made for",
                do="leave resolution out",
            )
        ) from None
    return Target(name=name, spec=None, family=None, resolution=resolution, module=module)


def _of_spec(name: str, spec: ArchSpec, family: str | None) -> Target:
    check(spec)
    return Target(name=name, spec=spec, family=family or _family(spec), resolution=spec.resolution)


def _family(spec: ArchSpec) -> str | None:
    for name, family in FAMILIES.items():
        try:
            family.axes_of(spec)
        except SpecError:
            continue
        return name
    return None


def read_spec(path: Path) -> ArchSpec:
    """Read a spec file, YAML or JSON."""
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise PlanError(
            four_parts("no such spec file", given=path, allowed="an existing .yaml or .json", do="check the path")
        ) from None
    except (UnicodeDecodeError, IsADirectoryError):
        raise SpecError(
            four_parts(
                f"{path.name} is no text file",
                given=path,
                allowed="YAML or JSON in UTF-8",
                do="write one with: archlab export MODEL --format spec --out F",
            )
        ) from None
    try:
        document = json.loads(text) if path.suffix.lower() == ".json" else yaml.safe_load(text)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise SpecError(
            four_parts(
                f"{path.name} cannot be parsed",
                given=" ".join(str(error).split())[:160],
                allowed="YAML or JSON",
                do="mend the file or write a new one with: archlab export MODEL --format spec --out F",
            )
        ) from None
    return ArchSpec.from_dict(document, where=path.name)


def _from_study(folder: Path, digest: str) -> ArchSpec:
    trials = folder / "trials.jsonl"
    if not trials.is_file():
        raise StudyError(
            four_parts(
                "no study in that folder",
                given=str(folder),
                allowed="a folder with trials.jsonl, written by archlab search",
                do="check the path before the colon",
            )
        )
    found: dict[str, Any] = {}
    for line in trials.read_text(encoding="utf-8").splitlines():
        try:
            record = json.loads(line)
            found[record["digest"]] = record["spec"]
        except (ValueError, KeyError, TypeError):
            continue
    matches = [key for key in found if key.startswith(digest)]
    if len(matches) != 1:
        raise StudyError(
            four_parts(
                f"{len(matches)} networks of the study begin with that digest",
                given=digest or "no digest after the colon",
                allowed="a digest of front.csv or trials.jsonl, at least its first digits",
                do=f"archlab report {folder} lists the front",
            )
        )
    return ArchSpec.from_dict(found[matches[0]], where=f"{folder}:{matches[0]}")
