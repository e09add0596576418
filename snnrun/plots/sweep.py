"""The picture of a sweep: the score by its keys, and the curves of its settings."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import LogNorm, Normalize
from matplotlib.figure import Figure
from matplotlib.ticker import Formatter, NullLocator, PercentFormatter, ScalarFormatter

from snnrun.errors import RecordError
from snnrun.plots.parallel import Line, draw_parallel, height
from snnrun.plots.style import (
    BLUE,
    COLOURS,
    GREY,
    ORDERED,
    SCALE,
    SMALL,
    TEXT,
    by_epoch,
    colour_bar,
    headline,
    legend,
    name_places,
    new_figure,
    shortened,
    tidy,
    width_of,
)
from snnrun.record.reader import Run, load_run
from snnrun.shell import command
from snnrun.sweeps.settings import (
    Setting,
    figure_of,
    fold,
    judged_by,
    known_key,
    number_of,
    setting_keys,
    value_of,
)
from snnrun.sweeps.sweep import DONE, Sweep
from snnrun.sweeps.table import counted
from snnrun.tasks import Task

WIDTH, ROW = 11.0, 3.8  # inches
_NAME = 1.8  # inches that the name of a curve may take
_MOST_KEYS = 4  # that get a panel of their own
_MOST_NAMED = len(COLOURS)  # values of a key that are told apart by colours of their own
_MOST_TICKS = 8  # values of a key that are all written at its axis
_WIDE = 10.0  # ratio of largest to smallest number from which on an axis is logarithmic


@dataclass(frozen=True)
class Axis:
    """A key as an axis; its values, as texts, are in the order of numbers where they are some."""

    key: str
    values: tuple[str, ...]

    @cached_property
    def numbers(self) -> tuple[float, ...] | None:
        """The values, where all are numbers."""
        found = [number_of(value) for value in self.values]
        return None if any(text for text, _, _ in found) else tuple(n for _, n, _ in found)

    @property
    def logarithmic(self) -> bool:
        """Whether the numbers span a wide range."""
        found = self.numbers
        return bool(found and min(found) > 0 and max(found) >= _WIDE * min(found))

    def place(self, value: str) -> float:
        """Return where a value stands on a plot's axis."""
        at = self.values.index(value)
        return float(at) if self.numbers is None else self.numbers[at]

    def height(self, value: str) -> float:
        """Return where a value stands between the ends, from 0 to 1."""
        first, last = self.place(self.values[0]), self.place(self.values[-1])
        return height(self.place(value), first, last, logarithmic=self.logarithmic)


@dataclass(frozen=True)
class Shown:
    """What is drawn: the settings in which a run has finished, and by what they are judged.

    Args:
        axes: A key each.
        settings: Of runs that have the score.
        by: "validation" or "train".
        runs: Folder -> what the run has recorded.
    """

    axes: tuple[Axis, ...]
    settings: tuple[Setting, ...]
    by: str
    runs: Mapping[Path, Run]

    @property
    def task(self) -> Task:
        """That of all runs."""
        return next(iter(self.runs.values())).task

    @property
    def label(self) -> str:
        """The name of the score."""
        split = "validation" if self.by == "validation" else "training"
        return f"{self.task.score} in {split}"

    @property
    def format(self) -> Formatter:
        """How scores are written at an axis: accuracies in percent."""
        return PercentFormatter(xmax=1) if self.task.score == "accuracy" else ScalarFormatter()

    def mean(self, setting: Setting) -> float:
        """Return the score of a setting, mean over its runs."""
        return setting.figure(self.by).mean


