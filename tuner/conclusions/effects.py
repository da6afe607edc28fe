"""What each setting of a table of runs does to the value, as far as the runs can tell."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from tuner.conclusions.contrasts import Cell, Contrast, level_contrasts, with_welch
from tuner.conclusions.runs import Level, Run, Runs, is_number

FEWEST_ASSOCIATED = 5
"""runs below which an association is not worth telling"""
FEWEST_FOR_INTERVAL = 10
"""runs below which the interval of a rank correlation is too rough"""

_OFF = frozenset({"", "-", "0%", "false", "no", "none", "off", "without"})
_RELATIVE_GRAIN = 1e-9


@dataclass(frozen=True)
class Effect:
    """A setting's levels compared fairly."""

    setting: str
    contrasts: tuple[Contrast, ...]
    """one for two levels, else one each"""
    groups: int
    """of runs that are equal in all other settings; 0: runs drawn at random, compared as they are"""
    runs: int
    within: str = ""
    """what it is confined to, if anything, such as a backbone"""

    @property
    def shown(self) -> tuple[Contrast, ...]:
        """The contrasts that the runs support, strongest first."""
        return tuple(sorted((c for c in self.contrasts if c.shown), key=lambda c: -abs(c.difference)))


@dataclass(frozen=True)
class Association:
    """How value and setting went together; what caused it the runs cannot tell."""

    setting: str
    runs: int
    correlation: float | None = None
    """rank correlation, above 0 where higher levels go with better values; None for levels without a size"""
    low: float | None = None
    high: float | None = None
    """95 % interval, where runs were drawn at random"""
    means: tuple[tuple[Level, float, int], ...] = ()
    """(level, mean, runs), best first, for levels without a size"""
    strength: float = 0.0
    """share of the variance that goes with it, 0 to 1, by ranks for a correlation"""
    within: str = ""


@dataclass(frozen=True)
class Untold:
    """A setting of which the runs tell nothing."""

    setting: str
    reason: str
    within: str = ""


Finding = Effect | Association | Untold


def findings_of(runs: Runs) -> list[Finding]:
    """What the runs tell of each setting, in the order of the settings; per backbone for frozen blocks."""
    return [found for setting in runs.settings for found in _findings(runs, setting)]


def _findings(runs: Runs, setting: str) -> Iterator[Finding]:
    backbones = {row.settings.get(runs.backbone) for row in runs.rows} if runs.backbone else set()
    if setting != runs.freeze or len(backbones) < 2:
        yield _finding(runs, setting)
        return
    # Networks have blocks of different number and size: freezing four of one says nothing of four of another.
    for backbone in _in_order(level for level in backbones if level is not None):
        rows = tuple(row for row in runs.rows if row.settings.get(runs.backbone or "") == backbone)
        names = {row.name for row in rows}
        again = tuple(run for run in runs.again if run.name in names)
        found = _finding(replace(runs, rows=rows, again=again), setting)
        yield replace(found, within=str(backbone))


def _finding(runs: Runs, setting: str) -> Finding:
    rows = [row for row in (_as_compared(runs, row, setting) for row in runs.rows) if setting in row.settings]
    levels = _in_order({row.settings[setting] for row in rows})
    if len(levels) < 2:
        return Untold(setting, runs.say("one level") if levels else runs.say("in no {noun:1}"))
    if runs.design == "adaptive":
        return _association(runs, rows, setting, levels)
    again = [_as_compared(runs, run, setting) for run in runs.again if setting in run.settings]
    compared, repeated_only = _comparable(rows, again, setting)
    within = runs.say("the repeated trials") if repeated_only else ""
    cells = _matched_cells(compared, setting)
    contrasts = _contrasts(runs, cells, levels, _floors(runs, compared, setting))
    groups = len({group for group, _, _ in cells})
    matched = Effect(setting, tuple(contrasts), groups, len(compared), within)
    certain = any(contrast.error is not None for contrast in contrasts)
    if runs.design == "random":
        return matched if certain and 2 * len(cells) >= len(rows) else _of_drawn(runs, rows, setting)
    if certain:
        return matched
    if groups == 1 and len(contrasts) == 1 and (told := _of_equal_runs(runs, compared, setting, contrasts[0])):
        return told
    if len(levels) > 2 and all(map(is_number, levels)) and len(rows) >= FEWEST_ASSOCIATED:
        return _association(runs, rows, setting, levels)
    if groups == 1:
        return matched
    too_few = (
        runs.say("too few {noun:5} differ in it alone") if groups else runs.say("no two {noun:5} differ in it alone")
    )
    return Untold(setting, too_few)


