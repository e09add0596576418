"""Milliseconds per batch, the native backend and floor.cpp in turn on the same inputs."""

from __future__ import annotations

import re
import statistics
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from benchmark.programs import chain, load
from snnrun.backends.base import NO_NOISE
from snnrun.backends.native.library import NativeBackend
from snnrun.compile.program import compile_program
from snnrun.datasets.packing import Events, pack
from snnrun.datasets.spikes import SpikeData
from snnrun.models.losses import SUM_WEIGH_EXP

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
    for name, (inputs, hidden, outputs, steps, dt, recurrent, mean, std) in SHAPES.items():
        options = _options(name, threads)
        data = read_dump(write_dump(floor, folder, name, threads))
        network = chain(inputs, (hidden,), outputs, recurrent, first=(mean, std))
        program = compile_program(network, SUM_WEIGH_EXP, {}, steps=steps, dt=dt)
        backend = load(program, threads)
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
            "spikes": float(results.layer_spikes[:, 0].mean() / hidden),
            "floor spikes": statistics.median(spikes),
        }


def write_dump(floor: Path, folder: Path, shape: str, threads: int) -> Path:
    """Let floor.cpp write the inputs of a shape; return the file."""
    dump = folder / f"{shape}.bin"
    subprocess.run([floor, *_options(shape, threads), "--dump", str(dump)], check=True)
    return dump


def _options(shape: str, threads: int) -> list[str]:
    _, hidden, _, steps, *_ = SHAPES[shape]
    words = ["--shape", shape.removesuffix(f"-{hidden}"), "--hidden", str(hidden)]
    return [*words, "--threads", str(threads), "--steps", str(steps)]


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


def _run(backend: NativeBackend, data: SpikeData) -> float:
    """Return the median milliseconds per batch of ten passes over the examples."""
    examples, times = np.arange(EXAMPLES, dtype=np.int64), []
    rates = np.full(1, RATE)
    for _ in range(10):
        for start in range(0, EXAMPLES, BATCH):
            chosen = examples[start : start + BATCH]
            began = time.perf_counter()
            backend.train(data, chosen, BATCH, rates, 0, NO_NOISE)
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
