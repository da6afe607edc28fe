"""Confusions and label scores drawn."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from tuner.report.plots import style
from tuner.report.plots.mistakes import MOST_CLASSES, Confusion, LabelScore, LabelScores

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_MARKS: Mapping[str, dict[str, Any]] = {
    "precision": {"marker": "o", "markersize": 4, "zorder": 5},
    "recall": {"marker": "D", "markersize": 6.5, "markerfacecolor": "white", "zorder": 4},
}
_COLUMNS = (40, 95)
"""of the numbers beside the bars, in points from the axes"""
_DARK = 0.5
"""share from which a cell's count is white"""


def draw_confusion(numbers: Confusion) -> Figure:
    """The matrix, or bars of the most confused pairs where it has too many classes to be read."""
    return _draw_matrix(numbers) if len(numbers.labels) <= MOST_CLASSES else _draw_pairs(numbers)


def _draw_matrix(numbers: Confusion) -> Figure:
    classes = len(numbers.labels)
    side = min(max(3.2 + 0.3 * classes, 4.6), 8.7)
    figure = style.new_figure(side, width_inches=side + 0.9)
    axes = figure.add_subplot()
    image = axes.imshow(numbers.shares, cmap=style.shares_colours(), vmin=0, vmax=1)
    size = 10 if classes <= 12 else 7.5 if classes <= 20 else 6
    for row, column in np.argwhere(numbers.counts):
        colour = "white" if numbers.shares[row, column] >= _DARK else style.INK
        axes.text(column, row, str(numbers.counts[row, column]), ha="center", va="center", color=colour, fontsize=size)
    names = [style.plain(label, 18) for label in numbers.labels]
    of_class = numbers.counts.sum(axis=1)
    axes.set_xticks(range(classes), names, rotation=90 if classes > 4 else 0)
    axes.set_yticks(range(classes), [f"{name} ({n})" for name, n in zip(names, of_class, strict=True)])
    axes.tick_params(length=0)
    axes.grid(visible=False)
    axes.spines[:].set_visible(False)
    axes.set(xlabel="predicted class", ylabel="true class (images)")
    axes.set_title(_title(numbers))
    bar = figure.colorbar(image, ax=axes, shrink=0.6, label="share of the true class")
    bar.outline.set_visible(False)
    return figure


def _draw_pairs(numbers: Confusion) -> Figure:
    pairs = numbers.pairs
    figure = style.new_figure(1.6 + 0.28 * max(len(pairs), 3))
    axes = figure.add_subplot()
    axes.barh(range(len(pairs)), [images for _, _, images, _ in pairs], color=style.PLACES[0], height=0.7)
    for at, (_, _, images, share) in enumerate(pairs):
        axes.text(images, at, f" {images} ({share:.0%} of its class)", va="center", fontsize=8.5)
    names = [f"{style.plain(true, 24)} → {style.plain(said, 24)}" for true, said, _, _ in pairs]
    axes.set_yticks(range(len(pairs)), names)
    most = max((images for _, _, images, _ in pairs), default=1)
    axes.set(xlim=(0, most * 1.3), ylim=(max(len(pairs), 3) - 0.4, -0.6), xlabel="images (true → predicted class)")
    axes.grid(visible=False, axis="y")
    axes.tick_params(axis="y", length=0)
    axes.locator_params(axis="x", integer=True)
    axes.set_title(_title(numbers))
    shown = f"the {len(pairs)} most confused pairs" if pairs else "no image is confused"
    style.footer(figure, f"{shown}; {len(numbers.labels)} classes are too many for a matrix")
    return figure


def _title(numbers: Confusion) -> str:
    images = int(numbers.counts.sum())
    return (
        f"{style.plain(numbers.name)}: {numbers.trial} on {images} {numbers.split} images, {numbers.accuracy:.1%} right"
    )


def draw_label_scores(numbers: LabelScores) -> Figure:
    """A bar of F1 a label, best first, between marks of its precision and recall."""
    rows = numbers.labels
    figure = style.new_figure(1.7 + 0.27 * max(len(rows), 3))
    axes = figure.add_subplot()
    for at, row in enumerate(rows):
        _draw_label(axes, at, row)
    axes.set_yticks(range(len(rows)), [style.plain(row.label, 26) for row in rows])
    axes.set(xlim=(0, 1), ylim=(len(rows) - 0.4, -0.6), xlabel="score of the label")
    axes.grid(visible=False, axis="y")
    axes.tick_params(axis="y", length=0)
    for x, name in zip(_COLUMNS, ("positives", "threshold"), strict=True):
        _write_beside(axes, x, -0.9, name, style.FAINT)
    images = f"{numbers.images} {numbers.split} images"
    axes.set_title(f"{style.plain(numbers.name)}: {numbers.trial} by label on {images}", pad=18)
    keys = [style.key("F1", color=style.SKY, linewidth=8)]
    keys += [style.dot(name, style.INK, **look) for name, look in _MARKS.items()]
    style.footer(
        figure,
        "decided by thresholds that were fitted on validation" * numbers.fitted,
        f"{numbers.left_out} labels between the best and the worst are not shown" * (numbers.left_out > 0),
        handles=keys,
    )
    return figure


def _draw_label(axes: Axes, at: int, row: LabelScore) -> None:
    if row.f1 is None or row.precision is None or row.recall is None:
        axes.text(0.01, at, "no positive image", va="center", fontsize=8.5, color=style.FAINT)
    else:
        axes.barh(at, row.f1, color=style.SKY, height=0.66)
        ends = {"precision": row.precision, "recall": row.recall}
        axes.hlines(at, min(ends.values()), max(ends.values()), color=style.INK, linewidth=1)
        for name, end in ends.items():
            axes.plot(end, at, color=style.INK, clip_on=False, **_MARKS[name])
    for x, text in zip(_COLUMNS, (str(row.positives), f"{row.threshold:.2f}"), strict=True):
        _write_beside(axes, x, at, text, style.INK)


def _write_beside(axes: Axes, points: float, row: float, text: str, colour: str) -> None:
    axes.annotate(
        text,
        (1, row),
        (points, 0),
        xycoords=axes.get_yaxis_transform(),
        textcoords="offset points",
        ha="center",
        va="center",
        fontsize=8.5,
        color=colour,
        annotation_clip=False,
    )
