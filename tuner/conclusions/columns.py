"""What each column of a table that someone typed holds: told by its name, and where that says nothing, by its cells."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from trainable.errors import UserError, nearest
from tuner.conclusions.runs import Level
from tuner.records import Direction
from tuner.wording.language import Language, Wording, wording

Role = Literal["objective", "metric", "setting", "ignored"]

_METRICS = re.compile(
    r"(balanced_|subset_)?accuracy|acc|exact_match|top\d+|precision|recall|sensitivity|specificity|fbeta|f\d+([._]\d+)?"
    r"|ap|map|average_precision|(roc_|pr_)?auc|auroc|auprc|kappa|mcc|m?iou|dice|jaccard|score|objective"
    r"|error(_rate)?|err|mae|mse|rmse|brier|perplexity|(.*_)?loss"
)
_LOWER_IS_BETTER = re.compile(r"(^|_)(\w*loss|error(_rate)?|err|mae|mse|rmse|brier|perplexity)(_|$)")
_AFFIX = re.compile(r"val|valid|validation|test|best|final|train|macro|micro|weighted|samples|mean|pct|percent")
_PERCENT = re.compile(r"(^|_)(pct|percent)(_|$)")

_REMARKS = re.compile(
    r"(.*_)?(id|index|idx|link|url|date|notes?|remarks?|comments?)"
    r"|number|no|nr|num|row|run|trial|name|experiment|exp|rank|status|author|commit|hash|time|timestamp"
)
_OUTCOMES = re.compile(r"(best_epoch|epochs_run|seconds|minutes|hours|duration|.*_(seconds|minutes|hours))")
_SETTINGS = re.compile(r".*(freeze|frozen|block|layer|epoch|lr|rate|batch|size|width|depth|dropout|gamma|decay).*")
_EMPTY = "empty"
_NUMBER = re.compile(r"[-+]?(\d+(\.\d*)?|\.\d+)(e[-+]?\d+)?", re.IGNORECASE)
_SCORE = re.compile(rf"({_NUMBER.pattern})\s*%?\s*(\(.*\))?", re.IGNORECASE)


@dataclass(frozen=True)
class Column:
    """A column and how it is read."""

    name: str
    role: Role
    why: str
    """in a few words, for its reader"""


def read_columns(
    header: Sequence[str],
    rows: Sequence[Sequence[str]],
    metric: str | None,
    ignored: Collection[str],
    language: Language = "en",
) -> list[Column]:
    """The role of every column; exactly one is the objective.

    Args:
        header: names, none twice
        rows: as many cells each as there are names
        metric: the column to take as objective; None: the first metric by name
        ignored: columns to leave out whatever they hold
        language: in which it is said why

    Raises:
        UserError: a name that no column has, or no objective.
    """
    unknown = [(option, name) for option, names in _asked(metric, ignored) for name in names if name not in header]
    if unknown:
        known = ", ".join(filter(None, header))
        raise UserError(
            *(f"{option} {name}: no such column{nearest(name, header)} (columns: {known})" for option, name in unknown)
        )
    cells = {name: [row[at] for row in rows] for at, name in enumerate(header)}
    metrics = [name for name in header if name not in ignored and _is_metric(name, cells[name])]
    objective = _objective(metric, metrics, cells)
    say = wording(language)
    return [_column(name, cells, metrics, objective, ignored, say) for name in header]


def score(cell: str) -> float | None:
    """A metric's cell as a number: `0.59`, `97,6 %`, `0.59 (+0.02)`; None for `~94`, `?` and the like."""
    found = _SCORE.fullmatch(_point(cell))
    return float(found[1]) if found else None


def decimals_of(cell: str) -> int:
    """Digits after the point of a metric's cell."""
    found = _SCORE.fullmatch(_point(cell))
    return len(found[1].partition(".")[2]) if found else 0


def levels_of(cells: Sequence[str]) -> list[Level]:
    """A setting's cells: numbers where all of them are, texts otherwise.

    To be empty is a level as well: nobody knows whether it stands for a default or for what was not noted.
    """
    stripped = [cell.strip() or _EMPTY for cell in cells]
    if all(_NUMBER.fullmatch(cell) for cell in stripped if cell != _EMPTY):
        return [cell if cell == _EMPTY else _number(cell) for cell in stripped]
    return list(stripped)


