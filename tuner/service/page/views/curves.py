"""Learning curves as plain data for the page's one drawing module."""

from __future__ import annotations

import math
from collections.abc import Collection
from typing import Any

from tuner.records import SearchRecord
from tuner.report.page.strokes import MOST_LINES, best_order, told_trials
from tuner.report.plots.learning import Curve, learning_curves
from tuner.report.plots.limits import value_limits


def curves_data(record: SearchRecord, seq: int, changed: Collection[str] | None = None) -> dict[str, Any]:
    """All curves, or only those of the trials that changed; strict JSON.

    `order` names all that are to be drawn, best first, so that a page that has the others' points needs no more.

    Args:
        record: of the search
        seq: number of the event up to which it tells
        changed: trials of which something has been told since the page last asked; None: all
    """
    numbers = learning_curves(record)
    if numbers is None:
        return {"seq": seq, "order": [], "curves": [], "rungs": [], "epochs": 0, "limits": [0, 1], "left_out": 0}
    told, order = told_trials(record), best_order(record)
    running = {trial.id for trial in record.trials if trial.status == "running"}
    by_value = sorted(numbers.curves, key=lambda curve: order[curve.trial])
    drawn = by_value[:MOST_LINES]
    drawn += [curve for curve in by_value[MOST_LINES:] if curve.baseline or curve.trial in running]
    named = [curve.best[1] for curve in drawn if curve.best and (curve.place or curve.baseline)]
    low, high = value_limits([value for curve in drawn for value in curve.values], kept=named)
    return {
        "seq": seq,
        "order": [[curve.trial, _look(curve, running)] for curve in drawn],
        "curves": [_points(curve, told[curve.trial]) for curve in drawn if changed is None or curve.trial in changed],
        "rungs": numbers.rungs,
        "epochs": numbers.epochs,
        "limits": [low, high],
        "left_out": len(by_value) - len(drawn),
    }


def _look(curve: Curve, running: Collection[str]) -> str:
    if curve.place:
        return f"place-{curve.place}"
    return "of-baseline" if curve.baseline else "of-running" if curve.trial in running else "of-others"


def _points(curve: Curve, told: str) -> dict[str, Any]:
    return {
        "trial": curve.trial,
        "told": told,
        "epochs": curve.epochs,
        "values": [None if math.isnan(value) else round(value, 5) for value in curve.values],
        "halted": curve.halted,
    }
