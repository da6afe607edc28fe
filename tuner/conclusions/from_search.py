"""The finished trials of a search as a table of runs of equal fidelity."""

from __future__ import annotations

import json
import math
import statistics
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from tuner.conclusions.contrasts import unshared_variance
from tuner.conclusions.runs import Design, Level, Repeats, Run, Runs
from tuner.records import SearchRecord, TrialRecord
from tuner.report import table
from tuner.tolerant import flat, mapping, number

_BACKBONE, _FREEZE, _SEED = "backbone", "freeze", "seed"
_LENGTHS = ("epochs", "stages")
"""axes that say for how long a trial trains"""


def runs_of(record: SearchRecord) -> Runs:
    """Trials that ran to an end of their own, once each, with their values on the axes.

    Left out are trials that were stopped or failed, those that go on from another one, and a baseline that does not
    lie on the axes.
    """
    axes = [path for path in searched_axes(record) if path != _SEED]
    rows = tuple(_rows(record, axes))
    again = tuple(_again(record, rows))
    design, chosen_by = _design(record)
    return Runs(
        metric=record.metric,
        direction=record.direction,
        rows=rows,
        settings=tuple(axes),
        design=design,
        chosen_by=chosen_by,
        freeze=_FREEZE if _FREEZE in axes else None,
        backbone=_BACKBONE if _BACKBONE in axes else None,
        repeats=tuple(_repeats(record)),
        noun="trial",
        again=again,
        luck=_luck(again),
        images=_shared_images(record, rows),
        epochs=_length_axis(axes, record),
        language=record.language,
    )


def searched_axes(record: SearchRecord) -> list[str]:
    """Dotted paths of what was searched; of a log that does not name them, those that trials have values on."""
    return list(record.axes or dict.fromkeys(path for trial in record.trials for path in trial.params))


def _design(record: SearchRecord) -> tuple[Design, str]:
    reasons = [record.say("proposed by tpe from what earlier ones scored")] if record.sampler == "tpe" else []
    if (kind := record.scheduler.get("kind", "none")) != "none":
        reasons.append(record.say("stopped early by {scheduler} unless they did well", scheduler=kind))
    if reasons:
        return "adaptive", record.say(" and ").join(reasons)
    return ("random" if record.sampler == "random" else "matched"), ""


def _rows(record: SearchRecord, axes: Iterable[str]) -> Iterator[Run]:
    """A trial whose settings and seed another one had is the same run twice and counts once."""
    seen: set[str] = set()
    finished = [trial for trial in record.trials if trial.eligible and trial.best_value is not None]
    for trial in finished:
        key = json.dumps([trial.config, trial.freeze_blocks], sort_keys=True, default=str)
        if trial.best_value is None or trial.parent or key in seen or not _lies_on_axes(trial, finished):
            continue
        seen.add(key)
        settings = {path: _level(trial.params[path]) for path in axes if path in trial.params}
        yield Run(trial.id, settings, trial.best_value, trial.freeze_blocks, not trial.baseline, _block(record, trial))


def _again(record: SearchRecord, rows: Iterable[Run]) -> Iterator[Run]:
    """Repeats of the rows, each in the block of its seeds."""
    for row in rows:
        for run in record.reruns_of(row.name, "repeat"):
            if run.best_value is not None:
                yield replace(row, value=run.best_value, drawn=False, block=_block(record, run))


def _block(record: SearchRecord, trial: TrialRecord) -> str:
    if trial.rerun:
        return f"{trial.rerun.seed}, {trial.rerun.data_seed}"
    return f"{trial.config.get(_SEED, record.seed)}, {record.data.get('data_seed')}"


def _luck(again: Sequence[Run]) -> float:
    """Of repeats, what a seed does to one trial and not to all: only that is in a difference of trials of one seed."""
    of_trial: dict[str, list[float]] = defaultdict(list)
    for run in again:
        of_trial[run.name].append(run.value)
    paired = unshared_variance([(run.block, run.name, run.value) for run in again]) if again else None
    if paired is not None:
        return math.sqrt(paired)
    squares = sum(statistics.pvariance(values) * len(values) for values in of_trial.values())
    degrees = sum(len(values) - 1 for values in of_trial.values())
    return math.sqrt(squares / degrees) if degrees else 0.0


def _length_axis(axes: Iterable[str], record: SearchRecord) -> str | None:
    """The axis by which trials train for different epochs."""
    lengths = {json.dumps(_epochs_asked(trial.config)) for trial in record.trials}
    return next((path for path in axes if path in _LENGTHS), None) if len(lengths) > 1 else None


def _epochs_asked(config: Mapping[str, Any]) -> Any:
    stages = config.get("stages")
    if not isinstance(stages, list) or not stages:
        return config.get("epochs")
    return sum(number(mapping(stage).get("epochs")) or 0 for stage in stages)


def _shared_images(record: SearchRecord, rows: Sequence[Run]) -> int | None:
    """How many images validate, where all rows share the seed too."""
    count = mapping(record.data.get("sizes")).get("val")
    return count if isinstance(count, int) and len({row.block for row in rows}) == 1 else None


def _lies_on_axes(trial: TrialRecord, trials: Iterable[TrialRecord]) -> bool:
    """Whether every field of a baseline's config that was not searched is as in some trial that was asked for."""
    if not trial.baseline:
        return True
    elsewhere: dict[str, set[str]] = defaultdict(set)
    for other in trials:
        for path, value in () if other.baseline else _unsearched(other):
            elsewhere[path].add(value)
    return all(value in elsewhere[path] for path, value in _unsearched(trial))


def _unsearched(trial: TrialRecord) -> Iterator[tuple[str, str]]:
    for path, value in flat(trial.config).items():
        if path not in trial.params:
            yield path, json.dumps(value, sort_keys=True, default=str)


def _level(value: Any) -> Level:
    if isinstance(value, str | int | float) and not isinstance(value, bool):
        return value
    if value is None or value == []:
        return "none"
    return table.short(value)


def _repeats(record: SearchRecord) -> Iterator[Repeats]:
    """The trial itself is not among its repeats: it was chosen for its value."""
    for trial in record.trials:
        again = record.reruns_of(trial.id, "repeat")
        values = tuple(run.best_value for run in again if run.best_value is not None)
        if len(values) > 1:
            yield Repeats(record.say("{count} repeats of {trial}", count=len(values), trial=trial.id), values)
