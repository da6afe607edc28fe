"""The table of plots, and the pictures written: plots/<name>.png."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from tuner.evidence.gathering import Evidence
from tuner.records import SearchRecord
from tuner.report.plots import style
from tuner.report.plots.draw_effects import draw_effects
from tuner.report.plots.draw_history import draw_history
from tuner.report.plots.draw_learning import draw_learning_curves, draw_losses
from tuner.report.plots.draw_mistakes import draw_confusion, draw_label_scores
from tuner.report.plots.draw_parallel import draw_parallel
from tuner.report.plots.draw_ranking import draw_ranking_curves
from tuner.report.plots.effects import effects
from tuner.report.plots.history import history
from tuner.report.plots.learning import learning_curves, losses
from tuner.report.plots.mistakes import confusion, label_scores
from tuner.report.plots.parallel import parallel
from tuner.report.plots.ranking import ranking_curves
from tuner.report.plots.source import Source
from tuner.store import Store

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_log = logging.getLogger(__name__)

N = TypeVar("N")


@dataclass(frozen=True)
class Plot(Generic[N]):
    """What is shown, None for nothing, and how it is drawn."""

    numbers: Callable[[Source], N | None]
    draw: Callable[[N], Figure]

    def figure(self, source: Source) -> Figure | None:
        """To be called, and its result saved, within `style.styled`."""
        numbers = self.numbers(source)
        return None if numbers is None else self.draw(numbers)


PLOTS: Mapping[str, Plot[Any]] = {
    "learning_curves": Plot(lambda source: learning_curves(source.record), draw_learning_curves),
    "losses": Plot(lambda source: losses(source.record), draw_losses),
    "history": Plot(history, draw_history),
    "parallel": Plot(parallel, draw_parallel),
    "effects": Plot(effects, draw_effects),
    "ranking": Plot(ranking_curves, draw_ranking_curves),
    "confusion": Plot(confusion, draw_confusion),
    "labels": Plot(label_scores, draw_label_scores),
}
"""in the order of a report; the name is the file's"""


def draw_plots(store: Store, record: SearchRecord, evidence: Evidence | None = None) -> list[Path]:
    """Write the pictures that have something to show, each atomically, and remove those that no longer have.

    A picture that cannot be drawn or written is left out and logged with its traceback: no search fails by it.
    """
    source = Source(store, record, evidence)
    written = []
    for name, plot in PLOTS.items():
        path = store.plots / f"{name}.png"
        try:
            drawn = draw_png(plot, source)
            if drawn is None:
                path.unlink(missing_ok=True)
            else:
                _write(path, drawn)
                written.append(path)
        except Exception:
            _log.exception("%s was not drawn", path)
    return written


def draw_png(plot: Plot[Any], source: Source) -> bytes | None:
    """One picture; None where there is nothing to show."""
    with style.styled():
        figure = plot.figure(source)
        return None if figure is None else style.png(figure)


def _write(path: Path, picture: bytes) -> None:
    """Replace a picture so that whoever looks at it sees the old one or the new, whole."""
    path.parent.mkdir(exist_ok=True)
    unfinished = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        unfinished.write_bytes(picture)
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)
