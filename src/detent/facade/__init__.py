"""The registry as people use it: values are nouns, verbs are methods of `Registry`.

Each method is one line into `Operations`, which does the work here or at a server; what computes
on data runs here. Heavy rooms are entered when they are used, so that ``import detent`` is quick.
"""

from detent.facade.base import DetentWarning as DetentWarning
from detent.facade.registry import Registry as Registry
