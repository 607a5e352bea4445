"""Records arithmetic on numbers that are not known yet, and writes it as straight-line Python.

The equations of a transistor are written once, in ordinary arithmetic (`genrf.simulation.batched.vbic`). Run with
`Quantity` for numbers they are recorded: equal operations once, operations on constants not at all, and of all of them only
what an output needs. `Dual` carries sparse derivatives along, `Phasor` is a complex quantity, and `eliminate` solves a
system of equations whose zeros are known, so that its zeros cost nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

Number = Any
"""A `Quantity`, or a float that is known already."""


class Tape:
    """The operations recorded so far."""

    def __init__(self) -> None:
        self._names: dict[tuple[Any, ...], Quantity] = {}
        self._operations: list[tuple[str, tuple[Any, ...]]] = []

    def input(self, expression: str) -> Quantity:
        """A quantity that the written function reads, such as ``card[3]``."""
        return self.record("input", expression)

    def record(self, *operation: Any) -> Quantity:
        """The result of an operation, its name first; of one that has been recorded before, that result."""
        if any(isinstance(part, Dual) for part in operation):
            raise TypeError("a Dual must stand first: its operators know of quantities, theirs not of it")
        key = tuple(id(part) if isinstance(part, Quantity) else part for part in operation)
        found = self._names.get(key)
        if found is None:
            found = self._names[key] = Quantity(self, f"v{len(self._operations)}")
            self._operations.append((found.name, operation))
        return found

    def write(self, outputs: Mapping[str, Number], indent: int) -> list[str]:
        """Lines that compute and assign the outputs, by target."""
        wanted = {value.name for value in outputs.values() if isinstance(value, Quantity)}
        kept = []
        for name, operation in reversed(self._operations):
            if name in wanted:
                wanted |= {part.name for part in operation if isinstance(part, Quantity)}
                kept.append((name, operation))
        lines = [f"{name} = {_text(operation)}" for name, operation in reversed(kept)]
        lines += [f"{target} = {_operand(value)}" for target, value in outputs.items()]
        return [" " * indent + line for line in lines]


class Quantity:
    """A number that the written function will know."""

    __slots__ = ("name", "tape")

    def __init__(self, tape: Tape, name: str) -> None:
        self.tape = tape
        self.name = name

    def __add__(self, other: Number) -> Number:
        return self if _is(other, 0.0) else self.tape.record("+", *_ordered(self, other))

    __radd__ = __add__

    def __sub__(self, other: Number) -> Number:
        return self if _is(other, 0.0) else self.tape.record("-", self, other)

    def __rsub__(self, other: Number) -> Number:
        return -self if _is(other, 0.0) else self.tape.record("-", other, self)

    def __mul__(self, other: Number) -> Number:
        if _is(other, 0.0):
            return 0.0
        if _is(other, 1.0):
            return self
        return -self if _is(other, -1.0) else self.tape.record("*", *_ordered(self, other))

    __rmul__ = __mul__

    def __truediv__(self, other: Number) -> Number:
        return self if _is(other, 1.0) else self.tape.record("/", self, other)

    def __rtruediv__(self, other: Number) -> Number:
        return 0.0 if _is(other, 0.0) else self.tape.record("/", other, self)

    def __neg__(self) -> Quantity:
        return self.tape.record("neg", self)

    def __abs__(self) -> Quantity:
        return self.tape.record("abs", self)

    def exp(self) -> Quantity:
        """e to the power of it."""
        return self.tape.record("math.exp", self)

    def log(self) -> Quantity:
        """Its natural logarithm."""
        return self.tape.record("math.log", self)

    def sqrt(self) -> Quantity:
        """Its square root."""
        return self.tape.record("math.sqrt", self)

    def choose(self, positive: Number, other: Number) -> Quantity:
        """One number where it is above 0, another elsewhere."""
        return self.tape.record("choose", self, positive, other)


class Dual:
    """A quantity and its derivatives by the few variables that it depends on."""

    __slots__ = ("slopes", "value")

    def __init__(self, value: Number, slopes: Mapping[str, Number] | None = None) -> None:
        self.value = value
        self.slopes = dict(slopes or {})

    def __add__(self, other: Dual | Number) -> Dual:
        if not isinstance(other, Dual):
            return Dual(self.value + other, self.slopes)
        return Dual(self.value + other.value, _summed(self.slopes, other.slopes))

    __radd__ = __add__

    def __neg__(self) -> Dual:
        return self * -1.0

    def __sub__(self, other: Dual | Number) -> Dual:
        if not isinstance(other, Dual):
            return Dual(self.value - other, self.slopes)
        return Dual(self.value - other.value, _summed(self.slopes, {k: -slope for k, slope in other.slopes.items()}))

    def __rsub__(self, other: Number) -> Dual:
        return Dual(other - self.value, {k: -slope for k, slope in self.slopes.items()})

    def __mul__(self, other: Dual | Number) -> Dual:
        if not isinstance(other, Dual):
            return Dual(self.value * other, {k: slope * other for k, slope in self.slopes.items()})
        own = {k: slope * other.value for k, slope in self.slopes.items()}
        return Dual(self.value * other.value, _summed(own, {k: self.value * s for k, s in other.slopes.items()}))

    __rmul__ = __mul__

    def __truediv__(self, other: Dual | Number) -> Dual:
        return self * (other.inverse() if isinstance(other, Dual) else 1.0 / other)

    def __rtruediv__(self, other: Number) -> Dual:
        return self.inverse() * other

    def inverse(self) -> Dual:
        """1 over it."""
        found = 1.0 / self.value
        return self._through(found, -(found * found))

    def exp(self) -> Dual:
        """e to the power of it."""
        found = self.value.exp()
        return self._through(found, found)

    def log(self) -> Dual:
        """Its natural logarithm."""
        return self._through(self.value.log(), 1.0 / self.value)

    def sqrt(self) -> Dual:
        """Its square root."""
        found = self.value.sqrt()
        return self._through(found, 0.5 / found)

    def choose(self, positive: Dual, other: Dual) -> Dual:
        """One where it is above 0, another elsewhere."""
        names = {**positive.slopes, **other.slopes}
        slopes = {k: self.value.choose(positive.slopes.get(k, 0.0), other.slopes.get(k, 0.0)) for k in names}
        return Dual(self.value.choose(positive.value, other.value), slopes)

    def _through(self, value: Number, slope: Number) -> Dual:
        return Dual(value, {k: own * slope for k, own in self.slopes.items()})


class Phasor:
    """A complex quantity."""

    __slots__ = ("imag", "real")

    def __init__(self, real: Number, imag: Number = 0.0) -> None:
        self.real = real
        self.imag = imag

    def __add__(self, other: Phasor) -> Phasor:
        return Phasor(self.real + other.real, self.imag + other.imag)

    def __sub__(self, other: Phasor) -> Phasor:
        return Phasor(self.real - other.real, self.imag - other.imag)

    def __mul__(self, other: Phasor) -> Phasor:
        return Phasor(self.real * other.real - self.imag * other.imag, self.real * other.imag + self.imag * other.real)

    def __neg__(self) -> Phasor:
        return Phasor(-self.real, -self.imag)

    def inverse(self) -> Phasor:
        """1 over it."""
        scale = 1.0 / self.power()
        return Phasor(self.real * scale, -(self.imag * scale))

    def power(self) -> Number:
        """The square of its magnitude."""
        return self.real * self.real + self.imag * self.imag


class Real:
    """A real quantity where `eliminate` wants one that can be inverted."""

    __slots__ = ("value",)

    def __init__(self, value: Number) -> None:
        self.value = value

    def __add__(self, other: Real) -> Real:
        return Real(self.value + other.value)

    def __sub__(self, other: Real) -> Real:
        return Real(self.value - other.value)

    def __mul__(self, other: Real) -> Real:
        return Real(self.value * other.value)

    def __neg__(self) -> Real:
        return Real(-self.value)

    def inverse(self) -> Real:
        """1 over it."""
        return Real(1.0 / self.value)


def eliminate(
    matrix: dict[tuple[str, str], Any], inner: Sequence[str], outer: Sequence[str]
) -> dict[str, dict[str, Any]]:
    """Solve the rows of a system for the inner variables, and take these out of the other rows.

    Gauss's elimination without exchange of rows, in the order that fills fewest zeros (Markowitz, Management Science 3(3),
    1957). Every inner variable must keep something on its diagonal place, as nodes with a conductance do.

    Args:
        matrix: coefficients that are not zero, by row and column; those of the other rows are changed in place.
        inner: names of the variables to take out, each a row and a column.
        outer: the other rows; what is no inner column is one of the columns that remain.

    Returns:
        For each inner variable its coefficients by the remaining columns: x = -sum of coefficient times column.
    """
    remaining, pivots = list(inner), []
    while remaining:
        name = min(remaining, key=lambda node: _fill(matrix, node, remaining, outer))
        remaining.remove(name)
        inverse = matrix[name, name].inverse()
        row = {column: value * inverse for (at, column), value in matrix.items() if at == name and column != name}
        pivots.append((name, row))
        for other in [*remaining, *outer]:
            factor = matrix.pop((other, name), None)
            if factor is None:
                continue
            for column, value in row.items():
                product = factor * value
                matrix[other, column] = matrix[other, column] - product if (other, column) in matrix else -product
        for column in [*row, name]:
            del matrix[name, column]
    solved: dict[str, dict[str, Any]] = {}
    for name, row in reversed(pivots):
        found = {column: value for column, value in row.items() if column not in inner}
        for column, value in row.items():
            for final, coefficient in solved.get(column, {}).items():
                product = value * coefficient
                found[final] = found[final] - product if final in found else -product
        solved[name] = found
    return solved


def _fill(matrix: Mapping[tuple[str, str], Any], node: str, remaining: Sequence[str], outer: Sequence[str]) -> int:
    """Products that taking a node out costs."""
    rows = sum((other, node) in matrix for other in [*remaining, *outer] if other != node)
    return rows * sum(at == node and column != node for at, column in matrix)


def _summed(one: Mapping[str, Number], other: Mapping[str, Number]) -> dict[str, Number]:
    found = dict(one)
    for key, slope in other.items():
        found[key] = found[key] + slope if key in found else slope
    return found


def _is(number: Number, value: float) -> bool:
    return not isinstance(number, Quantity) and number == value


def _ordered(one: Quantity, other: Number) -> tuple[Number, Number]:
    """Operands of a commutative operation in one order."""
    if isinstance(other, Quantity) and int(other.name[1:]) < int(one.name[1:]):
        return other, one
    return one, other


def _operand(value: Number) -> str:
    return value.name if isinstance(value, Quantity) else repr(float(value))


def _text(operation: tuple[Any, ...]) -> str:
    kind, *parts = operation
    if kind == "input":
        return str(parts[0])
    operands = [_operand(part) for part in parts]
    if kind in ("+", "-", "*", "/"):
        return f"{operands[0]} {kind} {operands[1]}"
    if kind == "neg":
        return f"-{operands[0]}"
    if kind == "choose":
        return f"{operands[1]} if {operands[0]} > 0.0 else {operands[2]}"
    return f"{kind}({operands[0]})"
