"""Milliseconds per mini-batch of rule=surrogate and of PyTorch and snnTorch, on the same inputs.

A mini-batch: forward and backward pass and Adam's step, of 700-256-20 with and without recurrence,
32 examples of 1,000 steps with 8,100 input spikes each. The PyTorch network is that of snnrun (same
equations, same initial weights, so the same spikes); input currents of all steps are one product,
and the loop over time is unbound, which is the fastest plain form. snnTorch has neurons of its own
(Synaptic, RSynaptic) with the same time constants; its input currents are one product as well.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from benchmark.programs import chain, load
from snnrun.backends.base import NO_NOISE
from snnrun.compile.program import Program, compile_program
from snnrun.datasets.packing import Events, pack
from snnrun.datasets.spikes import SpikeData
from snnrun.models.losses import SUM
from snnrun.models.surrogates import SpikeDerivative
from snnrun.rules import SURROGATE
from snnrun.rules.learning import Gradient

INPUTS, HIDDEN, OUTPUTS, STEPS, BATCH, EVENTS = 700, 256, 20, 1000, 32, 8100
MEAN, SPREAD, RATE, SCALE = 0.03, 0.03, 1e-4, 100.0
TAU_MEM, TAU_SYN = 20.0, 5.0  # ms


def inputs() -> SpikeData:
    """Return a mini-batch of random events, at most one per channel and step."""
    draw = np.random.default_rng(1)
    picks = [np.sort(draw.choice(STEPS * INPUTS, EVENTS, replace=False)) for _ in range(BATCH)]
    cells = np.concatenate(picks)
    return pack(
        Events(
            counts=np.full(BATCH, EVENTS, np.int64),
            channels=cells % INPUTS,
            steps=(cells // INPUTS).astype(np.int32),
        ),
        labels=np.arange(BATCH, dtype=np.int32) % OUTPUTS,
        n_steps=STEPS,
        n_channels=INPUTS,
        n_classes=OUTPUTS,
    )


def dense(data: SpikeData) -> np.ndarray:
    """Return the events as float32 [B, T, channels]."""
    found = np.zeros((BATCH, STEPS, INPUTS), np.float32)
    pointers = data.step_pointers.reshape(BATCH, STEPS + 1)
    for e in range(BATCH):
        channels = data.channel_by_step[data.offsets[e] : data.offsets[e + 1]]
        found[e, np.repeat(np.arange(STEPS), np.diff(pointers[e])), channels] = 1
    return found


def program(recurrent: bool) -> Program:
    """Return the network under rule=surrogate."""
    plain = chain(INPUTS, (HIDDEN,), OUTPUTS, recurrent, first=(MEAN, SPREAD))
    spikes = SpikeDerivative(values={"scale": SCALE})
    learning = Gradient(spikes=spikes)
    return compile_program(plain, SUM, {}, steps=STEPS, dt=1.0, rule=SURROGATE, learning=learning)


def native_step(data: SpikeData, recurrent: bool, threads: int) -> tuple[Callable[[], None], Any]:
    """Return what learns the mini-batch once, and the backend."""
    backend = load(program(recurrent), threads)
    examples, rates = np.arange(BATCH, dtype=np.int64), np.full(1, RATE)
    updates = iter(range(10**9))

    def step() -> None:
        backend.train(data, examples, BATCH, rates, next(updates), NO_NOISE)

    return step, backend


def torch_step(data: SpikeData, weights: dict[str, np.ndarray], library: str) -> Callable[[], None]:
    """Return what learns the mini-batch once with ``torch`` or ``snntorch``."""
    import torch

    from benchmark import networks

    x, labels = torch.from_numpy(dense(data)), torch.from_numpy(data.labels.astype(np.int64))
    model = networks.MAKE[library](weights, TAU_MEM, TAU_SYN, SCALE)
    optimiser = torch.optim.Adam(model.parameters(), lr=RATE)

    def step() -> None:
        optimiser.zero_grad()
        loss = torch.nn.functional.cross_entropy(model(x), labels)
        loss.backward()
        optimiser.step()

    return step


def measure(threads: int, rounds: int) -> Iterator[dict[str, object]]:
    """Yield one row per network: the libraries in turn, ``rounds`` times."""
    import torch

    torch.set_num_threads(threads)
    data = inputs()
    for recurrent in (False, True):
        step, backend = native_step(data, recurrent, threads)
        weights = {t.name: backend.get(t.name).copy() for t in backend.program.tensors}
        results = backend.evaluate(data, np.arange(BATCH, dtype=np.int64))
        steps = {"snnrun": step}
        steps |= {name: torch_step(data, weights, name) for name in ("torch", "snntorch")}
        times: dict[str, list[float]] = {name: [] for name in steps}
        for number in range(rounds + 1):
            for name, once in steps.items():
                repeats = 10 if name == "snnrun" else 1
                began = time.perf_counter()
                for _ in range(repeats):
                    once()
                if number:  # the first one warms up
                    times[name].append(1e3 * (time.perf_counter() - began) / repeats)
        yield {
            "recurrent": recurrent,
            "spikes": float(results.layer_spikes[:, 0].mean() / HIDDEN),
            **{name: statistics.median(values) for name, values in times.items()},
            **{f"{name} least": min(values) for name, values in times.items()},
        }
