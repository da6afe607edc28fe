"""How often somebody may ask."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable

_KNOWN = 10_000
"""who is remembered; the longest silent are forgotten, whose allowance is whole by then"""


class Rate:
    """An allowance for each who asks, which fills again as time goes by; used from one thread."""

    def __init__(self, per_minute: float, at_once: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._per_second = per_minute / 60
        self._at_once = at_once
        self._clock = clock
        self._left: OrderedDict[str, tuple[float, float]] = OrderedDict()
        """what was left, and when"""

    def take(self, who: str) -> float:
        """Use one of it up. Returns the seconds until there is one, 0 where there was."""
        now = self._clock()
        left, at = self._left.pop(who, (self._at_once, now))
        left = min(self._at_once, left + (now - at) * self._per_second)
        wait = 0.0 if left >= 1 else (1 - left) / self._per_second
        self._left[who] = (left - 1 if not wait else left, now)
        if len(self._left) > _KNOWN:
            self._left.popitem(last=False)
        return wait
