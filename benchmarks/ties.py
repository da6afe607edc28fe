"""How often a table names a sole winner: wrongly among equal configs, rightly where one is better.

    python benchmarks/ties.py [--searches 200] [--configs 20] [--images 300]

A search is simulated at the level of predictions: ten labels of an image are easy or hard for every config alike, each
run errs on its own where it would, and in some worlds a run's seed makes the whole model better or worse. Runs are
scored by f2_macro and compared as the leaderboard compares them; beside it the step-down alone (rule 1 of
tuner/evidence/comparison.py), and the habit of bolding the highest value if its 95 % interval, taken by itself, lies
above the second's.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from tabulate import tabulate

from tuner.evidence.bootstrap import RESAMPLES, draw_weights
from tuner.evidence.comparison import Chance, better_in_family, better_rows, seed_variance
from tuner.evidence.weighted import Floats, Scored, weighted_metric

METRIC = "f2_macro"
LABELS = 10
BASE_SKILL = 0.8
NOISE = 0.5
"""of a run on a label of an image, in units of the difficulty that all runs share; it makes the standard error of a
paired difference 0.9 of a row's, as between the trials of the demo search (0.94 in f2_macro, 0.78 in
average_precision_macro)"""
REPEATED, REPEATS = 3, 3
"""how many of the best configs are run again, how often"""
CALIBRATING = 300
"""simulated pairs that give the standard errors"""


@dataclass(frozen=True)
class World:
    """What searches are drawn from."""

    title: str
    skills: Sequence[float]
    """of each config"""
    seed_sd: float = 0.0
    """of the skill between runs of one config"""
    repeats: int = 0


@dataclass(frozen=True)
class Images:
    """A validation split."""

    targets: npt.NDArray[np.bool_]
    difficulty: Floats

    @classmethod
    def drawn(cls, rng: np.random.Generator, count: int) -> Images:
        targets = rng.random((count, LABELS)) < np.linspace(0.1, 0.4, LABELS)
        return cls(targets, rng.standard_normal(targets.shape))

    def run(self, rng: np.random.Generator, skill: float, seed_sd: float = 0.0) -> Scored:
        """The predictions of one run of a config."""
        able = skill + seed_sd * rng.standard_normal() + NOISE * rng.standard_normal(self.targets.shape)
        right = able > self.difficulty
        nothing = np.zeros(self.targets.shape, dtype=np.float32)
        return Scored(nothing, right == self.targets, self.targets, np.zeros(len(right)))


def value_of(scored: Scored) -> float:
    return float(weighted_metric(scored, METRIC, np.ones((len(scored.targets), 1)))[0])


def winners(world: World, rng: np.random.Generator, images: int) -> tuple[int | None, int | None, int | None]:
    """The sole winner of one search by each of the three rules: ours, the step-down alone, intervals apart."""
    split = Images.drawn(rng, images)
    weights = draw_weights(np.arange(images), RESAMPLES)

    def trained(skill: float) -> tuple[float, Floats]:
        run = split.run(rng, skill, world.seed_sd)
        return value_of(run), weighted_metric(run, METRIC, weights)

    rows = [[trained(skill)] for skill in world.skills]
    for row in sorted(range(len(rows)), key=lambda row: -rows[row][0][0])[:REPEATED] if world.repeats else ():
        rows[row] = [trained(world.skills[row]) for _ in range(world.repeats)]
    runs = [(np.array([value for value, _ in row]), np.stack([draws for _, draws in row])) for row in rows]
    values = np.array([of_runs.mean() for of_runs, _ in runs])
    draws = np.stack([of_runs.mean(axis=0) for _, of_runs in runs])
    chance = Chance.of(draws, np.array([len(row) for row in rows]), seed_variance(runs))
    first, second = np.argsort(-values)[:2]
    low, high = np.percentile(draws[first], 2.5), np.percentile(draws[second], 97.5)
    return (
        sole(better_rows(values, chance)),
        sole(better_in_family(values, chance)),
        int(first) if low > high else None,
    )


def sole(better: npt.NDArray[np.bool_]) -> int | None:
    """The only row that no row is better than."""
    unbeaten = np.flatnonzero(~better.any(axis=1))
    return int(unbeaten[0]) if len(unbeaten) == 1 else None


def standard_errors(rng: np.random.Generator, images: int, skill: float, seed_sd: float) -> tuple[float, float, float]:
    """Over new images and seeds: of a config's value, of its difference to the base config, and that difference."""
    values, differences = [], []
    for _ in range(CALIBRATING):
        split = Images.drawn(rng, images)
        value = value_of(split.run(rng, skill, seed_sd))
        values.append(value)
        differences.append(value - value_of(split.run(rng, BASE_SKILL, seed_sd)))
    return float(np.std(values)), float(np.std(differences)), float(np.mean(differences))


