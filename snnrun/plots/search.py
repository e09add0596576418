"""The picture of a search: values trial by trial, importance of the keys, and the trials' keys."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, PercentFormatter

from snnrun.plots.parallel import Line, draw_parallel, height
from snnrun.plots.style import (
    BLUE,
    GREY,
    ORANGE,
    SMALL,
    VERMILION,
    headline,
    legend,
    new_figure,
    tidy,
)
from snnrun.search.report import Report

SIZE = (11.0, 7.5)
_UNFINISHED = "pruned", "exploded", "failed"


def search_picture(report: Report) -> Figure:
    """Return the history of a search, the importance of its keys, and the keys of its trials.

    Of several objectives the upper left shows the first two against each other.
    """
    figure = new_figure(*SIZE)
    left_out = sum(not trial.values for trial in report.trials)
    about = f"{len(report.trials)} trials" + (f", {left_out} without a value" * bool(left_out))
    headline(figure, f"{report.folder.name}: {about}")
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
    legend(axes)


def _front(axes: Axes, report: Report) -> None:
    """Draw the first two objectives against each other; those that none beats are marked."""
    done = [trial for trial in report.trials if trial.values]
    axes.plot([t.values[0] for t in done], [t.values[1] for t in done], "o", color=GREY, ms=4)
    front = sorted(report.best, key=lambda trial: trial.values)
    points = [t.values[0] for t in front], [t.values[1] for t in front]
    axes.plot(*points, "o", color=VERMILION, ms=5, label="none beats it in everything")
    for trial in front:
        axes.annotate(f" {trial.number}", (trial.values[0], trial.values[1]), fontsize=SMALL)
    one, two = report.objectives[:2]
    tidy(axes, "Trials", x=one.name, y=two.name)
    legend(axes)


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
    done = sorted((t for t in report.trials if t.values), key=lambda trial: trial.values[0])
    if report.objectives[0].maximise is False:
        done.reverse()  # the best ones above the others
    found = report.study.get_trials(deepcopy=False)
    kinds = {name: d for trial in found for name, d in trial.distributions.items()}
    lines = [
        Line([_height(d, t.parameters[name]) for name, d in kinds.items()], t.values[0])
        for t in done
    ]
    axes = figure.subplots()
    ticks = {name: _ticks(kind) for name, kind in kinds.items()}
    draw_parallel(
        axes, ticks, lines, report.objectives[0].name, 0.8 * SIZE[0], title="Keys of the trials"
    )


def _height(kind: Any, value: Any) -> float:
    choices = getattr(kind, "choices", None)
    if choices is not None:
        return height(choices.index(value), 0, len(choices) - 1)
    return height(value, kind.low, kind.high, logarithmic=kind.log)


def _ticks(kind: Any) -> list[tuple[float, str]]:
    """Return the ends of a range, or all choices."""
    values = getattr(kind, "choices", None) or (kind.low, kind.high)
    texts = [f"{value:.3g}" if isinstance(value, float) else str(value) for value in values]
    return [(_height(kind, value), text) for value, text in zip(values, texts, strict=True)]
