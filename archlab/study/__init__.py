"""Searches: a plan, an evaluator, a ledger of records, and the loop that joins them; `engine.run` is the door."""

from archlab.study.objective import OBJECTIVES
from archlab.study.samplers import SAMPLERS

__all__ = ["OBJECTIVES", "SAMPLERS"]
