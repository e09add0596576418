"""What pictures of histograms share: their size, panels and bins."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

COLUMNS = 3
BINS = 50


def size_of(panels: int) -> tuple[float, float]:
    """Return width and height of a figure with so many histograms, in inches."""
    return 3.9 * min(COLUMNS, max(2, panels)), 3.1 * -(-panels // COLUMNS) + 0.6


def panels(figure: Figure, count: int, *, whole: bool = True) -> list[Axes]:
    """Return ``count`` axes in rows; ``whole``: their y axes count in whole numbers."""
    columns = min(COLUMNS, count)
    rows = -(-count // columns)
    found = [figure.add_subplot(rows, columns, k + 1) for k in range(count)]
    for axes in found if whole else ():
        axes.yaxis.set_major_locator(MaxNLocator("auto", integer=True))
    return found


def bins_of(values: np.ndarray) -> list[float]:
    """Return edges of bins over all values, no more bins than values."""
    low, high = float(values.min()), float(values.max())
    margin = 0.0 if high > low else 0.05 * abs(low) + 1e-3
    count = int(np.clip(np.sqrt(values.size), 8, BINS))
    return [float(edge) for edge in np.linspace(low - margin, high + margin, count + 1)]
