"""Neural networks from scratch (Grus, "Data Science from Scratch", ch. 19) on the real engine.

May import: everything below. Lists of numbers in, lists of numbers out, explicit `forward` and
`backward`, nothing automatic; underneath, each pass of a whole model is one compiled call, in
float64 as Python's own floats. To add a layer: a subclass of `Compiled` in `layer.py`,
and its name to `__all__` there.
"""

from pierian.compat.scratch import layer, mnist, number, tensor, training
from pierian.compat.scratch.layer import *  # noqa: F403
from pierian.compat.scratch.number import *  # noqa: F403
from pierian.compat.scratch.tensor import *  # noqa: F403
from pierian.compat.scratch.training import *  # noqa: F403

__all__ = ["mnist"]
__all__.extend(layer.__all__)
__all__.extend(number.__all__)
__all__.extend(tensor.__all__)
__all__.extend(training.__all__)
