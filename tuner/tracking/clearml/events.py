"""Numbers and plots as ClearML's server takes them; one of the same task, title, series and iteration is replaced.

A plot is Plotly's JSON: https://plotly.com/chart-studio-help/json-chart-schema/
"""

from __future__ import annotations

import json
from typing import Any

Event = dict[str, Any]
Figure = dict[str, Any]


def scalar_event(task: str, title: str, series: str, value: float, iteration: int, milliseconds: int) -> Event:
    return _event("training_stats_scalar", task, title, series, iteration, milliseconds) | {"value": value}


def plot_event(task: str, title: str, series: str, figure: Figure, milliseconds: int) -> Event:
    """A plot of which only the last one is wanted. Raises ValueError for a figure with a NaN, which no page reads."""
    drawn = {"plot_str": json.dumps(figure, allow_nan=False)}
    return _event("plot", task, title, series, 0, milliseconds) | drawn


def _event(kind: str, task: str, title: str, series: str, iteration: int, milliseconds: int) -> Event:
    """Args: milliseconds: since 1970"""
    return {
        "type": kind,
        "task": task,
        "iter": iteration,
        "metric": title,
        "variant": series,
        "timestamp": milliseconds,
    }
