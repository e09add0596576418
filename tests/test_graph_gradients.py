"""Gradients of graphs with delays and ports: against the exact ones, and those of the program.

What holds: where a projection ends in neurons that do not spike, the program's loss is a continuous
function of its weights and delays, and the gradients of both rules are its derivative, for any
width of the triangle; at a delay of whole steps, where the interpolation has a kink, that to longer
ones. Where a projection ends in neurons that spike, spikes lie on whole steps and the loss jumps:
rule eventprop then approaches the derivative in continuous time in first order, and rule surrogate
has that of its surrogate.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from graphs import (
    CHANNELS,
    DENDRITIC,
    SYNAPTIC,
    Array,
    by_hand,
    everything,
    gradients_by_hand,
    population,
    shared,
    sparse,
)
from hypothesis import given, settings
from hypothesis import strategies as st
from long import long_but

from snnrun.backends.base import Noise
from snnrun.backends.interpreter.backend import NumpyBackend
from snnrun.compile.program import DELAYS, Tensor, compile_program
from snnrun.connectivity.synapses import Synapses
from snnrun.datasets.packing import Events, pack
from snnrun.models.losses import AVG_XENTROPY, FIRST_SPIKE_EXP, SUM, Loss
from snnrun.models.neurons import LIF, LIF_EXC_INH
from snnrun.network.delays import DelayKind, Delays
from snnrun.network.network import Layer, Network, Population, Projection
from snnrun.rules import EVENTPROP, SURROGATE
from snnrun.rules.base import Rule
from snnrun.streams import stream
from snnrun.testing.grid import BuildOptions, build_grids

DTS = (0.05, 0.01)  # ms
CASES = {
    "sum": (SUM, 9, 0.0),
    "sum, refractory": (SUM, 2, 1.5),
    "first_spike_exp": (FIRST_SPIKE_EXP, 3, 0.0),
    "first_spike_exp, refractory": (FIRST_SPIKE_EXP, 8, 1.5),
}


@pytest.mark.parametrize(
    ("name", "backend"),
    long_but(
        [(name, backend) for name in CASES for backend in ("numpy", "native")],
        [],
        lambda case: f"{case[1]}: {case[0]}",
    ),
)
def test_the_grid_approaches_the_exact_gradient_in_first_order(name: str, backend: str) -> None:
    problem = everything(*CASES[name])
    trial = by_hand(problem)
    exact = gradients_by_hand(problem, trial)
    for grid in build_grids(problem, DTS, "exact", BuildOptions(backend=backend)):
        found = grid.run(problem)
        assert sum(count.sum() for count in found.counts) == len(trial.spikes)
        assert abs(found.loss - trial.loss) < 1.0 * grid.dt
        assert found.gradients.keys() == exact.keys()
        for key, gradient in found.gradients.items():
            size = np.linalg.norm(exact[key]) or 1.0  # 0 where no output spikes twice
            assert np.linalg.norm(gradient - exact[key]) < 2.5 * grid.dt * size, key


# What is continuous: projections from the input and from neurons that are left alone, to a readout
READOUT = replace(
    LIF_EXC_INH,
    name="li_exc_inh",
    threshold=None,
    reset="",
    refractory=None,
    held=(),
    parameters=LIF_EXC_INH.parameters[:3],
)
SIZES = {"input": CHANNELS, "hidden": 5, "output": 3}
STEPS, MOST = 24, 6  # of 1 ms


@st.composite
def projections_to_the_output(draw: st.DrawFn) -> list[Projection]:
    """Up to four of any kind, the first one usual."""
    found = []
    for number in range(draw(st.integers(1, 4))):
        source = draw(st.sampled_from(("input", "hidden")))
        ends = SIZES[source], SIZES["output"]
        made: list[Synapses | None] = [None, sparse(*ends)]
        kind = draw(st.sampled_from((None, *DelayKind)))
        if kind is not SYNAPTIC:  # refused with shared weights
            made.append(shared(*ends))
        delays = None
        if kind is not None:
            random = stream(draw(st.integers(0, 99)), "delays")
            # apart from whole and half steps, where the program has a kink
            part = random.choice([0.1, 0.3, 0.7, 0.8], kind.shape(*ends))
            start = random.integers(0, MOST, part.shape) + part
            delays = Delays(kind=kind, start=start, most=float(MOST), trained=True)
        found.append(
            Projection(
                name=f"to_output_{number}",
                source=source,
                target="output",
                mean=0.2,
                std=1.0,
                port=draw(st.sampled_from(("", "I"))) if number else "",
                synapses=draw(st.sampled_from(made)),
                delays=delays,
            )
        )
    return found


def graph(projections: Sequence[Projection]) -> Network:
    """Return a network whose hidden neurons do not learn."""
    first = Projection(
        name="first", source="input", target="hidden", mean=1.2, std=0.6, trained=False
    )
    output = population("output", READOUT, SIZES["output"], seed=0)
    return Network(
        input=Population(name="input", size=CHANNELS, values={}, floors={}),
        layers=(
            Layer(population=population("hidden", LIF, SIZES["hidden"], 0), projections=(first,)),
            Layer(population=output, projections=tuple(projections)),
        ),
    )


def program_of(network: Network, loss: Loss, rule: Rule) -> NumpyBackend:
    """Return a backend with weights."""
    backend = NumpyBackend(
        compile_program(network, loss, {}, steps=STEPS, dt=1.0, rule=rule, integrator="exact")
    )
    for p in network.projections:
        ends = network.size(p.source), network.size(p.target)
        backend.set(p.name, p.draw(stream(1, f"weights {p.name}"), ends))
    return backend


def differs(backend: NumpyBackend, tensor: Tensor, noise: Noise) -> float:
    """Return by how much the gradient is wrong along a random direction, relative to its size."""
    times = np.repeat(np.arange(0, 20, 2), 2).astype(float)
    channels = np.arange(len(times)) * 7 // 3 % CHANNELS
    data = pack(
        Events(counts=np.array([len(times)]), times_ms=times, channels=channels),
        labels=np.array([1], np.int32),
        n_steps=STEPS,
        n_channels=CHANNELS,
        n_classes=SIZES["output"],
        dt_ms=1.0,
        merge=False,
    )
    example = np.zeros(1, np.int64)
    assert backend.evaluate(data, example).layer_spikes[0, 0] >= 5
    value = backend.get(tensor.name)
    direction = stream(2, tensor.name).normal(0, 1, value.shape)
    direction /= np.linalg.norm(direction)
    losses = []
    for step in (1e-4, -1e-4):
        backend.set(tensor.name, value + step * direction)
        losses.append(float(backend.gradient(data, example, noise).loss[0]))
    backend.set(tensor.name, value)
    backend.gradient(data, example, noise)
    gradient = backend.get(tensor.name, "gradient")
    size = float(np.linalg.norm(gradient))
    slope = (losses[0] - losses[1]) / 2e-4
    return abs(slope - float((gradient * direction).sum())) / max(size, 1e-6)


@settings(max_examples=12, deadline=None)
@given(
    projections=projections_to_the_output(),
    loss=st.sampled_from((SUM, AVG_XENTROPY)),
    rule=st.sampled_from((EVENTPROP, SURROGATE)),
    width=st.sampled_from((0.0, 0.5, 1.0, 3.0)),
)
def test_gradients_are_the_slopes_of_the_program(
    projections: list[Projection], loss: Loss, rule: Rule, width: float
) -> None:
    backend = program_of(graph(projections), loss, rule)
    learned = [t for t in backend.program.tensors if t.trained and t.projection is not None]
    assert any(t.kind == DELAYS for t in learned) == any(p.delays for p in projections)
    for tensor in learned:
        assert differs(backend, tensor, Noise(delay_width=width)) < 1e-6, tensor.name


def test_at_a_whole_step_the_gradient_by_a_delay_is_the_slope_to_longer_ones() -> None:
    def delayed(d: float) -> tuple[float, Array]:
        start = np.full((1, SIZES["output"]), d)
        delays = Delays(kind=DENDRITIC, start=start, most=float(MOST), trained=True)
        p = Projection(name="late", source="input", target="output", mean=1, std=1, delays=delays)
        backend = program_of(graph([p]), SUM, EVENTPROP)
        (tensor,) = [t for t in backend.program.tensors if t.kind == DELAYS]
        return differs(backend, tensor, Noise()), backend.get("late_delays", "gradient")

    (_, at), (_, above), (_, below) = (delayed(d) for d in (2.0, 2 + 1e-5, 2 - 1e-5))
    np.testing.assert_allclose(at, above, rtol=0, atol=1e-5 * np.abs(at).max())
    assert np.abs(at - below).max() > 1e-3 * np.abs(at).max()  # the kink


def test_delays_of_0_change_nothing() -> None:
    plain = Projection(name="late", source="hidden", target="output", mean=1, std=1)
    start = np.zeros(SYNAPTIC.shape(SIZES["hidden"], SIZES["output"]))
    delays = Delays(kind=SYNAPTIC, start=start, most=float(MOST), trained=True)
    gradients = []
    for p in (plain, replace(plain, delays=delays)):
        backend = program_of(graph([p]), SUM, EVENTPROP)
        (tensor,) = [t for t in backend.program.tensors if t.name == "late"]
        assert differs(backend, tensor, Noise()) < 1e-6
        gradients.append(backend.get("late", "gradient"))
    np.testing.assert_array_equal(*gradients)
