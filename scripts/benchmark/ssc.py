"""An epoch of the size of the Spiking Speech Commands: time and memory.

Random spikes, of which a slice of the epoch is learned, each case in a process of its own.
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmark.programs import Variant, chain, delayed, load, random_events, spikes_per_neuron
from snnrun.backends.base import Noise
from snnrun.compile.program import compile_program
from snnrun.datasets.spikes import SpikeData
from snnrun.models.losses import SUM
from snnrun.network.delays import DelayKind
from snnrun.network.network import Network
from snnrun.rules import EVENTPROP, SURROGATE

EXAMPLES, EVENTS = 75466, 8000
INPUTS, HIDDEN, CLASSES = 140, (256, 256, 256), 35  # five neighbouring channels of 700 are one
STEPS, DT, BATCH = 250, 4.0, 128
SLICE = 10 * BATCH  # examples, after a mini-batch that warms up
RATE = 1e-9  # weights stay as they are
FIRST, BETWEEN = (0.022, 0.1), (0.06, 0.2)  # mean and std of weights: about 10 spikes a neuron
RULES = {rule.name: rule for rule in (EVENTPROP, SURROGATE)}


@dataclass(frozen=True)
class Case:
    """A rule, learned axonal delays of the recurrent projections, and how many threads."""

    rule: str
    delays: bool
    width: float  # of the triangle, in steps
    threads: int


CASES = [
    Case(rule, *delays, threads)
    for rule in RULES
    for delays in ((False, 0.0), (True, 0.0), (True, 5.0))
    for threads in (1, 2)
]


def network(*, recurrent: bool) -> Network:
    """Return 140 inputs, three hidden layers of 256 neurons and 35 classes."""
    return chain(INPUTS, HIDDEN, CLASSES, recurrent, FIRST, BETWEEN)


def inputs(examples: int) -> SpikeData:
    """Return random spikes."""
    return random_events(examples, EVENTS, INPUTS, STEPS, CLASSES)


def measure() -> Iterator[tuple[Case, Mapping[str, float]]]:
    """Yield each case with what ``run`` returns."""
    for case in CASES:
        done = subprocess.run(
            [sys.executable, "-m", "benchmark.ssc", json.dumps(vars(case))],
            cwd=Path(__file__).parents[1],
            stdout=subprocess.PIPE,
            text=True,
            check=True,
        )
        yield case, json.loads(done.stdout)


def run(case: Case) -> dict[str, float]:
    """Learn the slice; return seconds of an epoch, and memory in MB.

    ``processor`` is that of all threads, ``wall`` what passes on a machine that does nothing else.
    ``memory``: of this process at its largest, with all the examples of an epoch.
    """
    variant = Variant(kind=DelayKind.AXONAL, recurrent=True) if case.delays else None
    program = compile_program(
        delayed(network(recurrent=True), variant, DT),
        SUM,
        {},
        steps=STEPS,
        dt=DT,
        rule=RULES[case.rule],
    )
    backend = load(program, case.threads)
    data = inputs(BATCH + SLICE)
    examples = np.arange(BATCH + SLICE, dtype=np.int64)
    noise = Noise(delay_width=case.width)

    def learn(chosen: np.ndarray) -> None:
        backend.train(data, chosen, BATCH, np.full(len(chosen) // BATCH, RATE), 0, noise)

    learn(examples[:BATCH])
    processor, wall = time.process_time(), time.perf_counter()
    learn(examples[BATCH:])
    epoch = EXAMPLES / SLICE
    size = sum(array.nbytes for array in vars(data).values() if isinstance(array, np.ndarray))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3
    return {
        "processor": epoch * (time.process_time() - processor),
        "wall": epoch * (time.perf_counter() - wall),
        "slice memory": peak,
        "memory": peak + size / 1e6 * (EXAMPLES / len(examples) - 1),
        "spikes": spikes_per_neuron(backend, data, examples[:BATCH]),
    }


if __name__ == "__main__":
    print(json.dumps(run(Case(**json.loads(sys.argv[1])))))
