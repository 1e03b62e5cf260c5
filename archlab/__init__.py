"""archlab finds, explains and trims efficient vision backbones for a device and a latency budget.

Everything below loads on first use: `import archlab` brings no torch.

    import archlab as al
    al.models()                                     # every published network, as a table
    net = al.create("edgenext_small")               # a torch module with random weights
    study = al.search(budget_ms=5, device="orin")   # a Pareto front under 5 ms
    study.front(); study.best(budget_ms=4); study.plot_front()
"""

import importlib
from typing import Any

__version__ = "0.1.0"

_API = {
    "analyze": "analyses",
    "compare": "comparing",
    "correlate": "correlating",
    "create": "networks",
    "deploy": "networks",
    "describe_space": "spaces",
    "devices": "devices",
    "export": "exporting",
    "load": "studies",
    "measure": "timing",
    "models": "networks",
    "profile": "costs",
    "proxies": "scores",
    "prune": "pruning",
    "report": "studies",
    "reproduce": "papers",
    "score": "scores",
    "search": "studies",
    "spaces": "spaces",
    "train": "training",
}

__all__ = [
    "__version__",
    "analyze",
    "compare",
    "correlate",
    "create",
    "deploy",
    "describe_space",
    "devices",
    "export",
    "load",
    "measure",
    "models",
    "profile",
    "proxies",
    "prune",
    "report",
    "reproduce",
    "score",
    "search",
    "spaces",
    "train",
]


def __getattr__(name: str) -> Any:
    if name in _API:
        return getattr(importlib.import_module(f"archlab.api.{_API[name]}"), name)
    raise AttributeError(f"module 'archlab' has no attribute {name!r}")


def __dir__() -> list[str]:
    return list(__all__)
