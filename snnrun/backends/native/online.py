"""The native backend at run time for rules that learn online."""

from __future__ import annotations

import ctypes as c
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from snnrun.backends.native.interface import Data, pointer, view_of
from snnrun.backends.native.library import CompiledProgram
from snnrun.backends.online import OnlineRuns, Presented, carried_names
from snnrun.compile.program import Program
from snnrun.datasets.spikes import SpikeData, Targets

KERNELS = ("neurons", "feedback", "synapses", "updates")  # as in runtime/online.hpp


class OnlineJob(c.Structure):
    """What one call does."""

    _fields_ = (
        ("data", c.POINTER(Data)),
        ("examples", c.c_void_p),
        ("count", c.c_int64),
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


class OnlineBackend(CompiledProgram, OnlineRuns):
    """A program compiled to C++; see :class:`snnrun.backends.base.Backend`."""

    job = OnlineJob

    def __init__(
        self, library: Path, program: Program, threads: int, numbers: Mapping[str, float]
    ) -> None:
        OnlineRuns.__init__(self, program)
        CompiledProgram.__init__(self, library, program, threads, numbers)
        self._fields = carried_names(program)
        assert len(self._fields) == self._lib.snn_fields(self._engine)
        fixed = self.fixed_feedback()
        if fixed is not None:
            self._lib.snn_feedback(self._engine, c.c_void_p(fixed.ctypes.data))

    def kernel_times(self) -> dict[str, float]:
        """Return the seconds spent so far in each part of the program."""
        seconds = np.zeros(len(KERNELS))
        self._lib.snn_times(self._engine, c.c_void_p(seconds.ctypes.data))
        return dict(zip(KERNELS, seconds.tolist(), strict=True))

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

    def _states(self, layer: int) -> dict[str, np.ndarray]:
        """Return the states of a layer in every step of a traced trial, [steps, neurons]."""
        compiled = self.program.populations[layer]
        found = {}
        for k, name in enumerate(compiled.dynamics.neuron.states):
            trace = np.empty((self.stop, compiled.population.size), self._real)
            self._lib.snn_trace(self._engine, layer, k, self.stop, c.c_void_p(trace.ctypes.data))
            found[name] = trace
        return found

    def _present(
        self,
        data: SpikeData,
        targets: Targets,
        examples: np.ndarray,
        rates: np.ndarray | None,
        *,
        trace: bool,
    ) -> Presented:
        """Present ``examples`` in order; without ``rates`` the weights are frozen."""
        populations = self.program.populations
        count, view = len(examples), view_of(data, self.program)
        error, square = np.zeros(count), np.zeros(count)
        layer_spikes = np.zeros((count, len(populations)), np.int32)
        neuron_spikes = np.zeros(sum(p.population.size for p in populations), np.int64)
        given = np.zeros(count) if rates is None else rates
        job = OnlineJob(
            data=c.pointer(view),
            examples=pointer(examples, np.int64),
            count=count,
            rates=pointer(given, np.float64),
            clock=self._clock,
            stop=self.stop,
            learn=rates is not None,
            trace=trace,
            error=error.ctypes.data,
            square=square.ctypes.data,
            layer_spikes=layer_spikes.ctypes.data,
            neuron_spikes=neuron_spikes.ctypes.data,
            failed=-1,
        )
        if count:
            self._carry_out(self._lib.snn_run, job)
        return Presented(
            error=error,
            square=square,
            layer_spikes=layer_spikes,
            neuron_spikes=neuron_spikes,
            failed=int(job.failed),
        )
