"""How all pictures look, and texts that matplotlib draws as they are. The only file that imports matplotlib.

Colours: Okabe and Ito, "Color Universal Design", 2008: told apart with every kind of colour vision.
"""

from __future__ import annotations

import functools
import io
import math
import unicodedata
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from tuner.report import table

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.colors import Colormap
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D

INK = "#222222"
FAINT = "#767676"
"""texts of second rank: still 4.5 to 1 against white"""
GREY = "#b4b8bf"
"""trials that do not stand out"""
PLACES = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00")
"""of the top trials, by place"""
SKY = "#56B4E9"

DOTS_PER_INCH = 120
WIDTH_INCHES = 8.0
"""960 pixels: as wide as a Markdown page shows without shrinking"""

_STYLE: dict[str, Any] = {
    "font.size": 9.5,
    "axes.titlesize": 11.5,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.titlepad": 10,
    "axes.labelsize": 9.5,
    "axes.edgecolor": FAINT,
    "axes.labelcolor": INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "axes.grid": True,
    "grid.color": "#ececec",
    "grid.linewidth": 0.8,
    "text.color": INK,
    "xtick.color": FAINT,
    "ytick.color": FAINT,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "xtick.labelsize": 8.5,
    "ytick.labelsize": 8.5,
    "legend.frameon": False,
    "legend.fontsize": 8.5,
    "lines.solid_capstyle": "round",
    "figure.dpi": DOTS_PER_INCH,
    "savefig.dpi": DOTS_PER_INCH,
}
_FALLBACK_FONTS = (
    *("Noto Sans CJK SC", "Noto Sans CJK JP", "Source Han Sans SC", "WenQuanYi Micro Hei", "Droid Sans Fallback"),
    *("PingFang SC", "Hiragino Sans", "Apple SD Gothic Neo", "Microsoft YaHei", "Malgun Gothic", "Arial Unicode MS"),
    *("Noto Sans Arabic", "Noto Sans Hebrew", "Noto Sans Devanagari", "Noto Sans Thai", "Noto Emoji", "Symbola"),
)
"""asked in this order for what DejaVu Sans, which comes with matplotlib, lacks"""
_MISSING = "\N{WHITE SQUARE}"


@contextmanager
def styled() -> Iterator[None]:
    """Draw and save within this: the same style whatever the user's matplotlibrc says, and theirs again afterwards."""
    import matplotlib.style

    with matplotlib.style.context(["default", _STYLE | {"font.family": list(_fonts())}]):
        yield


def new_figure(height_inches: float, width_inches: float = WIDTH_INCHES) -> Figure:
    """An empty figure that keeps its parts from overlapping; no pyplot, no display."""
    from matplotlib.figure import Figure

    return Figure((width_inches, height_inches), layout="constrained")


def png(figure: Figure) -> bytes:
    """The figure as a PNG: the same bytes for the same figure, matplotlib and fonts.

    Its parts are laid out here and once: with a layout engine `savefig` lays them out twice and draws them twice.
    """
    if figure.axes and (engine := figure.get_layout_engine()):
        engine.execute(figure)
        figure.set_layout_engine(None)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", metadata={"Software": None})
    return buffer.getvalue()


def shares_colours() -> Colormap:
    """White to blue, for shares from 0 to 1."""
    from matplotlib.colors import LinearSegmentedColormap

    return LinearSegmentedColormap.from_list("shares", ["#ffffff", "#9fcbe6", PLACES[0], "#00304b"])


def place_colour(place: int | None) -> str:
    """A top trial's colour; grey for the others."""
    return GREY if place is None else PLACES[place - 1]


def plain(text: str, longest: int = 32) -> str:
    """A name on one line as it is, its middle left out beyond `longest` characters.

    `$` would start mathematics, and a character that no font has would draw a warning: it becomes a white square.
    """
    shown = " ".join("".join(" " if unicodedata.category(c) in ("Cc", "Zl", "Zp") else c for c in text).split())
    if len(shown) > longest:
        head = (longest - 1) * 2 // 3
        shown = f"{shown[:head]}…{shown[len(shown) - (longest - 1 - head) :]}"
    drawn = "".join(c if ord(c) in _glyphs() else _MISSING for c in shown)
    return drawn.replace("$", r"\$")


@functools.cache
def _fonts() -> tuple[str, ...]:
    from matplotlib.font_manager import fontManager

    installed = {font.name for font in fontManager.ttflist}
    return ("DejaVu Sans", *(name for name in _FALLBACK_FONTS if name in installed))


@functools.cache
def _glyphs() -> frozenset[int]:
    """Code points that some of the fonts can draw."""
    from matplotlib.font_manager import FontProperties, findfont, get_font

    return frozenset().union(*(get_font(findfont(FontProperties(family=[name]))).get_charmap() for name in _fonts()))


