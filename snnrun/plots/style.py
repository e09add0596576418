"""What all pictures share: colours, the look of axes, and how a figure becomes a file.

Figures are made without pyplot, so no global state is touched and no display is needed.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from snnrun.files import atomic_file, make_folders
from snnrun.record.paths import RunPaths

# Okabe & Ito, "Color universal design" (2008): eight colours that colour-blind people tell apart
BLACK, ORANGE, SKY, GREEN = "#000000", "#E69F00", "#56B4E9", "#009E73"
YELLOW, BLUE, VERMILION, PURPLE = "#F0E442", "#0072B2", "#D55E00", "#CC79A7"
COLOURS = (BLUE, VERMILION, GREEN, PURPLE, ORANGE, SKY, BLACK)
GREY = "#999999"
SCALE = "viridis"  # of what has an order

DPI = 110
_MARKED = 25  # epochs up to which every one has a marker
_LOGARITHMIC = 20.0  # ratio of largest to smallest value from which on an axis is logarithmic


class Shown(Figure):
    """A figure that a notebook shows; without pyplot it would show only its name."""

    def _repr_png_(self) -> bytes:
        file = io.BytesIO()
        self.savefig(file, format="png", dpi=DPI)
        return file.getvalue()


def new_figure(width: float = 9.0, height: float = 6.0) -> Figure:
    """Return an empty figure, width and height in inches."""
    return Shown(figsize=(width, height), dpi=DPI, layout="constrained")


def save(figure: Figure, path: Path) -> None:
    """Write a figure to a file of its suffix's format, whole or not at all."""
    with atomic_file(path) as file:
        figure.savefig(file, format=path.suffix[1:].lower() or "png", dpi=DPI)


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
    size: tuple[float, float]
    title: str
    paint: Callable[[Figure], None]

    def draw(self, figure: Figure) -> None:
        """Draw into an empty figure."""
        figure.suptitle(self.title, fontsize=10, x=0.01, ha="left")
        self.paint(figure)

    def figure(self) -> Figure:
        """Return it as a new figure."""
        figure = new_figure(*self.size)
        self.draw(figure)
        return figure

    def write(self, paths: RunPaths) -> None:
        """Write it to the run's folder of plots, which is made if need be."""
        figure = self.figure()
        make_folders(paths.plots)
        save(figure, paths.plot(self.name))


def tidy(axes: Axes, title: str = "", x: str = "", y: str = "") -> None:
    """Give axes their title, labels, and the common look."""
    axes.set_title(title, loc="left", fontsize=10, fontweight="bold")
    axes.set_xlabel(x)
    axes.set_ylabel(y)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    axes.grid(alpha=0.25, linewidth=0.6)
    axes.set_axisbelow(True)


def by_epoch(axes: Axes, epochs: np.ndarray) -> None:
    """Let the x axis count the epochs in whole numbers."""
    axes.set_xlabel("epoch")
    axes.xaxis.set_major_locator(MaxNLocator(nbins=8, integer=True, min_n_ticks=1))
    first, last = int(epochs.min()), int(epochs.max())
    margin = max(0.5, 0.02 * (last - first)) if last - first < _MARKED else 0.02 * (last - first)
    axes.set_xlim(first - margin, last + margin)


def marker(count: int) -> str:
    """Return the marker of a curve of ``count`` points: a few need one, many would hide in them."""
    return "o" if count <= _MARKED else ""


def logarithmic_if_wide(axes: Axes) -> None:
    """Make the y axis logarithmic where the curves are positive and span a wide range."""
    values = np.concatenate([np.asarray(line.get_ydata(), float) for line in axes.get_lines()])
    values = values[np.isfinite(values)]
    if len(values) and values.min() > 0 and values.max() > _LOGARITHMIC * values.min():
        axes.set_yscale("log")
