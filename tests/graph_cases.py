"""Networks that are no chains, and data for them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from snnrun.backends.base import Backend
from snnrun.compile.program import Program, compile_program
from snnrun.connectivity.synapses import Synapses
from snnrun.datasets.packing import Events, pack
from snnrun.datasets.spikes import SpikeData
from snnrun.models.declare import Neuron, Parameter
from snnrun.models.losses import LOSSES
from snnrun.models.neurons import ALIF, LI, LIF
from snnrun.network.delays import DelayKind, Delays
from snnrun.network.network import Layer, Network, Population, Projection
from snnrun.rules import EVENTPROP, SURROGATE
from snnrun.rules.learning import Gradient

CHANNELS, CLASSES, STEPS, DT = 6, 3, 60, 0.5
AXONAL, DENDRITIC, SYNAPTIC = DelayKind.AXONAL, DelayKind.DENDRITIC, DelayKind.SYNAPTIC
MOST = 6.0  # ms, of delays

TWO_PORTS = Neuron(
    name="two_ports",
    equations="""
        dV/dt = (E - I - V) / tau_mem
        dE/dt = -E / tau_e
        dI/dt = -I / tau_i
    """,
    input="E",
    other_inputs=("I",),
    threshold="V >= v_thresh",
    reset="V = 0",
    parameters=(
        Parameter(name="tau_mem", default=20, unit="ms", meaning="membrane", positive=True),
        Parameter(name="tau_e", default=5, unit="ms", meaning="excitation", positive=True),
        Parameter(name="tau_i", default=9, unit="ms", meaning="inhibition", positive=True),
        Parameter(name="v_thresh", default=1, unit="mV", meaning="threshold", positive=True),
    ),
)


@dataclass(frozen=True)
class Graph:
    """Populations by name with size and neuron, and projections by their ends."""

    populations: Sequence[tuple[str, int, Neuron]]
    projections: Sequence[dict[str, Any]]
    trained: tuple[str, ...] = ()

    def network(self, refractory: float = 0.0) -> Network:
        """Return it, the output last; neurons that can be are ``refractory`` for so long (ms)."""
        sizes = {"input": CHANNELS} | {name: size for name, size, _ in self.populations}
        made = [_projection(dict(fields), sizes, i) for i, fields in enumerate(self.projections)]
        layers = tuple(
            Layer(
                population=Population(
                    name=name,
                    size=size,
                    neuron=neuron,
                    values={p.name: p.default for p in neuron.parameters}
                    | ({neuron.refractory: refractory} if neuron.refractory else {}),
                    trained=tuple(t for t in self.trained if t in neuron.trainable),
                    floors={},
                ),
                projections=tuple(p for p in made if p.target == name),
            )
            for name, size, neuron in self.populations
        )
        given = Population(name="input", size=CHANNELS, values={}, floors={})
        return Network(input=given, layers=layers)

    def program(
        self,
        *,
        surrogate: bool = False,
        learning: Gradient | None = None,
        loss: str = "sum_weigh_exp",
        integrator: str = "exact",
        refractory: float = 0.0,
        dt: float = DT,
    ) -> Program:
        """Return it with a loss of the output's potential."""
        chosen = LOSSES[loss]
        return compile_program(
            self.network(refractory),
            chosen,
            dict.fromkeys(chosen.keys, 1.0),
            steps=STEPS,
            dt=dt,
            integrator=integrator,
            rule=SURROGATE if surrogate else EVENTPROP,
            learning=learning,
        )


def _projection(fields: dict[str, Any], sizes: dict[str, int], number: int) -> Projection:
    source, target = fields.pop("ends").split("-")
    shape = sizes[source], sizes[target]
    if kind := fields.pop("delays", None):
        start = np.random.default_rng(number).uniform(0.2, MOST - 0.2, kind.shape(*shape))
        fields["delays"] = Delays(kind=kind, start=start, most=MOST, trained=True)
    fields.setdefault("name", f"{source}_{target}_{number}")
    fields.setdefault("mean", 0.4 if source == "input" else 0.8)
    fields.setdefault("std", 0.3)
    return Projection(source=source, target=target, **fields)


