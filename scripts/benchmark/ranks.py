"""How ranks of MPI would scale, by a model: measured time of the processor, sizes of messages."""

from __future__ import annotations

import time
from collections.abc import Iterator
from math import ceil, log2

import numpy as np

from benchmark.kernels import RATE, SHAPES
from benchmark.programs import RECURRENT, chain, load, random_events
from snnrun.backends.base import NO_NOISE
from snnrun.compile.program import compile_program
from snnrun.models.losses import SUM_WEIGH_EXP

HIDDEN, BATCHES, NODES = (256, 512, 1024, 2048), (32, 128, 512), (4, 16, 64)
GIGABITS = (10, 100)
CORES = 16  # of a node, each as fast as the one that is measured; a node has one rank
LATENCY_S, MESSAGE_S = 30e-6, 15e-6  # of a message on its way; of a rank's work for one
STAGE, MOST_STAGES = 64 << 10, 64  # bytes of a part of the sum, and parts, about
PARTS, LEAST_LARGE = 16, 8  # of a mini-batch; examples of one of a program with large layers
LARGE = 10 * (192 << 10)  # bytes of the gradient from which it is one
EXAMPLES, EVENTS, STEPS = 32, 8000, 1000


def measure(hidden: int, rounds: int) -> tuple[float, int, float]:
    """Return seconds of one thread for an example, bytes of the gradient, spikes per neuron.

    Spoken digits with one recurrent layer: 700 inputs, 8,000 random events, 1,000 steps, EventProp.
    """
    inputs, _, outputs, _, dt, _, mean, std = SHAPES["shd-rec"]
    network = chain(inputs, (hidden,), outputs, recurrent=True, first=(1.5 * mean, std))
    program = compile_program(network, SUM_WEIGH_EXP, {}, steps=STEPS, dt=dt)
    backend = load(program, 1)
    draw = np.random.default_rng(2)
    spread = RECURRENT[1] * (SHAPES["shd-rec"][1] / hidden) ** 0.5  # the same drive for all sizes
    backend.set("hid_to_hid", draw.normal(0.0, spread, (hidden, hidden)))
    data, chosen = random_events(EXAMPLES, EVENTS, inputs, STEPS, outputs), np.arange(EXAMPLES)
    rates, least = np.full(1, RATE), np.inf
    for _ in range(rounds):
        began = time.process_time()
        results = backend.train(data, chosen, EXAMPLES, rates, 0, NO_NOISE)
        least = min(least, time.process_time() - began)
    size = 4 * hidden * (inputs + hidden + outputs)
    return least / EXAMPLES, size, float(results.layer_spikes[:, 0].mean() / hidden)


def seconds(example: float, size: int, batch: int, nodes: int, gigabits: float) -> float:
    """Return the time of a mini-batch: what the rank with the most examples does, and the sum.

    Of the sum every rank receives and sends the gradient twice, with the total; the way of one
    part through all ranks, and back, is what no other work hides.
    """
    compute = example * ceil(ceil(batch / nodes) / CORES)
    if nodes == 1:
        return compute
    bandwidth = gigabits * 1e9 / 8
    stages = min(ceil(size / STAGE), 4 * nodes - 3, MOST_STAGES)
    way = (nodes + log2(nodes)) * (size / stages / bandwidth + LATENCY_S)
    return compute + 2 * size / bandwidth + 2 * stages * MESSAGE_S + way


def rows(rounds: int) -> Iterator[dict[str, object]]:
    """Yield one row per size and mini-batch: by how much more nodes are faster than one."""
    for hidden in HIDDEN:
        example, size, spikes = measure(hidden, rounds)
        for batch in BATCHES:
            most = batch // LEAST_LARGE if size >= LARGE else PARTS
            alone = seconds(example, size, batch, 1, GIGABITS[0])
            yield {
                "hidden": hidden,
                "batch": batch,
                "example ms": 1e3 * example,
                "spikes": spikes,
                "MB": size / 1e6,
                "alone ms": 1e3 * alone,
                "speedups": {
                    (gigabits, nodes): alone / seconds(example, size, batch, nodes, gigabits)
                    for gigabits in GIGABITS
                    for nodes in NODES
                    if nodes <= min(most, batch)
                },
            }
