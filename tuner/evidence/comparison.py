"""Which rows of a table are better than which, beyond the luck of the images, of the seeds and of looking at many.

Two rules find that row j is better than row i, both at a family-wise level of 5 % and two-sided:

1. Row i against all others at once: the largest |t| of paired bootstrap differences gives the critical value, stepped
   down after each rejection (Romano & Wolf: Exact and approximate stepdown methods for multiple hypothesis testing,
   JASA 2005; t = difference / standard error). It controls what is said of row i, for every i.
2. The first row against each other row by itself, without a correction: where every one of these tests rejects, it
   stands alone. An intersection-union test (Berger: Multiparameter hypothesis testing and acceptance sampling,
   Technometrics 1982) needs no correction, but the first row was selected, so each test must be two-sided: with two
   equal bests either may come out first (Gutmann & Maymin: Is the selected population the best?, Annals of Statistics
   1987). Two equal bests far above the rest are the worst case, and give 5 %. Rows that are correlated or unequally
   noisy change that little: two regions of the noise in which different rows stand alone are at least twice the
   critical value apart, so the Gaussian isoperimetric inequality bounds all false ones together by 5.3 %.

Rule 2 is there for its power: among 20 rows the second best is the luckiest of 19, which costs rule 1 half of the cases
that rule 2 finds (benchmarks/ties.py).

The seed's luck comes from repeats. Runs of one config differ on the same images for two reasons: each seed errs on
other images, which the bootstrap over images has already counted, and a seed may make a model that is truly better
(Jordan: Calibrated chaos, variance between runs of neural network training is harmless and inevitable, arXiv
2304.01910, finds that it is mostly the first). Only the rest, pooled sample variance less the bootstrap's share, is
added. With few repeats it is known badly, so the noise is drawn with the variance's own uncertainty, as in Student's t.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tuner.evidence.weighted import Floats

LEVEL = 0.05
_SEED = 1
_ROUNDING = 1e-12
"""standard errors below it are none: the rows are equal on every image"""


@dataclass(frozen=True)
class SeedVariance:
    """How much runs of one config differ on the same images."""

    pooled: float
    """sample variance over the runs of each repeated config, pooled"""
    of_images: float
    """the part of it that the bootstrap over images holds already"""
    freedom: int
    """degrees of freedom: runs less configs"""

    def beyond_images(self, pooled: npt.ArrayLike) -> Floats:
        """The part that the bootstrap does not hold, were the pooled variance this."""
        return np.maximum(np.asarray(pooled) - self.of_images, 0.0)


def seed_variance(configs: Sequence[tuple[Floats, Floats]]) -> SeedVariance | None:
    """From the runs of each repeated config on the same images; None where none has two runs.

    Args:
        configs: for each, the values of its runs [runs] and their bootstrap draws [runs, resamples]
    """
    repeated = [(values, draws) for values, draws in configs if len(values) > 1]
    freedom = sum(len(values) - 1 for values, _ in repeated)
    if not freedom:
        return None
    between = sum(float(((values - values.mean()) ** 2).sum()) for values, _ in repeated)
    resampled = sum(float((draws - draws.mean(axis=0)).var(axis=1).sum()) for _, draws in repeated)
    return SeedVariance(between / freedom, resampled / freedom, freedom)


@dataclass(frozen=True)
class Chance:
    """What chance alone does to the rows of a table."""

    noise: npt.NDArray[np.float32]
    """[rows, resamples], what it adds to each row"""
    errors: Floats
    """[rows, rows], standard error of the difference of each two rows"""

    @classmethod
    def of(cls, draws: Floats, runs: npt.NDArray[np.int64], seeds: SeedVariance | None) -> Chance:
        """From bootstrap draws [rows, resamples] of rows that are means over `runs` [rows]; `seeds` None: left out."""
        noise = draws - draws.mean(axis=1, keepdims=True)
        covariance = np.cov(draws, ddof=0).reshape(len(draws), len(draws))
        of_rows = covariance.diagonal()
        if seeds:
            rng = np.random.default_rng(_SEED)
            pooled = seeds.pooled * seeds.freedom / rng.chisquare(seeds.freedom, draws.shape[1])
            noise += rng.standard_normal(draws.shape) * np.sqrt(seeds.beyond_images(pooled) / runs[:, None])
            of_rows = of_rows + seeds.beyond_images(seeds.pooled) / runs
        variance = of_rows[:, None] + of_rows - 2 * covariance
        return cls(noise.astype(np.float32), np.sqrt(np.maximum(variance, 0.0)))

    def against(self, row: int, values: Floats) -> tuple[Floats, npt.NDArray[np.float32]]:
        """Differences of all rows to one over their errors, [rows], and the size of what chance adds to them,
        [rows, resamples]."""
        differences = values - values[row]
        exact = self.errors[row] < _ROUNDING
        scale = np.where(exact, 1.0, self.errors[row])
        unlike = exact & (np.abs(differences) > _ROUNDING)
        t = np.where(unlike, np.copysign(np.inf, differences), np.where(exact, 0.0, differences / scale))
        spread = self.noise - self.noise[row]
        spread *= (1 / scale).astype(np.float32)[:, None]
        return t, np.abs(spread, out=spread)


def better_rows(values: Floats, chance: Chance) -> npt.NDArray[np.bool_]:
    """Which row is significantly better than which.

    Args:
        values: [rows], higher is better
        chance: of the same rows

    Returns:
        [rows, rows]: whether column j is better than row i
    """
    better = better_in_family(values, chance)
    if stands_alone(values, chance):
        first = int(values.argmax())
        better[:, first] = np.arange(len(values)) != first
    return better


def better_in_family(values: Floats, chance: Chance) -> npt.NDArray[np.bool_]:
    """Rule 1 by itself, for each row against all others; as `better_rows`."""
    better = np.zeros((len(values), len(values)), dtype=bool)
    for row in range(len(values)):
        t, spread = chance.against(row, values)
        better[row] = _step_down(t, spread, row) & (t > 0)
    return better


def stands_alone(values: Floats, chance: Chance) -> bool:
    """Rule 2: whether the first row is significantly better than each other one by itself; a single row is not."""
    if len(values) < 2:
        return False
    first = int(values.argmax())
    t, spread = chance.against(first, values)
    others = np.arange(len(values)) != first
    return bool((-t[others] > _critical(spread[others])).all())


def _step_down(t: Floats, spread: npt.NDArray[np.float32], row: int) -> npt.NDArray[np.bool_]:
    """The rows that differ from `row`: critical values from those not yet found to differ, until none is added."""
    left = np.arange(len(t)) != row
    while left.any():
        found = left & (np.abs(t) > _critical(spread[left].max(axis=0)))
        if not found.any():
            break
        left &= ~found
    differing: npt.NDArray[np.bool_] = ~left
    differing[row] = False
    return differing


def _critical(spread: npt.NDArray[np.float32]) -> Floats:
    """What chance exceeds in 5 % of the resamples, over the last axis."""
    return np.asarray(np.quantile(spread, 1 - LEVEL, axis=-1, method="higher"), dtype=np.float64)
