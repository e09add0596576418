"""Parallel coordinates: an axis for each key, a line for each setting, coloured by its score."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.ticker import Formatter

from snnrun.plots.style import GREY, ORDERED, SMALL, colour_bar, name_places, shortened, tidy

Ticks = Sequence[tuple[float, str]]  # heights from 0 to 1, and what is written there


@dataclass(frozen=True)
class Line:
    """Where a setting crosses the axes, from 0 to 1 on each, and its score."""

    heights: Sequence[float]
    score: float


def height(value: float, low: float, high: float, *, logarithmic: bool = False) -> float:
    """Return where a value stands between the ends of an axis, from 0 to 1."""
    if logarithmic:
        value, low, high = math.log(value), math.log(low), math.log(high)
    return 0.5 if high == low else (value - low) / (high - low)


def draw_parallel(
    axes: Axes,
    ticks: Mapping[str, Ticks],
    lines: Sequence[Line],
    score: str,
    room: float,
    how: Formatter | None = None,
    title: str = "",
) -> None:
    """Draw lines, the last above the others, over axes named by ``ticks``.

    Args:
        axes: Of the picture.
        ticks: Of each key.
        lines: Of each setting.
        score: What its scores are.
        room: Width that the axes have, in inches.
        how: Of scores.
        title: Above it.
    """
    values = [line.score for line in lines]
    norm = Normalize(min(values, default=0.0), max(values, default=1.0))
    for line in lines:
        colour = ORDERED(norm(line.score))
        axes.plot(range(len(ticks)), line.heights, color=colour, lw=1.2, alpha=0.8)
    name_places(axes, range(len(ticks)), list(ticks), room)
    axes.set_yticks([])
    axes.set_ylim(-0.08, 1.08)
    for place, marks in enumerate(ticks.values()):
        axes.axvline(place, color=GREY, lw=0.8)
        for height, text in marks:
            behind = {"facecolor": "white", "alpha": 0.7, "linewidth": 0, "pad": 1}
            text = shortened(text, SMALL, 0.9 * room / len(ticks))
            axes.text(place + 0.03, height, text, fontsize=SMALL, va="center", bbox=behind)
    colour_bar(ScalarMappable(norm, ORDERED), axes, score, format=how)
    tidy(axes, title)
    axes.grid(visible=False)
    axes.spines["left"].set_visible(False)
