"""The optimisation history drawn."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import cycle
from typing import TYPE_CHECKING

from tuner.report.plots import style
from tuner.report.plots.history import History, Point
from tuner.report.plots.limits import count_outside, value_limits

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D

Look = tuple[str, str, str]

MARKERS: Mapping[str, Look] = {
    "complete": ("o", style.PLACES[0], "complete"),
    "early_stopped": ("D", style.PLACES[0], "early stopped"),
    "pruned": ("x", style.FAINT, "pruned"),
    "running": (">", style.PLACES[4], "running"),
    "paused": ("s", style.PLACES[4], "paused"),
    "failed": ("v", style.PLACES[1], "failed"),
    "lost": ("^", style.PLACES[1], "lost"),
}
"""status -> marker, colour, name"""
_UNKNOWN = (".", style.FAINT, "other")
_LEVEL_COLOUR = "#a8507e"  # a darker purple of the same palette: it is a text's colour too
_MANY = 60
_MOST_TIED = 8
_LEVEL_STYLES = ("--", ":", "-.", (0, (5, 1, 1, 1, 1, 1)))


def draw_history(numbers: History) -> Figure:
    """A marker a trial by its status, the best so far as a step, baseline and references as lines across."""
    figure = style.new_figure(4.4)
    axes = figure.add_subplot()
    values = [point.value for point in numbers.points]
    limits = _limits(numbers)
    last = max(point.number for point in numbers.points)
    end = last + max(0.5, 0.02 * last)
    axes.set(xlim=(1 - (end - last), end), ylim=limits)
    axes.locator_params(axis="x", integer=True, min_n_ticks=1)
    looks = list(dict.fromkeys(_look(point) for point in sorted(numbers.points, key=_order)))
    keys = [_draw_points(axes, [p for p in numbers.points if _look(p) == look], look, limits) for look in looks]
    _name_best(axes, numbers)
    if numbers.best_so_far:
        keys.insert(0, _draw_best(axes, numbers, end))
    style.label_ends(axes, _levels(axes, numbers, end))
    metric = style.plain(numbers.metric)
    axes.set(xlabel="trial, in the order asked", ylabel=f"{metric} on validation\n({style.better(numbers.direction)})")
    axes.set_title(f"What the trials of {style.plain(numbers.name)} came to")
    style.footer(figure, *_notes(numbers), style.outside_note(count_outside(values, limits)), handles=keys, columns=6)
    return figure


def _notes(numbers: History) -> Iterator[str]:
    if any(point.interval for point in numbers.points):
        yield "bars: 95 % intervals over validation images; of chosen trials they are optimistic"
    if len(numbers.tied) > 1:
        more = f" and {len(numbers.tied) - _MOST_TIED} more" if len(numbers.tied) > _MOST_TIED else ""
        yield f"not told apart: {', '.join(numbers.tied[:_MOST_TIED])}{more}"


def _limits(numbers: History) -> tuple[float, float]:
    kept = [*(point.value for point in numbers.points if point.place), *(level.value for level in numbers.levels)]
    kept += [end for point in numbers.points if point.interval for end in point.interval]
    return value_limits([point.value for point in numbers.points], kept)


def _look(point: Point) -> Look:
    return MARKERS.get(point.status, _UNKNOWN)


def _order(point: Point) -> int:
    return [*MARKERS, point.status].index(point.status)


def _draw_best(axes: Axes, numbers: History, end: float) -> Line2D:
    steps = [*numbers.best_so_far, (end, numbers.best_so_far[-1][1])]
    axes.step(*zip(*steps, strict=True), where="post", color=style.INK, linewidth=1.4, zorder=2)
    return style.key("best so far", color=style.INK, linewidth=1.4)


def _name_best(axes: Axes, numbers: History) -> None:
    """On the side of the better values, where no line of the best so far runs, beyond the end of its bar."""
    higher = numbers.direction == "maximize"
    offset, side = (5, "bottom") if higher else (-5, "top")
    for point in numbers.points:
        if point.place == 1 and point.value is not None:
            ends = point.interval or (point.value, point.value)
            at = (point.number, ends[1] if higher else ends[0])
            axes.annotate(point.trial, at, (0, offset), textcoords="offset points", ha="center", va=side, fontsize=8.5)


def _draw_points(axes: Axes, points: list[Point], look: Look, limits: tuple[float, float]) -> Line2D:
    """Trials of one status; those without a value stand on the lower edge."""
    marker, colour, name = look
    size = 6.5 if len(points) <= _MANY else 4.0
    scored = {point.number: point.value for point in points if point.value is not None}
    without = [point.number for point in points if point.value is None]
    axes.plot(list(scored), list(scored.values()), marker, color=colour, markersize=size, zorder=4)
    if without:  # an empty line that is not clipped would take room at the figure's corner
        axes.plot(without, [limits[0]] * len(without), marker, color=colour, markersize=size, clip_on=False, zorder=4)
    bars = {point.number: point.interval for point in points if point.interval}
    if bars:
        lows, highs = zip(*bars.values(), strict=True)
        axes.vlines(list(bars), lows, highs, color=colour, linewidth=1.2, alpha=0.6, zorder=3)
    return style.dot(f"{name} ({len(without)} without a value)" if without else name, colour, marker)


def _levels(axes: Axes, numbers: History, end: float) -> list[tuple[float, float, str, str]]:
    """Draw the lines that trials are held against; their names and that of the best, for the right edge."""
    ends = [(end, value, f"best so far {value:.3f}", style.INK) for _, value in numbers.best_so_far[-1:]]
    for level, line in zip(numbers.levels, cycle(_LEVEL_STYLES), strict=False):
        axes.axhline(level.value, color=_LEVEL_COLOUR, linewidth=1.3, linestyle=line, zorder=1.5)
        ends.append((end, level.value, f"{style.plain(level.name)} {level.value:.3f}", _LEVEL_COLOUR))
    return ends
