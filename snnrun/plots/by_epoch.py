"""What is learned over the training: quantiles of weights, delays and time constants."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from snnrun.plots.histograms import panels, size_of
from snnrun.plots.records import Records
from snnrun.plots.style import BLUE, VERMILION, Picture, evenly, legend_of_all, marker, tidy

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


def over_epochs(records: Records) -> Iterator[Picture]:
    """Yield what a run has learned over the epochs, as far as it was recorded."""
    saved = records.checkpoint
    if saved is None:
        return
    recorded = records.run.recorded()["weights"]
    moments = [(cursor, records.recorded_tensors(cursor)) for cursor in evenly(recorded)]
    last = {name: kept["value"] for name, kept in saved["tensors"].items()}
    moments.append(((saved["epoch"], saved["trial"]), last))
    weights, delays, taus = [], [], []
    for (epoch, trial), tensors in moments:
        found, at = records.learned(tensors), epoch + trial / records.batches
        weights.append(Values(epochs=at, of=found.weights))
        delays.append(Values(epochs=at, of={c.projection: c.now for c in found.delays}))
        named = {f"{tau.population}: {tau.name}": tau for tau in found.time_constants}
        taus.append(Values(epochs=at, of={name: tau.values for name, tau in named.items()}))
    start = {course.projection: course.before[0][1] for course in found.delays if course.before}
    delays.insert(0, Values(epochs=0, of=start))
    taus.insert(0, Values(epochs=0, of={name: tau.start for name, tau in named.items()}))
    for name, values, quantity in (
        ("weights", weights, "weight"),
        ("delays", delays, "delay (ms)"),
        ("time_constants", taus, "time constant (ms)"),
    ):
        title = f"{records.title}: {name.replace('_', ' ')} over the training"
        picture = course_of(f"{name}_by_epoch", values, quantity, title)
        if picture is not None:
            yield picture


def course_of(name: str, moments: Sequence[Values], quantity: str, title: str) -> Picture | None:
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
        grid = panels(figure, len(courses), whole=False)
        for axes, (of, found) in zip(grid, courses.items(), strict=True):
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
        legend_of_all(figure, grid)

    return Picture(name, size_of(len(courses)), title, paint) if courses else None
