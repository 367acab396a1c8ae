"""Seeded randomness with the two questions a generator asks: does it happen, and which one."""

from collections.abc import Sequence
from itertools import accumulate
from random import Random
from typing import TypeVar

T = TypeVar("T")


class Dice(Random):
    """A random source that is re-seeded for each person, so that person number i is the same in every population."""

    def chance(self, probability: float) -> bool:
        """True with the given probability."""
        return self.random() < probability

    def pick(self, options: Sequence[T]) -> T:
        """One of the options, each as likely as the other (cheaper than `choice`)."""
        return options[int(self.random() * len(options))]


class Weighted:
    """A fixed table of options with weights."""

    def __init__(self, **weights: float):
        self._options = tuple(weights)
        self._bounds = tuple(accumulate(weights.values()))

    def pick(self, dice: Dice) -> str:
        """One option, as likely as its weight."""
        point = dice.random() * self._bounds[-1]
        return next(option for option, bound in zip(self._options, self._bounds, strict=True) if point < bound)
