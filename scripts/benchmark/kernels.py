"""Milliseconds per batch, the native backend and floor.cpp in turn on the same inputs."""

from __future__ import annotations

import re
import statistics
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from snnrun.backends.base import NO_NOISE, Adam
from snnrun.backends.native.build import build, cache_folder
from snnrun.backends.native.compiler import find_compiler
from snnrun.backends.native.emit import generate
from snnrun.backends.native.library import NativeBackend
from snnrun.compile.program import Program, compile_program
from snnrun.datasets.packing import Events, pack
from snnrun.datasets.spikes import SpikeData
from snnrun.models.losses import SUM_WEIGH_EXP
from snnrun.models.neurons import LI, LIF
from snnrun.network.network import Layer, Network, Population, Projection

BATCH, EXAMPLES = 32, 256
RATE = 1e-9  # weights stay as they are, so that both programs see the same spikes
# A shape of floor.cpp, perhaps with another number of hidden neurons: inputs, hidden, outputs,
# steps, dt (ms), recurrent, mean and std of the input weights
SHAPES = {
    "shd-ff": (700, 256, 20, 1400, 1.0, False, 0.02, 0.01),
    "shd-rec": (700, 256, 20, 1400, 1.0, True, 0.02, 0.01),
    "shd-ff-1024": (700, 1024, 20, 1400, 1.0, False, 0.02, 0.01),
    "shd-rec-1024": (700, 1024, 20, 1400, 1.0, True, 0.02, 0.01),
    "yinyang": (5, 200, 3, 300, 0.1, False, 1.5, 0.78),
}


def build_floor(folder: Path) -> Path:
    """Compile floor.cpp; return the program."""
    source, program = Path(__file__).parent / "floor.cpp", folder / "floor"
    flags = ["-std=c++17", "-O3", "-march=native", "-fno-math-errno", "-fopenmp", "-w"]
    subprocess.run(["g++", *flags, str(source), "-o", str(program)], check=True)
    return program


def measure(floor: Path, folder: Path, threads: int, rounds: int) -> Iterator[dict[str, object]]:
    """Yield one row per shape: medians of ``rounds`` runs of each program, taken in turn."""
    for name, (*sizes, recurrent, mean, std) in SHAPES.items():
        inputs, hidden, outputs, steps, dt = sizes
        options = ["--shape", name.removesuffix(f"-{hidden}"), "--hidden", str(hidden)]
        options += ["--threads", str(threads), "--steps", str(steps)]
        dump = folder / f"{name}.bin"
        subprocess.run([floor, *options, "--dump", str(dump)], check=True)
        data = read_dump(dump)
        program = _program(int(inputs), int(hidden), int(outputs), int(steps), dt, recurrent)
        backend = _load(program, threads, mean, std)
        own, theirs, spikes = [], [], []
        for _ in range(rounds):
            own.append(_run(backend, data))
            milliseconds, per_neuron = _run_floor([floor, *options])
            theirs.append(milliseconds)
            spikes.append(per_neuron)
        results = backend.evaluate(data, np.arange(EXAMPLES, dtype=np.int64))
        yield {
            "shape": name,
            "snnrun": statistics.median(own),
            "floor": statistics.median(theirs),
            "snnrun least": min(own),
            "floor least": min(theirs),
            "spikes": float(results.layer_spikes[:, 0].mean() / int(hidden)),
            "floor spikes": statistics.median(spikes),
        }


def read_dump(path: Path) -> SpikeData:
    """Read the inputs that floor.cpp wrote: per example label, count, (step, channel) pairs."""
    raw = np.fromfile(path, np.uint8)
    count, channels, steps = (int(v) for v in raw[:12].view(np.int32))
    at, labels, events, counts = 12, [], [], []
    for _ in range(count):
        label, n = (int(v) for v in raw[at : at + 8].view(np.int32))
        events.append(raw[at + 8 : at + 8 + 4 * n].view(np.uint16).reshape(-1, 2))
        at += 8 + 4 * n
        labels.append(label)
        counts.append(n)
    pairs = np.concatenate(events)
    return pack(
        Events(
            counts=np.array(counts, np.int64),
            channels=pairs[:, 1].astype(np.int64),
            steps=pairs[:, 0].astype(np.int32),
        ),
        labels=np.array(labels, np.int32),
        n_steps=steps,
        n_channels=channels,
        n_classes=max(labels) + 1,
    )


def _program(
    inputs: int, hidden: int, outputs: int, steps: int, dt: float, recurrent: bool
) -> Program:
    def population(name: str, size: int, neuron: object) -> Population:
        values = {p.name: p.default for p in neuron.parameters}  # type: ignore[attr-defined]
        return Population(name=name, size=size, neuron=neuron, values=values, floors={})

    def projection(name: str, source: str, target: str) -> Projection:
        return Projection(name=name, source=source, target=target, mean=0.0, std=0.0)

    own = (projection("hid_to_hid", "hidden", "hidden"),) if recurrent else ()
    network = Network(
        input=Population(name="input", size=inputs, values={}, floors={}),
        layers=(
            Layer(
                population=population("hidden", hidden, LIF),
                projections=(projection("in_to_hid", "input", "hidden"), *own),
            ),
            Layer(
                population=population("output", outputs, LI),
                projections=(projection("hid_to_out", "hidden", "output"),),
            ),
        ),
    )
    return compile_program(network, SUM_WEIGH_EXP, {}, steps=steps, dt=dt)


def _load(program: Program, threads: int, mean: float, std: float) -> NativeBackend:
    code = generate(program, "float32")
    built = build(code.source, find_compiler(), contraction=True, cache=cache_folder(None))
    backend = NativeBackend(built.library, program, threads, code.numbers)
    draw = np.random.default_rng(1)
    spread = {"in_to_hid": (mean, std), "hid_to_hid": (0.0, 0.02), "hid_to_out": (0.0, 0.03)}
    for tensor in program.tensors:
        backend.set(tensor.name, draw.normal(*spread[tensor.name], tensor.shape))
    return backend


def _run(backend: NativeBackend, data: SpikeData) -> float:
    """Return the median milliseconds per batch of ten passes over the examples."""
    examples, times = np.arange(EXAMPLES, dtype=np.int64), []
    rates, adam = np.full(1, RATE), Adam(beta1=0.9, beta2=0.999, epsilon=1e-8)
    for _ in range(10):
        for start in range(0, EXAMPLES, BATCH):
            chosen = examples[start : start + BATCH]
            began = time.perf_counter()
            backend.train(data, chosen, BATCH, rates, adam, 0, NO_NOISE)
            times.append(1e3 * (time.perf_counter() - began))
    return statistics.median(times)


def _run_floor(command: list[object]) -> tuple[float, float]:
    done = subprocess.run(
        [*map(str, command), "--batches", "80", "--lr", str(RATE)],
        capture_output=True,
        text=True,
        check=True,
        env={"OMP_WAIT_POLICY": "passive"},
    )
    milliseconds = re.search(r"wall median ([\d.]+)", done.stdout)
    spikes = re.search(r"([\d.]+) hidden spikes per neuron", done.stdout)
    if milliseconds is None or spikes is None:
        raise SystemExit(f"floor.cpp printed something else:\n{done.stdout}")
    return float(milliseconds[1]), float(spikes[1])