def better_skill(images: int, errors: float, *, paired: bool, seed_sd: float) -> float:
    """The skill of a config that is better than the base by so many standard errors, by bisection."""
    low, high = BASE_SKILL, BASE_SKILL + 1.5
    for _ in range(12):
        skill = (low + high) / 2
        own, of_pair, difference = standard_errors(np.random.default_rng(2), images, skill, seed_sd)
        low, high = (skill, high) if difference < errors * (of_pair if paired else own) else (low, skill)
    return skill


def worlds(configs: int, images: int) -> list[World]:
    """Where nobody should win, and where one should."""
    own, of_pair, _ = standard_errors(np.random.default_rng(2), images, BASE_SKILL, 0.0)
    slope = standard_errors(np.random.default_rng(2), images, BASE_SKILL + 0.1, 0.0)[2] / 0.1
    seed_sd = of_pair / slope / 2**0.5  # seeds and images then contribute alike to a difference
    print(f"standard error of a row {own:.4f}, of a paired difference {of_pair:.4f} ({METRIC}, {images} images)")
    equal = [BASE_SKILL] * configs
    two = [BASE_SKILL] * 2 + [BASE_SKILL - 0.6] * (configs - 2)
    paired = better_skill(images, 4, paired=True, seed_sd=0.0)
    row = better_skill(images, 4, paired=False, seed_sd=0.0)
    seeded = better_skill(images, 4, paired=True, seed_sd=seed_sd)
    rest = equal[1:]
    return [
        World("equal", equal),
        World("equal, seeds matter, no repeats", equal, seed_sd),
        World("equal, seeds matter, repeats", equal, seed_sd, REPEATS),
        World("two equal bests, the rest far below", two),
        World("two equal bests, seeds matter, no repeats", two, seed_sd),
        World("two equal bests, seeds matter, repeats", two, seed_sd, REPEATS),
        World("one better by 4 se of the paired difference", [paired, *rest]),
        World("one better by 4 se of a row", [row, *rest]),
        World("one better by 4 se of the paired difference, seeds matter, no repeats", [seeded, *rest], seed_sd),
        World("the same, repeats", [seeded, *rest], seed_sd, REPEATS),
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--searches", type=int, default=200)
    parser.add_argument("--configs", type=int, default=20)
    parser.add_argument("--images", type=int, default=300)
    given = parser.parse_args()
    rows = []
    for world in worlds(given.configs, given.images):
        rng = np.random.default_rng(1)
        found = [winners(world, rng, given.images) for _ in range(given.searches)]
        one_is_better = world.skills[0] > max(world.skills[1:])
        named = [[rule for rule in column if rule is not None] for column in zip(*found, strict=True)]
        shares = [sum(not one_is_better or row == 0 for row in column) / given.searches for column in named]
        rows.append([world.title, "right" if one_is_better else "wrong", *(f"{share:.1%}" for share in shares)])
        print(tabulate(rows[-1:], tablefmt="plain"), flush=True)
    print()
    headers = ["configs", "a sole winner is", "ours", "step-down alone", "intervals apart"]
    print(tabulate(rows, headers, tablefmt="github"))


if __name__ == "__main__":
    main()
