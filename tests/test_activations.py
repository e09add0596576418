"""Counts of the steps in which channels and neurons are active, against recorded spikes."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from types import SimpleNamespace

import numpy as np
import pytest
from long import long_but

from snnrun.backends.base import NO_NOISE, Backend, Noise, count_activations
from snnrun.backends.genn.call import Call
from snnrun.backends.genn.units import units
from snnrun.backends.interpreter.backend import NumpyBackend
from snnrun.compile.program import Program
from snnrun.models.neurons import LI, ROCKPOOL_LIF_DELTA
from snnrun.training.costs import count_events
from tests import graph_cases as graphs
from tests.parity import native

BACKENDS: dict[str, Callable[[Program], Backend]] = {"native": native, "numpy": NumpyBackend}
LATE, EXAMPLES = 15, np.array([2, 0, 1, 0])


def counted(backend: Backend, noise: Noise) -> np.ndarray:
    """Return the counts of EXAMPLES, of spikes that were recorded one trial after the other."""
    data, steps = graphs.data(), backend.program.steps
    sizes = [backend.program.network.input.size]
    sizes += [c.population.size for c in backend.program.populations]
    found = np.zeros((2, LATE + 1, sum(sizes)), np.int64)
    for example in EXAMPLES.tolist():
        trial = backend.trial(data, example, noise)
        spikes = [(trial.input_steps, trial.input_channels)]
        spikes += list(zip(trial.steps, trial.neurons, strict=True))
        at = 0
        for (when, who), size in zip(spikes, sizes, strict=True):
            several = np.zeros((steps, size), int)
            np.add.at(several, (when, who), 1)
            for step, neuron in zip(*np.nonzero(several), strict=True):
                row = min(steps - 1 - step, LATE)
                found[int(several[step, neuron] > 1), row, at + neuron] += 1
            at += size
    return found


SEVERAL = graphs.Graph(
    [("a", 5, ROCKPOOL_LIF_DELTA), ("output", graphs.CLASSES, LI)],
    [{"ends": "input-a", "mean": 2.0}, {"ends": "a-a", "mean": 0.1}, {"ends": "a-output"}],
)
LISTED = graphs.Graph(  # neurons of several blocks, whose spikes stand together
    [("a", 700, ROCKPOOL_LIF_DELTA), ("output", graphs.CLASSES, LI)],
    [
        {"ends": "input-a", "synapses": graphs.sparse(graphs.CHANNELS, 700), "mean": 2.0},
        {"ends": "a-a", "synapses": graphs.sparse(700, 700), "mean": 0.05},
        {"ends": "a-output"},
    ],
)
PROGRAMS = {
    "axonal": graphs.GRAPHS["axonal"].program,
    "several in a step": partial(SEVERAL.program, surrogate=True),
    "several blocks": partial(LISTED.program, surrogate=True),
}


@pytest.mark.parametrize("name", BACKENDS)
@pytest.mark.parametrize("graph", long_but(PROGRAMS, ["axonal"]))
def test_activations_are_those_of_recorded_spikes(graph: str, name: str) -> None:
    backend = BACKENDS[name](PROGRAMS[graph]())
    graphs.start(backend)
    backend.late_steps = LATE
    expected = counted(backend, NO_NOISE)
    assert expected[0].any(axis=1).sum() > LATE // 4  # spikes in many of the last steps
    assert expected[1].any(axis=0)[: graphs.CHANNELS].any()
    assert expected[1].any(axis=0)[graphs.CHANNELS :].any() == (graph != "axonal")
    found = backend.evaluate(graphs.data(), EXAMPLES)
    np.testing.assert_array_equal(found.activations, expected)
    by_events = np.zeros((2, LATE + 1, graphs.CHANNELS), np.int64)
    count_events(by_events, graphs.data(), EXAMPLES)
    np.testing.assert_array_equal(by_events, expected[:, :, : graphs.CHANNELS])
    backend.counts_inputs = False
    found = backend.evaluate(graphs.data(), EXAMPLES)
    assert found.activations is not None
    assert not found.activations[:, :, : graphs.CHANNELS].any()
    after = slice(graphs.CHANNELS, None)
    np.testing.assert_array_equal(found.activations[:, :, after], expected[:, :, after])
    backend.counts_inputs = True
    dropped = Noise(dropout=0.3, key=5)
    expected = counted(backend, dropped)
    learned = backend.train(graphs.data(), EXAMPLES, 4, np.zeros(1), 0, dropped)
    np.testing.assert_array_equal(learned.activations, expected)


@pytest.mark.parametrize("name", BACKENDS)
def test_without_being_asked_nothing_is_counted(name: str) -> None:
    backend = BACKENDS[name](graphs.GRAPHS["axonal"].program())
    assert backend.evaluate(graphs.data(), EXAMPLES).activations is None


def test_genn_s_tables_of_late_spikes_become_the_same_counts() -> None:
    program, data = graphs.GRAPHS["axonal"].program(), graphs.data()
    backend = NumpyBackend(program)
    graphs.start(backend)
    backend.late_steps = LATE
    wanted = backend.evaluate(data, EXAMPLES)
    trials = [backend.trial(data, example) for example in EXAMPLES.tolist()]
    tables: dict[tuple[str, str], np.ndarray] = {}
    for layer, compiled in enumerate(program.populations[:-1]):
        counts = np.zeros((len(trials), compiled.population.size), np.int32)
        late = np.zeros((*counts.shape, LATE), np.uint8)
        for k, trial in enumerate(trials):
            np.add.at(counts[k], trial.neurons[layer], 1)
            row = program.steps - 1 - trial.steps[layer]
            late[k, trial.neurons[layer][row < LATE], row[row < LATE]] = 1
        name = compiled.population.name
        tables |= {(name, "count"): counts.ravel(), (name, "late"): late.ravel()}
    activations = backend.no_activations()
    assert activations is not None
    for trial in trials:
        count_activations(activations, trial.input_steps, trial.input_channels, program.steps)
    call = Call(program, data.labels[EXAMPLES], drop=False, activations=activations)
    device = SimpleNamespace(table=lambda owner, name: tables[owner, name])
    (unit,) = units(EXAMPLES, len(EXAMPLES))
    call.count_spikes(device, unit, None)  # type: ignore[arg-type]
    np.testing.assert_array_equal(call.results().activations, wanted.activations)