def sweep_picture(sweep: Sweep, by: Sequence[str] = ()) -> Figure:
    """Return the picture of a sweep: score by key, all keys together, and curves.

    Args:
        sweep: Jobs that have not finished are left out and counted.
        by: The keys to show; without them all that differ, but for seeds.

    Raises:
        RecordError: No job has finished.
        ConfigError: There is no such key.
    """
    found = _shown(sweep, by)
    keys = len(found.axes)
    rows = 1 if keys == 1 else 2
    figure = new_figure(WIDTH, ROW * rows)
    headline(figure, _title(sweep, len(found.runs)))
    if keys == 1:
        left, right = figure.subplots(1, 2)
        _by_key(left, found, found.axes[0], named=True)
        _curves(right, found)
        return figure
    above, below = figure.subfigures(2, 1, squeeze=False)[:, 0]
    left, right = above.subplots(1, 2, width_ratios=(3, 2) if keys > 2 else (1, 1))
    (_heat_map if keys == 2 else _parallel)(left, found)
    _curves(right, found)
    panels = found.axes[:_MOST_KEYS]
    each = below.subplots(1, len(panels), sharey=True, squeeze=False)[0]
    for axes, axis in zip(each, panels, strict=True):
        _by_key(axes, found, axis, named=axes is each[0])
    return figure


def _shown(sweep: Sweep, by: Sequence[str]) -> Shown:
    done = [job for job in sweep.jobs if job.state == DONE]
    if not done:
        raise RecordError(
            f"{sweep.folder}: no job has finished, so there is nothing to plot yet. How they "
            f"stand: {command('sweep', 'status', str(sweep.folder))}"
        )
    judge = judged_by(done)
    able = [job for job in done if math.isfinite(getattr(job, f"{judge}_score"))]
    runs = {job.folder: load_run(job.folder) for job in able}
    task = runs[able[0].folder].task
    jobs = [job for job in able if runs[job.folder].task == task]
    keys = [known_key(key, jobs) for key in by] or setting_keys(jobs) or setting_keys(sweep.jobs)
    axes = [
        Axis(key, tuple(sorted({value_of(job, key) for job in jobs}, key=number_of)))
        for key in keys
    ]
    return Shown(
        tuple(axes), tuple(fold(jobs, keys)), judge, {job.folder: runs[job.folder] for job in jobs}
    )


def _title(sweep: Sweep, shown: int) -> str:
    """Return the name of a sweep, with how many jobs are left out, and why."""
    told = counted(sweep.counts, [state for state in sweep.counts if state != DONE])
    scoreless = sweep.counts[DONE] - shown
    out = [*([told] if told else []), *([f"{scoreless} without the score"] if scoreless else [])]
    runs = f"{shown} finished run{'s' if shown != 1 else ''}"
    return f"{sweep.folder.name}: {runs}{'; left out: ' if out else ''}{', '.join(out)}"


def _by_key(axes: Axes, shown: Shown, axis: Axis, *, named: bool) -> None:
    """Draw each run's score at its value of a key, with mean and standard deviation."""
    of_value: dict[str, list[float]] = {value: [] for value in axis.values}
    for setting in shown.settings:
        for job in setting.finished:
            score = getattr(job, f"{shown.by}_score")
            if math.isfinite(score):
                of_value[value_of(job, axis.key)].append(score)
    places = [axis.place(value) for value in axis.values]
    for place, scores in zip(places, of_value.values(), strict=True):
        axes.plot([place] * len(scores), scores, "o", color=GREY, ms=3, alpha=0.6)
    means, spreads, _ = zip(*map(figure_of, of_value.values()), strict=True)
    line = "o" if axis.numbers is None else "o-"
    axes.errorbar(places, means, yerr=spreads, fmt=line, color=BLUE, ms=5, capsize=3, lw=1.2)
    tidy(axes, x=axis.key, y=f"{shown.label}\n(runs, mean ± sd)" if named else "")
    if axis.numbers is None:
        axes.set_xlim(-0.5, len(places) - 0.5)
    if axis.logarithmic:
        axes.set_xscale("log")
        axes.xaxis.set_minor_locator(NullLocator())
    room = 0.8 * WIDTH / min(max(2, len(shown.axes)), _MOST_KEYS)
    axes.xaxis.label.set_fontsize(TEXT * min(1.0, 1.1 * room / width_of(axis.key, TEXT)))
    if axis.numbers is None:
        name_places(axes, places, axis.values, room)
    elif len(places) <= _MOST_TICKS:
        axes.set_xticks(places, axis.values)
    axes.yaxis.set_major_formatter(shown.format)


