"""What can be searched? A space is a family, axes with finite choices, and conditions between them.

A space file (YAML) gives the choices, the family's `make` their meaning. An axis varies the knob of its own name, or
the one that `knob` names, so that one knob can have different choices under different conditions (heads must divide
the width). A point is a dict of the active axes only; `decode` turns it into a network and `encode` back.
"""

from archlab.space.axis import Axis
from archlab.space.points import Point, SearchSpace
from archlab.space.reading import default, load, names

__all__ = ["Axis", "Point", "SearchSpace", "default", "load", "names"]
