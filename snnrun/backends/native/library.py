"""The native backend at run time: a built program behind its C interface."""

from __future__ import annotations

import ctypes as c
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from snnrun.backends.base import NO_NOISE, UNSEEN, Backend, Noise, Results, Trial, by_tensor
from snnrun.backends.courses import CourseFigures
from snnrun.backends.native.exchange import Answering
from snnrun.backends.native.interface import (
    Connected,
    Data,
    Job,
    connections,
    described,
    load_library,
    pointer,
    view_of,
)
from snnrun.backends.parts import read_ahead
from snnrun.backends.pattern import TrainFigures
from snnrun.compile.program import WEIGHTS, Program
from snnrun.datasets.spikes import SpikeData
from snnrun.errors import BuildError, ConfigError, ResourceError

GRADIENT = -1  # as the engine numbers it; the value is 0, and states follow
EVALUATION_BATCH = 256  # any size gives the same results; this one keeps all threads busy


class CompiledProgram:
    """A built program: its library, and an engine that holds the tensors.

    Raises:
        BuildError: The library cannot be loaded, or is that of another program.
        ResourceError: There is not enough memory, or the system gives no more threads.
    """

    job: type[c.Structure]

    def __init__(
        self, library: Path, program: Program, threads: int, numbers: Mapping[str, float]
    ) -> None:
        self.program = program
        self.threads = threads
        self._lib = load_library(library)
        self._real = np.float32 if self._lib.snn_real_bytes() == 4 else np.float64
        self._engine = c.c_void_p()
        self._problem: bytes | None = None
        if self._lib.snn_numbers().decode().split() != list(numbers):
            raise BuildError(f"{library} is another program. Delete its folder to build it anew")
        values = np.array(list(numbers.values()), np.float64)
        given = c.c_void_p(values.ctypes.data)
        create, connected = self._lib.snn_create, connections(program)
        self._require_done(create(threads, given, connected, c.byref(self._engine)))
        *structs, tensors = self._lib.snn_interface(self._engine).decode().splitlines()
        if structs != [described(struct) for struct in (self.job, Data, Connected)]:
            raise BuildError(
                f"{library} was built for another version of snnrun. Delete its folder to build it "
                "anew"
            )
        by_place = {tensor.place: tensor for tensor in program.tensors}
        places = tensors.split()[1:]  # as it numbers them
        if sorted(places) != sorted(by_place):
            raise BuildError(f"{library} is another program. Delete its folder to build it anew")
        self._tensors = [by_place[place] for place in places]
        self._index = {tensor.name: i for i, tensor in enumerate(self._tensors)}
        order = {tensor.place: i for i, tensor in enumerate(program.tensors)}
        self._places = [order[tensor.place] for tensor in self._tensors]

    def __del__(self) -> None:
        self.close()

    def close(self) -> None:
        """Free the engine's memory; nothing else may be called afterwards."""
        if getattr(self, "_engine", None):
            self._lib.snn_destroy(self._engine)
            self._engine = c.c_void_p()

    @property
    def lanes(self) -> int:
        """Numbers that one SIMD register holds."""
        return int(self._lib.snn_lanes())

    def get(self, name: str, which: str = "value") -> np.ndarray:
        """Return a copy of a tensor, in the build's precision."""
        tensor = self._tensors[self._index[name]]
        plain = np.empty(tensor.shape, self._real)
        self._copy(name, which, plain, write=False)
        return plain

    def set(self, name: str, array: np.ndarray, which: str = "value") -> None:
        """Overwrite a tensor; the array is rounded to the build's precision."""
        tensor = self._tensors[self._index[name]]
        plain = np.ascontiguousarray(array, self._real)
        if plain.shape != tensor.shape:
            raise ValueError(f"{name} has shape {tensor.shape}, not {plain.shape}")
        self._copy(name, which, plain, write=True)

    def _carry_out(self, function: c._NamedFuncPointer, job: c.Structure) -> None:
        """Call a function with a job; after one that failed the program is not used any more."""
        self._require_done(self._problem)
        self._require_done(function(self._engine, c.byref(job)))

    def _require_done(self, problem: bytes | None) -> None:
        """Raise ResourceError if a call has returned a problem."""
        if problem is None:
            return
        self._problem = problem
        if problem == b"threads":
            raise ResourceError(
                f"the system gives no more threads, and backend.threads={self.threads} are wanted: "
                "a limit on processes (ulimit -u, or that of a container or a job) is reached. Set "
                "backend.threads to fewer, or have the limit raised"
            )
        if problem == b"memory":
            raise ResourceError(
                f"not enough memory for {self.threads} threads; set backend.threads to fewer, or "
                "choose a smaller network or N_BATCH"
            )
        said = problem.decode(errors="replace")
        raise ResourceError(f"the program ended with an error: {said}")

    def _copy(self, name: str, which: str, plain: np.ndarray, *, write: bool) -> None:
        held = ("value", *self._tensors[self._index[name]].states)
        number = GRADIENT if which == "gradient" else held.index(which)
        self._lib.snn_copy(
            self._engine, self._index[name], number, int(write), c.c_void_p(plain.ctypes.data)
        )

    def _spikes(self, layer: int) -> tuple[np.ndarray, np.ndarray]:
        """Return steps and neurons of the last spikes that a layer kept, or the input (-1)."""
        count = self._lib.snn_spikes(self._engine, layer, None, None)
        steps, neurons = np.empty(count, np.int32), np.empty(count, np.int32)
        self._lib.snn_spikes(
            self._engine, layer, c.c_void_p(steps.ctypes.data), c.c_void_p(neurons.ctypes.data)
        )
        return steps, neurons


