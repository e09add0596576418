"""What is learned, over the time of the training: weights, delays, and time constants."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from snnrun.compile.program import DELAYS, PARAMETERS, WEIGHTS
from snnrun.network.delays import DelayKind
from snnrun.network.network import Network
from snnrun.page.confusion import spread
from snnrun.page.model import LAST, Model
from snnrun.page.parts import Chart, Part, Section, View, missing
from snnrun.page.traces import axis, band, curve, histogram
from snnrun.plots.records import Records
from snnrun.record.paths import WEIGHTS as RECORDED

MOST_MOMENTS = 60  # of a course; a histogram can be chosen of fewer
MOST_HISTOGRAMS = 6
BINS = 40
SHARES = (5, 25, 50, 75, 95)  # percentiles of a course


class Kind(NamedTuple):
    """What is learned: title, its axis ("": the name and ms), what is counted, and the key."""

    title: str
    label: str
    counted: str
    key: str


KINDS = {
    WEIGHTS: Kind("Weights", "weight", "synapses", "W_OUTPUT_EPOCH_TRIAL=[[0,0],[-1,0]]"),
    DELAYS: Kind("Delays", "delay (ms)", "delays", "DELAY_OUTPUT_EPOCH_TRIAL=[[0,0],[-1,0]]"),
    PARAMETERS: Kind("Time constants", "", "neurons", "TAU_OUTPUT_EPOCH_TRIAL=[[0,0],[-1,0]]"),
}


class Moment(NamedTuple):
    """What was learned up to some time, by the name of a projection or population/parameter."""

    epoch: float
    label: str
    arrays: Mapping[str, np.ndarray]


def learned(records: Records, model: Model) -> list[Section]:
    """Return sections of weights, of delays and of time constants: recorded, and at the end."""
    found = []
    for kind, about in KINDS.items():
        moments = [*_recorded(records, kind), Moment(model.epoch, LAST, model.arrays(kind))]
        moments = [moment for moment in moments if moment.arrays]
        order = [p.name for p in model.network.projections] if model.network else []
        names = dict.fromkeys([*order, *(name for m in moments for name in m.arrays)])
        parts: list[Part] = [
            chart for name in names for chart in _charts(name, kind, moments, model.network)
        ]
        if parts and len(moments) == 1:
            changed = f"How the {about.title.lower()} changed was not recorded."
            parts.append(missing(changed, about.key))
        elif kind == WEIGHTS and not parts:
            parts = [missing("Weights were not recorded, and there is no checkpoint.", about.key)]
        if parts:
            found.append(Section(about.title, parts))
    return found


def _recorded(records: Records, kind: str) -> Iterator[Moment]:
    """Yield what was recorded of a kind, as it was when mini-batches began."""
    run = records.run
    read = {WEIGHTS: run.weights, DELAYS: run.delays, PARAMETERS: run.parameters}[kind]
    recorded = run.recorded()[RECORDED]
    for epoch, trial in (recorded[k] for k in spread(range(len(recorded)), MOST_MOMENTS)):
        label = f"epoch {epoch}, mini-batch {trial}"
        yield Moment(epoch + trial / records.batches, label, read(epoch, trial))


def _charts(
    name: str, kind: str, moments: Sequence[Moment], network: Network | None
) -> Iterator[Chart]:
    """Yield the course of an array's percentiles, and its histogram at some times."""
    values = [
        (moment, there)
        for moment in moments
        if name in moment.arrays
        and len(there := _existing(moment.arrays[name], name, kind, network))
    ]
    if not values:
        return
    whole = np.concatenate([there for _, there in values])
    if kind == DELAYS and np.ptp(whole) == 0:  # the picture of the network tells it
        return
    about = KINDS[kind]
    label = about.label or f"{name.rpartition('/')[2]} (ms)"
    title = name.replace("/", ": ")
    if len(values) > 1:
        yield Chart(f"{title}, over the training", [_course(values, label)])
    low, high = float(whole.min()), float(whole.max())
    bins = np.linspace(low, high if high > low else low + 1e-3, BINS + 1)
    views = []
    for place in spread(range(len(values)), MOST_HISTOGRAMS):
        moment, there = values[place]
        count = f"{len(there):,} {about.counted}"
        shape = f"{count}: mean {there.mean():.3g}, standard deviation {there.std():.3g}"
        layout = {"xaxis": axis(label, shape), "yaxis": axis(about.counted), "bargap": 0}
        views.append(View([histogram(there, bins, name)], layout, moment.label))
    yield Chart(title, views, latest=True, note="" if len(views) > 1 else views[0].label)


def _course(values: Sequence[tuple[Moment, np.ndarray]], label: str) -> View:
    at = np.array([moment.epoch for moment, _ in values])
    shares = np.array([np.percentile(there, SHARES) for _, there in values])
    traces = [
        *band(at, shares[:, 0], shares[:, 4]),
        *band(at, shares[:, 1], shares[:, 3]),
        curve(at, shares[:, 2], "median"),
    ]
    traces[1] |= {"showlegend": True, "name": "5 to 95 %"}
    traces[3] |= {"showlegend": True, "name": "25 to 75 %"}
    return View(traces, {"xaxis": axis("epoch"), "yaxis": axis(label)})


def _existing(array: np.ndarray, name: str, kind: str, network: Network | None) -> np.ndarray:
    """Return the numbers of those synapses that exist, [numbers]."""
    projections = network.projections if network is not None else ()
    synapses = next((p.synapses for p in projections if p.name == name), None)
    delays = next((p.delays for p in projections if p.name == name), None)
    of_each = kind == WEIGHTS or (delays is not None and delays.kind is DelayKind.SYNAPTIC)
    if synapses is not None and of_each and array.shape == synapses.shape and not synapses.shared:
        array = array[synapses.mask]
    array = np.asarray(array, float).ravel()
    return array[np.isfinite(array)]
