"""Networks that are no chains: backend native against the NumPy interpreter, threads, learning."""

from __future__ import annotations

import numpy as np
import pytest

from snnrun.backends.base import Noise
from snnrun.backends.interpreter.backend import NumpyBackend
from tests import graph_cases as graphs
from tests.long import long_but
from tests.parity import native

CASES = [(name, surrogate) for name in graphs.GRAPHS for surrogate in (False, True)]
USUAL = [(name, False) for name in ("late lists",)]
USUAL += [(name, True) for name in ("synaptic",)]
SPREAD = [c for c in CASES if c[0] in ("lists", "axonal", "dendritic", "synaptic", "late lists")]
EXAMPLES = np.arange(3)
TRAINING = Noise(key=7, in_network=True)  # currents are dropped where the graph says so
SAME = 1e-9  # two orders of summation in float64


def relative(a: np.ndarray, b: np.ndarray) -> float:
    """Return the largest difference relative to the largest number."""
    return float(np.abs(a - b).max() / max(np.abs(b).max(), 1e-12))


def named(case: tuple[str, bool]) -> str:
    """Return what a case is called."""
    return f"{case[0]}-{'surrogate' if case[1] else 'eventprop'}"


@pytest.mark.parametrize(("name", "surrogate"), long_but(CASES, USUAL, named))
def test_native_and_numpy_agree_on_spikes_losses_gradients_and_updates(
    name: str, surrogate: bool
) -> None:
    program = graphs.GRAPHS[name].program(surrogate=surrogate)
    data, found = graphs.data(), []
    for backend in (NumpyBackend(program), native(program)):
        graphs.start(backend)
        results = backend.gradient(data, EXAMPLES, TRAINING)
        gradients = graphs.gradients(backend)
        backend.train(data, EXAMPLES, 2, np.full(2, 1e-3), 0, TRAINING)
        after = {t.name: backend.get(t.name) for t in program.tensors}
        found.append((results, gradients, after))
    (expected, gradients, after), (results, own, own_after) = found
    assert expected.layer_spikes[:, :-1].sum(axis=0).min() > 5, "a population is silent"
    np.testing.assert_array_equal(results.neuron_spikes, expected.neuron_spikes)
    np.testing.assert_allclose(results.loss, expected.loss, rtol=SAME)
    for tensor, gradient in gradients.items():
        assert np.abs(gradient).max() > 0, tensor
        assert relative(own[tensor], gradient) < SAME, tensor
    for tensor, value in after.items():
        assert relative(own_after[tensor], value) < SAME, tensor


@pytest.mark.parametrize(
    ("name", "surrogate"), long_but(SPREAD, [("late lists", False), ("axonal", True)], named)
)
def test_delayed_spikes_and_no_others_are_spread(name: str, surrogate: bool) -> None:
    program, data = graphs.GRAPHS[name].program(surrogate=surrogate), graphs.data()
    found = []
    segments = ("-DSNN_TAPE=0",) if surrogate else ()  # states are kept for the fewest steps
    for backend in (NumpyBackend(program), native(program, flags=segments)):
        graphs.start(backend)
        results = backend.gradient(data, EXAMPLES, Noise(delay_width=2.5))
        found.append((results, graphs.gradients(backend)))
    (expected, gradients), (results, own) = found
    np.testing.assert_array_equal(results.neuron_spikes, expected.neuron_spikes)
    np.testing.assert_allclose(results.loss, expected.loss, rtol=SAME)
    for tensor, gradient in gradients.items():
        assert relative(own[tensor], gradient) < SAME, tensor


@pytest.mark.parametrize("dt", [0.5, 0.3])
@pytest.mark.parametrize("name", long_but(["axonal", "dendritic", "synaptic"], ["synaptic"]))
def test_a_delay_meets_the_same_steps_in_float32_and_float64(name: str, dt: float) -> None:
    program, data = graphs.GRAPHS[name].program(dt=dt), graphs.data()
    backends = NumpyBackend(program), native(program, precision="float32")
    for backend in backends:
        graphs.start(backend)
        for tensor in program.tensors:
            if tensor.name.endswith("_delays"):
                backend.set(tensor.name, graphs.rounded_delays(tensor.shape, dt))
    for width in (0.0, 0.75, 2.0):
        noise = Noise(delay_width=width)
        expected, results = (b.gradient(data, EXAMPLES, noise) for b in backends)
        np.testing.assert_array_equal(results.neuron_spikes, expected.neuron_spikes)
        gradients, own = map(graphs.gradients, backends)
        for tensor, gradient in gradients.items():  # rounding of float32
            assert relative(own[tensor], gradient) < 1e-4, (width, tensor)


def test_spikes_are_spread_alike_after_an_evaluation_in_which_they_are_not() -> None:
    program, data = graphs.GRAPHS["axonal"].program(surrogate=True), graphs.data()
    kept = []
    for evaluated in (False, True):
        backend = native(program)
        graphs.start(backend)
        if evaluated:
            backend.evaluate(data, EXAMPLES)
        backend.gradient(data, EXAMPLES, Noise(delay_width=2.5))
        kept.append([g.tobytes() for g in graphs.gradients(backend).values()])
    assert kept[0] == kept[1]


# 11 threads would wait for slots of two examples, and walk trials apart where they can.
@pytest.mark.parametrize("surrogate", [False, True], ids=["eventprop", "surrogate"])
@pytest.mark.parametrize("name", long_but(graphs.GRAPHS, ["late lists"]))
def test_the_bits_do_not_depend_on_the_number_of_threads(name: str, surrogate: bool) -> None:
    program, data = graphs.GRAPHS[name].program(surrogate=surrogate), graphs.data(examples=40)
    kept = []
    for threads in (1, 3, 11):
        backend = native(program, threads=threads)
        graphs.start(backend)
        noise = Noise(dropout=0.1, key=4, in_network=True)
        backend.train(data, np.arange(40), 32, np.full(2, 1e-3), 0, noise)
        kept.append([backend.get(t.name).tobytes() for t in program.tensors])
    assert kept[0] == kept[1] == kept[2]
