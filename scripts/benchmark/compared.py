"""Spikes of a network in snnrun and in other programs, counted where they differ."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from types import SimpleNamespace
from typing import Any

import nir
import numpy as np

import snnrun
from benchmark.exchange import (
    Traces,
    channels_first,
    dense,
    gain_of,
    in_norse,
    in_sinabs,
    in_snnrun,
    in_snntorch,
    input_of,
    lags_of,
    last_of,
    spikes,
)
from snnrun.commands.saved_run import load as config_of
from snnrun.config import Config, validate
from snnrun.datasets import load
from snnrun.interface.scores import Scores
from snnrun.interface.training import composed_of
from snnrun.run import build_program

AT_A_TIME = 40_000_000  # places: steps x neurons x examples


@dataclass(frozen=True, kw_only=True)
class Examples:
    """Spikes for the input of a graph, [steps, examples, *shape], and the classes if known."""

    events: np.ndarray
    labels: np.ndarray | None
    dt: float  # s

    def blocks(self, graph: nir.NIRGraph) -> Iterator[tuple[np.ndarray, range]]:
        """Yield the events of some examples at a time, and which examples these are."""
        steps, examples = self.events.shape[:2]
        neurons = sum(np.size(node.r) for node in graph.nodes.values() if hasattr(node, "r"))
        most = max(1, AT_A_TIME // (steps * neurons))
        for at in range(0, examples, most):
            part = range(at, min(at + most, examples))
            yield self.events[:, part.start : part.stop], part


def shape_of_input(graph: nir.NIRGraph) -> tuple[int, ...]:
    return tuple(graph.nodes[input_of(graph)].input_type["input"])


def theirs(program: str, graph: nir.NIRGraph, events: np.ndarray, dt: float) -> Traces:
    if program == "sinabs":
        return in_sinabs(graph, events)
    return {"norse": in_norse, "snntorch": in_snntorch}[program](graph, events, dt)


def at_random(file: Path, rate: float, steps: int, examples: int, dt: float) -> Examples:
    """Return spikes that are drawn with one seed: ``rate`` of all places."""
    shape = shape_of_input(nir.read(file))
    draw = np.random.default_rng(1).random((steps, examples, *shape))
    return Examples(events=(draw < rate).astype(np.float32), labels=None, dt=dt)


def of_data_set(file: Path, keys: Mapping[str, Any], examples: int | None) -> Examples:
    """Return the test examples of the data set that keys name; the first ones of so many."""
    own = {"preset": "none", "N_EPOCH": 0, "N_VALIDATE": 0, "N_TEST": None}
    own |= {"rule": "surrogate", "LOSS_TYPE": "max"}
    return examples_of(validate(composed_of(own | dict(keys))[0]), file, examples)


def examples_of(config: Config, file: Path, examples: int | None) -> Examples:
    """Return the test examples of a configuration, in the shape of a file's input."""
    test = load(config).test
    if test is None:
        raise SystemExit("there are no test examples; N_TEST asks for some")
    data, chosen = test.data, test.examples[:examples]
    found = np.zeros((data.n_steps, len(chosen), data.n_channels), np.float32)
    for at, e in enumerate(chosen):
        channels = data.channel_by_step[data.offsets[e] : data.offsets[e + 1]]
        steps = np.repeat(np.arange(data.n_steps), np.diff(data.step_pointers[e].astype(np.int64)))
        np.add.at(found, (steps, at, channels), 1)
    shape = shape_of_input(nir.read(file))
    return Examples(
        events=channels_first(found, shape), labels=data.labels[chosen], dt=config.DT_MS / 1000
    )


def of_file(
    file: Path, given: Examples, keys: Mapping[str, Any], programs: Sequence[str]
) -> Iterator[str]:
    """Yield a line for each program and node of a file."""
    graph = nir.read(file)
    nodes = [name for name, node in graph.nodes.items() if spikes(node)]
    last = last_of(graph)
    for program in programs:
        counts = {node: Count() for node in nodes}
        right = {"snnrun": 0, program: 0}
        for events, part in given.blocks(graph):
            stepped = {"network.stepping": program} | dict(keys)
            ours = in_snnrun(file, events, given.dt, potentials=False, **stepped)
            others = theirs(program, graph, events, given.dt)
            for node in nodes:
                counts[node].add(ours.spikes[node], others.spikes[node])
            if given.labels is not None and last in nodes:
                for name, traces in (("snnrun", ours), (program, others)):
                    found = traces.spikes[last].sum(0).argmax(1)
                    right[name] += int((found == given.labels[part]).sum())
        for node, count in counts.items():
            yield f"{program:9} node {node:10} {count}"
        if given.labels is not None and last in nodes:
            total = len(given.labels)
            shares = ", ".join(f"{name} {n / total:.2%}" for name, n in right.items())
            yield f"{program:9} most spikes at the label, of {total} examples: {shares}"