def direction_of(name: str) -> Direction:
    """Losses and errors are to be small."""
    return "minimize" if _LOWER_IS_BETTER.search(_plain(name)) else "maximize"


def in_percent(name: str) -> bool:
    """Whether differences are in percent points."""
    return bool(_PERCENT.search(_plain(name)))


def _asked(metric: str | None, ignored: Collection[str]) -> list[tuple[str, list[str]]]:
    return [("--metric", [metric] if metric is not None else []), ("--ignore", list(ignored))]


def _objective(metric: str | None, metrics: Sequence[str], cells: Mapping[str, Sequence[str]]) -> str:
    if metric is not None:
        if not any(score(cell) is not None for cell in cells[metric]):
            raise UserError(f"--metric {metric}: no cell of this column is a number; choose one that holds numbers")
        return metric
    if scored := [name for name in metrics if not _plain(name).startswith("train_")]:
        return scored[0]
    numeric = [name for name, found in cells.items() if any(score(cell) is not None for cell in found)]
    hint = f"name one with --metric (columns of numbers: {', '.join(numeric)})" if numeric else "add one of numbers"
    raise UserError(f"no column holds a metric by its name (accuracy, precision, recall, f1, loss, ...); {hint}")


def _column(
    name: str,
    cells: Mapping[str, Sequence[str]],
    metrics: Sequence[str],
    objective: str,
    ignored: Collection[str],
    say: Wording,
) -> Column:
    plain = _plain(name)
    if name == objective:
        better = say("higher is better") if direction_of(name) == "maximize" else say("lower is better")
        return Column(name, "objective", better + say(", in percent") * in_percent(name))
    if name in ignored:
        return Column(name, "ignored", say("as asked"))
    if name in metrics:
        return Column(name, "metric", say("not the objective; --metric chooses it"))
    if plain == "seed":
        return Column(name, "ignored", say("rows that differ in nothing else are repeats"))
    if not plain or _REMARKS.fullmatch(plain):
        return Column(name, "ignored", say("by its name it says which run, not how it was run"))
    if _OUTCOMES.fullmatch(plain):
        return Column(name, "ignored", say("by its name it came out of the run"))
    if _numbers_rows(name, cells):
        return Column(name, "ignored", say("it numbers the rows"))
    levels = list(dict.fromkeys(cells[name]))
    told = ", ".join(level.strip() or _EMPTY for level in levels[:8]) + ", ..." * (len(levels) > 8)
    return Column(name, "setting", told if len(levels) > 1 else say("the same in all rows: {level}", level=told))


def _numbers_rows(name: str, cells: Mapping[str, Sequence[str]]) -> bool:
    """Whether a first column counts 1, 2, 3, ... (or from 0), though not by name a setting that happens to."""
    numbers = sorted(levels_of(cells[name]), key=str)
    counted = [sorted(range(start, start + len(numbers)), key=str) for start in (0, 1)]
    return (
        name == next(iter(cells)) and len(numbers) > 2 and numbers in counted and not _SETTINGS.fullmatch(_plain(name))
    )


def _is_metric(name: str, cells: Sequence[str]) -> bool:
    """A column named `loss` that holds names of losses is a setting."""
    return _names_metric(name) and any(score(cell) is not None for cell in cells)


def _names_metric(name: str) -> bool:
    base = "_".join(part for part in _plain(name).split("_") if not _AFFIX.fullmatch(part))
    return bool(_METRICS.fullmatch(base))


def _plain(name: str) -> str:
    """`Val F1 (%)` -> `val_f1_pct`."""
    return re.sub(r"[^a-z0-9.+-]+", "_", name.lower().replace("%", " pct ")).strip("_.")


def _point(cell: str) -> str:
    return re.sub(r"(?<=\d),(?=\d)", ".", cell.strip())


def _number(cell: str) -> float | int:
    number = float(cell)
    return int(number) if number.is_integer() else number
