"""What delays cost: processor time of a mini-batch with them, over that of the network without."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from benchmark import ssc
from benchmark.kernels import RATE, SHAPES, read_dump
from benchmark.programs import Variant, chain, delayed, in_turn, load, spikes_per_neuron
from snnrun.backends.base import Noise
from snnrun.compile.program import Program, compile_program
from snnrun.models.losses import SUM, SUM_WEIGH_EXP
from snnrun.network.delays import DelayKind
from snnrun.rules import EVENTPROP, SURROGATE

BATCH = 32
SHD, SSC = "shd-rec, eventprop", "3 x 256, surrogate"


AXONAL, SYNAPTIC, DENDRITIC = DelayKind.AXONAL, DelayKind.SYNAPTIC, DelayKind.DENDRITIC
VARIANTS = {
    "none": None,
    "axonal, recurrent": Variant(kind=AXONAL, recurrent=True),
    "axonal, input": Variant(kind=AXONAL, from_input=True),
    "axonal, both": Variant(kind=AXONAL, recurrent=True, from_input=True),
    "fixed axonal, recurrent": Variant(kind=AXONAL, recurrent=True, fixed=True),
    "fixed axonal, input": Variant(kind=AXONAL, from_input=True, fixed=True),
    "axonal, recurrent, width 5": Variant(kind=AXONAL, recurrent=True, width=5.0),
    "dendritic, recurrent": Variant(kind=DENDRITIC, recurrent=True),
    "synaptic, recurrent": Variant(kind=SYNAPTIC, recurrent=True),
}


def programs(shape: str) -> dict[str, Program]:
    """Return the program of each variant of a shape."""
    if shape == SHD:
        inputs, hidden, outputs, steps, dt, recurrent, mean, std = SHAPES["shd-rec"]
        network = chain(inputs, (hidden,), outputs, recurrent, first=(mean, std))
        rule, loss = EVENTPROP, SUM_WEIGH_EXP
    else:
        network, steps, dt = ssc.network(recurrent=True), ssc.STEPS, ssc.DT
        rule, loss = SURROGATE, SUM
    return {
        name: compile_program(
            delayed(network, variant, dt), loss, {}, steps=steps, dt=dt, rule=rule
        )
        for name, variant in VARIANTS.items()
    }


def measure(shape: str, dump: Path, rounds: int) -> Iterator[dict[str, object]]:
    """Yield one row per variant: processor ms of a mini-batch of one thread, learned and evaluated.

    ``dump``: inputs that floor.cpp wrote, for the shape ``SHD``.
    """
    data = read_dump(dump) if shape == SHD else ssc.inputs(BATCH)
    chosen, rates = np.arange(BATCH, dtype=np.int64), np.full(1, RATE)
    backends = {name: load(program, 1) for name, program in programs(shape).items()}
    learn, evaluate = {}, {}
    for name, backend in backends.items():
        variant = VARIANTS[name]
        noise = Noise(delay_width=variant.width if variant else 0.0)
        learn[name] = lambda b=backend, n=noise: b.train(data, chosen, BATCH, rates, 0, n)
        evaluate[name] = lambda b=backend: b.evaluate(data, chosen)
    learned, evaluated = in_turn(learn, rounds), in_turn(evaluate, rounds)
    for name, backend in backends.items():
        yield {
            "delays": name,
            "learned": learned[name],
            "learned ratio": learned[name] / learned["none"],
            "evaluated": evaluated[name],
            "evaluated ratio": evaluated[name] / evaluated["none"],
            "spikes": spikes_per_neuron(backend, data, chosen),
        }
