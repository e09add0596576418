"""What was recorded of trials: spikes as rasters, and neuron variables over time."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from snnrun.network.network import Network
from snnrun.page.about import not_recorded
from snnrun.page.confusion import spread
from snnrun.page.parts import Chart, Part, Section, View
from snnrun.page.traces import Trace, axis, colour, literal, packed
from snnrun.plots.potentials import MOST_TRACES, liveliest
from snnrun.plots.raster import OUTPUT, Spikes
from snnrun.plots.records import Cursor, Records
from snnrun.plots.trials import courses_of, read_out_of, spikes_at, target_of, threshold_of
from snnrun.record.paths import SPIKES, VARIABLES
from snnrun.record.reader import Run
from snnrun.record.spikes import SpikeRecord

MOST_SPIKES = 120_000  # in the page
MOST_VALUES = 200_000  # of variables in the page
MOST_RECORDINGS, MOST_EXAMPLES = 8, 4  # that can be chosen, of each
PANEL = 170  # height of a population, in pixels
SPIKES_KEY = "REC_SPIKES=[input,hidden] REC_SPIKES_EPOCH_TRIAL=[[0,0],[-1,0]]"
VARIABLES_KEY = "REC_NEURONS=[[hidden,V],[output,V]] REC_NEURONS_EPOCH_TRIAL=[[0,0],[-1,0]]"

_WIDER = {"symbol": "line-ns", "size": 6, "line": {"width": 2.5, "color": "@4"}, "color": "@4"}
Rasters = Mapping[str, SpikeRecord]  # of each population


def rasters(records: Records) -> Section:
    """Return the spikes of recorded trials, one example at a time."""
    run = records.run
    if told := not_recorded(run, SPIKES, "Spikes", SPIKES_KEY):
        return Section("Spikes", told)
    found, recorded, tallest, target = [], run.recorded()[SPIKES], 1, target_of(records)
    for cursor in chosen(recorded):
        spikes = spikes_at(records, cursor)
        tallest = max(tallest, len(spikes))
        for k in range(min(MOST_EXAMPLES, min(map(len, spikes.values()), default=0))):
            size = sum(len(record.example(k)[0]) for record in spikes.values())
            label = _label(run, next(iter(spikes.values())), cursor, k)
            found.append((k, _raster(run, spikes, k, label, target), size))
    views = affordable(found, MOST_SPIKES)
    height = 90 + PANEL * tallest
    note = f"Shown: {_of(len(views), 'example')} from {_of(len(recorded), 'recorded mini-batch')}."
    chart = Chart("Spikes of an example", views, note, height, wide=True, latest=True)
    return Section("Spikes", [chart])


def affordable(found: Sequence[tuple[int, View, int]], most: int) -> list[View]:
    """Return the views that a page has room for, in the order as given, the last one among them.

    Args:
        found: Which example of its recording a view is of, the view, and its size. The first
            examples of all recordings come before further ones.
        most: How large all may be together.
    """
    kept: set[int] = set()
    left = most
    for place in sorted(range(len(found)), key=lambda place: (found[place][0], -place)):
        size = found[place][2]
        if size <= left or not kept:
            kept.add(place)
            left -= size
    return [view for place, (_, view, _) in enumerate(found) if place in kept]


def chosen(recorded: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    """Return those of the recorded mini-batches that can be chosen."""
    return [recorded[k] for k in spread(range(len(recorded)), MOST_RECORDINGS)]


def _of(count: int, what: str) -> str:
    return f"{count} {what}{'' if count == 1 else 'es' if what.endswith('ch') else 's'}"


def _label(run: Run, record: SpikeRecord, cursor: Cursor, k: int) -> str:
    told = [_place(cursor, record.examples[k])]
    if record.labels is not None and run.task.classes:
        told.append(f"class {_class(run, int(record.labels[k]))}")
    if record.predictions is not None and run.task.classes:
        told.append(f"predicted {_class(run, int(record.predictions[k]))}")
    return ", ".join(told)


def _place(cursor: Cursor, example: int) -> str:
    return f"epoch {cursor[0]}, mini-batch {cursor[1]}, example {example}"


def _class(run: Run, number: int) -> str:
    if number < 0:
        return "none"
    return run.class_names[number] if run.class_names else str(number)


def _raster(run: Run, found: Rasters, k: int, label: str, target: Spikes | None) -> View:
    """Return one panel for each population, below each other, over the time of the trial.

    Of more spikes than a page can hold every second one is shown, every third, and so on.
    """
    every = 1 + sum(len(record.example(k)[0]) for record in found.values()) // MOST_SPIKES
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
                **ticks(times[::every], ids[::every], record.n_neurons, f"{name}: {unit}"),
                "yaxis": f"y{number}",
                "points": len(times[::every]),
            }
        )
        layout[f"yaxis{number}"] = axis(
            unit,
            domain=[max(0.0, top - share + 0.06), top - 0.02],
            range=[-0.5, record.n_neurons - 0.5],
            tickformat="d",
        )
        said = f"{name}: {len(times):,} spikes of {record.n_neurons:,} {unit}s"
        if target is not None and name == target.population:
            wanted = ticks(target.times_ms, target.ids, target.size, "target: neuron")
            traces.insert(-1, {**wanted, "marker": _WIDER, "yaxis": f"y{number}"})
            said += "; the target is orange"
        said += f"; shown is one in {every}" if every > 1 else ""
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
        "name": literal(name),
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
    return {
        **place,
        "xanchor": "left",
        "yanchor": "bottom",
        "text": literal(text),
        "showarrow": False,
    }


def potentials(records: Records, network: Network | None) -> Section:
    """Return recorded variables of some neurons, with the threshold and the spikes of these."""
    run = records.run
    if told := not_recorded(run, VARIABLES, "Variables of neurons", VARIABLES_KEY):
        return Section("Potentials", told)
    found: dict[str, list[tuple[int, View, int]]] = {}
    courses, read = courses_of(records), f"{OUTPUT}/{read_out_of(network)}"
    for cursor in chosen(run.recorded()[VARIABLES]):
        spikes = spikes_at(records, cursor) if cursor in run.recorded()[SPIKES] else {}
        examples, names = run.variable_examples(*cursor), run.names_in(VARIABLES, *cursor)
        values = {name: run.variables(*cursor, *name.split("/")) for name in names}
        wanted = courses(cursor, examples)
        for name in names:
            population, _, variable = name.partition("/")
            for k in range(min(len(examples), MOST_EXAMPLES)):
                states = {n.partition("/")[2]: values[n][k] for n in names if _of_same(n, name)}
                level = threshold_of(network, population, variable, states)
                traces = list(_traces(run, states[variable], spikes.get(population), k, level))
                if wanted is not None and name == read:
                    traces += _targets(run, wanted[k], states[variable])
                label = _place(cursor, examples[k])
                layout = {"xaxis": axis("time (ms)"), "yaxis": axis(variable)}
                size = len(states[variable]) * len(traces)
                found.setdefault(name, []).append((k, View(traces, layout, label), size))
    parts: list[Part] = [
        Chart(
            name.replace("/", ": "),
            affordable(views, MOST_VALUES // len(found)),
            f"At most {MOST_TRACES} neurons, those that move most.",
            height=340,
            wide=True,
            latest=True,
        )
        for name, views in found.items()
    ]
    return Section("Potentials", parts)


def _of_same(name: str, other: str) -> bool:
    return name.partition("/")[0] == other.partition("/")[0]


def _traces(
    run: Run, values: np.ndarray, spikes: SpikeRecord | None, k: int, level: np.ndarray | None
) -> Iterator[Trace]:
    """Yield the courses of the neurons that move most, [steps, neurons], threshold and spikes.

    ``level``: the threshold, a number or [steps, neurons].
    """
    step = float(run.config["DT_MS"])
    shown = liveliest(values)
    levels = None if level is None else np.broadcast_to(level, values.shape)
    moves = level is not None and level.ndim > 0
    for number, neuron in enumerate(shown):
        yield _course(values[:, neuron], step, f"neuron {neuron}", color=colour(number), width=1.5)
        if levels is not None and moves:
            name = f"threshold of neuron {neuron}"
            yield _course(levels[:, neuron], step, name, color=colour(number), dash="dot", width=1)
    if levels is not None and not moves:
        yield _course(levels[:, 0], step, "threshold", color="@muted", dash="dash", width=1.2)
    if spikes is None:
        return
    when, ids = spikes.example(k)
    top = levels if levels is not None else np.broadcast_to(values[:, shown].max(), values.shape)
    for number, neuron in enumerate(shown):
        own = when[ids == neuron]
        steps = np.clip((own / step).astype(int), 0, len(values) - 1)
        yield {
            **ticks(own, top[steps, neuron], 1, f"spikes of neuron {neuron}"),
            "y": packed(top[steps, neuron]),
            "marker": {"symbol": "triangle-down", "size": 9, "color": colour(number)},
            "hovertemplate": "%{fullData.name}: %{x:.2f} ms<extra></extra>",
            "showlegend": False,
        }


def _targets(run: Run, wanted: np.ndarray, values: np.ndarray) -> Iterator[Trace]:
    """Yield the target courses of those neurons that are shown, [steps, neurons]."""
    step = float(run.config["DT_MS"])
    for number, neuron in enumerate(liveliest(values)):
        name = f"target of neuron {neuron}"
        yield _course(wanted[:, neuron], step, name, color=colour(number), dash="dot", width=1.2)


def _course(values: np.ndarray, step: float, name: str, **line: Any) -> Trace:
    return {
        "type": "scatter",
        "mode": "lines",
        "x0": step,
        "dx": step,
        "y": packed(np.asarray(values, np.float32)),
        "name": name,
        "line": line,
        "hovertemplate": "%{fullData.name}, %{x:.2f} ms: %{y:.4g}<extra></extra>",
    }
