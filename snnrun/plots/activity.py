"""How often the hidden neurons spike in a trial."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from matplotlib.figure import Figure

from snnrun.plots.learned import panels, size_of
from snnrun.plots.style import BLUE, Picture, tidy


def activity(per_trial: Mapping[str, np.ndarray], title: str) -> Picture:
    """Return the picture of ``draw_activity``."""
    size = size_of(len(per_trial))
    return Picture("activity", size, lambda f: draw_activity(f, per_trial, title))


def draw_activity(figure: Figure, per_trial: Mapping[str, np.ndarray], title: str = "") -> None:
    """Draw a histogram for each population: mean spikes per trial of each neuron, [neurons]."""
    figure.suptitle(title, fontsize=10, x=0.01, ha="left")
    for axes, (name, means) in zip(panels(figure, len(per_trial)), per_trial.items(), strict=True):
        top = max(1.0, float(means.max()))
        axes.hist(means, bins=[top * k / 30 for k in range(31)], color=BLUE)
        silent = int((means == 0).sum())
        tidy(axes, f"{name}: {silent} of {len(means)} silent", "spikes per trial, mean", "neurons")
