"""One convolutional layer: the native backend and convolution.cpp in turn on the same inputs."""

from __future__ import annotations

import re
import statistics
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np

from benchmark.kernels import RATE
from benchmark.programs import in_turn, load, population, random_events, source
from snnrun.backends.base import NO_NOISE
from snnrun.compile.program import compile_program
from snnrun.connectivity import Ends, read
from snnrun.connectivity.synapses import connect
from snnrun.datasets.spikes import SpikeData
from snnrun.models.losses import SUM_WEIGH_EXP
from snnrun.models.neurons import LI, LIF
from snnrun.network.network import Layer, Network, Projection

SOURCE, TARGET, OUTPUTS = (34, 34, 2), (17, 17, 16), 10
KERNEL, STRIDE, PADDING = 5, 2, 2
STEPS, DT, EVENTS, BATCH = 100, 1.0, 4000, 32
FLAGS = ("-std=c++17", "-O3", "-march=native", "-fno-math-errno")


def network() -> Network:
    """Return the input, the convolutional layer, and a dense read-out."""
    inputs, hidden = int(np.prod(SOURCE)), int(np.prod(TARGET))
    options = {"kernel": [KERNEL, KERNEL], "stride": STRIDE, "padding": PADDING}
    ends = Ends(pre=inputs, post=hidden, source=SOURCE, target=TARGET, same=False)
    kind = read({"kind": "conv2d", **options}, "the convolution")
    synapses = connect(kind, ends, np.random.default_rng(0), "the convolution")
    into = Projection(
        name="kernel", source="input", target="map", mean=0.2, std=0.3, synapses=synapses
    )
    out = Projection(name="readout", source="map", target="output", mean=0.0, std=0.03)
    hidden_layer = population("map", hidden, LIF, TARGET)
    return Network(
        input=source(inputs, SOURCE),
        layers=(
            Layer(population=hidden_layer, projections=(into,)),
            Layer(population=population("output", OUTPUTS, LI), projections=(out,)),
        ),
    )


def build_floor(folder: Path) -> Path:
    """Compile convolution.cpp; return the program."""
    code, program = Path(__file__).parent / "convolution.cpp", folder / "convolution"
    subprocess.run(["g++", *FLAGS, str(code), "-o", str(program)], check=True)
    return program


def write_problem(file: Path, kernel: np.ndarray, readout: np.ndarray, data: SpikeData) -> None:
    """Write weights and inputs for convolution.cpp: float32; int32 and (step, channel) uint16."""
    with file.open("wb") as out:
        for weights in (kernel, readout):
            out.write(weights.astype(np.float32).tobytes())
        out.write(np.int32(BATCH).tobytes())
        pointers = data.step_pointers.reshape(BATCH, STEPS + 1)
        for e in range(BATCH):
            channels = data.channel_by_step[data.offsets[e] : data.offsets[e + 1]]
            steps = np.repeat(np.arange(STEPS), np.diff(pointers[e]))
            out.write(np.array([data.labels[e], len(channels)], np.int32).tobytes())
            out.write(np.stack([steps, channels], 1).astype(np.uint16).tobytes())


def measure(folder: Path, rounds: int, repeats: int = 21) -> dict[str, float]:
    """Return processor ms of a mini-batch and what was computed, of both programs, one thread.

    In a round each does ``repeats`` mini-batches in a row. Their gradients are compared:
    ``difference`` is the norm of the difference over the norm.
    """
    program = compile_program(network(), SUM_WEIGH_EXP, {}, steps=STEPS, dt=DT)
    backend = load(program, 1)
    data = random_events(BATCH, EVENTS, program.network.input.size, STEPS, OUTPUTS)
    chosen, rates = np.arange(BATCH, dtype=np.int64), np.full(1, RATE)
    problem, gradient = folder / "problem", folder / "gradient"
    write_problem(problem, backend.get("kernel"), backend.get("readout"), data)
    floor: list[dict[str, float]] = []
    command = [str(build_floor(folder)), str(problem), str(repeats), str(gradient)]
    backend.gradient(data, chosen)
    own = np.concatenate([backend.get(name, "gradient").ravel() for name in ("kernel", "readout")])

    def often(once: Callable[[], object]) -> Callable[[], object]:
        return lambda: [once() for _ in range(repeats)]

    times = in_turn(
        {
            "learned": often(lambda: backend.train(data, chosen, BATCH, rates, 0, NO_NOISE)),
            "evaluated": often(lambda: backend.evaluate(data, chosen)),
            "floor": lambda: floor.append(_run_floor(command)),
        },
        rounds,
    )
    theirs = np.fromfile(gradient, np.float32)
    kernel = slice(backend.get("kernel").size)
    spikes = backend.evaluate(data, chosen).layer_spikes[:, 0].sum()
    return {
        **{name: times[name] / repeats for name in ("learned", "evaluated")},
        "floor learned": statistics.median(row["learned"] for row in floor),
        "floor evaluated": statistics.median(row["run"] for row in floor),
        "spikes": float(spikes),
        "floor spikes": floor[-1]["spikes"],
        "norm": float(np.linalg.norm(own[kernel])),
        "floor norm": float(np.linalg.norm(theirs[kernel])),
        "GB/s": statistics.median(row["bandwidth"] for row in floor),
        "difference": float(np.linalg.norm(own - theirs) / np.linalg.norm(own)),
        "visits": len(program.network.projections[0].synapses.pre) / program.network.input.size,
    }


def touched_bytes() -> float:
    """Return how many bytes convolution.cpp reads and writes for an event, forth and back.

    A vector of channels is read twice and written once for each of nine places, in both passes;
    each step reads and writes two states of all neurons, in both passes.
    """
    vector, places = 4 * TARGET[2], TARGET[0] * TARGET[1]
    return 2 * 9 * 3 * vector + 2 * 4 * vector * places * STEPS / EVENTS


def _run_floor(command: list[str]) -> dict[str, float]:
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    found = dict(re.findall(r"(\w+) ([-\d.]+)", done.stdout))
    return {name: float(value) for name, value in found.items()}
