"""Rungs and what trials have reached there: the memory that every way of halving decides by."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

ROUNDING = 1e-9
"""epochs by which a rung may be missed: three times 0.1 is a little more than 0.3"""


def rungs_reached(levels: Iterable[float], epoch: float) -> int:
    """How many rungs lie at or below so many epochs."""
    return sum(level <= epoch + ROUNDING for level in levels)


class Entry(NamedTuple):
    """A trial's mark at a rung."""

    trial: str
    score: float
    """its best objective up to there; higher is better, whatever the direction"""


@dataclass
class _Climber:
    stratum: str
    reached: int = 0
    """rungs that the trial has passed, from the lowest"""


class Ladder:
    """The entries at every rung, a list a stratum, in the order in which trials came there."""

    def __init__(self, levels: Sequence[float], direction: Literal["maximize", "minimize"]) -> None:
        self.levels = tuple(levels)
        self._sign = 1.0 if direction == "maximize" else -1.0
        self._climbers: dict[str, _Climber] = {}
        self._entries: list[dict[str, list[Entry]]] = [{} for _ in self.levels]

    def enter(self, trial: str, stratum: str) -> None:
        """Take in a trial; one that is known stays as it is."""
        self._climbers.setdefault(trial, _Climber(stratum))

    def climb(self, trial: str, epoch: float, best_so_far: float | None) -> list[Entry] | None:
        """Record a trial that has come to a new rung, at the highest one only if it has skipped some.

        Returns the entries of its stratum there, its own last; None where it has come to no new rung, or with nothing
        finite to show.
        """
        climber = self._climbers[trial]
        reached = rungs_reached(self.levels, epoch)
        if reached <= climber.reached or best_so_far is None or not math.isfinite(best_so_far):
            return None
        climber.reached = reached
        return self._add(trial, reached, best_so_far)

    def carry(self, trial: str, best: float | None) -> None:
        """Enter the best of a trial that ended by patience into every rung that it has not reached.

        It would hardly have improved with more epochs; without it, later rungs would be judged by the survivors of
        fewer, and a trial worse than it could pass them.
        """
        climber = self._climbers.get(trial)
        if climber is None or best is None or not math.isfinite(best):
            return
        for rung in range(climber.reached + 1, len(self.levels) + 1):
            self._add(trial, rung, best)
        climber.reached = len(self.levels)

    def reached(self, trial: str) -> int:
        """Rungs that a trial has passed."""
        return self._climbers[trial].reached

    def stratum(self, trial: str) -> str:
        """What a trial is compared within."""
        return self._climbers[trial].stratum

    def strata(self, rung: int) -> Mapping[str, list[Entry]]:
        """The entries at a rung, from 1, by stratum."""
        return self._entries[rung - 1]

    def _add(self, trial: str, rung: int, best: float) -> list[Entry]:
        entries = self._entries[rung - 1].setdefault(self._climbers[trial].stratum, [])
        entries.append(Entry(trial, self._sign * best))
        return entries


def best_first(entries: Iterable[Entry]) -> list[Entry]:
    """Those of equal score in the order in which they came."""
    return sorted(entries, key=lambda entry: -entry.score)
