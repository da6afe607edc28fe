"""Searches with a simulated clock: a way of halving, trials whose curves are known, no process."""

from __future__ import annotations

import heapq
import itertools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from tuner.ray_backend.halving.protocol import Halving

BASELINE = "t0001"


@dataclass
class Simulated:
    """What came of a search."""

    epochs: dict[str, float] = field(default_factory=dict)
    finished: list[str] = field(default_factory=list)
    promoted: list[tuple[str, int]] = field(default_factory=list)
    calls: list[Callable[[Halving], object]] = field(default_factory=list)
    """all that the halving was told, to tell another one"""


def simulate(
    halving: Halving,
    curves: Sequence[Callable[[float], float]],
    *,
    epochs: float,
    workers: int = 1,
    evaluations: Sequence[float] = (),
    fails: Callable[[str, float], bool] = lambda trial, epoch: False,  # noqa: ARG005
) -> Simulated:
    """Run trials t0001, t0002, ... of these curves; an epoch takes as long in all of them.

    Args:
        curves: epoch -> best objective so far
        evaluations: within the first epoch, beside those at each epoch's end
        fails: whether a trial is lost before its report at an epoch
    """
    ran = Simulated()
    known = {f"t{number:04d}": curve for number, curve in enumerate(curves, start=1)}
    unstarted = list(known)
    times = sorted({*evaluations, *(float(epoch) for epoch in range(1, math.ceil(epochs) + 1))})
    busy: list[tuple[float, int, str]] = []
    count = itertools.count()

    def tell(call: Callable[[Halving], object]) -> object:
        ran.calls.append(call)
        return call(halving)

    def go_on(trial: str, now: float) -> None:
        reached = ran.epochs.get(trial, 0.0)
        heapq.heappush(busy, (now + next(time for time in times if time > reached) - reached, next(count), trial))

    def promote(now: float) -> bool:
        found = halving.promotable(all_started=not unstarted)
        if found is None:
            return False
        tell(lambda other: other.promote(found.trial))
        ran.promoted.append((found.trial, found.rung))
        go_on(found.trial, now)
        return True

    def start(now: float) -> bool:
        if not unstarted:
            return False
        trial = unstarted.pop(0)
        tell(lambda other: other.started(trial))
        go_on(trial, now)
        return True

    def fill(now: float) -> None:
        while len(busy) < workers and (promote(now) or start(now)):
            pass

    fill(0.0)
    while busy:
        now, _, trial = heapq.heappop(busy)
        epoch = next(time for time in times if time > ran.epochs.get(trial, 0.0))
        ran.epochs[trial] = epoch
        best = known[trial](epoch)
        if fails(trial, epoch):
            tell(lambda other, trial=trial, best=best: other.ended(trial, best, False))
        elif epoch >= epochs:
            tell(lambda other, trial=trial, best=best: other.ended(trial, best, False))
            ran.finished.append(trial)
        elif tell(lambda other, trial=trial, epoch=epoch, best=best: other.report(trial, epoch, best)) == "go_on":
            go_on(trial, now)
        else:
            tell(lambda other, trial=trial, best=best: other.ended(trial, best, False))
        fill(now)
    return ran
