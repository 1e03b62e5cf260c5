"""Take a network elsewhere: ONNX, safetensors, or the spec alone."""

import hashlib
from pathlib import Path
from typing import Any

import yaml

from archlab.api.arguments import checked
from archlab.api.networks import create
from archlab.api.target import resolve
from archlab.errors import SpecError, four_parts, unknown_name
from archlab.files import write_bytes, write_text
from archlab.model.deploy import deploy
from archlab.model.export import save_safetensors, to_onnx
from archlab.spec import ArchSpec

__all__ = ["FORMATS", "export", "spec_yaml"]

FORMATS = ("onnx", "safetensors", "spec")


@checked
def export(
    model: str,
    *,
    format: str,
    out: str | Path,
    weights: str | Path | None = None,
    resolution: int | None = None,
    batch: int = 1,
) -> dict[str, Any]:
    """Write a network to a file.

    Args:
        model: A published name, a spec file, STUDY_DIR:DIGEST or timm:NAME.
        format: ``onnx`` (BatchNorm folded, static shapes, weights inside), ``safetensors`` or ``spec`` (YAML).
        out: The file to write.
        weights: A safetensors file; None draws random weights.
        resolution: Input side in pixels; None keeps the network's own.
        batch: Images per inference (onnx).

    Returns:
        path, format, bytes and sha256 of the file.
    """
    if format not in FORMATS:
        raise unknown_name("format", format, FORMATS)
    path = Path(out)
    target = resolve(model).at(resolution)
    if format == "spec":
        write_text(path, spec_yaml(_spec_of(model, target.spec)))
    else:
        module = create(model, weights=weights, resolution=resolution)
        if format == "onnx":
            shape = (batch, 3, target.resolution, target.resolution)
            write_bytes(path, to_onnx(deploy(module) if target.spec else module, shape))
        else:
            save_safetensors(module, path)
    data = path.read_bytes()
    return {"path": str(path), "format": format, "bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}


def spec_yaml(spec: ArchSpec) -> str:
    """Write a spec as YAML that `archlab export` and every MODEL argument read back."""
    head = f"# archlab spec {spec.digest}\n"
    return head + yaml.safe_dump(spec.to_dict(), sort_keys=False, default_flow_style=None, width=120)


def _spec_of(model: str, spec: ArchSpec | None) -> ArchSpec:
    if spec is None:
        raise SpecError(
            four_parts(
                "networks of timm have no spec",
                given=model,
                allowed="format onnx or safetensors",
                do="choose another format",
            )
        )
    return spec
