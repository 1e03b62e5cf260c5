"""The tables and figures of the papers, to be run again: one file each, listed in `ARTIFACTS`."""

from archlab.artifacts import (
    convnext_roadmap,
    convnext_table1,
    edgenext_fig3,
    edgenext_table1,
    edgenext_table2,
    edgenext_table3,
    edgenext_table7,
    edgenext_table8,
    edgenext_table9,
    edgenext_table10,
    mit_fig4,
    mit_table1,
    mit_table2,
    msra_fig2,
    msra_fig3,
    msra_fig4,
    msra_fig5,
    msra_fig7,
    msra_table1,
    msra_table2,
    msra_table6,
)
from archlab.artifacts.artifact import Artifact

__all__ = ["ARTIFACTS", "Artifact"]

ARTIFACTS: dict[str, Artifact] = {
    "edgenext_table1": edgenext_table1.ARTIFACT,
    "edgenext_table2": edgenext_table2.ARTIFACT,
    "edgenext_table3": edgenext_table3.ARTIFACT,
    "edgenext_table7": edgenext_table7.ARTIFACT,
    "edgenext_table8": edgenext_table8.ARTIFACT,
    "edgenext_table9": edgenext_table9.ARTIFACT,
    "edgenext_table10": edgenext_table10.ARTIFACT,
    "edgenext_fig3": edgenext_fig3.ARTIFACT,
    "mit_table1": mit_table1.ARTIFACT,
    "mit_table2": mit_table2.ARTIFACT,
    "mit_fig4": mit_fig4.ARTIFACT,
    "msra_table1": msra_table1.ARTIFACT,
    "msra_table2": msra_table2.ARTIFACT,
    "msra_table6": msra_table6.ARTIFACT,
    "msra_fig2": msra_fig2.ARTIFACT,
    "msra_fig3": msra_fig3.ARTIFACT,
    "msra_fig4": msra_fig4.ARTIFACT,
    "msra_fig5": msra_fig5.ARTIFACT,
    "msra_fig7": msra_fig7.ARTIFACT,
    "convnext_roadmap": convnext_roadmap.ARTIFACT,
    "convnext_table1": convnext_table1.ARTIFACT,
}
