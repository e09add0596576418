"""The picture of a search: values trial by trial, importance of the keys, and the trials' keys."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, PercentFormatter

from snnrun.plots.style import BLUE, GREY, ORANGE, VERMILION, new_figure, tidy
from snnrun.search.report import Report
from snnrun.search.space import position

SIZE = (11.0, 7.5)
COLOURS = "viridis"
_UNFINISHED = "pruned", "exploded", "failed"


def search_picture(report: Report) -> Figure:
    """Return the history of a search, the importance of its keys, and the keys of its trials.

    Of several objectives the upper left shows the first two against each other.
    """
    figure = new_figure(*SIZE)
    left_out = sum(not trial.values for trial in report.trials)
    about = f"{len(report.trials)} trials" + (f", {left_out} without a value" * bool(left_out))
    figure.suptitle(f"{report.folder.name}: {about}", fontsize=10, x=0.01, ha="left")
    above, below = figure.subfigures(2, 1, squeeze=False)[:, 0]
    first, second = above.subplots(1, 2, width_ratios=(3, 2))
    if len(report.objectives) > 1:
        _front(first, report)
    else:
        _history(first, report)
    _importance(second, report)
    _parallel(below, report)
    return figure


def _history(axes: Axes, report: Report) -> None:
    """Draw the value of each trial, and the best up to it."""
    name = report.objectives[0].name
    done = [trial for trial in report.trials if trial.values]
    axes.plot([t.number for t in done], [t.values[0] for t in done], "o", color=BLUE, ms=4)
    best = report.best_so_far()
    axes.step(np.arange(len(best)), best, where="post", color=VERMILION, label="best so far")
    for state, mark, colour in zip(_UNFINISHED, "|xx", (GREY, ORANGE, VERMILION), strict=True):
        numbers = [trial.number for trial in report.trials if trial.state == state]
        if numbers:
            place = axes.get_xaxis_transform()  # at the lower edge, as they have no value
            axes.plot(numbers, [0.02] * len(numbers), mark, c=colour, label=state, transform=place)
    tidy(axes, "Trials", x="trial", y=name)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.legend(frameon=False, fontsize=8)


def _front(axes: Axes, report: Report) -> None:
    """Draw the first two objectives against each other; those that none beats are marked."""
    done = [trial for trial in report.trials if trial.values]
    axes.plot([t.values[0] for t in done], [t.values[1] for t in done], "o", color=GREY, ms=4)
    front = sorted(report.best, key=lambda trial: trial.values)
    points = [t.values[0] for t in front], [t.values[1] for t in front]
    axes.plot(*points, "o", color=VERMILION, ms=5, label="none beats it in everything")
    for trial in front:
        axes.annotate(f" {trial.number}", (trial.values[0], trial.values[1]), fontsize=8)
    one, two = report.objectives[:2]
    tidy(axes, "Trials", x=one.name, y=two.name)
    axes.legend(frameon=False, fontsize=8)


def _importance(axes: Axes, report: Report) -> None:
    shares = report.importance()[0]
    names = list(shares)[::-1]
    axes.barh(names, [shares[name] for name in names], color=BLUE)
    tidy(axes, f"Importance for {report.objectives[0].name}", x="share")
    axes.xaxis.set_major_formatter(PercentFormatter(xmax=1))
    if not names:
        axes.text(0.5, 0.5, "too few trials, or one key", ha="center", transform=axes.transAxes)


def _parallel(figure: Figure, report: Report) -> None:
    """Draw each trial with a value as a line over its keys, coloured by the value."""
    axes = figure.subplots()
    done = sorted((t for t in report.trials if t.values), key=lambda trial: trial.values[0])
    if report.objectives[0].maximise is False:
        done.reverse()  # the best ones above the others
    found = report.study.get_trials(deepcopy=False)
    kinds = {name: d for trial in found for name, d in trial.distributions.items()}
    values = [trial.values[0] for trial in done]
    norm = Normalize(min(values, default=0.0), max(values, default=1.0))
    colours = colormaps[COLOURS]
    for trial, value in zip(done, values, strict=True):
        heights = [position(kind, trial.parameters[name]) for name, kind in kinds.items()]
        axes.plot(range(len(kinds)), heights, color=colours(norm(value)), lw=1.2, alpha=0.8)
    _name_axes(axes, kinds)
    figure.colorbar(
        ScalarMappable(norm, colours), ax=axes, label=report.objectives[0].name, pad=0.02
    )


def _name_axes(axes: Axes, kinds: Mapping[str, Any]) -> None:
    """Write the names below, and at each axis its ends, or all choices."""
    tidy(axes, "Keys of the trials")
    axes.set_xticks(range(len(kinds)), list(kinds))
    axes.set_yticks([])
    axes.set_ylim(-0.08, 1.08)
    axes.grid(visible=False)
    for place, kind in enumerate(kinds.values()):
        axes.axvline(place, color=GREY, lw=0.8)
        for value in getattr(kind, "choices", None) or (kind.low, kind.high):
            text = f" {value:.3g}" if isinstance(value, float) else f" {value}"
            axes.text(place, position(kind, value), text, fontsize=8)
