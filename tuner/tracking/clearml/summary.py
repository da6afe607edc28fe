"""What the search's own task shows: the plots that ClearML's hyperparameter optimisation shows, under its titles."""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence
from typing import Any

from tuner.records import SearchRecord, TrialRecord
from tuner.report import table
from tuner.report.readable import config_cells, field_cells, searched_fields
from tuner.tolerant import flat, number
from tuner.tracking.clearml.events import Event, Figure, plot_event, scalar_event

_CONFIG_TITLES = ("backbone", "freeze", "head", "schedule", "pos_weight", "lr")


def summary_events(
    task: str, search: SearchRecord, pages: Mapping[str, str], left: Mapping[str, float], milliseconds: int
) -> list[Event]:
    """All of it, as events of the search's task; later ones replace earlier ones.

    Args:
        pages: trial -> address of its task
        left: of the budget, as `budget_left`
        milliseconds: since 1970
    """
    shown = [trial for trial in search.ranked() if trial.status != "running"]
    figures = [("summary", "job", _job_table(search, shown, pages))]
    if shown:
        figures.append(("Optimization Objective", search.metric, _scatter(search, shown)))
        figures.append(("Parallel Coordinates", "", _parallel(search, shown)))
    plots = [plot_event(task, title, series, figure, milliseconds) for title, series, figure in figures]
    return [*plots, *_progress(task, search, shown, left, milliseconds)]


def _progress(
    task: str, search: SearchRecord, shown: Sequence[TrialRecord], left: Mapping[str, float], milliseconds: int
) -> list[Event]:
    """How far the search is, by the number of trials that have ended."""
    ended = sum(trial.status not in ("running", "waiting") for trial in search.trials)
    running = sum(trial.status == "running" for trial in (*search.trials, *search.reruns))
    told = [("resources", "running tasks", float(running if search.status == "running" else 0))]
    told += [("remaining budget", f"{what} %", percent) for what, percent in left.items()]
    if shown and shown[0].best_value is not None:
        best = "max" if search.direction == "maximize" else "min"
        told.append((search.metric, best, shown[0].best_value))
    return [scalar_event(task, title, series, value, ended, milliseconds) for title, series, value in told]


def _job_table(search: SearchRecord, shown: Sequence[TrialRecord], pages: Mapping[str, str]) -> Figure:
    """A row a trial, whose first column leads to its task."""
    searched = searched_fields(search)
    header = [
        "task",
        search.metric,
        "iteration",
        "status",
        "seconds",
        f"test {search.metric}",
        *_CONFIG_TITLES,
        *searched,
    ]
    rows = [
        [
            _linked(trial.id, pages.get(trial.id, "")),
            table.metric(trial.best_value),
            f"{trial.epochs_run:g}",
            trial.status,
            "" if trial.seconds is None else f"{trial.seconds:.0f}",
            table.metric(trial.test.get(search.metric)) if trial.test else "",
            *map(html.escape, config_cells(trial)),
            *map(html.escape, field_cells(trial, searched)),
        ]
        for trial in shown
    ]
    columns = [list(column) for column in zip(*rows, strict=True)] if rows else [[] for _ in header]
    cells = {"values": columns, "align": "left", "height": 30}
    return {
        "data": [{"type": "table", "header": {"values": header, "align": "left"}, "cells": cells}],
        "layout": {"title": f"objective: {html.escape(search.metric)}"},
    }


def _linked(text: str, page: str) -> str:
    return f'<a href="{html.escape(page)}"> {html.escape(text)} </a>' if page else html.escape(text)


def _scatter(search: SearchRecord, shown: Sequence[TrialRecord]) -> Figure:
    """The objective by the order in which trials were asked for, with their settings to hover on."""
    data = {
        "type": "scatter",
        "mode": "markers",
        "x": [trial.number for trial in shown],
        "y": [trial.best_value for trial in shown],
        "text": [f"{trial.id} ({trial.status}) {html.escape(_settings(trial))}" for trial in shown],
    }
    axes = {"xaxis": {"title": "job #"}, "yaxis": {"title": "objective"}}
    return {"data": [data], "layout": {"title": html.escape(search.metric), **axes}}


def _settings(trial: TrialRecord) -> str:
    return ", ".join(f"{path}={table.short(value)}" for path, value in sorted(trial.params.items()))


def _parallel(search: SearchRecord, shown: Sequence[TrialRecord]) -> Figure:
    """Searched fields side by side, the objective last; its colour is the line's."""
    values = [trial.best_value for trial in shown]
    configs = [flat(trial.config) for trial in shown]
    dimensions = [_dimension(path, [config.get(path) for config in configs]) for path in search.axes]
    data = {
        "type": "parcoords",
        "line": {"colorscale": "Viridis", "reversescale": search.direction == "minimize", "color": values},
        "dimensions": [*dimensions, {"label": search.metric, "values": values}],
    }
    return {"data": [data], "layout": {}}


def _dimension(label: str, values: Sequence[Any]) -> Figure:
    """Numbers as they are; anything else as places on a scale of its own."""
    numbers = [number(value) for value in values]
    if None not in numbers:
        return {"label": label, "values": numbers}
    texts = ["none" if value is None else table.short(value) for value in values]
    places = {text: place for place, text in enumerate(sorted(set(texts)))}
    ticks = {"tickvals": list(places.values()), "ticktext": list(places)}
    return {"label": label, "values": [places[text] for text in texts], **ticks}
