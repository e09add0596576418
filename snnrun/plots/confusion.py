"""Which class is taken for which."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from snnrun.plots.style import Picture

MOST_COUNTS = 12  # classes up to which every field holds its number
MOST_NAMES = 35  # classes up to which each has its tick


def confusion(
    matrices: Mapping[str, np.ndarray], class_names: Sequence[str], title: str
) -> Picture:
    """Return split -> [predicted, true] counts; a last row more counts what no output decided.

    A field's colour is its share of the true class, its number the examples.
    """

    def paint(figure: Figure) -> None:
        for number, (split, counts) in enumerate(matrices.items(), 1):
            axes = figure.add_subplot(1, len(matrices), number)
            _draw_matrix(figure, axes, np.asarray(counts).T, class_names)
            axes.set_title(split, loc="left", fontsize=10, fontweight="bold")

    return Picture("confusion", (5.4 * len(matrices), 4.9), title, paint)


def _draw_matrix(figure: Figure, axes: Axes, counts: np.ndarray, names: Sequence[str]) -> None:
    """Draw counts [true, predicted]; the columns may be one more than the rows."""
    true, predicted = counts.shape
    share = counts / np.maximum(1, counts.sum(axis=1, keepdims=True))
    image = axes.imshow(share, cmap="cividis", vmin=0, vmax=1, aspect="auto")
    figure.colorbar(image, ax=axes, label="share of the true class", shrink=0.85)
    axes.set_xlabel("predicted class")
    axes.set_ylabel("true class")
    labels = [*(names or map(str, range(true))), *(["none"] if predicted > true else [])]
    if true <= MOST_NAMES:
        long = max(map(len, labels)) > 5 or true > MOST_COUNTS
        axes.set_xticks(range(predicted), labels, rotation=90 if long else 0)
        axes.set_yticks(range(true), labels[:true])
        axes.tick_params(labelsize=9 if true <= MOST_COUNTS else 7)
    if true <= MOST_COUNTS:
        for (row, column), count in np.ndenumerate(counts):
            colour = "black" if share[row, column] > 0.6 else "white"
            axes.text(column, row, f"{count}", ha="center", va="center", color=colour, fontsize=8)
