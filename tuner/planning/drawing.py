"""The trials of a search that has not run: what its sampler would draw before it has learnt anything."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from itertools import islice

from search_spaces.space import Space
from trainable.config import TrialConfig

DRAWS = 1000
"""in a row that may break a limit; then a search has no more trials"""


class DrawnTrials:
    """The baseline, then the grid in its order, or configs at random; those that break a limit left out."""

    def __init__(self, space: Space, trials: int, seed: int, breach: Callable[[TrialConfig], str | None]) -> None:
        self.draws = 0
        """configs drawn, with those left out"""
        self._space = space
        self._breach = breach
        self._seed = seed
        self.configs = list(islice(self._all(), trials))

    def _all(self) -> Iterator[TrialConfig]:
        baseline = self._space.baseline_config()
        yield baseline
        in_a_row = 0
        for config in self._sampled():
            self.draws += 1
            in_a_row = in_a_row + 1 if self._breach(config) else 0
            if in_a_row == 0:
                yield config
            elif in_a_row == DRAWS and self._space.sampler != "grid":
                return

    def _sampled(self) -> Iterator[TrialConfig]:
        if self._space.sampler == "grid":
            baseline = self._space.baseline_config()
            yield from (config for params in self._space.grid() if (config := self._space.config(params)) != baseline)
            return
        random_params = random.Random(self._seed)
        while True:
            yield self._space.config(self._space.draw(random_params))
