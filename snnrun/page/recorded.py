"""What was recorded of trials: spikes as rasters, and neuron variables over time."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Any

import numpy as np
import sympy as sp

from snnrun.errors import RecordError
from snnrun.models.equations import symbol
from snnrun.network.network import Network
from snnrun.page.about import not_recorded
from snnrun.page.confusion import spread
from snnrun.page.parts import Chart, Part, Section, View
from snnrun.page.traces import Trace, axis, colour, packed
from snnrun.record.paths import SPIKES, VARIABLES
from snnrun.record.reader import Run
from snnrun.record.spikes import SpikeRecord

MOST_SPIKES = 120_000  # in the page
MOST_VALUES = 200_000  # of variables in the page
MOST_RECORDINGS, MOST_EXAMPLES = 8, 4  # that can be chosen, of each
MOST_NEURONS = 6  # whose potential is drawn
PANEL = 170  # height of a population, in pixels
SPIKES_KEY = "REC_SPIKES=[input,hidden] REC_SPIKES_EPOCH_TRIAL=[[0,0],[-1,0]]"
VARIABLES_KEY = "REC_NEURONS=[[hidden,V],[output,V]] REC_NEURONS_EPOCH_TRIAL=[[0,0],[-1,0]]"

Rasters = Mapping[str, SpikeRecord]  # of each population


def rasters(run: Run) -> Section:
    """Return the spikes of recorded trials, one example at a time."""
    if told := not_recorded(run, SPIKES, "Spikes", SPIKES_KEY):
        return Section("Spikes", told)
    views: list[View] = []
    left, recorded = MOST_SPIKES, run.recorded()[SPIKES]
    tallest = 1
    for epoch, trial in chosen(recorded):
        found = spikes_at(run, epoch, trial)
        for k in range(min(MOST_EXAMPLES, min(map(len, found.values()), default=0))):
            size = sum(len(record.example(k)[0]) for record in found.values())
            if size > left and views:
                continue
            left -= size
            tallest = max(tallest, len(found))
            label = _label(run, next(iter(found.values())), epoch, trial, k)
            views.append(_raster(run, found, k, label))
    height = 90 + PANEL * tallest
    note = f"Shown: {_of(len(views), 'example')} from {_of(len(recorded), 'recorded mini-batch')}."
    chart = Chart("Spikes of an example", views, note, height, wide=True, latest=True)
    return Section("Spikes", [chart])


def chosen(recorded: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    """Return those of the recorded mini-batches that can be chosen."""
    return [recorded[k] for k in spread(range(len(recorded)), MOST_RECORDINGS)]


def _of(count: int, what: str) -> str:
    return f"{count} {what}{'' if count == 1 else 'es' if what.endswith('ch') else 's'}"


def spikes_at(run: Run, epoch: int, trial: int) -> dict[str, SpikeRecord]:
    """Return the spikes of the populations that were recorded in a mini-batch, input first."""
    found = {}
    for name in run.names_in(SPIKES, epoch, trial):
        found[name] = run.spikes(epoch, trial, name)
    order = ["input", *sorted(found.keys() - {"input", "output"}), "output"]
    return {name: found[name] for name in order if name in found}


def _label(run: Run, record: SpikeRecord, epoch: int, trial: int, k: int) -> str:
    told = [f"epoch {epoch}, mini-batch {trial}, example {record.examples[k]}"]
    if record.labels is not None and record.labels[k] >= 0:
        told.append(f"class {_class(run, int(record.labels[k]))}")
    if record.predictions is not None and not run.task.targets:
        told.append(f"predicted {_class(run, int(record.predictions[k]))}")
    return ", ".join(told)


def _class(run: Run, number: int) -> str:
    if number < 0:
        return "none"
    return run.class_names[number] if run.class_names else str(number)


def _raster(run: Run, found: Rasters, k: int, label: str) -> View:
    """Return one panel for each population, below each other, over the time of the trial."""
    traces: list[Trace] = []
    layout: dict[str, Any] = {
        "xaxis": axis("time (ms)", range=[0, float(run.config["TRIAL_MS"])]),
        "showlegend": False,
        "annotations": [],
    }
    share = 1 / len(found)
    for panel, (name, record) in enumerate(found.items()):
        times, ids = record.example(k)
        number = "" if panel == 0 else str(panel + 1)
        top = 1 - panel * share
        unit = "channel" if name == "input" else "neuron"
        traces.append(
            {
                **ticks(times, ids, record.n_neurons, f"{name}: {unit}"),
                "yaxis": f"y{number}",
                "points": len(times),
            }
        )
        layout[f"yaxis{number}"] = axis(
            unit,
            domain=[max(0.0, top - share + 0.06), top - 0.02],
            range=[-0.5, record.n_neurons - 0.5],
            tickformat="d",
        )
        said = f"{name}: {len(times):,} spikes of {record.n_neurons:,} {unit}s"
        layout["annotations"].append(_above(said, top))
    layout["xaxis"]["anchor"] = f"y{len(found)}" if len(found) > 1 else "y"
    return View(traces, layout, label)


def ticks(times: np.ndarray, ids: np.ndarray, size: int, name: str) -> Trace:
    """Return spikes as short upright lines; the mouse tells neuron and time."""
    height = float(np.clip(0.55 * PANEL / size, 2.5, 9.0))
    return {
        "type": "scatter",
        "mode": "markers",
        "x": packed(np.asarray(times, np.float32)),
        "y": packed(ids),
        "name": name,
        "hovertemplate": "%{fullData.name} %{y}, %{x:.2f} ms<extra></extra>",
        "marker": {
            "symbol": "line-ns",
            "size": height,
            "line": {"width": 1.2, "color": "@ink"},
            "color": "@ink",
        },
    }


def _above(text: str, top: float) -> dict[str, Any]:
    place = {"x": 0, "y": top - 0.02, "xref": "paper", "yref": "paper"}
    return {**place, "xanchor": "left", "yanchor": "bottom", "text": text, "showarrow": False}


def potentials(run: Run, network: Network | None) -> Section:
    """Return recorded variables of some neurons, with the threshold and the spikes of these."""
    if told := not_recorded(run, VARIABLES, "Variables of neurons", VARIABLES_KEY):
        return Section("Potentials", told)
    views: dict[str, list[View]] = {}
    left = MOST_VALUES
    for epoch, trial in chosen(run.recorded()[VARIABLES]):
        spikes: Rasters = {}
        with suppress(RecordError):  # recorded at other trials, or not at all
            spikes = spikes_at(run, epoch, trial)
        for name in run.names_in(VARIABLES, epoch, trial):
            population, _, variable = name.partition("/")
            values = run.variables(epoch, trial, population, variable)
            examples = run.variable_examples(epoch, trial)
            for k in range(min(len(values), MOST_EXAMPLES)):
                size = values.shape[1] * min(values.shape[2], MOST_NEURONS)
                if size > left and name in views:
                    continue
                left -= size
                label = f"epoch {epoch}, mini-batch {trial}, example {examples[k]}"
                levels = _threshold(network, population, variable)
                traces = list(_traces(run, values[k], spikes.get(population), k, levels))
                layout = {"xaxis": axis("time (ms)"), "yaxis": axis(variable)}
                views.setdefault(name, []).append(View(traces, layout, label))
    parts: list[Part] = [
        Chart(f"{name.replace('/', ': ')}", found, height=340, wide=True, latest=True)
        for name, found in views.items()
    ]
    return Section("Potentials", parts)


def _traces(
    run: Run, values: np.ndarray, spikes: SpikeRecord | None, k: int, level: float
) -> Iterator[Trace]:
    """Yield the courses of the neurons that move most, [steps, neurons], threshold and spikes."""
    times = (np.arange(len(values)) + 1) * float(run.config["DT_MS"])
    order = np.argsort(-np.ptp(values, axis=0), kind="stable")[:MOST_NEURONS]
    for number, neuron in enumerate(np.sort(order)):
        yield {
            "type": "scatter",
            "mode": "lines",
            "x0": float(times[0]),
            "dx": float(run.config["DT_MS"]),
            "y": packed(np.asarray(values[:, neuron], np.float32)),
            "name": f"neuron {neuron}",
            "line": {"color": colour(number), "width": 1.5},
            "hovertemplate": "%{fullData.name}, %{x:.2f} ms: %{y:.4g}<extra></extra>",
        }
    if math.isfinite(level):
        yield {
            "type": "scatter",
            "mode": "lines",
            "x": [float(times[0]), float(times[-1])],
            "y": [level, level],
            "name": "threshold",
            "line": {"color": "@muted", "width": 1.2, "dash": "dash"},
        }
    if spikes is None:
        return
    top = level if math.isfinite(level) else float(values[:, order].max())
    when, ids = spikes.example(k)
    for number, neuron in enumerate(np.sort(order)):
        own = when[ids == neuron]
        yield {
            **ticks(own, np.full(len(own), neuron), 1, f"spikes of neuron {neuron}"),
            "y": [top] * len(own),
            "marker": {"symbol": "triangle-down", "size": 9, "color": colour(number)},
            "hovertemplate": "%{fullData.name}: %{x:.2f} ms<extra></extra>",
            "showlegend": False,
        }


def _threshold(network: Network | None, population: str, variable: str) -> float:
    """Return the threshold of a variable where it is one number for all neurons, or NaN."""
    if network is None:
        return math.nan
    of = next(p for p in network.populations if p.name == population)
    if of.neuron is None or of.neuron.system.threshold_state != variable:
        return math.nan
    numbers = {symbol(name): v for name, v in of.values.items() if np.ndim(v) == 0}
    value = sp.sympify(of.neuron.system.threshold_value).subs(numbers)
    return float(value) if value.is_number else math.nan
