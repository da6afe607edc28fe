"""Score against latency: the trials that give up neither for nothing."""

from __future__ import annotations

from tuner.records import SearchRecord


def pareto_front(search: SearchRecord) -> frozenset[str]:
    """Finished trials that no other one beats: none is at least as good and as fast, and in one of the two better.

    Empty where no latency is known.
    """
    sign = -1.0 if search.direction == "maximize" else 1.0
    points = {
        trial.id: (sign * trial.best_value, latency)
        for trial in search.trials
        if trial.eligible and trial.best_value is not None and (latency := search.latency_ms(trial)) is not None
    }
    return frozenset(id for id, point in points.items() if not any(_beats(other, point) for other in points.values()))


def _beats(one: tuple[float, float], other: tuple[float, float]) -> bool:
    """Whether it is nowhere higher and somewhere lower."""
    return one != other and one[0] <= other[0] and one[1] <= other[1]


def latencies_differ(search: SearchRecord) -> bool:
    """Whether there is something to choose between."""
    return len({search.latency_ms(trial) for trial in search.trials} - {None}) > 1
