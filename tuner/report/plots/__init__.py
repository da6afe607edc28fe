"""Pictures of a search. Numbers and drawing are apart: `learning.py` says what is shown, `draw_learning.py` how."""

from tuner.report.plots.pictures import PLOTS, draw_plots

__all__ = ["PLOTS", "draw_plots"]
