"""What is learned, over the time of the training: weights, delays, and time constants."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from snnrun.network.delays import DelayKind
from snnrun.network.network import Network
from snnrun.page.confusion import spread
from snnrun.page.parts import Chart, Part, Section, View, missing
from snnrun.page.traces import Axis, axis, band, curve, histogram
from snnrun.record.paths import WEIGHTS
from snnrun.record.reader import Run

MOST_MOMENTS = 60  # of a course; a histogram can be chosen of fewer
MOST_HISTOGRAMS = 6
BINS = 40
KEYS = {
    "weights": "W_OUTPUT_EPOCH_TRIAL=[[0,0],[-1,0]]",
    "delays": "DELAY_OUTPUT_EPOCH_TRIAL=[[0,0],[-1,0]]",
    "parameters": "TAU_OUTPUT_EPOCH_TRIAL=[[0,0],[-1,0]]",
}
SHARES = (5, 25, 50, 75, 95)  # percentiles of a course


class Moment(NamedTuple):
    """What was learned up to some time, by the name of a projection or population/parameter."""

    epoch: float
    label: str
    arrays: Mapping[str, np.ndarray]


def learned(run: Run, network: Network | None, last: Moment | None) -> list[Section]:
    """Return sections of weights, of delays and of time constants.

    Args:
        run: Whose recordings are shown.
        network: That of the run, by which places without a synapse are known.
        last: What the last checkpoint holds; a projection's delays are NAME_delays there.
    """
    titles = {
        "weights": ("Weights", "weight", "synapses"),
        "delays": ("Delays", "delay (ms)", "delays"),
        "parameters": ("Time constants", "", "neurons"),
    }
    found = []
    for kind, (title, label, counted) in titles.items():
        moments = [_moment(run, kind, *at) for at in _recorded(run, kind)]
        moments += [] if last is None else [_of_kind(last, kind)]
        moments = [moment for moment in moments if moment.arrays]
        parts: list[Part] = []
        if moments:
            order = [p.name for p in network.projections] if network else []
            names = dict.fromkeys([*order, *(name for m in moments for name in m.arrays)])
            for name in names:
                parts += _charts(name, kind, moments, network, label, counted)
        elif kind == "weights":
            parts.append(missing("Weights were not recorded, and there is no checkpoint."))
        else:
            continue
        if parts and len(moments) == 1:
            parts.append(missing(f"How the {title.lower()} changed was not recorded.", KEYS[kind]))
        if parts:
            found.append(Section(title, parts))
    return found


def _recorded(run: Run, kind: str) -> list[tuple[int, int]]:
    recorded = run.recorded()[WEIGHTS]
    return [recorded[k] for k in spread(range(len(recorded)), MOST_MOMENTS)]


def _moment(run: Run, kind: str, epoch: int, trial: int) -> Moment:
    """Return what was recorded of a kind when a mini-batch began."""
    read = {"weights": run.weights, "delays": run.delays, "parameters": run.parameters}[kind]
    trials = run.trials  # of a run that ended in its first mini-batch there are none
    batches = trials["trial"][trials["phase"] == 0] if trials else ()
    share = trial / (max(batches) + 1) if len(batches) else 0.0
    return Moment(epoch + share, f"epoch {epoch}, mini-batch {trial}", read(epoch, trial))


def _of_kind(last: Moment, kind: str) -> Moment:
    """Return what a checkpoint holds of a kind."""
    endings = {"delays": "_delays"}
    arrays = {}
    for name, array in last.arrays.items():
        if kind == "parameters" and "/" in name:
            arrays[name] = array
        elif kind == "delays" and name.endswith(endings["delays"]):
            arrays[name.removesuffix(endings["delays"])] = array
        elif kind == "weights" and "/" not in name and not name.endswith("_delays"):
            arrays[name] = array
    return last._replace(arrays=arrays)


def _charts(
    name: str,
    kind: str,
    moments: Sequence[Moment],
    network: Network | None,
    label: str,
    counted: str,
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
    if kind == "delays" and np.ptp(whole) == 0:  # the picture of the network tells it
        return
    label = label or f"{name.rpartition('/')[2]} (ms)"
    title = name.replace("/", ": ")
    if len(values) > 1:
        yield Chart(f"{title}, over the training", [_course(values, label)])
    low, high = float(whole.min()), float(whole.max())
    bins = np.linspace(low, high if high > low else low + 1e-3, BINS + 1)
    views = []
    for place in spread(range(len(values)), MOST_HISTOGRAMS):
        moment, there = values[place]
        count = f"{len(there):,} {counted}"
        shape = f"{count}: mean {there.mean():.3g}, standard deviation {there.std():.3g}"
        layout = {"xaxis": axis(f"{label}<br>{shape}"), "yaxis": axis(counted), "bargap": 0}
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
    here: Axis = axis(label)
    return View(traces, {"xaxis": axis("epoch"), "yaxis": here})


def _existing(array: np.ndarray, name: str, kind: str, network: Network | None) -> np.ndarray:
    """Return the numbers of those synapses that exist, [numbers]."""
    projections = network.projections if network is not None else ()
    synapses = next((p.synapses for p in projections if p.name == name), None)
    delays = next((p.delays for p in projections if p.name == name), None)
    of_each = kind == "weights" or (delays is not None and delays.kind is DelayKind.SYNAPTIC)
    if synapses is not None and of_each and array.shape == synapses.shape and not synapses.shared:
        array = array[synapses.mask]
    array = np.asarray(array, float).ravel()
    return array[np.isfinite(array)]