def _heat_map(axes: Axes, shown: Shown) -> None:
    """Draw the mean score over two keys; what has no finished run stays empty."""
    one, two = shown.axes
    table = np.full((len(one.values), len(two.values)), np.nan)
    for setting in shown.settings:
        row, column = (a.values.index(setting.values[a.key]) for a in shown.axes)
        table[row, column] = shown.mean(setting)
    image = axes.imshow(table, cmap=SCALE, aspect="auto", origin="lower")
    middle = (np.nanmin(table) + np.nanmax(table)) / 2
    for (row, column), value in np.ndenumerate(table):
        if math.isfinite(value):
            colour = "black" if value > middle else "white"
            text = shown.task.cell(value).strip()
            axes.text(column, row, text, ha="center", va="center", color=colour, fontsize=SMALL)
    colour_bar(image, axes, shown.label, format=shown.format)
    tidy(axes, x=two.key, y=one.key)
    axes.grid(visible=False)
    name_places(axes, range(len(two.values)), two.values, 0.35 * WIDTH)
    axes.set_yticks(range(len(one.values)), one.values)


def _parallel(axes: Axes, shown: Shown) -> None:
    """Draw each setting as a line over its keys, the best above the others."""
    settings = sorted(shown.settings, key=shown.mean)
    lines = [
        Line([axis.height(s.values[axis.key]) for axis in shown.axes], shown.mean(s))
        for s in settings
    ]
    ticks = {axis.key: [(axis.height(v), v) for v in axis.values] for axis in shown.axes}
    draw_parallel(axes, ticks, lines, shown.label, 0.42 * WIDTH, shown.format)


def _curves(axes: Axes, shown: Shown) -> None:
    """Draw the mean curve of each setting, coloured by its key, or by its score at the end."""
    colour, norm, label = _colours(shown)
    column = shown.task.column(shown.by)
    last = np.zeros(1)
    for setting in sorted(shown.settings, key=shown.mean):
        runs = [shown.runs[job.folder].epochs for job in setting.finished]
        length = min(len(run["epoch"]) for run in runs)
        mean = np.mean([np.asarray(run[column][:length], float) for run in runs], axis=0)
        name = _name(shown, setting) if norm is None else None
        mark = "o" if length == 1 else "-"
        axes.plot(runs[0]["epoch"][:length], mean, mark, color=colour(setting), lw=1.2, label=name)
        last = max(last, runs[0]["epoch"][:length], key=len)
    tidy(axes, y=shown.label)
    by_epoch(axes, last)
    axes.yaxis.set_major_formatter(shown.format)
    if norm is None:
        beside = {"loc": "upper left", "bbox_to_anchor": (1, 1), "reverse": True}  # as the curves
        legend(axes, title=label, **(beside if len(shown.axes) > 1 else {}))
    else:
        how = shown.format if label.startswith(shown.label) else None
        colour_bar(ScalarMappable(norm, ORDERED), axes, label, format=how)


def _name(shown: Shown, setting: Setting) -> str:
    values = ", ".join(setting.values[axis.key] for axis in shown.axes)
    return shortened(values, SMALL, _NAME) if len(shown.axes) > 1 else values


def _colours(shown: Shown) -> tuple[Callable[[Setting], object], Normalize | None, str]:
    """Return the colour of each setting, and the scale; None: colours that have no order."""
    axes, axis = shown.axes, shown.axes[0]
    scale = len(shown.axes) == 1 and axis.numbers is not None
    if len(shown.axes) <= 2 and len(shown.settings) <= _MOST_NAMED and not scale:
        order = sorted(
            shown.settings, key=lambda s: [a.values.index(s.values[a.key]) for a in axes]
        )
        return lambda s: COLOURS[order.index(s)], None, ", ".join(a.key for a in axes)
    if scale and axis.numbers is not None:
        norm = (LogNorm if axis.logarithmic else Normalize)(min(axis.numbers), max(axis.numbers))
        return lambda s: ORDERED(norm(axis.place(s.values[axis.key]))), norm, axis.key
    means = [shown.mean(setting) for setting in shown.settings]
    norm = Normalize(np.nanmin(means), np.nanmax(means))
    return lambda s: ORDERED(norm(shown.mean(s))), norm, f"{shown.label}, at the end"
