"""Faulty layers of which it is known what is wrong, independently of how the referee and the diagnosis work.

`CAUSES` lists them, `CORRECT` the layers they are derived from, `try_all` puts them on trial.
"""

from . import conventions, elementwise, forwards, precision, references, sums, windows  # noqa: F401 - they enter CAUSES
from .cause import CAUSES, PATTERNS, Cause
from .plain import CORRECT

__all__ = ["CAUSES", "CORRECT", "PATTERNS", "Cause"]
