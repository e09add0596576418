"""What is learned over the training: quantiles of weights, delays and time constants."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from snnrun.plots.histograms import panels, size_of
from snnrun.plots.style import BLUE, VERMILION, Picture, legend_below, marker, tidy

BANDS = {(5, 95): 0.18, (25, 75): 0.35}  # quantiles in percent -> how dense their band is


@dataclass(frozen=True, kw_only=True)
class Values:
    """What is learned at one time.

    Args:
        epochs: For how many epochs it was trained, 0 at the start.
        of: Projection or time constant -> its values, of any shape; not a number where there is
            none.
    """

    epochs: float
    of: Mapping[str, np.ndarray]


def over_epochs(name: str, moments: Sequence[Values], quantity: str, title: str) -> Picture | None:
    """Return a panel for each that is known at two times; None where there is none.

    Args:
        name: Of the picture.
        moments: In their order.
        quantity: What the values are, with the unit.
        title: Above everything.
    """
    names = list(dict.fromkeys(of for moment in moments for of in moment.of))
    courses = {of: [m for m in moments if of in m.of] for of in names}
    courses = {of: found for of, found in courses.items() if len({m.epochs for m in found}) > 1}

    def paint(figure: Figure) -> None:
        for axes, (of, found) in zip(
            panels(figure, len(courses), whole=False), courses.items(), strict=True
        ):
            x = [moment.epochs for moment in found]
            arrays = [moment.of[of] for moment in found]
            for edges, alpha in BANDS.items():
                low, high = np.transpose([np.nanpercentile(array, edges) for array in arrays])
                label = f"{edges[0]} to {edges[1]} % of the values"
                axes.fill_between(x, low, high, color=BLUE, alpha=alpha, lw=0, label=label)
            dots: dict[str, Any] = {"marker": marker(len(x)), "markersize": 3}
            medians, means = ([f(a) for a in arrays] for f in (np.nanmedian, np.nanmean))
            axes.plot(x, medians, color=BLUE, label="median", **dots)
            axes.plot(x, means, color=VERMILION, linewidth=1.2, label="mean")
            tidy(axes, of, "epochs trained", quantity)
            axes.xaxis.set_major_locator(MaxNLocator(nbins=8, integer=True))
        legend_below(figure, *axes.get_legend_handles_labels())

    return Picture(name, size_of(len(courses)), title, paint) if courses else None
