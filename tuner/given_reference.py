"""What a person holds trials against, as one line of text: `best ML model: accuracy=95.9, f1_macro=93`."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable

from trainable.errors import UserError
from trainable.metrics import parse_objective
from tuner.records import COMPUTED_REFERENCES, Reference

_TRIAL = re.compile(r"t\d+(-.*)?")
_FORM = "write it as 'best ML model: accuracy=0.959, f1_macro=0.93'"


def parse_references(given: Iterable[str]) -> tuple[Reference, ...]:
    """The references of all these texts.

    Raises:
        UserError: every mistake in them, one line each.
    """
    found: dict[str, Reference] = {}
    mistakes: list[str] = []
    for text in given:
        try:
            reference = parse_reference(text)
        except UserError as error:
            mistakes += error.mistakes
            continue
        if reference.name in found:
            mistakes.append(f"--reference {text!r}: {reference.name!r} is given twice; keep one")
        found[reference.name] = reference
    if mistakes:
        raise UserError(*mistakes)
    return tuple(found.values())


def parse_reference(given: str) -> Reference:
    """The reference that `NAME: METRIC=VALUE, ...` gives, its scores those of validation.

    A score over 1 and up to 100 of a metric that 1 bounds is read as percent, and `description` says so.

    Raises:
        UserError: every mistake in it, one line each.
    """
    name, colon, scores = given.rpartition(":")
    name = " ".join(name.split())
    if not colon or not name or not scores.strip():
        raise UserError(f"--reference {given!r}: must be a name, a colon and scores; {_FORM}")
    if name in COMPUTED_REFERENCES:
        raise UserError(f"--reference {given!r}: a search computes {name!r} itself; choose another name")
    if _TRIAL.fullmatch(name):
        raise UserError(f"--reference {given!r}: {name!r} is what a trial is called; choose another name")
    val: dict[str, float] = {}
    percents, mistakes = [], []
    for score in scores.split(","):
        try:
            metric, value, is_percent = _score(score.strip())
            if metric in val:
                raise UserError(f"{metric} is given twice; keep one")
        except UserError as error:
            mistakes += [f"--reference {given!r}: {mistake}" for mistake in error.mistakes]
            continue
        val[metric] = value
        percents += [metric] if is_percent else []
    if mistakes:
        raise UserError(*mistakes)
    description = "given" + (f"; read as percent: {', '.join(percents)}" if percents else "")
    return Reference(name=name, given=True, description=description, val=val)


def _score(text: str) -> tuple[str, float, bool]:
    """Metric, value and whether it was given in percent, of `accuracy=95.9`."""
    metric, equals, written = (part.strip() for part in text.partition("="))
    if not equals:
        raise UserError(f"{text!r} is no METRIC=VALUE; {_FORM} (decimals have a point)")
    try:
        parse_objective(metric)
    except UserError as error:
        raise UserError(*(mistake.removeprefix("objective: ") for mistake in error.mistakes)) from None
    value = _number(metric, written.removesuffix("%").rstrip())
    if metric == "loss":
        if written.endswith("%") or value < 0:
            raise UserError(f"loss={written} must be a number from 0 on")
        return metric, value, False
    if not 0 <= value <= 100:
        raise UserError(f"{metric}={written} must lie between 0 and 1, or up to 100 as percent")
    is_percent = written.endswith("%") or value > 1
    return metric, value / 100 if is_percent else value, is_percent


def _number(metric: str, written: str) -> float:
    try:
        value = float(written)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise UserError(f"{metric}={written} is no number; {_FORM}")
    return value