def rounded_delays(shape: tuple[int, ...], dt: float = DT) -> np.ndarray:
    """Return delays (ms): steps and quarters of them, and the numbers of float32 beside these."""
    random = np.random.default_rng(0)
    steps = random.integers(1, int(MOST / dt + 1e-6), shape).astype(np.float32)
    steps += np.float32(0.25) * random.integers(0, 2, shape)
    towards = np.resize(np.array([0, np.inf, -np.inf], np.float32), shape)
    beside = np.nextafter(steps, np.where(towards == 0, steps, towards))
    return beside.astype(float) * dt


def sparse(pre: int, post: int, seed: int = 0) -> Synapses:
    """Return about half of all synapses."""
    ends = np.nonzero(np.random.default_rng(seed).random((pre, post)) < 0.5)
    return Synapses(pre=ends[0], post=ends[1], shape=(pre, post))


def shared(pre: int, post: int) -> Synapses:
    """Return synapses of a kernel of three places and two channels along a line."""
    places = [(i, (i + k) * 2 + c, k * 2 + c) for i in range(pre) for k in range(3) for c in (0, 1)]
    kept = np.array([p for p in places if p[1] < post])
    return Synapses(
        pre=kept[:, 0], post=kept[:, 1], shape=(pre, post), weights=(3, 1, 2), place=kept[:, 2]
    )


def data(examples: int = 3, seed: int = 2) -> SpikeData:
    """Return random events, most of them early."""
    random = np.random.default_rng(seed)
    count = 60
    steps = np.sort(random.integers(0, STEPS - 12, (examples, count)), axis=1)
    return pack(
        Events(
            counts=np.full(examples, count),
            steps=steps.ravel(),
            channels=random.integers(0, CHANNELS, examples * count),
        ),
        labels=np.arange(examples, dtype=np.int32) % CLASSES,
        n_steps=STEPS,
        n_channels=CHANNELS,
        n_classes=CLASSES,
        merge=False,
    )


def start(backend: Backend, seed: int = 3) -> None:
    """Set weights at random."""
    random, network = np.random.default_rng(seed), backend.program.network
    for p in (*network.projections, *network.feedback):
        backend.set(p.name, p.draw(random, (network.size(p.source), network.size(p.target))))


def gradients(backend: Backend) -> dict[str, np.ndarray]:
    """Return the gradients of all that is trained."""
    return {t.name: backend.get(t.name, "gradient") for t in backend.program.tensors if t.trained}


def hidden(*names: str, neuron: Neuron = LIF, size: int = 5) -> list[tuple[str, int, Neuron]]:
    """Return hidden populations of slightly different sizes, and the output."""
    own = [(name, size + i, neuron) for i, name in enumerate(names)]
    return [*own, ("output", CLASSES, LI)]


