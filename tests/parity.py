"""Builds a problem of the oracle with snnrun, so that a backend can be held against it."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from oracle import Problem

from snnrun.backends.base import Backend
from snnrun.backends.genn import open_for_check
from snnrun.backends.genn.backend import GennBackend
from snnrun.backends.genn.settings import CPU, Settings
from snnrun.backends.native.build import build, cache_folder
from snnrun.backends.native.compiler import find_compiler
from snnrun.backends.native.emit import generate
from snnrun.backends.native.library import NativeBackend
from snnrun.compile.program import Program, compile_program
from snnrun.datasets.packing import Events, pack
from snnrun.datasets.spikes import Courses, SpikeData, Targets
from snnrun.models.declare import Neuron, Parameter
from snnrun.models.losses import BUILT_IN
from snnrun.models.neurons import LIF, MEMBRANE, NEURONS
from snnrun.models.regularisers import Regulariser
from snnrun.models.surrogates import SpikeDerivative
from snnrun.network.network import Layer, Network, Population, Projection
from snnrun.rules import EVENTPROP, SURROGATE
from snnrun.rules.learning import Gradient

TAUS = ("tau_mem", "tau_syn")
LIF_REST = Neuron(  # with a constant term in its equation, which none of the built-in neurons has
    name="lif_rest",
    equations=MEMBRANE.replace("(I - V)", "(v_rest + I - V)"),
    threshold=LIF.threshold,
    reset=LIF.reset,
    refractory=LIF.refractory,
    held=LIF.held,
    parameters=(
        *LIF.parameters,
        Parameter(name="v_rest", default=0.15, unit="1", meaning="potential without input"),
    ),
    meaning="lif that is driven by a constant",
    source="tests only",
)
LARGE = ("-DSNN_LARGE_GRADIENT=1",)  # every first layer learns as a large one does
FOLDERS: list[tempfile.TemporaryDirectory[str]] = []  # of GeNN's code, while it is loaded
MODELS = {**NEURONS, "lif_rest": LIF_REST}


def network_of(
    problem: Problem,
    *,
    train: tuple[str, ...] = TAUS,
    noise: float = 0.0,
    spike_dropout: float = 0.0,
) -> Network:
    """Return the problem's network; equal values of all neurons become one constant."""
    n_inputs = len(problem.weights[problem.layers[0].feedforward])
    source, layers = "input", []
    for layer in problem.layers:
        neuron = MODELS[layer.model]
        values: dict[str, float | np.ndarray] = {
            p.name: layer.parameters.get(p.name, p.default) for p in neuron.parameters
        }
        for name, value in values.items():
            if np.ndim(value) and np.ptp(value) == 0:
                values[name] = float(np.ravel(value)[0])
        if "t_ref" in values:
            values["t_ref"] = layer.t_ref
        hidden = layer is not problem.layers[-1]
        population = Population(
            noise=noise * hidden,
            spike_dropout=spike_dropout * hidden,
            name=layer.name,
            size=layer.size,
            neuron=neuron,
            values=values,
            trained=tuple(n for n in train if n in layer.parameters),
            floors={},
        )
        projections = [_projection(layer.feedforward, source, layer.name)]
        if layer.recurrent:
            projections.append(_projection(layer.recurrent, layer.name, layer.name))
        layers.append(Layer(population=population, projections=tuple(projections)))
        source = layer.name
    return Network(
        input=Population(name="input", size=n_inputs, values={}, floors={}), layers=tuple(layers)
    )


def _projection(name: str, source: str, target: str) -> Projection:
    return Projection(name=name, source=source, target=target, mean=0.0, std=1.0)


def program_of(
    problem: Problem,
    dt: float,
    *,
    train: tuple[str, ...] = TAUS,
    integrator: str = "exact",
    regulariser: Regulariser | None = None,
    strengths: Mapping[str, float] | None = None,
    average_spikes: bool = False,
    noise: float = 0.0,
    spike_dropout: float = 0.0,
    spikes: SpikeDerivative | None = None,
) -> Program:
    """Return the problem as a Program on a grid of ``dt`` ms; ``spikes``: with rule=surrogate."""
    tau_mem = problem.layers[-1].parameters["tau_mem"]
    loss = BUILT_IN[problem.loss.name]
    values = {**problem.loss.values, "TAU_MEM": tau_mem[0]}
    return compile_program(
        network_of(problem, train=train, noise=noise, spike_dropout=spike_dropout),
        loss,
        {key: value for key, value in values.items() if key in loss.keys},
        steps=problem.steps(dt),
        dt=dt,
        integrator=integrator,
        window=problem.loss.window,
        regulariser=regulariser,
        regulariser_values=strengths,
        average_spikes=average_spikes,
        rule=EVENTPROP if spikes is None else SURROGATE,
        learning=Gradient(spikes=spikes),
    )


