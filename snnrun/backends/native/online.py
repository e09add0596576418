"""The native backend at run time for rules that learn online: a built program, presented patterns.

What a trial leaves (potentials, traces, accumulators, the clock of the updates) the next one begins
with. ``carried`` holds it for checkpoints; evaluation and recordings put it back afterwards.
"""

from __future__ import annotations

import ctypes as c
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from snnrun.backends.base import Adam, Results, Trial
from snnrun.backends.native.emit_online import fields
from snnrun.backends.native.library import DataView, load_library, pointer, view_of
from snnrun.backends.pattern import figures_of
from snnrun.compile.program import Program
from snnrun.datasets.spikes import SpikeData, Targets
from snnrun.errors import BuildError, ConfigError
from snnrun.models.superspike import SuperSpike

WHICH = {"value": 0, "first": 1, "second": 2}  # weights, accumulators, roots of RMaxProp's maximum

KERNELS = ("neurons", "feedback", "synapses", "updates")  # as in runtime/online.hpp


class _Job(c.Structure):
    _fields_ = (
        ("data", c.POINTER(DataView)),
        ("examples", c.c_void_p),
        ("count", c.c_int64),
        ("target_offsets", c.c_void_p),
        ("target_step", c.c_void_p),
        ("target_neuron", c.c_void_p),
        ("rates", c.c_void_p),
        ("clock", c.c_int64),
        ("stop", c.c_int32),
        ("learn", c.c_int32),
        ("trace", c.c_int32),
        ("error", c.c_void_p),
        ("square", c.c_void_p),
        ("layer_spikes", c.c_void_p),
        ("neuron_spikes", c.c_void_p),
        ("failed", c.c_int64),
    )


