"""Latency without running: features of a network, and predictors that turn them into milliseconds with an interval."""

from archlab.latency import fitted, lookup
from archlab.latency.estimate import Estimate, HeldOut, Predictor
from archlab.latency.features import Features, features
from archlab.latency.own_predictor import OwnPredictor
from archlab.latency.roofline import Roofline
from archlab.latency.samples import predictor_for

__all__ = ["PREDICTORS", "Estimate", "Features", "HeldOut", "Predictor", "Roofline", "features", "predictor_for"]

PREDICTORS: dict[str, Predictor] = {
    "roofline": Roofline(),
    "lookup": OwnPredictor(name="lookup", learn=lookup.learn),
    "fitted": OwnPredictor(name="fitted", learn=fitted.learn),
}
"""Every way to predict a latency, by the name that stands in its source text."""
