"""A comparison as Markdown and as JSON."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from tuner.records import TrialRecord
from tuner.report import table
from tuner.report.comparison import SPLITS, Comparison, Score, Unlike
from tuner.report.readable import CONFIG_COLUMNS, READABLE_METRICS, config_cells
from tuner.report.sides import Side
from tuner.wording.language import ENGLISH, marked

_TITLES = {"space": marked("What was searched"), "data": marked("On what data"), "run": marked("How it was run")}
_SHOWN_TRIALS = 10
Say = Callable[..., str]
_RANGE = ("log", "step")
"""what a range may say beside its bounds"""


def to_markdown(comparison: Comparison) -> str:
    """Scores, configs, what else differed and the best trials of both; it can be pasted as it is."""
    one, other, say = comparison.one, comparison.other, comparison.say
    title = say("{one} and {other}", one=table.escape(one.label), other=table.escape(other.label))
    parts = [f"# {title}", *_verdict(comparison)]
    parts += [f"## {say('Scores of the best')}", *_scores(comparison)]
    parts += [f"## {say('Configs')}", *_configs(comparison)]
    for group, title in _TITLES.items():
        if rows := comparison.unlike[group]:
            parts += [f"## {say(title)}", _unlike(comparison, rows)]
    parts += _alike(comparison)
    if comparison.ranked:
        parts += [f"## {say('Best trials of both')}", _ranked(comparison)]
    return "\n\n".join(parts) + "\n"


def _alike(comparison: Comparison) -> Iterator[str]:
    """In what they do not differ, and of what that is not known."""
    say = comparison.say
    unknown = [table.escape(side.label) for side in (comparison.one, comparison.other) if not side.space]
    alike = [group for group in _TITLES if not comparison.unlike[group] and not (unknown and group == "space")]
    if alike:
        yield say("No difference: {what}.", what=", ".join(say(_TITLES[group]).lower() for group in alike))
    if unknown:
        both = _of_both(comparison, unknown)
        yield say("The space of {searches} is not at hand: only what both say is compared.", searches=both)


def _of_both(comparison: Comparison, told: Sequence[str]) -> str:
    """One of them, or both."""
    return comparison.say("{one} and of {other}", one=told[0], other=told[1]) if len(told) > 1 else told[0]


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
    say = comparison.say
    if comparison.obstacles:
        yield f"**{say('Not ranked.')}** {table.escape('. '.join(comparison.obstacles))}."
        return
    one, other = comparison.one, comparison.other
    metric = one.search.metric
    change = next((s.change for s in comparison.scores if (s.split, s.metric) == ("val", metric)), None)
    if not change:
        text = _EQUAL if change == 0 else _NOT_COMMON
        yield say(text, metric=table.escape(metric))
        return
    better = other if (change > 0) == (one.search.direction == "maximize") else one
    found = comparison.differences.get("val")
    said = say(
        "{search} has the better {metric} on validation, by {change}",
        search=table.escape(better.label),
        metric=table.escape(metric),
        change=table.metric(abs(change)),
    )
    if found is None:
        yield said + say("; whether by more than chance is not known, for want of predictions of the same images.")
    elif found.low <= 0 <= found.high:
        yield said + say(", but the two are **not told apart**: the interval of the difference holds 0.")
    else:
        yield said + say(", and the interval of the difference leaves out 0.")


_EQUAL = marked("Both have the same {metric} on validation.")
_NOT_COMMON = marked("Both have no common {metric} on validation.")


def _scores(comparison: Comparison) -> Iterator[str]:
    one, other, say = comparison.one, comparison.other, comparison.say
    objectives = dict.fromkeys((one.search.metric, other.search.metric))
    read = [*objectives, *(f"{metric}{at}" for metric in objectives for at in ("@0.5", "@fitted")), *READABLE_METRICS]
    by_metric = {(score.split, score.metric): score for score in comparison.scores}
    shown = [by_metric[key] for split in SPLITS for key in dict.fromkeys((split, m) for m in read) if key in by_metric]
    headers = [say("split"), say("metric"), *(f"{side.label} {side.trial.id}" for side in (one, other))]
    headers += [say("95 % interval of the change")] * bool(comparison.differences)
    rows = [_score_row(score, comparison)[: len(headers)] for score in shown]
    yield table.table(headers, rows)
    if comparison.differences:
        images = ", ".join(f"{found.images} ({split})" for split, found in comparison.differences.items())
        yield say("The interval is of a paired bootstrap over the same images: {images}.", images=images)
    counted = [str(len(side.search.trials)) for side in (one, other) if not side.is_file]
    if counted:
        counts = _of_both(comparison, counted)
        yield say("Validation flatters what was chosen by it: the best of {counts} trials.", counts=counts)


def _score_row(score: Score, comparison: Comparison) -> list[str]:
    found = comparison.differences.get(score.split) if score.metric == comparison.one.search.metric else None
    change = "" if score.change is None else f" ({table.change(score.change)})"
    interval = ""
    if found:
        interval = comparison.say("{low} to {high}", low=table.change(found.low), high=table.change(found.high))
    return [score.split, score.metric, table.metric(score.one), f"{table.metric(score.other)}{change}", interval]


def _configs(comparison: Comparison) -> Iterator[str]:
    if comparison.config:
        yield _unlike(comparison, comparison.config)
    if comparison.equal:
        say = comparison.say
        alike = ", ".join(
            f"{path} {_text(path, value, say)}" for path, value in comparison.equal.items() if value != []
        )
        yield say("Equal: {fields}.", fields=table.escape(alike))


def _unlike(comparison: Comparison, rows: tuple[Unlike, ...]) -> str:
    headers = ["", comparison.one.label, comparison.other.label]
    return table.table(headers, [[row.field, *_texts(row, comparison.say)] for row in rows])


def _texts(row: Unlike, say: Say) -> list[str]:
    """Both values in few characters, or in full where these do not tell them apart; `-` for what is not there."""
    if isinstance(row.one, list) and isinstance(row.other, list) and row.field == "labels":
        return [_only(row.one, row.other, say), _only(row.other, row.one, say)]
    texts = [_text(row.field, row.one, say), _text(row.field, row.other, say)]
    return texts if texts[0] != texts[1] else [json.dumps(value, ensure_ascii=False) for value in (row.one, row.other)]


def _only(labels: list[str], others: list[str], say: Say) -> str:
    missing = [label for label in labels if label not in others]
    return f"{len(labels)}" + (say(", of which only here: {labels}", labels=", ".join(missing)) if missing else "")


def _text(path: str, value: Any, say: Say) -> str:
    if value is None:
        return "-"
    if isinstance(value, str) and path in ("hash", "git"):
        return value[:12] + "+" * value.endswith("+")
    return axis_text(value, say) if isinstance(value, Mapping) else table.short(value)


def axis_text(axis: Mapping[str, Any], say: Say = ENGLISH) -> str:
    """`linear, mlp`; `64 to 512, log, when head.kind mlp`."""
    when = [
        say("when {field} {values}", field=path, values=say(" or ").join(map(table.short, values)))
        for path, values in axis.get("when", {}).items()
    ]
    options = map(table.short, axis.get("choice", ()))
    bounds = (axis[kind] for kind in ("float", "int") if kind in axis)
    ranges = (say("{low} to {high}", low=table.short(low), high=table.short(high)) for low, high in bounds)
    rest = (name if value is True else f"{name} {table.short(value)}" for name, value in axis.items() if name in _RANGE)
    return ", ".join([*options, *ranges, *rest, *when])


def _ranked(comparison: Comparison) -> str:
    metric = comparison.one.search.metric
    say = comparison.say
    headers = ["", say("search"), "trial", *CONFIG_COLUMNS, metric, say("test {metric}", metric=metric)]
    rows = [
        [str(place), label, trial.id, *config_cells(trial), *map(table.metric, _objectives(trial, metric))]
        for place, (label, trial) in enumerate(comparison.ranked[:_SHOWN_TRIALS], start=1)
    ]
    return table.table(headers, rows)


def _objectives(trial: TrialRecord, metric: str) -> tuple[float | None, float | None]:
    """On validation and on test."""
    return trial.best_value, trial.test.get(metric)
