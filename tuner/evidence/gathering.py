"""What a search's predictions say about its table: intervals, ranks, ties, spreads and paired differences."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal

from tuner.records import SearchRecord
from tuner.store import Store

Split = Literal["val", "test"]


@dataclass(frozen=True)
class Interval:
    """A 95 % interval."""

    low: float
    high: float


@dataclass(frozen=True)
class Spread:
    """How a trial's config did over its repeats; the trial itself was chosen for its value and is not among them."""

    mean: float
    sd: float | None
    """of the sample; None for a single run"""
    runs: int


@dataclass(frozen=True)
class Difference:
    """One minus the other on the same images, with its 95 % interval."""

    value: float
    low: float
    high: float
    images: int


def _unknown(one: str, other: str, split: Split, metric: str) -> Difference | None:  # noqa: ARG001
    return None


@dataclass(frozen=True)
class Evidence:
    """What predictions support; trials and references without predictions are left out of it."""

    metric: str = ""
    intervals: Mapping[str, Interval] = field(default_factory=dict)
    """trial, rerun or reference -> interval of its objective on validation"""
    ranks: Mapping[str, int] = field(default_factory=dict)
    """eligible trial -> 1 + number of trials significantly better"""
    tied: frozenset[str] = frozenset()
    """trials of rank 1, the best not told apart from the others; empty when one stands alone"""
    cheapest: str | None = None
    """the cheapest of those tied"""
    spreads: Mapping[str, Spread] = field(default_factory=dict)
    """trial -> over its repeats"""
    images: int = 0
    """validation images that were drawn from; 0: none"""
    groups: int = 0
    """groups they form, drawn whole"""
    seeds: bool = False
    """whether repeats put the luck of the seed into the ranks"""
    unread: tuple[str, ...] = ()
    """eligible trials without predictions that give their value: ranked by value"""
    _difference: Callable[[str, str, Split, str], Difference | None] = field(default=_unknown, repr=False)

    def difference(self, one: str, other: str, split: Split = "val", metric: str | None = None) -> Difference | None:
        """One trial (rerun, reference) minus another by paired bootstrap; None where either lacks predictions."""
        return self._difference(one, other, split, metric or self.metric)


def gather(store: Store, record: SearchRecord) -> Evidence:  # noqa: ARG001
    """The evidence of a search, running or ended."""
    return Evidence(record.metric, ranks=record.ranks())
