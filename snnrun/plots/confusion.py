"""Which class is taken for which."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from snnrun.plots.style import SMALL, TEXT, Picture, colour_bar, tidy, width_of

MOST_COUNTS = 12  # classes up to which every field holds its number
COLUMNS = 3.6  # inches that the names of the columns have
MOST_NAMES = 35  # classes up to which each has its tick


def confusion(
    matrices: Mapping[str, np.ndarray], class_names: Sequence[str], title: str
) -> Picture:
    """Return the confusion matrices of splits as images.

    A field's colour is its share of the true class, its number the examples.

    Args:
        matrices: Split -> [predicted, true] counts; a last row more counts what no output decided,
            and is shown where there was such an example.
        class_names: Empty where classes have none.
        title: Above everything.
    """
    none = any(
        counts.shape[0] > counts.shape[1] and counts[-1].any() for counts in matrices.values()
    )

    def paint(figure: Figure) -> None:
        for number, (split, counts) in enumerate(matrices.items(), 1):
            axes = figure.add_subplot(1, len(matrices), number)
            shown = counts if none else counts[: counts.shape[1]]
            _draw_matrix(axes, split, np.asarray(shown).T, class_names)

    return Picture("confusion", (5.6 * len(matrices), 5.0), title, paint)


def _draw_matrix(axes: Axes, split: str, counts: np.ndarray, names: Sequence[str]) -> None:
    """Draw counts [true, predicted]; the columns may be one more than the rows."""
    true, predicted = counts.shape
    share = counts / np.maximum(1, counts.sum(axis=1, keepdims=True))
    image = axes.imshow(share, cmap="cividis", vmin=0, vmax=1, aspect="auto")
    colour_bar(image, axes, "share of the true class")
    tidy(axes, split, "predicted class", "true class")
    axes.grid(visible=False)
    labels = [*(names or map(str, range(true))), *(["none"] if predicted > true else [])]
    if true <= MOST_NAMES:
        long = max(width_of(label, TEXT) for label in labels) > COLUMNS / predicted
        long = long or true > MOST_COUNTS
        axes.set_xticks(range(predicted), labels, rotation=90 if long else 0)
        axes.set_yticks(range(true), labels[:true])
        axes.tick_params(labelsize=TEXT if true <= MOST_COUNTS else 8)
    if true <= MOST_COUNTS:
        for (row, column), count in np.ndenumerate(counts):
            colour = "black" if share[row, column] > 0.6 else "white"
            axes.text(
                column, row, f"{count}", ha="center", va="center", color=colour, fontsize=SMALL
            )