GRAPHS = {
    "skip": Graph(
        hidden("a", "b"),
        [
            {"ends": "input-a"},
            {"ends": "a-b"},
            {"ends": "a-output"},
            {"ends": "b-output"},
            {"ends": "input-output"},
        ],
    ),
    "paths": Graph(
        hidden("a", "b", "c"),
        [
            {"ends": "input-a"},
            {"ends": "input-b"},
            {"ends": "a-c"},
            {"ends": "b-c"},
            {"ends": "b-c", "mean": 0.0},
            {"ends": "c-output"},
        ],
        trained=("tau_mem", "tau_syn"),
    ),
    "feedback": Graph(
        hidden("a", "b", neuron=ALIF),
        [
            {"ends": "input-a"},
            {"ends": "b-a", "mean": 0.1},
            {"ends": "a-a", "mean": 0.0},
            {"ends": "a-b"},
            {"ends": "b-output"},
            {"ends": "a-output"},
        ],
        trained=("tau_b",),
    ),
    "blocks": Graph(
        [("a", 20, LIF), ("b", 300, LIF), ("output", CLASSES, LI)],
        [
            {"ends": "input-a"},
            {"ends": "input-b"},
            {"ends": "b-a", "mean": 0.01, "std": 0.02},
            {"ends": "a-b"},
            {"ends": "b-output", "mean": 0.0, "std": 0.1},
        ],
    ),
    "ports": Graph(
        [("a", 5, TWO_PORTS), ("b", 4, TWO_PORTS), ("output", CLASSES, LI)],
        [
            {"ends": "input-a", "mean": 1.0},
            {"ends": "input-a", "port": "I", "mean": 0.1},
            {"ends": "a-b", "port": "E", "mean": 3.0},
            {"ends": "a-b", "port": "I", "mean": 0.2},
            {"ends": "b-a", "port": "I", "mean": 0.1},
            {"ends": "b-output"},
        ],
        trained=("tau_e", "tau_i"),
    ),
    "lists": Graph(
        [("a", 14, LIF), ("b", 5, LIF), ("output", CLASSES, LI)],
        [
            {"ends": "input-a", "synapses": shared(CHANNELS, 14), "mean": 0.6},
            {"ends": "input-b"},
            {"ends": "a-b", "synapses": sparse(14, 5)},
            {"ends": "b-a", "synapses": sparse(5, 14)},
            {"ends": "b-output"},
            {"ends": "a-output", "synapses": sparse(14, CLASSES)},
        ],
    ),
    "axonal": Graph(
        hidden("a", "b"),
        [
            {"ends": "input-a", "delays": AXONAL},
            {"ends": "a-a", "delays": AXONAL, "mean": 0.0},
            {"ends": "a-b", "synapses": sparse(5, 6), "delays": AXONAL, "mean": 1.2},
            {"ends": "b-output", "delays": AXONAL},
            {"ends": "input-b"},
        ],
    ),
    "dendritic": Graph(
        hidden("a", "b"),
        [
            {"ends": "input-a", "delays": DENDRITIC},
            {"ends": "b-a", "delays": DENDRITIC, "mean": 0.0},
            {"ends": "a-b", "delays": DENDRITIC},
            {"ends": "b-output", "delays": DENDRITIC},
            {"ends": "a-output"},
        ],
    ),
    "synaptic": Graph(
        hidden("a", "b"),
        [
            {"ends": "input-a", "delays": SYNAPTIC},
            {"ends": "a-a", "delays": SYNAPTIC, "mean": 0.0},
            {"ends": "a-b", "delays": SYNAPTIC},
            {"ends": "b-output", "delays": SYNAPTIC},
        ],
        trained=("tau_mem",),
    ),
    "late lists": Graph(
        [("a", 14, LIF), ("b", 5, LIF), ("output", CLASSES, LI)],
        [
            {"ends": "input-a", "synapses": shared(CHANNELS, 14), "delays": AXONAL},
            {"ends": "a-b", "synapses": sparse(14, 5), "delays": SYNAPTIC},
            {"ends": "b-a", "synapses": sparse(5, 14), "delays": AXONAL, "mean": 0.0},
            {"ends": "input-b", "synapses": sparse(CHANNELS, 5), "delays": DENDRITIC},
            {"ends": "b-output", "delays": AXONAL},
            {"ends": "a-output", "synapses": sparse(14, CLASSES), "delays": DENDRITIC},
        ],
    ),
    "dropped": Graph(
        hidden("a", "b"),
        [
            {"ends": "input-a", "dropout": 0.2},
            {"ends": "a-a", "dropout": 0.4, "delays": AXONAL, "mean": 0.0},
            {"ends": "b-a", "dropout": 0.3, "delays": SYNAPTIC, "mean": 0.0},
            {"ends": "a-b", "dropout": 0.5, "mean": 1.0},
            {"ends": "b-output", "synapses": sparse(6, CLASSES), "dropout": 0.3},
            {"ends": "input-b", "delays": AXONAL},
        ],
    ),
}
