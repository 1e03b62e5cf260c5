"""Why is a network as fast and as good as it is? Each analysis gives rows, one figure and one sentence.

To add one, write its file and join the table; the command line, notebooks and reports then have it.
"""

from archlab.analysis.finding import Analysis, Conditions, Finding, Subject
from archlab.analysis.head_similarity import head_similarity
from archlab.analysis.memory_bound import memory_bound
from archlab.analysis.redundancy import redundancy
from archlab.analysis.sensitivity import sensitivity
from archlab.errors import unknown_name

__all__ = ["ANALYSES", "Analysis", "Conditions", "Finding", "Subject", "find"]

_DEVICE = frozenset({"device", "runtime", "precision", "batch", "threads"})

ANALYSES: dict[str, Analysis] = {
    "head_similarity": Analysis(
        name="head_similarity",
        title="how alike the attention maps of the heads of each block are",
        source="EfficientViT (arXiv 2305.07027), fig. 4",
        takes=frozenset({"data", "images", "formula", "seed"}),
        shows=("block", "path", "kind", "heads", "similarity", "low", "high", "flatness"),
        run=head_similarity,
    ),
    "memory_bound": Analysis(
        name="memory_bound",
        title="share of the time in memory-bound operators, measured and by the roofline",
        source="EfficientViT (arXiv 2305.07027), fig. 2",
        takes=_DEVICE,
        shows=("kind", "bound", "ms", "share", "share_low", "share_high", "roofline_share", "waits_share"),
        run=memory_bound,
        place="cpu",
    ),
    "redundancy": Analysis(
        name="redundancy",
        title="which channels a trained network does not need, by role and stage",
        source="EfficientViT (arXiv 2305.07027), fig. 5",
        takes=frozenset({"data", "images", "keep", "seed"}),
        shows=("stage", "role", "before", "after", "share", "low", "high"),
        run=redundancy,
    ),
    "sensitivity": Analysis(
        name="sensitivity",
        title="what one knob moves: milliseconds, MACs, parameters, score, and why they part",
        source="archlab's own; knobs of EfficientViT (arXiv 2305.07027) and EdgeNeXt (arXiv 2206.10589)",
        takes=_DEVICE | {"knobs", "proxy", "seed"},
        shows=("knob", "place", "before", "after", "ms_change", "macs_change", "score_change", "verdict", "why"),
        run=sensitivity,
        place="orin",
    ),
}


def find(name: str) -> Analysis:
    """Look an analysis up.

    Raises:
        UnknownNameError: If there is none of that name.
    """
    if name not in ANALYSES:
        raise unknown_name("analysis", name, ANALYSES, do="see: archlab analyze --help")
    return ANALYSES[name]
