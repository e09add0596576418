"""How often the hidden neurons spike in a trial."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from matplotlib.figure import Figure

from snnrun.plots.histograms import panels, size_of
from snnrun.plots.style import BLUE, Picture, tidy


def activity(per_trial: Mapping[str, np.ndarray], title: str) -> Picture:
    """Return a histogram for each population: mean spikes per trial of each neuron, [neurons]."""

    def paint(figure: Figure) -> None:
        for axes, (name, means) in zip(
            panels(figure, len(per_trial)), per_trial.items(), strict=True
        ):
            top = max(1.0, float(means.max()))
            axes.hist(means, bins=[top * k / 30 for k in range(31)], color=BLUE)
            silent = int((means == 0).sum())
            tidy(
                axes,
                f"{name}: {silent} of {len(means)} silent",
                "spikes per trial, mean",
                "neurons",
            )

    return Picture("activity", size_of(len(per_trial)), title, paint)
