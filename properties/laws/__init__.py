"""The laws that hold for every layer, in the order in which they are tried."""

from .agreement import DTYPE_AND_SHAPE, FORWARD, GRADIENTS, NONFINITE_VALUES
from .calculus import FINITE_DIFFERENCES, LINEARITY
from .conduct import PURITY, VIEWS_LAW
from .law import Law
from .refusal import REFUSAL

COMMON: tuple[Law, ...] = (
    FORWARD,
    GRADIENTS,
    FINITE_DIFFERENCES,
    LINEARITY,
    PURITY,
    VIEWS_LAW,
    DTYPE_AND_SHAPE,
    NONFINITE_VALUES,
    REFUSAL,
)

__all__ = ["COMMON", "Law"]
