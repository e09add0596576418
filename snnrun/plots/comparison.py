"""Curves of several runs in one picture; of runs that differ by seeds only, mean and spread."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import LogNorm, Normalize
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import PercentFormatter

from snnrun.errors import RecordError
from snnrun.keys.kinds import shown
from snnrun.plots.groups import Group, group, number
from snnrun.plots.style import (
    BLACK,
    COLOURS,
    GREY,
    LINES,
    ORDERED,
    SMALL,
    TEXT,
    Size,
    by_epoch,
    colour_bar,
    headline,
    legend_below,
    logarithmic_if_wide,
    marker,
    new_figure,
    tidy,
    width_of,
)
from snnrun.record.reader import Run, load_run
from snnrun.tasks import Task

WIDTH, ROW = 10.5, 3.3  # inches
SPLITS = {"train": "training", "validation": "validation"}
MOST_OTHERS = 2  # keys beside that of the colours that kinds of lines tell
MOST_TICKS = 8  # values that are all written at a scale of colours
_WIDE = 10.0  # ratio of largest to smallest number from which on their scale is logarithmic


@dataclass(frozen=True, kw_only=True)
class Look:
    """How groups are told apart.

    Args:
        colours: Of each group.
        dashes: Of each group.
        names: What the legend says, each with the line beside it.
        key: Whose numbers the colours are, "" where they are none.
        norm: From numbers to colours.
    """

    colours: Sequence[Any]
    dashes: Sequence[str]
    names: Sequence[tuple[str, Line2D]]
    key: str = ""
    norm: Normalize | None = None
    note: str = ""


def comparison(
    runs: Sequence[Run | Path], left_out: list[str] | None = None, size: Size | None = None
) -> Figure:
    """Return a picture with the courses of several runs.

    Args:
        runs: To compare.
        left_out: Is given why a run is not shown, where no epoch of it has ended.
        size: Of the figure, in inches.

    Raises:
        RecordError: That is so of all runs, or of one without ``left_out``.
    """
    able, without = [], []
    for run in runs:
        try:
            able.append(with_epochs(run))
        except RecordError as error:
            if left_out is None:
                raise
            left_out.append(str(error))
            without.append((run if isinstance(run, Path) else run.paths.root).name)
    if not able:
        raise RecordError("\n".join(left_out or ["there is no run to plot"]))
    groups = group(able)
    figure = new_figure(*(size or (WIDTH, ROW * len(measures(groups)[0]) + 1.4)))
    notes = [f"Left out, as no epoch has ended: {', '.join(without)}"] if without else []
    draw_comparison(figure, groups, notes)
    return figure


def with_epochs(run: Run | Path) -> Run:
    """Return a run, or that of a folder, in which an epoch has ended.

    Raises:
        RecordError: There is none.
    """
    if isinstance(run, Path):
        run = load_run(run)
    folder = run.paths.root
    if not len(run.epochs.get("epoch", ())):
        state = "is in its first epoch" if run.running else "ended before its first epoch did"
        raise RecordError(f"{folder}: there is nothing to plot yet, since the run {state}")
    return run


def measures(groups: Sequence[Group]) -> tuple[list[tuple[Task, str]], list[str]]:
    """Return what is shown, task and quantity, and notes about what does not stand together."""
    found, notes = [], []
    tasks = list(dict.fromkeys(one.task for one in groups))
    for task in tasks:
        found.append((task, task.score))
        losses = sorted({one.loss for one in groups if one.task is task})
        if len(losses) == 1:
            found.append((task, "loss"))
        else:
            notes.append(
                f"No loss is shown, as LOSS_TYPE differs: {', '.join(filter(None, losses))}"
            )
    if len(tasks) > 1:
        scores = " and ".join(task.score for task in tasks)
        notes.append(f"The tasks share no measure: {scores} are in rows of their own")
    return found, notes


def draw_comparison(figure: Figure, groups: Sequence[Group], notes: Sequence[str] = ()) -> None:
    """Draw score and loss of training and validation, in one range for both."""
    rows, told = measures(groups)
    look = look_of(groups, figure.get_size_inches()[0])
    lines = [_about(groups), *filter(None, [look.note]), *told, *notes]
    headline(figure, ". ".join(lines))
    grid = figure.subplots(len(rows), 2, sharey="row", squeeze=False)
    for row, (task, quantity) in zip(grid, rows, strict=True):
        of_task = [(k, one) for k, one in enumerate(groups) if one.task is task]
        epochs = np.concatenate([run["epoch"] for _, one in of_task for run in one.runs])
        for axes, (split, name) in zip(row, SPLITS.items(), strict=True):
            column = f"{split}_loss" if quantity == "loss" else task.column(split)
            for k, one in of_task:
                _draw_group(axes, one, column, look.colours[k], look.dashes[k])
            if not axes.lines:
                middle = {"ha": "center", "va": "center", "transform": axes.transAxes}
                axes.text(0.5, 0.5, f"no {name}", fontsize=TEXT, color=GREY, **middle)
            label = task.loss_axis if quantity == "loss" else task.score_axis
            tidy(axes, f"{quantity} in {name}".capitalize(), y=label if split == "train" else "")
            by_epoch(axes, epochs)
            axes.tick_params(labelleft=True)
        if quantity == "loss":
            logarithmic_if_wide(*row)
        else:
            row[0].yaxis.set_major_formatter(PercentFormatter(xmax=1))
    if look.norm is not None:
        _draw_scale(grid.ravel().tolist(), look, groups)
    if look.names:
        labels, handles = zip(*look.names, strict=True)
        legend_below(figure, handles, labels)


def look_of(groups: Sequence[Group], width: float) -> Look:
    """Return how groups are told apart in a figure of this width, in inches."""
    numbers = _numbers(groups)
    others = [key for key in _keys(groups) if key not in numbers[:1]]
    values = [tuple(shown(one.settings.get(key)) for key in others) for one in groups]
    kinds = list(dict.fromkeys(values))
    named = len({one.name for one in groups if one.named}) > 1
    scaled = bool(numbers) and len({one.settings[numbers[0]] for one in groups}) > 2
    if scaled and not named and len(others) <= MOST_OTHERS and len(kinds) <= len(LINES):
        key = numbers[0]
        found = [float(one.settings[key]) for one in groups]
        norm = _norm(found)
        dashes = [LINES[kinds.index(value)] for value in values]
        told = [[f"{k}={v}" for k, v in zip(others, kind, strict=True)] for kind in kinds]
        names = [
            (_fitting(words, 1, width), Line2D([], [], color=BLACK, linestyle=line))
            for words, line in zip(told, LINES, strict=False)
            if words
        ]
        colours = [ORDERED(norm(value)) for value in found]
        return Look(colours=colours, dashes=dashes, names=names, key=key, norm=norm)
    order = range(len(groups)) if len(groups) <= len(COLOURS) else _best(groups)[: len(COLOURS)]
    chosen = dict(zip(order, COLOURS, strict=False))
    labels = labels_of([groups[k] for k in chosen], named, width)
    lines = [Line2D([], [], color=colour) for colour in chosen.values()]
    some = len(chosen) < len(groups)
    note = f"In colour the best {len(chosen)}, by the score of the last epoch" if some else ""
    return Look(
        colours=[chosen.get(k, GREY) for k in range(len(groups))],
        dashes=[LINES[0]] * len(groups),
        names=list(zip(labels, lines, strict=True)),
        note=note,
    )


def labels_of(groups: Sequence[Group], named: bool, width: float) -> list[str]:
    """Return the label of each group, which differs from those of the others."""
    labels = [label_of(one, named, width) for one in groups]
    for label in dict.fromkeys(labels):
        same = [k for k, other in enumerate(labels) if other == label]
        values = {key: {shown(groups[k].settings.get(key)) for k in same} for key in _keys(groups)}
        first = max(values, key=lambda key: len(values[key]), default="")
        if len(same) > 1:  # those that tell them apart did not fit
            for k in same:
                labels[k] = label_of(groups[k], named, width, first)
    return labels


def label_of(one: Group, named: bool, width: float, first: str = "") -> str:
    """Return the name of a group and the keys that tell it apart, ``first`` and as many as fit."""
    name = [one.name] if named or not one.told else []
    told = sorted(one.told, key=lambda text: not text.startswith(f"{first}="))
    return _fitting([*name, *told], len(name) + 1, width)


def _fitting(parts: Sequence[str], least: int, width: float) -> str:
    """Return parts as a list, with the number of those for which half a figure has no room."""
    count = len(parts)
    while count > least and width_of(", ".join(parts[:count]), SMALL) > width / 2:
        count -= 1
    left = len(parts) - count
    more = [f"and {left} more key{'s' if left > 1 else ''}"] if left else []
    return ", ".join([*parts[:count], *more])


def _keys(groups: Sequence[Group]) -> list[str]:
    return list(dict.fromkeys(key for one in groups for key in one.settings))


def _numbers(groups: Sequence[Group]) -> list[str]:
    """Return the keys that are numbers in all groups, that with the most values first."""
    keys = [key for key in _keys(groups) if all(number(one.settings.get(key)) for one in groups)]
    return sorted(keys, key=lambda key: -len({one.settings[key] for one in groups}))


def _norm(values: Sequence[float]) -> Normalize:
    low, high = min(values), max(values)
    return (LogNorm if low > 0 and high >= _WIDE * low else Normalize)(low, high)


def _best(groups: Sequence[Group]) -> list[int]:
    """Return the groups from the best to the worst by the last epoch, of validation if there is."""

    def score(k: int) -> float:
        for split in ("validation", "train"):
            last = groups[k].mean_and_spread(groups[k].task.column(split))[1][-1]
            if np.isfinite(last):
                return float(last)
        return -np.inf

    return sorted(range(len(groups)), key=score, reverse=True)


def _about(groups: Sequence[Group]) -> str:
    """Return how many runs are shown, and what the curves are."""
    counts = [len(one.runs) for one in groups]
    if max(counts) == 1:
        return f"{len(counts)} run{'s' if len(counts) > 1 else ''}"
    each = f"{counts[0]} each" if len(set(counts)) == 1 else f"{min(counts)} to {max(counts)} each"
    runs = f"{sum(counts)} runs" + (f" of {len(counts)} settings, {each}" * (len(counts) > 1))
    return f"{runs}: mean ± standard deviation"


def _draw_scale(axes: Sequence[Axes], look: Look, groups: Sequence[Group]) -> None:
    """Draw the scale of the colours; few values are all written at it."""
    bar = colour_bar(ScalarMappable(look.norm, ORDERED), axes, look.key)
    values = sorted({float(one.settings[look.key]) for one in groups})
    if len(values) <= MOST_TICKS:
        bar.set_ticks(values, labels=[f"{value:g}" for value in values])
        bar.ax.minorticks_off()


def _draw_group(axes: Axes, one: Group, column: str, colour: Any, dashes: str) -> None:
    """Draw the mean curve with its spread as a band, and each run as a faint line."""
    epochs, mean, spread = one.mean_and_spread(column)
    if not np.isfinite(mean).any():
        return
    look = {"color": colour, "marker": marker(len(epochs)), "markersize": 3}
    axes.plot(epochs, mean, dashes, zorder=2.5 if colour == GREY else 3, **look)
    if len(one.runs) > 1:
        axes.fill_between(epochs, mean - spread, mean + spread, color=colour, alpha=0.2, lw=0)
        for run in one.runs:
            axes.plot(run["epoch"], run[column], color=colour, alpha=0.35, linewidth=0.7)
