"""Seeded randomness for generators."""

from collections.abc import Sequence
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

    def below(self, limit: int) -> int:
        """A whole number from 0 to limit - 1 (cheaper than `randrange`)."""
        return int(self.random() * limit)


def weighted(**weights: int) -> tuple[str, ...]:
    """Options for `Dice.pick`, each standing there as often as its weight."""
    return tuple(option for option, weight in weights.items() for _ in range(weight))