def _of_equal_runs(runs: Runs, rows: Sequence[Run], setting: str, pair: Contrast) -> Effect | None:
    """The only pair, by the spread of its equal runs; None where a level has but one."""
    equal: dict[Hashable, dict[Level, list[float]]] = defaultdict(lambda: defaultdict(list))
    for row in rows:
        others = frozenset((name, level) for name, level in row.settings.items() if name != setting)
        equal[row.block, others][row.settings[setting]].append(row.value)
    for by_level in equal.values():
        values, against = by_level.get(pair.level, []), by_level.get(pair.against or "", [])
        if len(values) > 1 and len(against) > 1:
            told = with_welch(pair, values, against, _grain([row.value for row in runs.rows]))
            return Effect(setting, (told,), 1, len(values) + len(against))
    return None


def _of_drawn(runs: Runs, rows: list[Run], setting: str) -> Finding:
    """Of settings drawn independently, averages over all others are fair."""
    drawn = [row for row in rows if row.drawn]
    levels = _in_order({row.settings[setting] for row in drawn})
    if len(levels) < 2:
        return Untold(setting, runs.say("one level among {noun:5} that were drawn"))
    if len(levels) > 2 and all(map(is_number, levels)):
        return _association(runs, drawn, setting, levels)
    cells: list[Cell] = [((), row.settings[setting], row.value) for row in drawn]
    contrasts = _contrasts(runs, cells, levels, _floors(runs, drawn, setting))
    if contrasts[0].error is None:
        return Untold(setting, runs.say("only {count} {noun:5} were drawn", count=len(drawn)))
    return Effect(setting, tuple(contrasts), 0, len(drawn))


def _as_compared(runs: Runs, row: Run, setting: str) -> Run:
    """The run with frozen blocks by number, so that `50%` is the four blocks it comes to.

    From backbone to backbone `all` stays `all`: as numbers of blocks no two would be equal.
    """
    if runs.freeze is None or runs.freeze not in row.settings or row.freeze_blocks is None or setting == runs.backbone:
        return row
    return replace(row, settings={**row.settings, runs.freeze: row.freeze_blocks})


def _comparable(rows: Sequence[Run], again: Sequence[Run], setting: str) -> tuple[list[Run], bool]:
    """The runs to compare, and whether they are confined to those that were repeated.

    Where levels are averaged over settings that exist only beside them, only rows with a run in every block count: a
    level's mean would otherwise be over other settings in one block than in the next.
    """
    if not again or not _nested(rows, setting):
        return [*rows, *again], False
    blocks = {run.block for run in again}
    times = Counter(name for name, _ in {(run.name, run.block) for run in again})
    repeated = [row for row in rows if times[row.name] == len(blocks)]
    if len({row.settings[setting] for row in repeated}) < 2:
        return list(rows), False
    kept = {row.name for row in repeated}
    return [*repeated, *(run for run in again if run.name in kept)], True


def _floors(runs: Runs, rows: Sequence[Run], setting: str) -> dict[Level, float]:
    """The least variance of each level's mean: luck that all runs of a block share counts once a block."""
    of_level: dict[Level, Counter[str]] = defaultdict(Counter)
    for row in rows:
        of_level[row.settings[setting]][row.block] += 1
    return {
        level: runs.luck**2 * sum(count**2 for count in blocks.values()) / blocks.total() ** 2
        for level, blocks in of_level.items()
    }


def _matched_cells(rows: Sequence[Run], setting: str) -> list[Cell]:
    """Means of runs that are equal in everything, in groups that are equal but for the setting, two levels or more."""
    nested = _nested(rows, setting)
    values: dict[Hashable, dict[Level, list[float]]] = defaultdict(lambda: defaultdict(list))
    for row in rows:
        others = {name: level for name, level in row.settings.items() if name != setting and name not in nested}
        values[row.block, frozenset(others.items())][row.settings[setting]].append(row.value)
    return [
        (group, level, sum(found) / len(found))
        for group, by_level in values.items()
        if len(by_level) > 1
        for level, found in by_level.items()
    ]


