"""The ROC and precision-recall curves drawn."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tuner.report.plots import style
from tuner.report.plots.ranking import CurveFamily, RankingCurves

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_MANY = 12
"""labels beyond which each one's line is fainter"""


def draw_ranking_curves(numbers: RankingCurves) -> Figure:
    """Two squares side by side: ROC, precision-recall."""
    figure = style.new_figure(5.6)
    left, right = figure.subplots(1, 2)
    left.plot([0, 1], [0, 1], color=style.FAINT, linewidth=1, linestyle=":", label="guessing (AUC 0.500)")
    _draw_family(left, numbers.roc, "AUC")
    left.set(xlabel="false positive rate", ylabel="true positive rate (recall)", title="ROC")
    guess = f"guessing (precision {numbers.prevalence:.3f})"
    right.axhline(numbers.prevalence, color=style.FAINT, linewidth=1, linestyle=":", label=guess)
    _draw_family(right, numbers.precision_recall, "AP")
    right.set(xlabel="recall", ylabel="precision", title="Precision-recall")
    style.title_above(
        figure, f"{style.plain(numbers.name)}: {numbers.trial} on {numbers.images} {numbers.split} images"
    )
    left_out = len(numbers.roc.left_out)
    style.footer(
        figure,
        "micro: all labels pooled; macro: mean over labels",
        "validation chose this trial: optimistic, and there are no predictions on test" * (numbers.split != "test"),
        f"{left_out} label{'s' * (left_out > 1)} left out: no image positive, or all" * (left_out > 0),
    )
    return figure


def _draw_family(axes: Axes, family: CurveFamily, area: str) -> None:
    lowest = family.lowest if len(family.each) > 1 else None
    # between two thresholds no precision is reached but the lower one
    steps: dict[str, Any] = {"drawstyle": "steps-post"} if area == "AP" else {}
    alpha = 0.7 if len(family.each) <= _MANY else 0.4
    for curve in family.each:
        if curve is not lowest:
            axes.plot(curve.x, curve.y, color=style.GREY, linewidth=0.9, alpha=alpha, **steps)
    axes.plot([], [], color=style.GREY, linewidth=1.2, label=f"each label (macro {area} {family.macro:.3f})")
    if lowest:
        label = f"lowest: {style.plain(lowest.label, 22)} ({area} {lowest.area:.3f})"
        look: dict[str, Any] = {"color": style.PLACES[1], "linewidth": 1.3, "linestyle": "--"}
        axes.plot(lowest.x, lowest.y, label=label, **look, **steps)
    micro, colour = family.micro, style.PLACES[0]
    axes.plot(micro.x, micro.y, color=colour, linewidth=2.4, label=f"micro ({area} {micro.area:.3f})", **steps)
    axes.set(xlim=(-0.02, 1.02), ylim=(-0.02, 1.02))
    handles, texts = axes.get_legend_handles_labels()
    axes.legend(handles[::-1], texts[::-1], loc="upper left", bbox_to_anchor=(-0.02, -0.17), borderaxespad=0)
