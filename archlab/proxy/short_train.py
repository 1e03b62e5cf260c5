"""`short_train`: how probable is the right class after a short training on images of one's own? See `halving`."""

from archlab.errors import ProxyError, four_parts
from archlab.proxy.halving import short_training
from archlab.proxy.passes import Subject

__all__ = ["short_train"]


def short_train(subject: Subject) -> float:
    """Score one network beside those that `subject.training` knows; by itself, on digits, where there is none.

    Raises:
        ProxyError: As `ShortTraining.score` does, and for a network without a spec.
    """
    if subject.spec is None:
        raise ProxyError(
            four_parts(
                "short_train needs the spec of a network",
                given=type(subject.module).__name__,
                allowed="networks of archlab",
                do="choose another --proxy",
            )
        )
    training = subject.training or short_training(seed=subject.seed)
    return training.score(subject.spec)