class NativeBackend(CompiledProgram, Backend):
    """A program compiled to C++; see :class:`snnrun.backends.base.Backend`."""

    job = Job

    def __init__(
        self, library: Path, program: Program, threads: int, numbers: Mapping[str, float]
    ) -> None:
        super().__init__(library, program, threads, numbers)
        self._patterns = TrainFigures.for_loss(program)
        self._courses = CourseFigures.for_loss(program)
        for tensor in program.tensors:
            if tensor.kind != WEIGHTS:
                self.set(tensor.name, program.start_values(tensor))

    def parts(self, batch: int) -> int:
        """Return into how many parts processes can share a mini-batch of so many examples."""
        return int(self._lib.snn_parts(batch))

    def train(
        self,
        data: SpikeData,
        examples: np.ndarray,
        batch: int,
        rates: np.ndarray,
        updates: int,
        noise: Noise,
    ) -> Results:
        """Learn ``examples`` in order, in batches of ``batch``."""
        if self._patterns is not None and batch != 1:
            raise ConfigError(f"N_BATCH={batch}: loss {self.program.loss.name} needs N_BATCH=1")
        read_ahead(data, examples, batch, self.exchange, self.parts)
        ordered = np.ascontiguousarray(by_tensor(rates, self.program)[:, self._places])
        job = Job(
            batch=batch, train=1, rates=pointer(ordered, np.float64), updates=updates, **vars(noise)
        )
        if self.exchange is None:
            return self._call(self._lib.snn_run, job, data, examples, self.no_activations())
        job.rank, job.ranks = self.exchange.rank, self.exchange.ranks
        with Answering(self.exchange) as answering:
            job.exchange = answering.address
            return self._call(self._lib.snn_run, job, data, examples, self.no_activations())

    def evaluate(self, data: SpikeData, examples: np.ndarray) -> Results:
        """Run ``examples`` without learning, dropout, noise and spike dropout."""
        data.read_ahead(examples)
        job = Job(batch=EVALUATION_BATCH)
        return self._call(self._lib.snn_run, job, data, examples, self.no_activations())

    def gradient(self, data: SpikeData, examples: np.ndarray, noise: Noise = NO_NOISE) -> Results:
        """Leave the gradient of the examples' mean loss in the tensors."""
        job = Job(batch=len(examples), train=1, **vars(noise))
        return self._call(self._lib.snn_gradient, job, data, examples)

    def trial(self, data: SpikeData, example: int, noise: Noise = NO_NOISE) -> Trial:
        """Run one example and return everything that happened, with the weights as they are."""
        job = Job(batch=1, **vars(noise))
        results = self._call(self._lib.snn_trial, job, data, np.array([example], np.int64))
        input_steps, input_channels = self._spikes(-1)
        steps, neurons, states = [], [], []
        for layer, compiled in enumerate(self.program.populations):
            step, neuron = self._spikes(layer)
            steps.append(step)
            neurons.append(neuron)
            found = {}
            for k, name in enumerate(compiled.dynamics.neuron.variables):
                trace = np.empty((self.program.steps, compiled.population.size), self._real)
                self._lib.snn_trace(self._engine, layer, k, c.c_void_p(trace.ctypes.data))
                found[name] = trace
            states.append(found)
        return Trial(
            loss=float(results.loss[0]),
            prediction=int(results.prediction[0]),
            steps=tuple(steps),
            neurons=tuple(neurons),
            states=tuple(states),
            input_steps=input_steps,
            input_channels=input_channels,
        )

    def _call(
        self,
        function: c._NamedFuncPointer,
        job: Job,
        data: SpikeData,
        examples: np.ndarray,
        activations: np.ndarray | None = None,
    ) -> Results:
        if self._patterns is not None:
            self._patterns.require(data)
        view = view_of(data, self.program)
        layers = len(self.program.populations)
        neurons = sum(p.population.size for p in self.program.populations)
        count = len(examples)
        loss = np.zeros(count)
        prediction = np.full(count, UNSEEN if job.exchange else 0, np.int32)
        layer_spikes = np.zeros((count, layers), np.int32)
        neuron_spikes = np.zeros(neurons, np.int64)
        job.data = c.pointer(view)
        job.examples, job.count = pointer(examples, np.int64), count
        job.loss, job.prediction = loss.ctypes.data, prediction.ctypes.data
        job.layer_spikes, job.neuron_spikes = layer_spikes.ctypes.data, neuron_spikes.ctypes.data
        job.failed_batch, job.failed_tensor = -1, -1
        if activations is not None:
            first = 0 if self.counts_inputs else activations.shape[2] - neurons
            counted = np.ascontiguousarray(activations[:, :, first:])
            job.activations, job.late_steps = counted.ctypes.data, counted.shape[1] - 1
            job.counts_inputs = self.counts_inputs
        if count:
            self._carry_out(function, job)
        if activations is not None:
            activations[:, :, first:] = counted
            self._complete(activations, neuron_spikes)
        tensor = self._tensors[job.failed_tensor].name if job.failed_tensor >= 0 else ""
        return Results(
            loss=loss,
            prediction=prediction,
            layer_spikes=layer_spikes,
            neuron_spikes=neuron_spikes,
            failed_batch=job.failed_batch,
            failed_tensor=tensor,
            figures=self._figures(data, examples, loss, layer_spikes),
            activations=activations,
        )

    def _complete(self, activations: np.ndarray, neuron_spikes: np.ndarray) -> None:
        """Enter the activations before the last steps, of neurons that emit one spike at most."""
        populations = [compiled.population for compiled in self.program.populations]
        single = np.repeat([p.most_spikes == 1 for p in populations], [p.size for p in populations])
        of_neurons = activations[0, :, self.program.network.input.size :]
        early = neuron_spikes - of_neurons[:-1].sum(axis=0)
        of_neurons[-1, single] = early[single]

    def _figures(
        self, data: SpikeData, examples: np.ndarray, loss: np.ndarray, layer_spikes: np.ndarray
    ) -> dict[str, np.ndarray]:
        """Return how the outputs met their targets in the last call, where there are targets."""
        if self._courses is not None and len(examples):
            return self._courses.of(data, loss)
        if self._patterns is None or not len(examples):
            return {}
        total = int(layer_spikes[:, -1].sum())
        steps, neurons = np.empty(total, np.int32), np.empty(total, np.int32)
        self._lib.snn_emitted(
            self._engine, c.c_void_p(steps.ctypes.data), c.c_void_p(neurons.ctypes.data)
        )
        return self._patterns.of_loss(data, examples, loss, layer_spikes, (steps, neurons))
