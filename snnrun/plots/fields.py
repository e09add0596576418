"""Receptive fields: the weights from the pixels of an image into each neuron, as an image."""

from __future__ import annotations

import math

import numpy as np
from matplotlib.figure import Figure

MOST = 100  # fields in a picture
COLUMNS = 20


def size_of(neurons: int) -> tuple[float, float]:
    """Return width and height of a figure with so many fields, in inches."""
    rows = -(-min(neurons, MOST) // COLUMNS)
    return 0.5 * COLUMNS + 0.2, 0.5 * rows + 0.5


def draw_fields(figure: Figure, weights: np.ndarray, title: str = "") -> None:
    """Draw the weights [pixels, neurons] into the first neurons, all in one scale of greys.

    Args:
        figure: An empty figure.
        weights: From the pixels of a square image, row by row.
        title: Stands above.
    """
    figure.suptitle(title, fontsize=10, x=0.01, ha="left")
    side, neurons = math.isqrt(len(weights)), min(weights.shape[1], MOST)
    rows = -(-neurons // COLUMNS)
    sheet = np.full((rows * (side + 1), COLUMNS * (side + 1)), np.nan)
    for k in range(neurons):
        top, left = (k // COLUMNS) * (side + 1), (k % COLUMNS) * (side + 1)
        sheet[top : top + side, left : left + side] = weights[:, k].reshape(side, side)
    axes = figure.add_subplot()
    shown = axes.imshow(sheet, cmap="gray_r", interpolation="nearest")
    figure.colorbar(shown, ax=axes, label="weight", fraction=0.03, pad=0.01)
    axes.set_axis_off()