@dataclass
class Count:
    """Spikes here and there, and the places (neurons x steps x examples) in which they differ."""

    places: int = 0
    ours: int = 0
    theirs: int = 0
    differing: int = 0

    def add(self, ours: np.ndarray, theirs: np.ndarray) -> None:
        self.places += ours.size
        self.ours += int(ours.sum(dtype=np.float64))
        self.theirs += int(theirs.sum(dtype=np.float64))
        self.differing += int((ours != theirs).sum())

    def __str__(self) -> str:
        return (
            f"{self.ours:>12,} spikes, theirs {self.theirs:>12,}; differing places "
            f"{self.differing:>7,} of {self.places:,}"
        )


def of_run(folder: Path, file: Path, programs: Sequence[str]) -> Iterator[str]:
    """Yield a line for each program and spiking node of a run's network, and its accuracy."""
    graph, config = nir.read(file), config_of(folder, [], "test", keep=False)
    given = examples_of(config, file, None)
    nodes = [name for name, node in graph.nodes.items() if spikes(node)]
    ours = snnrun.evaluate(folder, "test", spikes=nodes)
    yield f"snnrun    accuracy {ours.accuracy:.2%} of {len(ours.predictions):,} test examples"
    program = build_program(config, load(config))
    scorer, lags, steps = Scores(program), lags_of(graph), config.steps
    last = last_of(graph)
    for name in programs:
        predictions = np.empty(len(ours.predictions), int)
        counts = {node: Count() for node in nodes}
        for events, part in given.blocks(graph):
            found = theirs(name, graph, events, given.dt)
            for node in nodes:
                seen = slice(lags[node], steps)
                emitted = found.spikes[node][: steps - lags[node]]
                own = dense(ours.spikes[node], part, steps, given.dt)[seen]
                counts[node].add(own, emitted)
            for i, example in enumerate(part):
                trial = trial_of(found, last, i, lags[last])
                predictions[example] = scorer.of(trial).argmax()
        for node, count in counts.items():
            yield f"{name:9} node {node:10} {count}"
        same = int((predictions == ours.predictions).sum())
        right = float((predictions == given.labels).mean())
        yield f"{name:9} accuracy {right:.2%}, the same prediction in {same:,} examples"


def trial_of(found: Traces, node: str, example: int, lag: int) -> Any:
    """Return what an output did in an example as the trial that a loss reads, ``lag`` steps later.

    Its potentials are 0 before.
    """
    potentials = np.roll(found.potentials[node][:, example], lag, axis=0)
    potentials[:lag] = 0.0
    steps, neurons = np.nonzero(found.spikes[node][: len(potentials) - lag, example])
    return SimpleNamespace(states=({"V": potentials},), steps=(steps + lag,), neurons=(neurons,))


def of_traces(file: Path, traces: Sequence[Path], dt: float) -> Iterator[str]:
    """Yield a table: how far the traces of a neuron are apart, of programs and of snnrun.

    Each trace is a file NAME_PROGRAM.csv with a line for each step: input, potential after the
    reset, spikes. Potentials may have the threshold or the input's gain as their unit.
    """
    found = {path.stem.rpartition("_")[2]: np.loadtxt(path, delimiter=",") for path in traces}
    graph = nir.read(file)
    neuron = next(node for node in graph.nodes.values() if spikes(node))
    units = [1.0, float(neuron.v_threshold[0]), float(gain_of(neuron, dt)[0])]
    courses: dict[str, tuple[np.ndarray, np.ndarray]] = {}
    own = ["exact", "euler", *(name for name in found if name in ("norse", "snntorch", "sinabs"))]
    for stepping in own:
        given = found.get(stepping, next(iter(found.values())))
        courses[f"snnrun {stepping}"] = trace_of(file, given[:, 0], stepping, dt)
    expected = courses["snnrun exact"][0]
    for name, (_, potential, emitted) in ((name, trace.T) for name, trace in found.items()):
        unit = min(units, key=lambda u: np.median(np.abs(potential * u - expected)))
        courses[name] = (potential * unit, emitted)
    yield "potentials: largest difference; in brackets, steps in which one of both spikes"
    yield f"{'':15}" + "".join(f"{name:>15}" for name in found)
    for name, (potential, emitted) in courses.items():
        cells = (
            f"{np.abs(potential - courses[other][0]).max():>10.1e} "
            f"({int((emitted != courses[other][1]).sum()):2})"
            for other in found
        )
        yield f"{name:15}" + "".join(cells)


def trace_of(
    file: Path, given: np.ndarray, stepping: str, dt: float
) -> tuple[np.ndarray, np.ndarray]:
    """Return potentials after the reset, and spikes, of the neuron of a file.

    An input that is not of 0 and 1 is one with other weights. Sinabs has time constants in steps.
    """
    graph, height = nir.read(file), float(given.max())
    events = (given / height).reshape(-1, 1, 1)
    with TemporaryDirectory() as folder:
        scaled = Path(folder) / "net.nir"
        for node in graph.nodes.values():
            if isinstance(node, nir.Affine | nir.Linear):
                node.weight = node.weight * height
        nir.write(scaled, graph)
        keys = {"network.stepping": stepping}
        keys |= {"network.file_step": dt * 1000} if stepping == "sinabs" else {}
        found = in_snnrun(scaled, events, dt, **keys)
    (potential,), (emitted,) = found.potentials.values(), found.spikes.values()
    return potential.ravel(), emitted.ravel()
