"""Learn `published` from every network and write what comes with the package: archlab/proxy/data/published.npz.

    PYTHONPATH=studies/predictors python studies/published/ship.py [--reference FOLDER] [--cache FOLDER]

Tables and traces as for `judge.py`, which says how good the result is where it has not seen a family. Two minutes.
"""

import argparse
import io
from pathlib import Path

import numpy as np
from judge import reference
from published_learning import codes, learn
from published_networks import networks, table

from archlab.files import write_bytes
from archlab.proxy.published_data import PATH, pack


def main() -> None:
    """Trace, learn, write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--reference", type=Path)
    parser.add_argument("--cache", type=Path, default=Path("out/timm_traces"))
    given = parser.parse_args()
    found = networks(reference(given.reference), given.cache)
    learnt = learn(table(found), codes([one.family for one in found]), np.array([one.top1 for one in found]))
    buffer = io.BytesIO()
    np.savez_compressed(buffer, allow_pickle=False, **pack(learnt))
    write_bytes(PATH, buffer.getvalue())
    print(
        f"{len(found)} networks, {len(buffer.getvalue())} bytes; stretch {learnt.stretch:.3f}, wide {learnt.wide:.3f}, "
        f"below {learnt.below:.3f}, above {learnt.above:.3f}"
    )


if __name__ == "__main__":
    main()
