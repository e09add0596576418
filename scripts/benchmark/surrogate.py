"""rule=surrogate: the native backend and surrogate.cpp in turn on the same inputs, one thread."""

from __future__ import annotations

import re
import statistics
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmark import peers, ssc
from benchmark.kernels import RATE
from benchmark.programs import Variant, chain, delayed, in_turn, load, spikes_per_neuron
from snnrun.backends.base import NO_NOISE
from snnrun.backends.native.library import NativeBackend
from snnrun.compile.program import Program, compile_program
from snnrun.datasets.spikes import SpikeData
from snnrun.models.losses import SUM
from snnrun.models.surrogates import SpikeDerivative
from snnrun.network.delays import DelayKind
from snnrun.rules import SURROGATE
from snnrun.rules.learning import Gradient

FLAGS = ("-std=c++17", "-O3", "-march=native", "-fno-math-errno")
AXONAL = Variant(kind=DelayKind.AXONAL, recurrent=True)


@dataclass(frozen=True, kw_only=True)
class Shape:
    """A chain of layers of 256, and whether they are recurrent, and that with axonal delays."""

    layers: int
    recurrent: bool
    delays: bool = False

    @property
    def shd(self) -> bool:
        """Whether inputs and steps are those of spoken digits, not of SSC."""
        return self.layers == 1

    @property
    def batch(self) -> int:
        """How many examples a mini-batch has."""
        return peers.BATCH if self.shd else ssc.BATCH

    def inputs(self) -> SpikeData:
        """Return a mini-batch."""
        return peers.inputs() if self.shd else ssc.inputs(self.batch)

    def program(self) -> Program:
        """Return the network under rule=surrogate."""
        if self.shd:
            sizes = peers.INPUTS, (peers.HIDDEN,), peers.OUTPUTS
            network = chain(*sizes, self.recurrent, (peers.MEAN, peers.SPREAD))
            steps, dt = peers.STEPS, 1.0
        else:
            network, steps, dt = ssc.network(recurrent=self.recurrent), ssc.STEPS, ssc.DT
        learning = Gradient(spikes=SpikeDerivative(values={"scale": peers.SCALE}))
        network = delayed(network, AXONAL if self.delays else None, dt)
        return compile_program(
            network, SUM, {}, steps=steps, dt=dt, rule=SURROGATE, learning=learning
        )


SHAPES = {
    "700-256r-20, 1,000 steps": Shape(layers=1, recurrent=True),
    "700-256-20, 1,000 steps": Shape(layers=1, recurrent=False),
    "140-3 x 256-35, 250 steps": Shape(layers=3, recurrent=False),
    "140-3 x 256r-35, 250 steps": Shape(layers=3, recurrent=True),
    "the same, axonal delays": Shape(layers=3, recurrent=True, delays=True),
}


def build_floor(folder: Path) -> Path:
    """Compile surrogate.cpp; return the program."""
    code, program = Path(__file__).parent / "surrogate.cpp", folder / "surrogate"
    subprocess.run(["g++", *FLAGS, str(code), "-o", str(program)], check=True)
    return program


def measure(folder: Path, rounds: int, repeats: int = 3) -> Iterator[tuple[str, dict[str, float]]]:
    """Yield each shape with processor ms of a mini-batch and what was computed, of both programs.

    In a round each does ``repeats`` mini-batches in a row, with one thread. Their gradients are
    compared: ``difference`` is the norm of the difference over the norm.
    """
    floor = build_floor(folder)
    for name, shape in SHAPES.items():
        yield name, _measure(floor, folder, shape, rounds, repeats)


def _measure(
    floor: Path, folder: Path, shape: Shape, rounds: int, repeats: int
) -> dict[str, float]:
    program, data = shape.program(), shape.inputs()
    backend = load(program, 1)
    names = [tensor.name for tensor in program.tensors]
    problem, gradient = folder / "problem", folder / "gradient"
    _write_problem(problem, shape, backend, data)
    chosen, rates = np.arange(shape.batch, dtype=np.int64), np.full(1, RATE)
    backend.gradient(data, chosen)
    own = np.concatenate([backend.get(name, "gradient").ravel() for name in names])
    runs: list[Mapping[str, float]] = []
    command = [str(floor), str(problem), str(repeats), str(gradient)]

    def learn() -> None:
        for _ in range(repeats):
            backend.train(data, chosen, shape.batch, rates, 0, NO_NOISE)

    def evaluate() -> None:
        for _ in range(repeats):
            backend.evaluate(data, chosen)

    times = in_turn(
        {
            "learned": learn,
            "evaluated": evaluate,
            "floor": lambda: runs.append(_run_floor(command)),
        },
        rounds,
    )
    theirs = np.fromfile(gradient, np.float32)
    found = {name: times[name] / repeats for name in ("learned", "evaluated")}
    for name in ("learned", "run", "products", "spikes"):
        found[f"floor {name}"] = statistics.median(run[name] for run in runs)
    found["floor spikes"] /= shape.batch * shape.layers * peers.HIDDEN
    found["spikes"] = spikes_per_neuron(backend, data, chosen)
    found["difference"] = float(np.linalg.norm(own - theirs) / np.linalg.norm(own))
    found["multiplications"] = _multiplications(program) * shape.batch
    return found


def _multiplications(program: Program) -> int:
    """Return those of an example's dense products on the way back, between hidden neurons."""
    network = program.network
    pairs = [p for p in network.projections if p.source != "input" and p.target != "output"]
    return program.steps * sum(network.size(p.source) * network.size(p.target) for p in pairs)


def _write_problem(file: Path, shape: Shape, backend: NativeBackend, data: SpikeData) -> None:
    """Write numbers, arrays in the order of tensors, and inputs, as surrogate.cpp reads them."""
    program = backend.program
    sizes = (
        program.network.input.size,
        shape.layers,
        shape.recurrent,
        shape.delays,
        program.network.layers[-1].population.size,
        program.steps,
        shape.batch,
    )
    with file.open("wb") as out:
        out.write(np.array(sizes, np.int32).tobytes())
        out.write(np.array([program.dt, peers.SCALE], np.float32).tobytes())
        for tensor in program.tensors:
            out.write(backend.get(tensor.name).astype(np.float32).tobytes())
        pointers = data.step_pointers.reshape(shape.batch, program.steps + 1)
        for e in range(shape.batch):
            channels = data.channel_by_step[data.offsets[e] : data.offsets[e + 1]]
            steps = np.repeat(np.arange(program.steps), np.diff(pointers[e]))
            out.write(np.array([data.labels[e], len(channels)], np.int32).tobytes())
            out.write(np.stack([steps, channels], 1).astype(np.uint16).tobytes())


def _run_floor(command: list[str]) -> dict[str, float]:
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return {name: float(value) for name, value in re.findall(r"(\w+) ([-\d.]+)", done.stdout)}
