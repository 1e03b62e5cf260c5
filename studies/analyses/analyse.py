"""Analyse the trained networks of studies/trained: how alike heads are, and how much of the time moves data.

From the root of the repository:

    python studies/analyses/analyse.py heads --data cifar10.npz      (trained weights, real images)
    python studies/analyses/analyse.py memory                        (weights do not move times; a calm machine)
    python studies/analyses/report.py                                (tables, figures and verdicts)

Each command writes the rows that it finds into a CSV beside this file; `heads` goes on where it stopped.
"""

import argparse
import importlib
import sys
from pathlib import Path

import pandas as pd

import archlab as al
from archlab.api.exporting import spec_yaml
from archlab.artifacts.mixes import share_of, with_share
from archlab.errors import ArchlabError
from archlab.files import write_text
from archlab.spec import ArchSpec

HERE, TRAINED = Path("studies/analyses"), Path("studies/trained")
HEADS, MEMORY, SAID = HERE / "head_similarity.csv", HERE / "memory_bound.csv", HERE / "findings.csv"
IMAGES = 512
SHARES = (0.5, 0.2, 0.0)
RUNTIMES = ("torch", "ort")
BATCH = 16
NETS = ("deit", "swin", "msra_mhsa", "msra_split", "msra_cascade")


def main() -> None:
    """Run one of the two analyses."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("analysis", choices=("heads", "memory"))
    parser.add_argument("--data", default="cifar10.npz", help="the images of the training, for heads")
    parser.add_argument("--trained", type=Path, default=TRAINED, help="folder with specs and weights")
    asked = parser.parse_args()
    if asked.analysis == "heads":
        heads(asked.trained, asked.data)
    else:
        memory(asked.trained)


def heads(trained: Path, data: str) -> None:
    """Compare the heads of every trained network, by both formulas."""
    known = pd.read_csv(HEADS) if HEADS.exists() else pd.DataFrame()
    done = set(zip(known.net, known.seed, strict=True)) if len(known) else set()
    for file in sorted((trained / "weights").glob("*.safetensors")):
        net, _, seed = file.stem.rpartition("-")
        spec = trained / "specs" / f"{net}.yaml"
        if (net, int(seed)) in done or not spec.exists():
            continue
        for formula in ("mean", "max"):
            options = {"data": data, "weights": file, "images": IMAGES, "formula": formula}
            try:
                found = al.analyze("head_similarity", str(spec), **options)
            except ArchlabError as error:
                print(f"{file.name}: {error}", file=sys.stderr)
                break
            rows = found.rows.assign(net=net, seed=int(seed))
            known = pd.concat([known, rows], ignore_index=True)
            _say(net, int(seed), f"head_similarity {formula}", found.sentence)
        known = known.sort_values(["net", "seed"], kind="stable")
        write_text(HEADS, known.to_csv(index=False))


def memory(trained: Path) -> None:
    """Profile the networks, and the same with less attention, on this machine's CPU."""
    parts = []
    sys.path.insert(0, str(trained))
    networks = importlib.import_module("trained_networks").NETWORKS
    for net in NETS:
        for share, path in _variants(net, networks[net].spec):
            for runtime in RUNTIMES:
                found = al.analyze("memory_bound", str(path), device="cpu", runtime=runtime, batch=BATCH)
                parts.append(found.rows.assign(net=net, attention_share=share))
                _say(net, 0, f"memory_bound {runtime} {share:.0%} attention", found.sentence)
                write_text(MEMORY, pd.concat(parts, ignore_index=True).to_csv(index=False))


def _variants(net: str, spec: ArchSpec) -> list[tuple[float, Path]]:
    """Share of attention and spec file of a network, and of the same with less; only plain sequences have those."""
    made = [with_share(spec, share) for share in SHARES] if net in ("deit", "swin") else [spec]
    found = []
    for each in made:
        path = HERE / "specs" / f"{net}-{round(100 * share_of(each))}.yaml"
        path.parent.mkdir(exist_ok=True)
        write_text(path, spec_yaml(each))
        found.append((share_of(each), path))
    return found


def _say(net: str, seed: int, what: str, sentence: str) -> None:
    """Keep a finding's sentence, the latest of each kind."""
    known = pd.read_csv(SAID) if SAID.exists() else pd.DataFrame(columns=["net", "seed", "analysis", "finding"])
    same = (known.net == net) & (known.seed == seed) & (known.analysis == what)
    new = pd.DataFrame([{"net": net, "seed": seed, "analysis": what, "finding": sentence}])
    write_text(SAID, pd.concat([known[~same], new], ignore_index=True).to_csv(index=False))


if __name__ == "__main__":
    main()
