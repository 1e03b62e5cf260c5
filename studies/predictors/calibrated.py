"""How good is what `archlab device calibrate cpu` stored? Judged by 100 networks that were measured at another time.

    ARCHLAB_CALIBRATIONS=OUT archlab device calibrate cpu | tee calibrate_cpu.txt
    gzip -9nc OUT/cpu.json > calibrate_cpu.json.gz
    python studies/predictors/calibrated.py

Prints a line per predictor. The networks are those that `hybrid.py` fits on; the calibration has seen none of them.
"""

import gzip
import os
import tempfile
from pathlib import Path

import numpy as np
from hybrid import HERE, read_networks

from archlab.device.catalog import device
from archlab.files import write_bytes
from archlab.latency import PREDICTORS
from archlab.latency.estimate import compared
from archlab.latency.samples import path_of, stored


def main() -> None:
    """Predict and compare."""
    networks = read_networks(HERE / "hybrid.jsonl.gz")[0]
    cpu = device("cpu")
    ms = np.array([one.ms for one in networks])
    with tempfile.TemporaryDirectory() as folder:
        os.environ["ARCHLAB_CALIBRATIONS"] = folder
        write_bytes(Path(path_of("cpu")), gzip.decompress((HERE / "calibrate_cpu.json.gz").read_bytes()))
        kept = stored(cpu)
        assert kept is not None
        common = {one.spec.digest for one in kept.networks} & {one.spec.digest for one in networks}
        print(f"{len(kept.networks)} networks, of which {len(common)} are among the {len(networks)} to judge by")
        for name, predictor in PREDICTORS.items():
            if name in kept.spreads:
                found = [predictor.predict(one.trace, cpu) for one in networks]
                held = np.mean([one.lo_ms <= true <= one.hi_ms for one, true in zip(found, ms, strict=True)])
                print(f"{name:9s} {compared([one.ms for one in found], ms, coverage=float(held))}")


if __name__ == "__main__":
    main()
