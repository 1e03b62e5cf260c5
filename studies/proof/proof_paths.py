"""Makes the modules of the benchmark of hybrids importable; imported for that alone."""

import sys
from pathlib import Path

__all__: list[str] = []

sys.path.insert(0, str(Path(__file__).parents[1] / "hybrid_bench"))
