"""Latency without running: features of a network, and predictors that turn them into milliseconds with an interval."""

from archlab.latency.estimate import Estimate, HeldOut
from archlab.latency.features import Features, features
from archlab.latency.roofline import Roofline

__all__ = ["PREDICTORS", "Estimate", "Features", "HeldOut", "Roofline", "features"]

PREDICTORS: dict[str, Roofline] = {"roofline": Roofline()}
"""Every way to predict a latency, by the name that stands in its source text."""
