"""The learning curves drawn."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from tuner.report.plots import style
from tuner.report.plots.learning import Curve, LearningCurves, LossCurves, Losses
from tuner.report.plots.limits import count_outside, value_limits

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D

_PANELS_A_ROW = 3
_MANY = 60
"""trials beyond which those in grey are fainter"""
_RUNG: dict[str, Any] = {"linewidth": 0.8, "linestyle": (0, (2, 3))}
_FEW_EPOCHS = 3
"""below which parts of epochs are named"""


def draw_learning_curves(numbers: LearningCurves) -> Figure:
    """The top trials in colour and named at their ends, all others grey, with the rungs of halving."""
    figure = style.new_figure(4.6)
    axes = figure.add_subplot()
    named = [curve for curve in numbers.curves if curve.place or curve.baseline]
    limits = value_limits(
        [value for curve in numbers.curves for value in curve.values],
        kept=[curve.best[1] for curve in named if curve.best],
    )
    axes.set_ylim(limits)
    _set_epochs(axes, numbers.epochs)
    for rung in numbers.rungs:
        axes.axvline(rung, color=style.FAINT, zorder=1, **_RUNG)
    crowd = [curve for curve in numbers.curves if curve not in named]
    for curve in crowd:
        _draw(axes, curve, style.GREY, width=1.0, alpha=0.8 if len(crowd) <= _MANY else 0.35)
    _mark_halted(axes, [curve for curve in numbers.curves if curve.halted])
    for curve in sorted(named, key=lambda curve: -(curve.place or 99)):
        _draw(axes, curve, _colour(curve), width=2.4 if curve.place == 1 else 1.7, dashed=not curve.place)
    ends = [_end(curve) for curve in sorted(named, key=lambda curve: curve.place or 99)]
    style.label_ends(axes, ends, lines=2)
    metric = style.plain(numbers.metric)
    axes.set(xlabel="epochs", ylabel=f"{metric} on validation\n({style.better(numbers.direction)})")
    axes.set_title(
        f"How {len(numbers.curves)} trial{'s' * (len(numbers.curves) > 1)} of {style.plain(numbers.name)} learnt"
    )
    outside = count_outside([value for curve in numbers.curves for value in curve.values], limits)
    style.footer(figure, style.outside_note(outside), handles=_legend(numbers, bool(crowd)))
    return figure


def _draw(axes: Axes, curve: Curve, colour: str, width: float, alpha: float = 1.0, dashed: bool = False) -> None:
    known = [value for value in curve.values if math.isfinite(value)]
    marker = "o" if len(known) == 1 else ""  # an epoch alone makes no line
    zorder = 2.0 if colour == style.GREY else 3.0
    axes.plot(
        curve.epochs,
        curve.values,
        color=colour,
        linewidth=width,
        alpha=alpha,
        linestyle="--" if dashed else "-",
        marker=marker,
        markersize=3.5,
        zorder=zorder,
    )
    if colour != style.GREY and curve.best:
        axes.plot(*curve.best, "o", color=colour, markersize=5.5, markeredgecolor="white", zorder=zorder + 1)


def _set_epochs(axes: Axes, epochs: float) -> None:
    axes.set_xlim(0, epochs * 1.03)
    axes.locator_params(axis="x", integer=epochs >= _FEW_EPOCHS, min_n_ticks=1)


def _mark_halted(axes: Axes, curves: list[Curve]) -> None:
    ends = [curve.epochs[-1] for curve in curves]
    size = 5 if len(curves) <= _MANY else 3
    axes.plot(ends, [_last(curve) for curve in curves], "x", color=style.FAINT, markersize=size, zorder=2.5)


def _end(curve: Curve) -> tuple[float, float, str, str]:
    best = f" {curve.best[1]:.3f}" if curve.best else ""
    baseline = " (baseline)" if curve.baseline else ""
    text = f"{curve.trial}{best}{baseline}\n{style.plain(curve.settings, 40)}"
    return curve.epochs[-1], _last(curve), text, _colour(curve)


def _last(curve: Curve) -> float:
    """The last value that there is."""
    return next(value for value in reversed(curve.values) if math.isfinite(value))


def _colour(curve: Curve | LossCurves) -> str:
    return style.place_colour(curve.place) if curve.place else style.INK


def _legend(numbers: LearningCurves, crowd: bool) -> list[Line2D]:
    keys = [style.key("other trials", color=style.GREY)] if crowd else []
    keys.append(style.dot("best epoch", style.FAINT, markeredgecolor="white"))
    if any(curve.halted for curve in numbers.curves):
        keys.append(style.dot("halted", style.FAINT, "x"))
    if numbers.rungs:
        keys.append(style.key("rung: weak trials are halted", color=style.FAINT, **_RUNG))
    return keys


def draw_losses(numbers: Losses) -> Figure:
    """A panel a trial: where validation turns up while train falls on, it overfits."""
    columns = min(len(numbers.trials), _PANELS_A_ROW)
    rows = math.ceil(len(numbers.trials) / columns)
    figure = style.new_figure(1.1 + 2.3 * rows)
    panels = figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False).ravel()
    values = [value for curves in numbers.trials for value in (*curves.train, *curves.val)]
    limits = (0.0, value_limits(values)[1] * 1.03)
    for panel, curves in zip(panels, numbers.trials, strict=False):
        _draw_losses_of(panel, curves)
        panel.set_ylim(*limits)
        _set_epochs(panel, max(curves.epochs[-1] for curves in numbers.trials))
    for at, panel in enumerate(panels):
        panel.set_visible(at < len(numbers.trials))
        if at + columns >= len(numbers.trials):
            panel.set_xlabel("epochs")
            panel.xaxis.set_tick_params(labelbottom=True)
        if at % columns == 0:
            panel.set_ylabel("loss, unweighted")
    train, validation = _loss_looks(any(len(curves.epochs) == 1 for curves in numbers.trials))
    keys = [
        style.key("train", color=style.INK, **train),
        style.key("validation", color=style.INK, **validation),
        style.key("validation above train: overfitting where it grows", color=style.INK, alpha=0.15, linewidth=8),
        style.key("best epoch", color=style.FAINT, linestyle=":"),
    ]
    style.title_above(figure, f"Train and validation loss of {style.plain(numbers.name)}")
    style.footer(figure, style.outside_note(count_outside(values, limits)), handles=keys)
    return figure


def _loss_looks(single: bool) -> tuple[dict[str, Any], dict[str, Any]]:
    """Of train and validation; an epoch alone makes no line, so it gets a dot."""
    dot = {"marker": "o" if single else "", "markersize": 5}
    return dot | {"linestyle": "--", "linewidth": 1.5, "markerfacecolor": "white"}, dot | {"linewidth": 2.0}


def _draw_losses_of(axes: Axes, curves: LossCurves) -> None:
    colour = _colour(curves)
    epochs, train, val = (np.array(part, dtype=np.float64) for part in (curves.epochs, curves.train, curves.val))
    train_look, val_look = _loss_looks(len(epochs) == 1)
    axes.plot(epochs, train, color=colour, **train_look)
    axes.plot(epochs, val, color=colour, **val_look)
    axes.fill_between(epochs, train, val, where=(val > train).tolist(), color=colour, alpha=0.12, linewidth=0)
    if curves.best_epoch is not None:
        axes.axvline(curves.best_epoch, color=style.FAINT, linewidth=0.9, linestyle=":")
    baseline = " (baseline)" if curves.baseline else ""
    axes.set_title(
        f"{curves.trial}{baseline}\n{style.plain(curves.settings, 38)}",
        fontsize=8.5,
        color=colour,
        fontweight="normal",
    )
