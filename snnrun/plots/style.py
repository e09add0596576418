"""What all pictures share: colours, sizes of texts, the look of axes, and how they become files.

Figures are made without pyplot, so no global state is touched and no display is needed.
"""

from __future__ import annotations

import io
import textwrap
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colorbar import Colorbar
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from matplotlib.textpath import text_to_path
from matplotlib.ticker import MaxNLocator

from snnrun.files import atomic_file, make_folders
from snnrun.record.paths import RunPaths

# Okabe & Ito, "Color universal design" (2008): eight colours that colour-blind people tell apart
BLACK, ORANGE, SKY, GREEN = "#000000", "#E69F00", "#56B4E9", "#009E73"
YELLOW, BLUE, VERMILION, PURPLE = "#F0E442", "#0072B2", "#D55E00", "#CC79A7"
COLOURS = (BLUE, VERMILION, GREEN, PURPLE, ORANGE, SKY, BLACK)
LINES: tuple[Any, ...] = ("-", "--", ":", "-.")
GREY = "#999999"
SCALE = "viridis"  # of what has an order
ORDERED = ListedColormap(colormaps[SCALE](np.linspace(0, 0.9, 256)))  # that, for lines on white

HEADING, TEXT, SMALL = 12.0, 11.0, 10.0  # points: still read from a projector
DPI = 110
POINTS = 72.0  # of an inch
_KEY, _GAP = 0.45, 0.3  # room for the line of a legend's entry, and between entries, in inches
_MARGIN = 0.12  # of a figure, in inches
_MARKED = 25  # epochs up to which every one has a marker
_LOGARITHMIC = 20.0  # ratio of largest to smallest value from which on an axis is logarithmic
Item = TypeVar("Item")
Size = tuple[float, float]  # width and height in inches


class Shown(Figure):
    """A figure that a notebook shows; without pyplot it would show only its name."""

    def _repr_png_(self) -> bytes:
        file = io.BytesIO()
        self.savefig(file, format="png", dpi=DPI)
        return file.getvalue()


def new_figure(width: float = 9.0, height: float = 6.0) -> Figure:
    """Return an empty figure, width and height in inches."""
    return Shown(figsize=(width, height), dpi=DPI, layout="constrained")


def save(figure: Figure, path: Path, dpi: float = DPI) -> None:
    """Write a figure to a file of its suffix's format, whole or not at all."""
    with atomic_file(path) as file:
        figure.savefig(file, format=path.suffix[1:].lower() or "png", dpi=dpi)


@dataclass(frozen=True)
class Picture:
    """A picture of a run.

    Args:
        name: Of its file.
        size: Width and height in inches.
        title: Stands above everything.
        paint: Draws into an empty figure.
    """

    name: str
    size: Size
    title: str
    paint: Callable[[Figure], None]

    def draw(self, figure: Figure) -> None:
        """Draw into an empty figure."""
        headline(figure, self.title)
        self.paint(figure)

    def figure(self, size: Size | None = None) -> Figure:
        """Return it as a new figure, of a size of its own or of the given one."""
        figure = new_figure(*(size or self.size))
        self.draw(figure)
        return figure

    def write(self, paths: RunPaths, size: Size | None = None, dpi: float = DPI) -> Path:
        """Write it to the run's folder of plots, which is made if need be; return its file."""
        figure = self.figure(size)
        make_folders(paths.plots)
        save(figure, paths.plot(self.name), dpi)
        return paths.plot(self.name)


def headline(figure: Figure, title: str) -> None:
    """Write a title above everything, in as many lines as it needs."""
    width = figure.get_size_inches()[0] - 2 * _MARGIN
    text = wrapped(title, HEADING, width)
    if text:
        figure.suptitle(text, fontsize=HEADING, x=0.01, ha="left", parse_math=False)


def width_of(line: str, size: float, bold: bool = False) -> float:
    """Return the width of a line of text of ``size`` points, in inches."""
    font = FontProperties(size=size, weight="bold" if bold else "normal")
    return float(text_to_path.get_text_width_height_descent(line, font, ismath=False)[0]) / POINTS


def wrapped(text: str, size: float, width: float) -> str:
    """Return a text in lines that are no wider than ``width`` inches."""
    most = max(8, int(len(text) * width / max(width_of(text, size), 1e-9)))
    return "\n".join(textwrap.wrap(text, most))


