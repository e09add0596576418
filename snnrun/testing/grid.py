"""A problem on the time grid: built by a backend in float64, and its gradient."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from snnrun.backends.base import Backend
from snnrun.backends.genn import open_for_check
from snnrun.backends.genn.settings import Settings
from snnrun.backends.interpreter.backend import NumpyBackend
from snnrun.backends.native.build import build, cache_folder
from snnrun.backends.native.compiler import find_compiler
from snnrun.backends.native.emit import generate
from snnrun.backends.native.library import NativeBackend
from snnrun.compile.program import Program, compile_program
from snnrun.datasets.packing import Events, pack
from snnrun.datasets.spikes import Courses, SpikeData
from snnrun.machine import usable_cores
from snnrun.network.network import Network
from snnrun.testing.equations import Array
from snnrun.testing.exact import Problem
from snnrun.testing.exact_loss import target_course


@dataclass(frozen=True, kw_only=True)
class BuildOptions:
    """How the programs of a check are compiled.

    They run for milliseconds, so they are built without optimisation, which takes half the time.
    None stands for the compiler that is found and the cache that builds usually have.
    """

    backend: str = "native"
    device: str | None = None  # of GeNN
    compiler: str | None = None
    cache: str | None = None
    flags: tuple[str, ...] = ()
    only_cached: bool = False


@dataclass(frozen=True, kw_only=True)
class GridResult:
    """Loss, spikes of every neuron per layer, and the gradient, of the problem's example."""

    loss: float
    counts: list[Array]
    gradients: dict[str, Array]  # trained weights and delays, and "population.parameter"


@dataclass(frozen=True, kw_only=True)
class Grid:
    """A network that is built for steps of ``dt`` ms."""

    dt: float
    backend: Backend
    folder: tempfile.TemporaryDirectory[str] | None = None  # with GeNN's code, while it is loaded

    def run(
        self, problem: Problem, values: Mapping[str, Sequence[float] | Array | float] | None = None
    ) -> GridResult:
        """Return what comes of ``problem``, which differs from the built one in numbers only.

        ``values`` replaces parameters, by ``population.parameter``; only those that may differ from
        neuron to neuron can be replaced in a program that is built.
        """
        backend, program = self.backend, self.backend.program
        for name, table in (*problem.weights.items(), *problem.delays.items()):
            backend.set(name, table)
        given = {
            f"{x.population.name}.{p}": v
            for x in problem.network.layers
            for p, v in x.population.values.items()
        } | dict(values or {})
        for tensor in program.tensors:
            if tensor.parameters:
                name = program.network.layers[tensor.layer].population.name
                rows = [
                    np.broadcast_to(given[f"{name}.{p}"], tensor.shape[1:])
                    for p in tensor.parameters
                ]
                backend.set(tensor.name, np.array(rows, float))
        data, example = _data(problem, self.dt), np.zeros(1, np.int64)
        spikes = backend.evaluate(data, example).neuron_spikes
        results = backend.gradient(data, example)
        gradients = {}
        for tensor in program.tensors:
            if not tensor.trained:
                continue
            array = backend.get(tensor.name, "gradient")
            if not tensor.parameters:
                gradients[tensor.name] = array
                continue
            population = program.network.layers[tensor.layer].population
            for row, parameter in zip(array, population.trained, strict=False):
                gradients[f"{population.name}.{parameter}"] = row
        sizes = [layer.population.size for layer in program.network.layers]
        counts = np.split(spikes, np.cumsum(sizes)[:-1])
        return GridResult(loss=float(results.loss[0]), counts=counts, gradients=gradients)


def build_grids(
    problem: Problem, dts: Sequence[float], integrator: str, options: BuildOptions
) -> tuple[Grid, ...]:
    """Build the problem's network on grids of ``dts`` ms, in float64 without FP contraction."""
    make = {"native": _native_grids, "genn": _genn_grids, "numpy": _numpy_grids}[options.backend]
    programs = [
        compile_program(
            problem.network,
            problem.loss,
            problem.loss_values,
            steps=round(problem.duration / dt),
            dt=dt,
            integrator=integrator,
        )
        for dt in dts
    ]
    return make(programs, problem, options)


def _numpy_grids(
    programs: Sequence[Program], problem: Problem, options: BuildOptions
) -> tuple[Grid, ...]:
    return tuple(Grid(dt=program.dt, backend=NumpyBackend(program)) for program in programs)


def _native_grids(
    programs: Sequence[Program], problem: Problem, options: BuildOptions
) -> tuple[Grid, ...]:
    generated = [generate(program, "float64") for program in programs]
    compiler = find_compiler(options.compiler)

    def library(source: str) -> Path:
        return build(
            source,
            compiler,
            contraction=False,
            extra_flags=(*options.flags, "-O0"),
            cache=cache_folder(options.cache),
            only_cached=options.only_cached,
        ).library

    with ThreadPoolExecutor(usable_cores()) as pool:  # each waits for a compiler
        libraries = list(pool.map(library, [g.source for g in generated]))
    return tuple(
        Grid(dt=program.dt, backend=NativeBackend(built, program, 1, code.numbers))
        for built, program, code in zip(libraries, programs, generated, strict=True)
    )


def _genn_grids(
    programs: Sequence[Program], problem: Problem, options: BuildOptions
) -> tuple[Grid, ...]:
    grids = []
    for program in programs:
        folder = tempfile.TemporaryDirectory(prefix="snnrun-genn-")
        backend = open_for_check(
            program,
            Path(folder.name),
            [_data(problem, program.dt)],
            Settings(precision="float64", spikes=program.steps),
            device=options.device,
            compiler=options.compiler,
            flags=options.flags,
            cache=options.cache,
            only_cached=options.only_cached,
        )
        grids.append(Grid(dt=program.dt, backend=backend, folder=folder))
    return tuple(grids)


def constant(network: Network) -> Network:
    """Return the network with each parameter at its mean over the neurons, and none trained."""
    layers = []
    for layer in network.layers:
        values = {name: float(np.mean(v)) for name, v in layer.population.values.items()}
        population = replace(layer.population, values=values, trained=())
        layers.append(replace(layer, population=population))
    return replace(network, layers=tuple(layers))


def _data(problem: Problem, dt: float) -> SpikeData:
    events = Events(
        counts=np.array([len(problem.times)]), times_ms=problem.times, channels=problem.channels
    )
    steps, outputs = round(problem.duration / dt), problem.network.layers[-1].population.size
    data = pack(
        events,
        labels=np.array([problem.label], np.int32),
        n_steps=steps,
        n_channels=problem.network.input.size,
        n_classes=outputs,
        dt_ms=dt,
        merge=False,
    )
    if not problem.loss.readout.courses:
        return data
    course = target_course(np.arange(1, steps + 1) * dt, outputs, problem.duration)
    values = course[None].astype(np.float32)
    return replace(data, courses=Courses(values=values, rows=np.zeros(1, np.int64)))
