"""The effects of the axes drawn."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from tuner.report.plots import style
from tuner.report.plots.effects import Dot, Effects, Panel
from tuner.report.plots.limits import count_outside

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D

_MANY = 60
_CHARACTERS_A_PANEL = 30
_GOLDEN = 0.618034
"""its multiples, modulo 1, are far from each other"""


def draw_effects(numbers: Effects) -> Figure:
    """A panel an axis: a dot a trial, means of the finished ones, pairs that differ on the axis alone."""
    panels = len(numbers.panels)
    columns = min(panels, 4 if panels > 6 or panels == 4 else 3)
    rows = math.ceil(panels / columns)
    row_inches = 2.8 if any(_is_tilted(panel) for panel in numbers.panels) else 2.3
    figure = style.new_figure(1.2 + row_inches * rows, width_inches=max(2.4 * columns, 5.5))
    cells = figure.subplots(rows, columns, sharey=True, squeeze=False).ravel()
    for at, cell in enumerate(cells):
        cell.set_visible(at < panels)
        if at % columns == 0:
            cell.set_ylabel(style.plain(numbers.metric))
    for cell, panel in zip(cells, numbers.panels, strict=False):
        cell.set_ylim(numbers.limits)
        _draw_panel(cell, panel)
    what = f"{style.plain(numbers.metric)} ({style.better(numbers.direction)}) by axis"
    style.title_above(figure, f"{style.plain(numbers.name)}: {what}")
    values = {dot.trial: dot.value for panel in numbers.panels for dot in panel.dots}
    outside = style.outside_note(count_outside(values.values(), numbers.limits), "in no mean")
    style.footer(figure, numbers.caveat, outside, handles=_legend(numbers), columns=4 if columns > 2 else 2)
    return figure


def _draw_panel(axes: Axes, panel: Panel) -> None:
    for one, other in panel.pairs:
        axes.plot(*zip(one, other, strict=True), color=style.GREY, linewidth=0.8, zorder=1.5)
    _scatter(axes, panel, [dot for dot in panel.dots if not dot.place])
    _scatter(axes, panel, [dot for dot in panel.dots if dot.place])
    if panel.levels:
        for mean in panel.means:
            axes.hlines(mean.value, mean.x - 0.34, mean.x + 0.34, color=style.INK, linewidth=2, zorder=4)
        _name_levels(axes, panel)
    else:
        xs, values = [mean.x for mean in panel.means], [mean.value for mean in panel.means]
        axes.plot(xs, values, color=style.INK, linewidth=2, marker="|", markersize=8, zorder=4)
        _name_numbers(axes, panel)
    axes.set_title(style.plain(", ".join(filter(None, (panel.path, panel.stratum))), 27), fontsize=9.5)


def _name_levels(axes: Axes, panel: Panel) -> None:
    """Each level with the number of finished trials that its mean is of."""
    counts = {mean.x: mean.trials for mean in panel.means}
    tilted = _is_tilted(panel)
    between = " " if tilted else "\n"
    names = [f"{style.plain(level, 16)}{between}n={counts.get(at, 0)}" for at, level in enumerate(panel.levels)]
    look: dict[str, Any] = {"rotation": 30, "ha": "right", "rotation_mode": "anchor"} if tilted else {}
    axes.set_xticks(range(len(names)), names, fontsize=8, **look)
    axes.set_xlim(-0.6, len(names) - 0.4)
    axes.grid(visible=False, axis="x")


def _is_tilted(panel: Panel) -> bool:
    """Whether its levels' names have no room beside each other."""
    return any(len(level) > _CHARACTERS_A_PANEL // len(panel.levels) - 1 for level in panel.levels)


def _name_numbers(axes: Axes, panel: Panel) -> None:
    xs = [dot.x for dot in panel.dots]
    low, high = min(xs), max(xs)
    if panel.log:
        axes.set_xscale("log")
    if low == high:
        axes.set_xticks([low], [style.short(low)])
        return
    margin = (high / low) ** 0.06 if panel.log else 0.06 * (high - low)
    axes.set_xlim((low / margin, high * margin) if panel.log else (low - margin, high + margin))
    ticks = style.ticks(low, high, panel.log, most=4)
    axes.set_xticks([tick for tick, _ in ticks], [name for _, name in ticks], fontsize=8)
    axes.minorticks_off()


def _scatter(axes: Axes, panel: Panel, dots: list[Dot]) -> None:
    """Finished trials filled, others hollow; on levels side by side so that none hides another."""
    order = np.argsort([dot.value for dot in dots], kind="stable")
    shifts = np.zeros(len(dots))
    if panel.levels and not panel.pairs:  # the lines of pairs end where the dots are
        shifts[order] = 0.22 * (2 * ((np.arange(len(dots)) * _GOLDEN) % 1) - 1)
    colours = [style.place_colour(dot.place) for dot in dots]
    axes.scatter(
        [dot.x + shift for dot, shift in zip(dots, shifts, strict=True)],
        [dot.value for dot in dots],
        s=26 if len(panel.dots) <= _MANY else 10,
        facecolors=[colour if dot.finished else "none" for dot, colour in zip(dots, colours, strict=True)],
        edgecolors=colours,
        linewidths=1.0,
        zorder=3 if any(dot.place for dot in dots) else 2,
    )


def _legend(numbers: Effects) -> list[Line2D]:
    dots = [dot for panel in numbers.panels for dot in panel.dots]
    keys = [style.key("mean of finished trials", color=style.INK, linewidth=2)]
    names = {dot.place: dot.trial for dot in dots if dot.place}
    keys += [style.dot(names[place], style.place_colour(place)) for place in sorted(names)]
    if not all(dot.finished for dot in dots):
        keys.append(style.dot("pruned or not finished", style.FAINT, markerfacecolor="none"))
    if any(panel.pairs for panel in numbers.panels):
        keys.append(style.key("differ on this axis alone", color=style.GREY, linewidth=1))
    return keys
