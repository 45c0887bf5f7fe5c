"""Padding: borders of a constant, of mirrored or repeated cells, around the last axes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from . import _check
from ._borders import MODES, bordered, read
from ._check import Array, Backward


@dataclass(frozen=True)
class Pad:
    """y = x with borders around its last axes, as torch.nn.functional.pad.

    `pad` is (before, after) of the last axis, then of the one before it, and so on; negative numbers cut cells off.
    Modes: "constant" (any number of axes; the borders are `value`, None for 0), "reflect" (mirrored at the border cell,
    which is not repeated), "replicate" (the border cell repeated), "circular" (the axis repeated).

    Shapes: any x with enough axes in mode "constant"; else 1 to 3 axes behind (N, C) or (C,). An axis of n cells comes
    out with before + n + after. Gradient: dx adds every cell of dy to the cell of x it was copied from.

    With a negative number on one side and a positive one on the other, a mirror shows the cells cut off, a circle only
    those that are left. Reflection needs more cells than it mirrors, a circle as many as it repeats.

    Raises ValueError or TypeError for configurations and shapes that torch refuses, and where the cells that are left
    would be repeated more than once: there torch refuses or reads memory that was never written.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.functional.pad.html
    """

    pad: tuple[int, ...]
    mode: str = "constant"
    value: float | None = None

    def __post_init__(self) -> None:
        read("Pad", "pad", self.pad, None)
        _check.choice("Pad", "mode", self.mode, MODES)
        if self.value is not None:
            _check.number("Pad", "value", self.value)
            if self.mode != "constant" and self.value != 0:
                raise ValueError(f"Pad: value must be None in mode {self.mode!r}, got {self.value!r}")

    def __call__(self, x: Array) -> tuple[Array, Backward]:
        """y and its backward pass."""
        return bordered("Pad", "pad", x, read("Pad", "pad", self.pad, None), self.mode, self.value)


@dataclass(frozen=True)
class _Border:
    """A padding layer of torch.nn: Pad with a mode, where a single number stands for all sides."""

    padding: int | tuple[int, ...]

    _axes: ClassVar[int]
    _mode: ClassVar[str]

    def __post_init__(self) -> None:
        read(type(self).__name__, "padding", self.padding, self._axes)

    def __call__(self, x: Array) -> tuple[Array, Backward]:
        """y and its backward pass."""
        return self._padded(x, None)

    def _padded(self, x: Array, value: float | None) -> tuple[Array, Backward]:
        name = type(self).__name__
        return bordered(name, "padding", x, read(name, "padding", self.padding, self._axes), self._mode, value)


@dataclass(frozen=True)
class _Constant(_Border):
    """The same with a constant."""

    value: float

    _mode = "constant"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.value is not None:
            _check.number(type(self).__name__, "value", self.value)

    def __call__(self, x: Array) -> tuple[Array, Backward]:
        """y and its backward pass."""
        return self._padded(x, self.value)


@dataclass(frozen=True)
class _Circle(_Border):
    """The same around a circle; unlike the others, these layers look at the rank of x before its padding."""

    _mode = "circular"

    def __call__(self, x: Array) -> tuple[Array, Backward]:
        """y and its backward pass."""
        (x,) = _check.real(type(self).__name__, x=x)
        _check.spatial(type(self).__name__, "x", x, self._axes)
        return self._padded(x, None)


@dataclass(frozen=True)
class ReflectionPad1d(_Border):
    """y[…, i] = x[…, j], j = |i - left| or, behind the n cells of x, 2(n - 1) - (i - left).

    The border mirrors x without repeating the border cell, so it must be less than n; negative sizes cut cells off.
    `padding` is (left, right) or one number for both.

    Shapes: x (N, C, n) or (C, n); y the same with left + n + right cells.
    Gradient: dx adds every cell of dy to the cell of x it was copied from.

    Raises ValueError or TypeError for configurations and shapes that torch refuses.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.ReflectionPad1d.html
    """

    _axes = 1
    _mode = "reflect"


@dataclass(frozen=True)
class ReflectionPad2d(_Border):
    """ReflectionPad1d along the last two axes; `padding` is (left, right, top, bottom) or one number.

    Shapes: x (N, C, H, W) or (C, H, W). Formula, gradient and errors as there.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.ReflectionPad2d.html
    """

    _axes = 2
    _mode = "reflect"


@dataclass(frozen=True)
class ReflectionPad3d(_Border):
    """ReflectionPad1d along the last three axes; `padding` is (left, right, top, bottom, front, back) or one number.

    Shapes: x (N, C, D, H, W) or (C, D, H, W). Formula, gradient and errors as there.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.ReflectionPad3d.html
    """

    _axes = 3
    _mode = "reflect"


@dataclass(frozen=True)
class ReplicationPad1d(_Border):
    """y[…, i] = x[…, min(max(i - left, 0), n - 1)], n the length of x.

    The border repeats the border cell; negative sizes cut cells off. `padding` is (left, right) or one number for both.

    Shapes: x (N, C, n) or (C, n); y the same with left + n + right cells.
    Gradient: dx adds every cell of dy to the cell of x it was copied from.

    Raises ValueError or TypeError for configurations and shapes that torch refuses.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.ReplicationPad1d.html
    """

    _axes = 1
    _mode = "replicate"


@dataclass(frozen=True)
class ReplicationPad2d(_Border):
    """ReplicationPad1d along the last two axes; `padding` is (left, right, top, bottom) or one number.

    Shapes: x (N, C, H, W) or (C, H, W). Formula, gradient and errors as there.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.ReplicationPad2d.html
    """

    _axes = 2
    _mode = "replicate"


@dataclass(frozen=True)
class ReplicationPad3d(_Border):
    """ReplicationPad1d along the last three axes; `padding` is (left, right, top, bottom, front, back) or one number.

    Shapes: x (N, C, D, H, W) or (C, D, H, W). Formula, gradient and errors as there.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.ReplicationPad3d.html
    """

    _axes = 3
    _mode = "replicate"


@dataclass(frozen=True)
class ZeroPad1d(_Border):
    """y = x with zeros around it; negative sizes cut cells off. `padding` is (left, right) or one number for both.

    Shapes: x (…, n); y the same with left + n + right cells.
    Gradient: dx = dy without its borders, zero where cells were cut off.

    Raises ValueError or TypeError for configurations and shapes that torch refuses.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.ZeroPad1d.html
    """

    _axes = 1
    _mode = "constant"


@dataclass(frozen=True)
class ZeroPad2d(_Border):
    """ZeroPad1d along the last two axes; `padding` is (left, right, top, bottom) or one number.

    Shapes: x (…, H, W). Formula, gradient and errors as there.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.ZeroPad2d.html
    """

    _axes = 2
    _mode = "constant"


@dataclass(frozen=True)
class ZeroPad3d(_Border):
    """ZeroPad1d along the last three axes; `padding` is (left, right, top, bottom, front, back) or one number.

    Shapes: x (…, D, H, W). Formula, gradient and errors as there.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.ZeroPad3d.html
    """

    _axes = 3
    _mode = "constant"


@dataclass(frozen=True)
class ConstantPad1d(_Constant):
    """y = x with `value` around it; negative sizes cut cells off. `padding` is (left, right) or one number for both.

    Shapes: x (…, n); y the same with left + n + right cells; `value` None is 0.
    Gradient: dx = dy without its borders, zero where cells were cut off.

    Raises ValueError or TypeError for configurations and shapes that torch refuses.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.ConstantPad1d.html
    """

    _axes = 1


@dataclass(frozen=True)
class ConstantPad2d(_Constant):
    """ConstantPad1d along the last two axes; `padding` is (left, right, top, bottom) or one number.

    Shapes: x (…, H, W). Formula, gradient and errors as there.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.ConstantPad2d.html
    """

    _axes = 2


@dataclass(frozen=True)
class ConstantPad3d(_Constant):
    """ConstantPad1d along the last three axes; `padding` is (left, right, top, bottom, front, back) or one number.

    Shapes: x (…, D, H, W). Formula, gradient and errors as there.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.ConstantPad3d.html
    """

    _axes = 3


@dataclass(frozen=True)
class CircularPad1d(_Circle):
    """y[…, i] = x[…, (i - left) mod n], n the length of x.

    The border repeats x from its other end, at most once; negative sizes cut cells off, and what is left is repeated.
    `padding` is (left, right) or one number for both.

    Shapes: x (N, C, n) or (C, n); y the same with left + n + right cells.
    Gradient: dx adds every cell of dy to the cell of x it was copied from.

    Raises ValueError or TypeError for configurations and shapes that torch refuses.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.CircularPad1d.html
    """

    _axes = 1


@dataclass(frozen=True)
class CircularPad2d(_Circle):
    """CircularPad1d along the last two axes; `padding` is (left, right, top, bottom) or one number.

    Shapes: x (N, C, H, W) or (C, H, W). Formula, gradient and errors as there.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.CircularPad2d.html
    """

    _axes = 2


@dataclass(frozen=True)
class CircularPad3d(_Circle):
    """CircularPad1d along the last three axes; `padding` is (left, right, top, bottom, front, back) or one number.

    Shapes: x (N, C, D, H, W) or (C, D, H, W). Formula, gradient and errors as there.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.CircularPad3d.html
    """

    _axes = 3