def shortened(text: str, size: float, width: float) -> str:
    """Return a text, with dots for its end where it is wider than ``width`` inches."""
    whole = width_of(text, size)
    if whole <= width:
        return text
    text = text[: int(len(text) * 1.2 * width / whole)]
    while len(text) > 1 and width_of(f"{text} ...", size) > width:
        text = text[:-1].rstrip(" ,=")
    return f"{text} ..."


def evenly(items: Sequence[Item], most: int = 60) -> list[Item]:
    """Return ``most`` of some items: evenly spread, first and last among them."""
    count = min(len(items), most)
    return [items[round(k * (len(items) - 1) / max(1, count - 1))] for k in range(count)]


def tidy(axes: Axes, title: str = "", x: str = "", y: str = "") -> None:
    """Give axes their title, labels, and the common look."""
    axes.set_title(title, loc="left", fontsize=HEADING, fontweight="bold", parse_math=False)
    axes.set_xlabel(x, fontsize=TEXT)
    axes.set_ylabel(y, fontsize=TEXT)
    axes.tick_params(labelsize=TEXT)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    axes.grid(alpha=0.25, linewidth=0.6)
    axes.set_axisbelow(True)


def legend(axes: Axes, **options: Any) -> None:
    """Name what axes show where it is least in the way."""
    look = {"loc": "best", "framealpha": 0.8, "edgecolor": "none", "fontsize": SMALL}
    axes.legend(**{**look, **options})


def legend_below(figure: Figure, handles: Sequence[Any], labels: Sequence[str]) -> None:
    """Name what all axes of a figure show below them, in as many columns as there is room for."""
    width = figure.get_size_inches()[0] - 2 * _MARGIN
    names = [shortened(label, SMALL, width - _KEY - _GAP) for label in labels]
    widest = max(width_of(name, SMALL) for name in names) + _KEY + _GAP
    figure.legend(
        handles,
        names,
        loc="outside lower center",
        ncols=max(1, min(len(names), int(width / widest))),
        frameon=False,
        fontsize=SMALL,
        handlelength=1.6,
        columnspacing=1.2,
    )


def legend_of_all(figure: Figure, several: Iterable[Axes]) -> None:
    """Name below all axes of a figure what any of these show, each name once."""
    found: dict[str, Any] = {}
    for axes in several:
        found |= dict(zip(*axes.get_legend_handles_labels()[::-1], strict=True))
    if found:
        legend_below(figure, list(found.values()), list(found))


def colour_bar(
    shown: ScalarMappable, axes: Axes | Sequence[Axes], label: str, **options: Any
) -> Colorbar:
    """Draw the scale of colours beside axes."""
    first = axes if isinstance(axes, Axes) else axes[0]
    bar = first.figure.colorbar(shown, ax=axes, **{"pad": 0.02, **options})
    bar.set_label(label, fontsize=TEXT)
    bar.ax.tick_params(labelsize=TEXT)
    return bar


def name_places(axes: Axes, places: Sequence[float], names: Sequence[str], room: float) -> None:
    """Write names at places of the x axis, aslant where ``room`` inches are too few for them."""
    slanted = max(width_of(name, TEXT) for name in names) > room / len(names)
    look: dict[str, Any] = {"rotation": 25, "ha": "right", "rotation_mode": "anchor"}
    axes.set_xticks(places, names, **(look if slanted else {}))


def by_epoch(axes: Axes, epochs: np.ndarray) -> None:
    """Let the x axis count the epochs in whole numbers."""
    axes.set_xlabel("epoch", fontsize=TEXT)
    axes.xaxis.set_major_locator(MaxNLocator(nbins=8, integer=True, min_n_ticks=1))
    first, last = int(epochs.min()), int(epochs.max())
    margin = max(0.5, 0.02 * (last - first)) if last - first < _MARKED else 0.02 * (last - first)
    axes.set_xlim(first - margin, last + margin)


def marker(count: int) -> str:
    """Return the marker of a curve of ``count`` points: a few need one, many would hide in them."""
    return "o" if count <= _MARKED else ""


def logarithmic_if_wide(*several: Axes, least: float = 0.0) -> None:
    """Make y axes logarithmic where all their curves are positive and span a wide range.

    ``least`` is the share of the smallest values that are not looked at.
    """
    lines = [line for axes in several for line in axes.get_lines()]
    values = np.array([y for line in lines for y in np.asarray(line.get_ydata(), float)])
    values = values[np.isfinite(values)]
    low = np.quantile(values, least) if len(values) else 0.0
    if low and values.min() > 0 and values.max() > _LOGARITHMIC * low:
        for axes in several:
            axes.set_yscale("log")