def spread(wanted: Sequence[float], gap: float, low: float = 0.0, high: float = 1.0) -> list[float]:
    """Positions at least `gap` apart, in the same order and as near to the wanted ones as can be, within low..high.

    Least squares under the order: blocks of neighbours that would overlap share the mean of their wishes.
    """
    order = sorted(range(len(wanted)), key=lambda at: wanted[at])
    blocks: list[tuple[float, int]] = []  # the mean of what the first member of the block should get, members
    for rank, at in enumerate(order):
        mean, members = wanted[at] - rank * gap, 1
        while blocks and blocks[-1][0] > mean:
            other, more = blocks.pop()
            mean, members = (mean * members + other * more) / (members + more), members + more
        blocks.append((mean, members))
    placed = [0.0] * len(wanted)
    firsts = [mean for mean, members in blocks for _ in range(members)]
    last = high - gap * (len(order) - 1)
    for rank, at in enumerate(order):
        placed[at] = min(max(firsts[rank], low), max(last, low)) + rank * gap
    return placed


def label_ends(axes: Axes, ends: Sequence[tuple[float, float, str, str]], lines: int = 1) -> None:
    """Name lines at the right of the axes, beside where they end and apart from each other.

    Args:
        axes: with final limits
        ends: x, y, text, colour of each line
        lines: lines of each text
    """
    figure = axes.get_figure(root=True)
    assert figure is not None
    height_points = figure.get_size_inches()[1] * 72 * 0.75  # of the axes, once title, labels and legend have theirs
    gap = (lines * 11.0 + (lines > 1) * 5.0) / height_points
    low, high = axes.get_ylim()
    wanted = [min(max((y - low) / (high - low), 0.0), 1.0) for _, y, _, _ in ends]
    for (x, y, text, colour), at in zip(ends, spread(wanted, gap), strict=True):
        leader = {"arrowstyle": "-", "color": colour, "linewidth": 0.7, "alpha": 0.7, "relpos": (0.0, 0.5)}
        axes.annotate(
            text,
            (x, min(max(y, low), high)),
            (1.03, at),
            textcoords=axes.transAxes,
            color=colour,
            fontsize=8.5,
            va="center",
            annotation_clip=False,
            arrowprops=leader | {"shrinkA": 2, "shrinkB": 3},
        )


def title_above(figure: Figure, title: str) -> None:
    """The title of a figure of several panels, as that of a single one looks."""
    figure.suptitle(title, x=0.01, ha="left", fontsize=_STYLE["axes.titlesize"], fontweight="bold")


def footer(figure: Figure, *notes: str, handles: Sequence[Artist] = (), columns: int = 5) -> None:
    """Notes, of which empty ones are left out, and the legend, under all panels."""
    told = [note for note in notes if note]
    if told or handles:
        legend = figure.legend(
            handles=handles,
            loc="outside lower left",
            ncols=columns,
            title="\n".join(told) or None,
            title_fontsize=8.5,
            alignment="left",
        )
        legend.get_title().set_color(FAINT)


def key(name: str, **look: Any) -> Line2D:
    """An entry of a legend; `look` as of a line."""
    from matplotlib.lines import Line2D

    return Line2D([], [], label=name, **look)


def dot(name: str, colour: str, marker: str = "o", **look: Any) -> Line2D:
    """An entry of a legend that is a marker."""
    return key(name, color=colour, linestyle="", **{"marker": marker, "markersize": 5.5} | look)


def ticks(low: float, high: float, log: bool, most: int = 5) -> list[tuple[float, str]]:
    """Round numbers from low to high with their short names; both ends where there are fewer than two."""
    from matplotlib.ticker import LogLocator, MaxNLocator

    locator = LogLocator(subs=(1.0, 2.0, 5.0) if high < 100 * low else (1.0,)) if log else MaxNLocator(most)
    slack = 1e-9 * (high - low)  # 1e-5 may come as 0.0000099999
    told = [float(tick) for tick in locator.tick_values(low, high) if low - slack <= tick <= high + slack]
    if log and len(told) > most:
        told = told[:: math.ceil(len(told) / most)]
    told = told if len(told) > 1 else [low, high]
    names = [short(tick) for tick in told]
    return list(zip(told, names if len(set(names)) == len(names) else [f"{tick:g}" for tick in told], strict=True))


def short(value: float) -> str:
    """A number on an axis: `256`, `0.3`, `1e-4`."""
    return table.short(int(value) if value.is_integer() and abs(value) < 10_000 else value)


def outside_note(outside: int, more: str = "") -> str:
    """What was left out of the frame, and what else that means."""
    if not outside:
        return ""
    return f"{outside} value{'s' * (outside > 1)} beyond the frame" + (f", {more}" if more else "")


def better(direction: str) -> str:
    """`higher is better`, or lower."""
    return "higher is better" if direction == "maximize" else "lower is better"
