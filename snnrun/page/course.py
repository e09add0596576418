"""The course of a training by epoch: scores and losses, activity and silence, times."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from snnrun.page.parts import Chart, Part, Section, View, paragraph
from snnrun.page.traces import PERCENT, Axis, Trace, axis, band, curve, epochs, logarithmic, merged
from snnrun.record.columns import EPOCHS
from snnrun.record.reader import Run

Columns = Mapping[str, np.ndarray]
SPLITS = {"train": "training", "validation": "validation"}
FALLEN = 0.25  # of the rates: what a schedule that ends at 0 comes to last would fill a log axis


def course(run: Run) -> Section:
    """Return curves of score, loss, learning rate and time."""
    columns = run.epochs
    if not len(columns.get("epoch", ())):
        return Section("Course", [paragraph("No epoch has ended yet.")])
    return Section("Course", [*_scores(run), *_figures(run), _rate(columns), _time(run)])


def _scores(run: Run) -> Iterator[Chart]:
    task, columns = run.task, run.epochs
    labels = {task.score: task.score_axis, "loss": task.loss_axis}
    for quantity, label in labels.items():
        traces = []
        for number, (split, name) in enumerate(SPLITS.items()):
            values = columns.get(f"{split}_{quantity}", np.empty(0))
            if np.isfinite(values).any():
                traces.append(curve(columns["epoch"], values, name, number))
        if quantity in run.test:
            traces.append(_star(int(columns["epoch"][-1]), run.test[quantity]))
        shape = PERCENT if quantity == task.score else _log(columns, f"_{quantity}")
        layout = {"xaxis": epochs_of(columns), "yaxis": axis(label, **shape)}
        yield Chart(quantity.capitalize(), [View(traces, layout)])


def _star(epoch: int, value: float) -> Trace:
    return {
        "type": "scatter",
        "mode": "markers",
        "x": [epoch],
        "y": [value],
        "name": "test",
        "marker": {"symbol": "star", "size": 13, "color": "@2"},
    }


def epochs_of(columns: Columns) -> Axis:
    """Return the axis of the epochs of a run."""
    return epochs(float(columns["epoch"][-1]))


def _log(columns: Columns, ending: str) -> dict[str, str]:
    return logarithmic([values for name, values in columns.items() if name.endswith(ending)])


def _figures(run: Run) -> Iterator[Chart]:
    """Yield a chart for each further figure that the task has of an epoch."""
    columns = run.epochs
    for name, column in run.task.figures.items():
        values = columns.get(name)
        if values is None or not np.isfinite(values).any():
            continue
        unit = "" if column.unit == "1" else f" ({column.unit})"
        title = name.replace("_", " ")
        layout = {
            "xaxis": epochs_of(columns),
            "yaxis": axis(f"{title}{unit}", **logarithmic([values])),
        }
        view = View([curve(columns["epoch"], values, title)], layout)
        yield Chart(title.capitalize(), [view], note=EPOCHS[name].meaning)


def _rate(columns: Columns) -> Chart:
    rates = columns["learning_rate"]
    finite = rates[np.isfinite(rates)]
    most = np.maximum(finite, np.quantile(finite, FALLEN)) if len(finite) else finite
    layout = {
        "xaxis": epochs_of(columns),
        "yaxis": axis("rate", exponentformat="e", **logarithmic([most])),
    }
    return Chart("Learning rate", [View([curve(columns["epoch"], rates, "rate", 6)], layout)])


def _time(run: Run) -> Chart:
    """Return the time that an epoch took, by its parts where TIMING has taken them."""
    columns, parts = run.epochs, {k: v for k, v in run.timings.items() if k != "epoch"}
    layout = {"xaxis": epochs_of(columns), "yaxis": axis("seconds", rangemode="tozero")}
    if not parts:
        return Chart(
            "Time of an epoch",
            [View([curve(columns["epoch"], columns["seconds"], "an epoch", 6)], layout)],
        )
    stacked = [
        curve(run.timings["epoch"], values, name, number, stackgroup="parts")
        for number, (name, values) in enumerate(parts.items())
    ]
    return Chart("Time of an epoch", [View(stacked, layout)])


def activity(run: Run, populations: Sequence[str]) -> Section:
    """Return how often the neurons of each population spike, and how many are silent.

    ``populations`` is the order in which they are named.
    """
    columns = run.epochs
    found = list(_activity(columns, populations)) if len(columns.get("epoch", ())) else []
    nothing = [paragraph("No activity of populations was recorded.")]
    return Section("Activity", found or nothing)


def _activity(columns: Columns, populations: Sequence[str]) -> Iterator[Part]:
    """Yield charts of those quantities that there are."""
    charts = {
        "spikes_per_neuron": ("Spikes of a neuron in a trial", "spikes, mean", True),
        "silent_neurons": ("Silent neurons", "silent neurons", True),
        "dropped_spikes": ("Spikes learned without their gradient", "spikes", False),
        "rewired_neurons": ("Neurons with new incoming weights", "neurons", False),
    }
    for quantity, (title, label, always) in charts.items():
        there = _populations(columns, quantity)
        of = {name: there[name] for name in [*populations, *there] if name in there}
        if not of or not (always or any(np.nansum(values) for values in of.values())):
            continue
        traces = [
            trace
            for number, name in enumerate(of)
            for trace in _of_population(columns, quantity, name, number)
        ]
        layout = {"xaxis": epochs_of(columns), "yaxis": axis(label, rangemode="tozero")}
        note = ""
        if _populations(columns, f"{quantity}_min"):
            note = "Bands: from the neuron that spikes least to the one that spikes most."
        yield Chart(title, [View(traces, layout)], note=note)


def _of_population(columns: Columns, quantity: str, name: str, number: int) -> Iterator[Trace]:
    """Yield its curve, with what is known of the spread, and of the validation as dashes."""
    at = columns["epoch"]
    edges = [columns.get(f"{quantity}_{edge}/{name}") for edge in ("min", "max")]
    if edges[0] is not None and edges[1] is not None:
        yield from band(at, edges[0], edges[1], number, legendgroup=name)
    yield curve(at, columns[f"{quantity}/{name}"], name, number, legendgroup=name)
    validation = columns.get(f"validation_{quantity}/{name}")
    if validation is not None and np.isfinite(validation).any():
        trace = curve(at, validation, f"{name}, validation", number, legendgroup=name)
        yield merged(trace, {"line": {**trace["line"], "dash": "dot"}})


def _populations(columns: Columns, quantity: str) -> Columns:
    return {
        name.partition("/")[2]: values
        for name, values in columns.items()
        if name.startswith(f"{quantity}/") and np.isfinite(values).any()
    }