class OnlineBackend:
    """A program compiled to C++; see :class:`snnrun.backends.base.Backend`."""

    batches_per_call = None

    def __init__(self, library: Path, program: Program, threads: int) -> None:
        assert program.online is not None
        self.program = program
        self.threads = threads
        self.rule: SuperSpike = program.online
        self.stop = program.steps  # steps of a trial to run; tests look at the state in between
        self._lib = load_library(library)
        self._real = np.float32 if self._lib.snn_real_bytes() == 4 else np.float64
        self._engine = c.c_void_p(self._lib.snn_create(threads))
        if not self._engine:
            raise BuildError(
                f"not enough memory for {threads} threads; set backend.threads to fewer"
            )
        self._layer = {t.name: t.layer for t in program.tensors}
        self._fields = fields(program)
        assert len(self._fields) == self._lib.snn_fields(self._engine)
        self._clock = 0  # steps of training so far
        self._silent: dict[tuple[int, int], float] = {}
        self._give_feedback()

    def _give_feedback(self) -> None:
        """Hand over the feedback where it is fixed; that of the forward weights follows them."""
        sizes = [p.population.size for p in self.program.populations]
        fixed = self.rule.fixed_feedback(sizes[0], sizes[-1]) if len(sizes) > 1 else None
        if fixed is not None:
            self._lib.snn_feedback(self._engine, c.c_void_p(fixed.ctypes.data))

    def __del__(self) -> None:
        self.close()

    def close(self) -> None:
        """Free the engine's memory; nothing else may be called afterwards."""
        if getattr(self, "_engine", None):
            self._lib.snn_destroy(self._engine)
            self._engine = c.c_void_p()

    def kernel_times(self) -> dict[str, float]:
        """Return the seconds spent so far in each part of the program."""
        seconds = np.zeros(len(KERNELS))
        self._lib.snn_times(self._engine, c.c_void_p(seconds.ctypes.data))
        return dict(zip(KERNELS, seconds.tolist(), strict=True))

    @property
    def lanes(self) -> int:
        """Numbers that one SIMD register holds."""
        return int(self._lib.snn_lanes())

    def get(self, name: str, which: str = "value") -> np.ndarray:
        """Return a copy of weights, of their accumulators, or of their scale, as rounded here."""
        plain = np.empty(self._shape(name), self._real)
        self._copy(name, which, plain, write=False)
        return plain

    def set(self, name: str, array: np.ndarray, which: str = "value") -> None:
        """Overwrite a tensor; the array is rounded to the build's precision."""
        plain = np.ascontiguousarray(array, self._real)
        if plain.shape != self._shape(name):
            raise ValueError(f"{name} has shape {self._shape(name)}, not {plain.shape}")
        self._copy(name, which, plain, write=True)

    def _shape(self, name: str) -> tuple[int, int]:
        return next(t.shape for t in self.program.tensors if t.name == name)

    def _copy(self, name: str, which: str, plain: np.ndarray, *, write: bool) -> None:
        self._lib.snn_copy(
            self._engine, self._layer[name], WHICH[which], int(write),
            c.c_void_p(plain.ctypes.data),
        )  # fmt: skip

    def carried(self) -> dict[str, np.ndarray]:
        """Return what the next trial begins with, beside the tensors."""
        kept = {"clock": np.array(self._clock, np.int64)}
        for index, name in enumerate(self._fields):
            shape = tuple(self._lib.snn_field_shape(self._engine, index, a) for a in (0, 1))
            kept[name] = np.empty(shape)
            self._lib.snn_field(self._engine, index, 0, c.c_void_p(kept[name].ctypes.data))
        return kept

    def carry(self, kept: Mapping[str, np.ndarray]) -> None:
        """Go on from what ``carried`` returned."""
        self._clock = int(kept["clock"])
        for index, name in enumerate(self._fields):
            plain = np.ascontiguousarray(kept[name], np.float64)
            self._lib.snn_field(self._engine, index, 1, c.c_void_p(plain.ctypes.data))

    def train(
        self,
        data: SpikeData,
        examples: np.ndarray,
        batch: int,
        rates: np.ndarray,
        adam: Adam,
        updates: int,
        dropout: float,
        dropout_key: int,
    ) -> Results:
        """Present ``examples`` in order while the synapses learn; one step size per example."""
        results = self._call(data, examples, rates=rates)
        self._clock += len(examples) * self.stop
        return results

    def evaluate(self, data: SpikeData, examples: np.ndarray) -> Results:
        """Present ``examples`` with frozen weights; what follows is as if it had not happened.

        The error is the mean over these trials alone.
        """
        with self._put_back():
            kept = self.carried()
            output = self.program.populations[-1].population.name
            kept[f"{output}_mean_square"][:] = 0.0
            self.carry({**kept, "clock": np.array(0, np.int64)})
            return self._call(data, examples)

    def gradient(
        self,
        data: SpikeData,
        examples: np.ndarray,
        dropout: float = 0.0,
        dropout_key: int = 0,
        disturbed: bool = False,
    ) -> Results:
        """Refuse: the rule follows no gradient of a loss."""
        raise ConfigError(
            f"rule {self.program.rule.name} has no gradient that could be compared; snnrun "
            "gradcheck is for rule=eventprop"
        )

    def trial(
        self,
        data: SpikeData,
        example: int,
        dropout: float = 0.0,
        dropout_key: int = 0,
        disturbed: bool = False,
    ) -> Trial:
        """Run one example and return everything that happened; what follows is unaffected.

        ``disturbed``: in training, with the weights changing as they will in the trial to come.
        """
        weights = {t.name: [self.get(t.name, which) for which in WHICH]
                   for t in self.program.tensors}  # fmt: skip
        rates = self.rule.rates(self._clock // self.program.steps, 1, self.program.duration)
        with self._put_back():
            results = self._call(
                data, np.array([example], np.int64), rates=rates if disturbed else None, trace=True
            )
            trial = self._traced(data, example, results)
        for name, arrays in weights.items():
            for which, array in zip(WHICH, arrays, strict=True):
                self.set(name, array, which)
        return trial

    def _traced(self, data: SpikeData, example: int, results: Results) -> Trial:
        spikes = [self._spikes(i) for i in range(len(self.program.populations))]
        states = []
        for layer, compiled in enumerate(self.program.populations):
            found = {}
            for k, name in enumerate(compiled.dynamics.neuron.states):
                trace = np.empty((self.stop, compiled.population.size), self._real)
                self._lib.snn_trace(self._engine, layer, k, self.stop,
                                    c.c_void_p(trace.ctypes.data))  # fmt: skip
                found[name] = trace
            states.append(found)
        input_steps, input_channels = data.events(example)
        return Trial(
            loss=float(results.loss[0]),
            prediction=-1,
            steps=tuple(step for step, _ in spikes),
            neurons=tuple(neuron for _, neuron in spikes),
            states=tuple(states),
            input_steps=input_steps.astype(np.int32),
            input_channels=input_channels.astype(np.int32),
        )

    @contextmanager
    def _put_back(self) -> Iterator[None]:
        kept = self.carried()
        try:
            yield
        finally:
            self.carry(kept)

    def _spikes(self, layer: int) -> tuple[np.ndarray, np.ndarray]:
        """Return steps and neurons of the last call's spikes of a layer, trial after trial."""
        count = self._lib.snn_spikes(self._engine, layer, None, None)
        steps, neurons = np.empty(count, np.int32), np.empty(count, np.int32)
        self._lib.snn_spikes(
            self._engine, layer, c.c_void_p(steps.ctypes.data), c.c_void_p(neurons.ctypes.data)
        )
        return steps, neurons

    def _call(
        self,
        data: SpikeData,
        examples: np.ndarray,
        rates: np.ndarray | None = None,
        trace: bool = False,
    ) -> Results:
        populations = self.program.populations
        targets = self._targets(data)
        count, view = len(examples), view_of(data, self.program)
        error, square = np.zeros(count), np.zeros(count)
        layer_spikes = np.zeros((count, len(populations)), np.int32)
        neuron_spikes = np.zeros(sum(p.population.size for p in populations), np.int64)
        given = np.zeros(count) if rates is None else rates
        job = _Job(
            data=c.pointer(view), examples=pointer(examples, np.int64), count=count,
            target_offsets=pointer(targets.offsets, np.int64),
            target_step=pointer(targets.steps, np.uint16),
            target_neuron=pointer(targets.neurons, np.uint16),
            rates=pointer(given, np.float64), clock=self._clock, stop=self.stop,
            learn=rates is not None, trace=trace, error=error.ctypes.data,
            square=square.ctypes.data, layer_spikes=layer_spikes.ctypes.data,
            neuron_spikes=neuron_spikes.ctypes.data, failed=-1,
        )  # fmt: skip
        if count:
            self._lib.snn_run(self._engine, c.byref(job))
        ends = self._clock + self.stop * np.arange(1, count + 1)
        loss = self.rule.shown_error(error, ends, self.program.dt)
        failed = int(job.failed)
        return Results(
            loss=loss,
            prediction=np.full(count, -1, np.int32),
            layer_spikes=layer_spikes,
            neuron_spikes=neuron_spikes,
            failed_batch=failed,
            failed_tensor=self.program.tensors[-1].name if failed >= 0 else "",
            figures=figures_of(
                self.program, targets, examples, loss / self.silent_loss(targets, examples),
                square, layer_spikes, self._spikes(len(populations) - 1),
            ),
        )  # fmt: skip

    def _targets(self, data: SpikeData) -> Targets:
        if data.targets is None:
            raise ConfigError(
                f"rule {self.program.rule.name} needs target spikes, which this data set has not; "
                "use dataset=pattern"
            )
        return data.targets

    def silent_loss(self, targets: Targets, examples: np.ndarray) -> np.ndarray:
        """Return the loss that silent outputs would have for each of ``examples``, [examples]."""
        found = []
        for example in examples.tolist():
            key = (id(targets), example)
            if key not in self._silent:
                self._silent[key] = silent_loss(self.program, targets, example)
            found.append(self._silent[key])
        return np.array(found)


def silent_loss(program: Program, targets: Targets, example: int) -> float:
    """Return the loss of silent outputs in the steady state of one pattern, repeated for ever."""
    rule = program.online
    assert rule is not None
    size = program.populations[-1].population.size
    square = rule.silent_square(*targets.of(example), size, program.steps, program.dt)
    return float(square.mean() * rule.tau_error / 1000 * rule.error_scale)
