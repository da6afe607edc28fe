"""The parallel coordinates drawn."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING

from tuner.report.plots import style
from tuner.report.plots.limits import count_outside
from tuner.report.plots.parallel import Parallel, Thread, Upright
from tuner.report.plots.source import TOP

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_ABSENT = -0.09
"""where a line passes an axis that does not exist for its trial"""
_WIDEST_INCHES = 11.0
_MANY = 60
_LONG = 16
_SHIFT = 0.018
"""how far lines through the same level are drawn apart"""
_GOLDEN = 0.618034
"""its multiples, modulo 1, are far from each other"""


def draw_parallel(numbers: Parallel) -> Figure:
    """Upright axes, the objective last; the top trials in colour over all others in grey."""
    columns = len(numbers.uprights)
    figure = style.new_figure(4.6, width_inches=min(max(style.WIDTH_INCHES, 1.6 + 0.95 * columns), _WIDEST_INCHES))
    axes = figure.add_subplot()
    # the best trial is drawn last, over all others
    for thread in sorted(numbers.threads, key=lambda thread: -(thread.place or TOP + 1)):
        _draw_thread(axes, numbers, thread)
    for at, upright in enumerate([*numbers.uprights, Upright(numbers.metric, (), *numbers.limits, log=False)]):
        _draw_upright(axes, at, upright)
    absent = [at for thread in numbers.threads for at, height in enumerate(thread.positions) if height is None]
    if absent:
        axes.text(min(absent) - 0.5, _ABSENT - 0.02, "not used", color=style.FAINT, fontsize=8.5, ha="center", va="top")
    axes.set(xlim=(-0.6, columns + 0.1), ylim=(_ABSENT - 0.08 if absent else -0.03, 1.03), yticks=[])
    names = [style.plain(upright.path, 22).replace(".", ".\n", 1) for upright in numbers.uprights]
    metric = style.plain(numbers.metric, 30)
    metric = metric.replace("_", "_\n", 1) if len(metric) > _LONG else metric
    objective = f"{metric}\n({style.better(numbers.direction)})"
    axes.set_xticks(range(columns + 1), [*names, objective], fontsize=8.5)
    axes.xaxis.tick_top()
    axes.tick_params(length=0, pad=5)
    axes.grid(visible=False)
    axes.spines[:].set_visible(False)
    style.label_ends(axes, _ends(numbers))
    title = f"Settings of {len(numbers.threads)} trials of {style.plain(numbers.name)}, and what they came to"
    style.title_above(figure, title)
    style.footer(figure, *_notes(numbers))
    return figure


def _notes(numbers: Parallel) -> Iterator[str]:
    if not all(thread.finished for thread in numbers.threads):
        yield "dotted: pruned or not finished"
    if numbers.axes_left_out:
        yield f"{numbers.axes_left_out} more axes are not shown"
    yield style.outside_note(count_outside([thread.value for thread in numbers.threads], numbers.limits))


def _draw_thread(axes: Axes, numbers: Parallel, thread: Thread) -> None:
    shift = _SHIFT * (2 * ((numbers.threads.index(thread) * _GOLDEN) % 1) - 1)
    heights = [
        (_ABSENT if position is None else position) + (shift if position is None or upright.levels else 0.0)
        for position, upright in zip(thread.positions, numbers.uprights, strict=True)
    ]
    axes.plot(
        range(len(heights) + 1),
        [*heights, _objective(numbers, thread)],
        color=style.place_colour(thread.place),
        linewidth=2.6 if thread.place == 1 else 1.8 if thread.place else 0.9,
        alpha=0.9 if thread.place else 0.8 if len(numbers.threads) <= _MANY else 0.3,
        linestyle="-" if thread.finished else ":",
        zorder=3 if thread.place else 2,
    )


def _objective(numbers: Parallel, thread: Thread) -> float:
    """The height of its value; beyond the frame, that of the frame's edge."""
    low, high = numbers.limits
    return min(max((thread.value - low) / (high - low), 0.0), 1.0)


def _draw_upright(axes: Axes, at: int, upright: Upright) -> None:
    axes.plot([at, at], [0, 1], color=style.FAINT, linewidth=1.2, zorder=4)
    for height, name in upright.levels or number_ticks(upright):
        axes.plot([at - 0.03, at], [height, height], color=style.FAINT, linewidth=1, zorder=4)
        box = {"facecolor": "white", "alpha": 0.85, "edgecolor": "none", "pad": 0.8}
        axes.text(at - 0.06, height, style.plain(name, 13), ha="right", va="center", fontsize=8, bbox=box, zorder=5)


def number_ticks(upright: Upright) -> list[tuple[float, str]]:
    """(height, name) of round numbers on an axis of numbers."""
    low, high = upright.low, upright.high
    ticks = style.ticks(low, high, upright.log)
    if upright.log:
        return [(math.log(tick / low) / math.log(high / low), name) for tick, name in ticks]
    return [((tick - low) / (high - low), name) for tick, name in ticks]


def _ends(numbers: Parallel) -> list[tuple[float, float, str, str]]:
    return [
        (
            len(numbers.uprights),
            _objective(numbers, thread),
            f"{thread.trial} {thread.value:.3f}",
            style.place_colour(thread.place),
        )
        for thread in numbers.threads
        if thread.place
    ]
