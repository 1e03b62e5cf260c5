"""The tables and figures of the papers, to be run again: one file each, listed in `ARTIFACTS`."""

from archlab.artifacts import edgenext_table1, msra_table1, msra_table2
from archlab.artifacts.artifact import Artifact

__all__ = ["ARTIFACTS", "Artifact"]

ARTIFACTS: dict[str, Artifact] = {
    "edgenext_table1": edgenext_table1.ARTIFACT,
    "msra_table1": msra_table1.ARTIFACT,
    "msra_table2": msra_table2.ARTIFACT,
}
