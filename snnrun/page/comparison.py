"""Charts that compare settings: curves of all, and scores against keys."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import suppress
from functools import cached_property

import numpy as np

from snnrun.errors import SnnrunError
from snnrun.page.parts import Chart, Part, Section, View, missing
from snnrun.page.traces import (
    PERCENT,
    SCALE,
    Axis,
    Trace,
    axis,
    band,
    curve,
    epochs,
    literal,
    logarithmic,
    packed,
)
from snnrun.record.paths import RunPaths
from snnrun.record.runfile import open_run, read_figures, task_of
from snnrun.sweeps.settings import Setting, judged_by, number_of, value_of
from snnrun.sweeps.sweep import DONE, Job
from snnrun.sweeps.table import in_short
from snnrun.tasks import Task

MOST_NAMED = 10  # settings whose curve has a colour and a name
MOST_BANDS = 5  # of these that show the deviation too
MOST_CURVES = 60  # settings that have a curve at all
MOST_POINTS = 200  # of a curve
MOST_KEYS = 8  # that have a chart of their own
WIDE = 10.0  # ratio of the values of a key from which on its axis is logarithmic
FILLED = 0.5  # share of the fields from which on a heat map of two keys is drawn
MOST_TICKS = 8  # values of a key that are all written at its axis
MOST_PLACES = 30  # of a key that are named in a heat map
_LONGEST = 60  # characters of the name of a curve
SCORES = {"validation": "validation", "test": "test", "train": "training"}


class Curves:
    """The epochs of the runs of a setting."""

    def __init__(self, setting: Setting) -> None:
        self.setting = setting
        self.runs: list[dict[str, np.ndarray]] = []
        self.task: Task | None = None
        for job in setting.jobs:
            with suppress(SnnrunError, OSError):  # it has not begun, or cannot be read
                self._read(job)

    def _read(self, job: Job) -> None:
        paths = RunPaths(job.folder)
        if job.epochs and paths.run.exists():
            with open_run(paths) as file:
                self.task = self.task or task_of(file)
                self.runs.append(read_figures(file["epochs"]))

    @cached_property
    def label(self) -> str:
        """What tells the setting apart."""
        told = " ".join(f"{key}={value}" for key, value in self.setting.values.items())
        count = f" ({len(self.runs)} runs)" if len(self.runs) > 1 else ""
        return f"{in_short(told, _LONGEST) or self.setting.jobs[0].name or 'run'}{count}"

    def figures(self, column: str) -> tuple[np.ndarray, np.ndarray, np.ndarray] | None:
        """Return epochs, mean and deviation over the runs, up to the end of the shortest."""
        runs = [run for run in self.runs if column in run and np.isfinite(run[column]).any()]
        if not runs:
            return None
        length = min(len(run["epoch"]) for run in runs)
        values = np.stack([np.asarray(run[column][:length], float) for run in runs])
        spread = values.std(axis=0, ddof=1) if len(runs) > 1 else np.full(length, np.nan)
        kept = np.unique(np.linspace(0, length - 1, min(length, MOST_POINTS)).round().astype(int))
        return runs[0]["epoch"][kept], values.mean(axis=0)[kept], spread[kept]


def curves(settings: Sequence[Setting]) -> list[Part]:
    """Return the mean curves of settings, the best ones in colours."""
    by = judged_by(job for setting in settings for job in setting.jobs)
    ranked = sorted(settings, key=lambda s: _last(s.figure(by).mean), reverse=True)
    found = [c for s in ranked[:MOST_CURVES] if (c := Curves(s)).runs]
    if not found:
        return [missing("No epoch of any run has ended yet.")]
    task = found[0].task
    assert task is not None
    found = [one for one in found if one.task is task]
    columns = {
        f"{task.column(split)}": f"{word} {task.word}"
        for split, word in (("validation", "validation"), ("train", "training"))
    }
    columns |= {"validation_loss": "validation loss", "train_loss": "training loss"}
    views = []
    for column, word in columns.items():
        traces: list[Trace] = []
        values: list[np.ndarray] = []
        for place, one in enumerate(found):
            if (figures := one.figures(column)) is not None:
                traces = [*traces, *_curve(one.label, *figures, place)]
                values.append(figures[1])
        shape: Axis = logarithmic(values) if column.endswith("loss") else PERCENT
        if traces:
            last = max(float(one.runs[0]["epoch"][-1]) for one in found)
            views.append(View(traces, {"xaxis": epochs(last), "yaxis": axis(word, **shape)}, word))
    return [Chart("Mean over the runs of a setting", views, _note(settings, found), 440, wide=True)]


def _last(value: float) -> float:
    return -math.inf if math.isnan(value) else value


def _note(settings: Sequence[Setting], found: Sequence[Curves]) -> str:
    told = []
    if len(found) > MOST_NAMED:
        told.append(f"The best {MOST_NAMED} settings have colours; the others are grey.")
    if len(settings) > len(found):
        told.append(f"{len(settings) - len(found)} of {len(settings)} settings have no curve here.")
    if any(len(one.runs) > 1 for one in found):
        told.append(f"Bands, of the best {MOST_BANDS}: mean ± sample standard deviation.")
    return " ".join(told)


def _curve(
    label: str, at: np.ndarray, mean: np.ndarray, spread: np.ndarray, place: int
) -> Iterator[Trace]:
    if place >= MOST_NAMED:
        line = {"color": "@muted/0.45", "width": 1}
        yield curve(at, mean, label, line=line, mode="lines", showlegend=False)
        return
    if place < MOST_BANDS and np.isfinite(spread).all():
        yield from band(at, mean - spread, mean + spread, place, legendgroup=label)
    yield curve(at, mean, label, place, legendgroup=label)


def by_key(settings: Sequence[Setting]) -> list[Section]:
    """Return the scores of finished runs against each key, and against both of two."""
    keys = list(settings[0].values)
    jobs = [job for setting in settings for job in setting.jobs if job.state == DONE]
    if not keys or not jobs:
        return []
    charts: list[Part] = [_against(key, jobs) for key in keys[:MOST_KEYS]]
    if len(keys) == 2 and len(settings) >= FILLED * _fields(keys, settings):
        charts.append(_heat_map(keys, settings))
    return [Section("Scores by key", charts)]


def _fields(keys: Sequence[str], settings: Sequence[Setting]) -> int:
    """Return how many combinations there are of the values of keys."""
    return math.prod(len({setting.values[key] for setting in settings}) for key in keys)


def _against(key: str, jobs: Sequence[Job]) -> Chart:
    """Return the score of each run at its value of a key, with mean and deviation."""
    texts = sorted({value_of(job, key) for job in jobs}, key=number_of)
    numbers = None if any(number_of(text)[0] for text in texts) else [float(t) for t in texts]
    x: dict = axis(key, type="category")
    if numbers is not None:
        x = axis(key, **logarithmic([np.array(numbers)], WIDE))
        x |= (
            {"tickvals": numbers, "ticktext": list(map(literal, texts))}
            if len(texts) <= MOST_TICKS
            else {}
        )
    views = []
    for name, word in SCORES.items():
        scored = [j for j in jobs if math.isfinite(getattr(j, f"{name}_score"))]
        if not scored:
            continue
        places = [value_of(job, key) for job in scored]
        values = np.array([getattr(job, f"{name}_score") for job in scored])
        at = list(map(literal, places)) if numbers is None else [float(place) for place in places]
        groups = [values[[place == text for place in places]] for text in texts]
        there = [text for text, group in zip(texts, groups, strict=True) if len(group)]
        full = [group for group in groups if len(group)]
        points: Trace = {
            "type": "scatter",
            "mode": "markers",
            "x": at,
            "y": packed(values),
            "text": [literal(job.folder.name) for job in scored],
            "hovertemplate": "run %{text}: %{y:.2%}<extra></extra>",
            "name": "runs",
            "marker": {"color": "@muted", "size": 6, "opacity": 0.6},
        }
        mean: Trace = {
            "type": "scatter",
            "mode": "markers" if numbers is None or len(full) == len(values) else "lines+markers",
            "x": list(map(literal, there)) if numbers is None else [float(text) for text in there],
            "y": packed([group.mean() for group in full]),
            "error_y": {
                "type": "data",
                "array": packed([g.std(ddof=1) if len(g) > 1 else 0.0 for g in full]),
            },
            "name": "mean ± sd",
            "line": {"color": "@0"},
            "marker": {"color": "@0", "size": 8},
        }
        layout = {"xaxis": x, "yaxis": axis(word, **PERCENT)}
        views.append(View([points, mean], layout, word))
    return Chart(key, views or [View([])])


def _heat_map(keys: Sequence[str], settings: Sequence[Setting]) -> Chart:
    """Return the mean scores over two keys; what has no finished run is empty."""
    one, two = (
        sorted({setting.values[key] for setting in settings}, key=number_of) for key in keys
    )
    views = []
    for name, word in SCORES.items():
        table = np.full((len(one), len(two)), np.nan)
        for setting in settings:
            row, column = one.index(setting.values[keys[0]]), two.index(setting.values[keys[1]])
            table[row, column] = setting.figure(name).mean
        if not np.isfinite(table).any():
            continue
        trace: Trace = {
            "type": "heatmap",
            "x": list(map(literal, two)),
            "y": list(map(literal, one)),
            "z": packed(table),
            "colorscale": SCALE,
            "hoverongaps": False,
            "colorbar": {
                "title": {"text": word, "side": "right"},
                "tickformat": ".0%",
                "thickness": 12,
            },
            "hovertemplate": f"{keys[0]}=%{{y}}, {keys[1]}=%{{x}}: %{{z:.2%}}<extra></extra>",
        }
        if table.size <= MOST_PLACES:
            trace["texttemplate"] = "%{z:.1%}"
        sides = {"type": "category", "showgrid": False}
        layout = {"xaxis": axis(keys[1], **sides), "yaxis": axis(keys[0], **sides)}
        views.append(View([trace], layout, word))
    return Chart(f"{keys[0]} and {keys[1]}", views, height=360)