def data_of(problem: Problem, dt: float) -> SpikeData:
    """Return the problem's examples, binned."""
    n = len(problem.examples)
    events = [sorted(problem.events(dt, e)) for e in range(n)]
    steps = np.array([step for one in events for step, _ in one], np.int32)
    channels = np.array([channel for one in events for _, channel in one], np.uint16)
    counts = np.array([len(one) for one in events], np.int64)
    data = pack(
        Events(steps=steps, channels=channels, counts=counts),
        labels=np.array(problem.labels, np.int32),
        n_steps=problem.steps(dt),
        n_channels=len(problem.weights[problem.layers[0].feedforward]),
        n_classes=problem.layers[-1].size,
        merge=False,
    )
    if problem.courses is None:
        return data
    values = problem.courses.astype(np.float32)
    return replace(data, courses=Courses(values=values, rows=np.arange(n)))


def with_targets(data: SpikeData, targets_ETK: np.ndarray) -> SpikeData:
    """Return the data with spikes (bool) that the outputs should emit."""
    _, steps, neurons = np.nonzero(targets_ETK)
    counts = targets_ETK.sum((1, 2))
    targets = Targets(
        offsets=np.concatenate([[0], np.cumsum(counts)]).astype(np.int64),
        steps=steps.astype(np.uint16),
        neurons=neurons.astype(np.uint16),
    )
    return replace(data, targets=targets)


def native(
    program: Program,
    *,
    precision: str = "float64",
    contraction: bool = False,
    threads: int = 1,
    flags: tuple[str, ...] = (),
    numbers: Mapping[str, float] | None = None,
) -> NativeBackend:
    """Build ``program`` (float64 without contraction: the build that is compared) and load it.

    Without contraction the bits are the same with and without optimisation
    (test_optimisation.py), so that it is left out, which takes half the time. With contraction
    the build is the one that users get.
    """
    code = generate(program, precision)
    built = build(
        code.source,
        find_compiler(),
        contraction=contraction,
        extra_flags=("-O3" if contraction else "-O0", *flags),
        cache=cache_folder(None),
    )
    return NativeBackend(built.library, program, threads, numbers or code.numbers)


def genn(program: Program, data: Sequence[SpikeData], **settings: Any) -> GennBackend:
    """Build ``program`` for GeNN's CPU backend with IEEE arithmetic and load it.

    The code is in a folder of its own, which lasts as long as the process.
    """
    folder = tempfile.TemporaryDirectory(prefix="snnrun-genn-")
    FOLDERS.append(folder)
    chosen = Settings(**{"precision": "float64", "spikes": 400, **settings})
    return open_for_check(program, Path(folder.name), data, chosen, device=CPU)


def load_weights(backend: Backend, weights: Mapping[str, np.ndarray]) -> None:
    """Give the backend the problem's weights."""
    for name, array in weights.items():
        backend.set(name, array)


def load_parameters(backend: Backend, problem: Problem) -> None:
    """Give the backend the problem's parameters, of those that are not constants of the program."""
    for tensor in backend.program.tensors:
        if tensor.parameters:
            values = problem.layers[tensor.layer].parameters
            backend.set(tensor.name, np.array([values[name] for name in tensor.parameters]))


def gradients_of(backend: Backend) -> dict[str, np.ndarray]:
    """Return what the last gradient() left: projection, or "population.parameter" -> derivative."""
    found = {}
    for tensor in backend.program.tensors:
        array = backend.get(tensor.name, "gradient")
        if not tensor.parameters:
            found[tensor.name] = array
            continue
        population = backend.program.populations[tensor.layer].population
        for row, name in zip(array, tensor.parameters, strict=True):
            if name in population.trained:
                found[f"{population.name}.{name}"] = row
    return found


def constant(problem: Problem) -> Problem:
    """Return the problem with each parameter at its mean, the same for all neurons of a layer."""
    layers = tuple(
        replace(x, parameters={k: np.full(x.size, v.mean()) for k, v in x.parameters.items()})
        for x in problem.layers
    )
    return replace(problem, layers=layers)
