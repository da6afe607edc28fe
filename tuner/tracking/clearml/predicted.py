"""What a trial's predictions show on its task: what it confuses, and how its probabilities rank images.

Titles and series are the same for all trials, so that ClearML's comparison lays them side by side.
"""

from __future__ import annotations

import html
from collections.abc import Iterator
from typing import get_args

from tuner.records import SearchRecord, TrialRecord
from tuner.report import table
from tuner.report.plots.mistakes import Confusion, LabelScore, confusion_of, scores_of
from tuner.report.plots.predictions import Predicted, Split, read_predicted
from tuner.report.plots.ranking import CurveFamily, precision_recall_of, told_apart
from tuner.store import Store
from tuner.tracking.clearml.events import Event, Figure, plot_event

CONFUSION, BY_LABEL, PRECISION_RECALL = "Confusion matrix", "Scores by label", "Precision-recall curve"
SERIES = {"validation": "val", "test": "test"}
MOST_CLASSES = 100
"""of a matrix; of more, the most confused pairs are shown"""
MOST_CURVES = 20
"""of single labels; of more, those with the smallest areas are shown"""


def predicted_events(
    store: Store, search: SearchRecord, trial: TrialRecord, task: str, milliseconds: int
) -> list[Event]:
    """Plots for a trial's task, of each split that its predictions are kept of."""
    events = []
    for split in get_args(Split):
        path = store.test_predictions if split == "test" else store.predictions
        store.fetch(path(trial.id))
        if predicted := read_predicted(store, trial, split):
            drawn = _figures(search, predicted)
            events += [plot_event(task, title, SERIES[split], figure, milliseconds) for title, figure in drawn]
    return events


def _figures(search: SearchRecord, predicted: Predicted) -> Iterator[tuple[str, Figure]]:
    """Title and figure."""
    if search.task == "multiclass":
        yield CONFUSION, _confusion(confusion_of(search.name, predicted))
    else:
        yield BY_LABEL, _scores(scores_of(predicted))
    if told := told_apart(predicted):
        yield PRECISION_RECALL, _curves(precision_recall_of(predicted, told))


def _confusion(numbers: Confusion) -> Figure:
    """Rows are true classes, as in the SDK's `report_confusion_matrix`."""
    if len(numbers.labels) > MOST_CLASSES:
        header = ["true", "predicted", "images", "share of the true class"]
        return _table(header, [[true, said, str(n), f"{share:.0%}"] for true, said, n, share in numbers.pairs])
    labels = [html.escape(label) for label in numbers.labels]
    heat = {"type": "heatmap", "x": labels, "y": labels, "z": numbers.counts.tolist(), "colorscale": "Blues"}
    layout = {
        "title": f"{numbers.accuracy:.1%} of {numbers.counts.sum()} images right",
        "xaxis": {"title": "predicted", "type": "category"},
        "yaxis": {"title": "true", "type": "category", "autorange": "reversed"},
    }
    return {"data": [heat], "layout": layout}


def _scores(rows: list[LabelScore]) -> Figure:
    header = ["label", "precision", "recall", "F1", "positives", "threshold"]
    return _table(
        header,
        [
            [
                row.label,
                *map(table.metric, (row.precision, row.recall, row.f1)),
                str(row.positives),
                f"{row.threshold:.2f}",
            ]
            for row in rows
        ],
    )


def _curves(family: CurveFamily) -> Figure:
    """All decisions pooled, then single labels, the hardest first."""
    each = sorted(family.each, key=lambda curve: curve.area)
    lines = [
        {
            "type": "scatter",
            "mode": "lines",
            "name": f"{html.escape(curve.label)} (AP {curve.area:.3f})",
            "x": [round(float(x), 5) for x in curve.x],
            "y": [round(float(y), 5) for y in curve.y],
            "visible": True if curve is family.micro else "legendonly",
        }
        for curve in (family.micro, *each[:MOST_CURVES])
    ]
    axes = {"xaxis": {"title": "recall", "range": [0, 1]}, "yaxis": {"title": "precision", "range": [0, 1.02]}}
    return {"data": lines, "layout": {"title": f"mean AP {family.macro:.3f} of {len(each)} labels", **axes}}


def _table(header: list[str], rows: list[list[str]]) -> Figure:
    columns = [[html.escape(row[at]) for row in rows] for at in range(len(header))]
    cells = {"values": columns, "align": "left", "height": 30}
    return {"data": [{"type": "table", "header": {"values": header, "align": "left"}, "cells": cells}], "layout": {}}
