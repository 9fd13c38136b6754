"""How cost grows: cost = a · size^k; k by least squares of the logarithms."""

from __future__ import annotations

import math
from collections.abc import Sequence


def exponent(sizes: Sequence[float], costs: Sequence[float]) -> float | None:
    """k; None with fewer than two different sizes, or where a cost is nothing."""
    points = [(math.log(size), math.log(cost)) for size, cost in zip(sizes, costs) if size > 0 and cost > 0]
    if len(points) < 2:
        return None
    mean_x = sum(x for x, _ in points) / len(points)
    mean_y = sum(y for _, y in points) / len(points)
    spread = sum((x - mean_x) ** 2 for x, _ in points)
    return sum((x - mean_x) * (y - mean_y) for x, y in points) / spread if spread else None


def upper_exponent(sizes: Sequence[float], costs: Sequence[float]) -> float | None:
    """k of the three largest sizes, of more: there the fixed half second of a start (deriving the key) hides the growth least."""
    return exponent(sizes[-3:], costs[-3:]) if len(sizes) > 3 else None


def steps(smallest: int, largest: int, factor: int) -> list[int]:
    """smallest, smallest · factor, … up to largest, which is among them."""
    found = []
    size = smallest
    while size < largest:
        found.append(size)
        size *= factor
    return found + [largest]
