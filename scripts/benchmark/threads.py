"""How more threads share a mini-batch: the time of one, over that of all, each on its own core."""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np

from benchmark.kernels import RATE, SHAPES
from benchmark.programs import RECURRENT, chain, load, random_events
from snnrun.backends.base import NO_NOISE
from snnrun.backends.native.library import NativeBackend
from snnrun.compile.program import compile_program
from snnrun.datasets.spikes import SpikeData
from snnrun.models.losses import SUM_WEIGH_EXP
from snnrun.rules import EVENTPROP, SURROGATE
from snnrun.rules.base import Rule

ONE_SHARE = ("-DSNN_SLOTS=1",)  # so that two threads have to wait, as more do for 16 shares
SPIKES = {700: 8000, 140: 8000, 5: 30}  # of an example, by its channels


class Case(NamedTuple):
    """A network, the size of a mini-batch, and flags for the compiler."""

    inputs: int
    hidden: tuple[int, ...]
    recurrent: bool
    batch: int
    rule: Rule = EVENTPROP
    flags: tuple[str, ...] = ()


_SMALL = {
    "5-200-3": Case(5, (200,), False, 32),
    "700-256r-20": Case(700, (256,), True, 32),
    "700-256r-20, surrogate": Case(700, (256,), True, 32, SURROGATE),
    "140-256-256-20, surrogate": Case(140, (256, 256), False, 32, SURROGATE),
}
CASES = {
    **_SMALL,
    "700-1024r-20": Case(700, (1024,), True, 32),
    **{f"{name}, one share": case._replace(flags=ONE_SHARE) for name, case in _SMALL.items()},
    **{f"700-{n}r-20, one example": Case(700, (n,), True, 1) for n in (512, 1024, 2048)},
}


def threads() -> list[int]:
    """Return 1, 2, 4, ... and the number of cores."""
    cores = len(os.sched_getaffinity(0))
    return sorted({min(1 << n, cores) for n in range(cores.bit_length() + 1)})


def measure(rounds: int) -> Iterator[tuple[str, list[float]]]:
    """Yield for each case the ms of a mini-batch with ``threads()``: medians of 20 ``rounds``."""
    for name, case in CASES.items():
        shape = "yinyang" if case.inputs == 5 else "shd-rec"
        _, _, outputs, _, dt, _, mean, std = SHAPES[shape]
        steps = 300 if case.inputs == 5 else 1000
        between = (0.05, 0.05)
        network = chain(
            case.inputs, case.hidden, outputs, case.recurrent, (1.5 * mean, std), between
        )
        program = compile_program(network, SUM_WEIGH_EXP, {}, steps=steps, dt=dt, rule=case.rule)
        data = random_events(case.batch, SPIKES[case.inputs], case.inputs, steps, outputs)
        found = []
        for count in threads():
            before = _tasks()
            backend = load(program, count, case.flags)
            if case.recurrent:
                size = case.hidden[0]
                spread = RECURRENT[1] * (SHAPES["shd-rec"][1] / size) ** 0.5
                draw = np.random.default_rng(2)
                backend.set("hid_to_hid", draw.normal(0.0, spread, (size, size)))
            with_cores = sorted(os.sched_getaffinity(0))
            _pin([0, *sorted(_tasks() - before)], with_cores)
            found.append(_milliseconds(backend, data, case.batch, 20 * rounds))
            os.sched_setaffinity(0, with_cores)
        yield name, found


def _tasks() -> set[int]:
    return {int(path.name) for path in Path("/proc/self/task").iterdir()}


def _pin(tasks: list[int], cores: list[int]) -> None:
    for task, core in zip(tasks, cores, strict=False):
        os.sched_setaffinity(task, {core})


def _milliseconds(backend: NativeBackend, data: SpikeData, batch: int, rounds: int) -> float:
    chosen, rates, times = np.arange(batch), np.full(1, RATE), []
    for _ in range(rounds):
        began = time.perf_counter()
        backend.train(data, chosen, batch, rates, 0, NO_NOISE)
        times.append(1e3 * (time.perf_counter() - began))
    return statistics.median(times)