def _nested(rows: Sequence[Run], setting: str) -> set[str]:
    """Settings that exist only beside some of its levels, as a head's width: runs are averaged over them."""
    by_level: dict[Level, list[Run]] = defaultdict(list)
    for row in rows:
        by_level[row.settings[setting]].append(row)
    everywhere = {name for row in rows for name in row.settings}
    never = (everywhere.difference(*(row.settings for row in found)) for found in by_level.values())
    return set().union(*never)


def _contrasts(
    runs: Runs, cells: Sequence[Cell], levels: Sequence[Level], floors: Mapping[Level, float]
) -> list[Contrast]:
    if not cells:
        return []
    kept = [level for level in levels if any(level == found for _, found, _ in cells)]
    grain = _grain([row.value for row in runs.rows])
    contrasts = level_contrasts(cells, kept, grain, floors)
    named = len(kept) == 2 and not is_number(kept[1]) and str(kept[0]).lower() not in _OFF
    if named and any(_gain(runs, contrast.difference) < 0 for contrast in contrasts):
        return level_contrasts(cells, kept[::-1], grain, floors)  # of two names the better one first
    return contrasts


def _association(runs: Runs, rows: Sequence[Run], setting: str, levels: Sequence[Level]) -> Association | Untold:
    values = [row.value for row in rows]
    if len(rows) < FEWEST_ASSOCIATED:
        return Untold(setting, runs.say("only {count} {noun:5}", count=len(rows)))
    if len(set(values)) < 2:
        return Untold(setting, runs.say("the same value in all {count} {noun:5}", count=len(rows)))
    if len(levels) > 2 and all(map(is_number, levels)):
        found = _gain(runs, _rank_correlation([float(row.settings[setting]) for row in rows], values))
        low, high = _interval(found, len(rows)) if runs.design == "random" else (None, None)
        return Association(setting, len(rows), found, low, high, strength=found**2)
    of_level = {level: [row.value for row in rows if row.settings[setting] == level] for level in levels}
    means = [(level, sum(found) / len(found), len(found)) for level, found in of_level.items()]
    best_first = tuple(sorted(means, key=lambda row: -_gain(runs, row[1])))
    return Association(setting, len(rows), means=best_first, strength=_share_explained(list(of_level.values())))


def _share_explained(levels: Sequence[Sequence[float]]) -> float:
    """Share of the variance between levels, less what as many levels have by chance (epsilon squared); 0 or more."""
    values = [value for found in levels for value in found]
    if len(values) <= len(levels):
        return 0.0
    within = sum(len(found) * float(np.var(found)) for found in levels) / (len(values) - len(levels))
    return max(0.0, 1 - within / float(np.var(values, ddof=1)))


def _rank_correlation(levels: Sequence[float], values: Sequence[float]) -> float:
    from scipy.stats import spearmanr  # takes seconds to import

    return float(spearmanr(levels, values).statistic)


def _interval(correlation: float, runs: int) -> tuple[float | None, float | None]:
    """95 % for a rank correlation (Fieller, Hartley and Pearson, Biometrika 1957)."""
    if runs < FEWEST_FOR_INTERVAL:
        return None, None
    half = 1.96 * math.sqrt(1.06 / (runs - 3))
    middle = math.atanh(max(-1 + 1e-12, min(1 - 1e-12, correlation)))
    return math.tanh(middle - half), math.tanh(middle + half)


def _gain(runs: Runs, difference: float) -> float:
    return difference if runs.direction == "maximize" else -difference


def _grain(values: Sequence[float]) -> float:
    """The smallest step between two values.

    An accuracy on 40 images moves by 1/40 and a table's cell by its last digit: two pairs that differ by the very same
    step must not pass for a difference without error.
    """
    smallest = _RELATIVE_GRAIN * max(1.0, *map(abs, values))
    steps = np.diff(np.unique(values))
    return float(min(steps[steps > smallest], default=smallest))


def _in_order(levels: Iterable[Level]) -> list[Level]:
    """Numbers by size, then names; what stands for `without` comes before any other name."""

    def key(level: Level) -> tuple[Any, ...]:
        return (0, level, "") if is_number(level) else (1, str(level).lower() not in _OFF, str(level))

    return sorted(levels, key=key)
