"""A comparison as Markdown and as JSON."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from tuner.records import TrialRecord
from tuner.report import table
from tuner.report.comparison import SPLITS, Comparison, Score, Unlike
from tuner.report.readable import CONFIG_COLUMNS, READABLE_METRICS, config_cells
from tuner.report.sides import Side

_TITLES = {"space": "What was searched", "data": "On what data", "run": "How it was run"}
_SHOWN_TRIALS = 10
_RANGE = ("log", "step")
"""what a range may say beside its bounds"""


def to_markdown(comparison: Comparison) -> str:
    """Scores, configs, what else differed and the best trials of both; it can be pasted as it is."""
    one, other = comparison.one, comparison.other
    parts = [f"# {table.escape(one.label)} and {table.escape(other.label)}", *_verdict(comparison)]
    parts += ["## Scores of the best", *_scores(comparison)]
    parts += ["## Configs", *_configs(comparison)]
    for group, title in _TITLES.items():
        if rows := comparison.unlike[group]:
            parts += [f"## {title}", _unlike(rows, one.label, other.label)]
    unknown = [table.escape(side.label) for side in (one, other) if not side.space]
    alike = [title.lower() for group, title in _TITLES.items() if not comparison.unlike[group]]
    if told := [title for title in alike if not unknown or title != _TITLES["space"].lower()]:
        parts.append(f"No difference: {', '.join(told)}.")
    if unknown:
        parts.append(f"The space of {' and of '.join(unknown)} is not at hand: only what both say is compared.")
    if comparison.ranked:
        parts += ["## Best trials of both", _ranked(comparison)]
    return "\n\n".join(parts) + "\n"


def to_json(comparison: Comparison) -> str:
    """All that is compared, as strict JSON; `change` is the second minus the first."""
    record = {
        "sides": [_side(comparison.one), _side(comparison.other)],
        "obstacles": comparison.obstacles,
        "scores": [vars(score) for score in comparison.scores],
        "differences": {split: vars(found) for split, found in comparison.differences.items()},
        "config": {"unlike": [vars(row) for row in comparison.config], "equal": comparison.equal},
        **{group: [vars(row) for row in rows] for group, rows in comparison.unlike.items()},
        "ranked": [
            {"search": label, "trial": trial.id, "value": trial.best_value, "config": trial.config}
            for label, trial in comparison.ranked
        ],
    }
    return json.dumps(record, indent=1, allow_nan=False) + "\n"


FORMATS: dict[str, Callable[[Comparison], str]] = {"md": to_markdown, "json": to_json}


def _side(side: Side) -> dict[str, Any]:
    search = side.search
    return {
        "name": side.label,
        "search": search.name,
        "trial": side.trial.id,
        "objective": {"metric": search.metric, "direction": search.direction},
        "data_hash": search.data.get("hash"),
        "trials": None if side.store is None else len(search.trials),
    }


def _verdict(comparison: Comparison) -> Iterator[str]:
    """One sentence: what cannot be said, or which is better on validation and whether that is more than chance."""
    if comparison.obstacles:
        yield f"**Not ranked.** {table.escape('. '.join(comparison.obstacles))}."
        return
    one, other = comparison.one, comparison.other
    metric = one.search.metric
    change = next((s.change for s in comparison.scores if (s.split, s.metric) == ("val", metric)), None)
    if not change:
        yield f"Both have {'the same' if change == 0 else 'no common'} {table.escape(metric)} on validation."
        return
    better = other if (change > 0) == (one.search.direction == "maximize") else one
    found = comparison.differences.get("val")
    said = f"{table.escape(better.label)} has the better {table.escape(metric)} on validation, {_by(change)}"
    if found is None:
        yield f"{said}; whether by more than chance is not known, for want of predictions of the same images."
    elif found.low <= 0 <= found.high:
        yield f"{said}, but the two are **not told apart**: the interval of the difference holds 0."
    else:
        yield f"{said}, and the interval of the difference leaves out 0."


def _by(change: float) -> str:
    return f"by {table.metric(abs(change))}"


def _scores(comparison: Comparison) -> Iterator[str]:
    one, other = comparison.one, comparison.other
    objectives = dict.fromkeys((one.search.metric, other.search.metric))
    read = [*objectives, *(f"{metric}{at}" for metric in objectives for at in ("@0.5", "@fitted")), *READABLE_METRICS]
    by_metric = {(score.split, score.metric): score for score in comparison.scores}
    shown = [by_metric[key] for split in SPLITS for key in dict.fromkeys((split, m) for m in read) if key in by_metric]
    headers = ["split", "metric", *(f"{side.label} {side.trial.id}" for side in (one, other))]
    headers += ["95 % interval of the change"] * bool(comparison.differences)
    rows = [_score_row(score, comparison)[: len(headers)] for score in shown]
    yield table.table(headers, rows)
    if comparison.differences:
        images = ", ".join(f"{found.images} ({split})" for split, found in comparison.differences.items())
        yield f"The interval is of a paired bootstrap over the same images: {images}."
    counted = [len(side.search.trials) for side in (one, other) if not side.is_file]
    if counted:
        yield f"Validation flatters what was chosen by it: the best of {' and of '.join(map(str, counted))} trials."


def _score_row(score: Score, comparison: Comparison) -> list[str]:
    found = comparison.differences.get(score.split) if score.metric == comparison.one.search.metric else None
    change = "" if score.change is None else f" ({table.change(score.change)})"
    interval = f"{table.change(found.low)} to {table.change(found.high)}" if found else ""
    return [score.split, score.metric, table.metric(score.one), f"{table.metric(score.other)}{change}", interval]


def _configs(comparison: Comparison) -> Iterator[str]:
    if comparison.config:
        yield _unlike(comparison.config, comparison.one.label, comparison.other.label)
    if comparison.equal:
        alike = ", ".join(f"{path} {_text(path, value)}" for path, value in comparison.equal.items() if value != [])
        yield f"Equal: {table.escape(alike)}."


def _unlike(rows: tuple[Unlike, ...], one: str, other: str) -> str:
    return table.table(["", one, other], [[row.field, *_texts(row)] for row in rows])


def _texts(row: Unlike) -> list[str]:
    """Both values in few characters, or in full where these do not tell them apart; `-` for what is not there."""
    if isinstance(row.one, list) and isinstance(row.other, list) and row.field == "labels":
        return [_only(row.one, row.other), _only(row.other, row.one)]
    texts = [_text(row.field, row.one), _text(row.field, row.other)]
    return texts if texts[0] != texts[1] else [json.dumps(value, ensure_ascii=False) for value in (row.one, row.other)]


def _only(labels: list[str], others: list[str]) -> str:
    missing = [label for label in labels if label not in others]
    return f"{len(labels)}" + (f", of which only here: {', '.join(missing)}" if missing else "")


def _text(path: str, value: Any) -> str:
    if value is None:
        return "-"
    if isinstance(value, str) and path in ("hash", "git"):
        return value[:12] + "+" * value.endswith("+")
    return _axis(value) if isinstance(value, Mapping) else table.short(value)


def _axis(axis: Mapping[str, Any]) -> str:
    """`linear, mlp`; `64 to 512, log, when head.kind mlp`."""
    when = [f"when {path} {' or '.join(map(table.short, values))}" for path, values in axis.get("when", {}).items()]
    options = map(table.short, axis.get("choice", ()))
    ranges = (" to ".join(map(table.short, axis[kind])) for kind in ("float", "int") if kind in axis)
    rest = (name if value is True else f"{name} {table.short(value)}" for name, value in axis.items() if name in _RANGE)
    return ", ".join([*options, *ranges, *rest, *when])


def _ranked(comparison: Comparison) -> str:
    metric = comparison.one.search.metric
    headers = ["", "search", "trial", *CONFIG_COLUMNS, metric, f"test {metric}"]
    rows = [
        [str(place), label, trial.id, *config_cells(trial), *map(table.metric, _objectives(trial, metric))]
        for place, (label, trial) in enumerate(comparison.ranked[:_SHOWN_TRIALS], start=1)
    ]
    return table.table(headers, rows)


def _objectives(trial: TrialRecord, metric: str) -> tuple[float | None, float | None]:
    """On validation and on test."""
    return trial.best_value, trial.test.get(metric)
