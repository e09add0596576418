"""What the grid must approach: exact event-driven simulation; finite differences; random problems.

Between events every neuron follows the closed solution of its linear ODE; threshold crossings are
roots; the losses are integrals, maxima and spike times of continuous time. Many copies of a network
that differ in one weight or parameter each run side by side, so a gradient costs one simulation.

Times in ms. Shapes: C copies, N neurons of a layer, K classes, M points in time.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from oracle_loss import TIME_WEIGHTS, Loss, activity, cross_entropy, relative_mse, spikes_enter

from snnrun.streams import stream

V, IN, B = 0, 1, 2  # rows of the state: V, input, adaptation
Array = np.ndarray
Parameters = Mapping[str, Array]  # name -> [N], in the simulation [C, N]


@dataclass(frozen=True, kw_only=True)
class Layer:
    """A population, and the names of the projections into it; the last layer is the output.

    ``model`` is lif, lif_subtract, lif_rest, alif or li; ``recurrent`` is empty without recurrence.
    """

    name: str
    model: str
    parameters: Parameters
    feedforward: str
    recurrent: str = ""
    t_ref: float = 0.0

    @property
    def size(self) -> int:
        return self.parameters["tau_mem"].size


@dataclass(frozen=True, kw_only=True)
class Problem:
    """A network with weights, a loss, and labelled examples of (time in ms, channel) events."""

    layers: tuple[Layer, ...]
    weights: Mapping[str, Array]  # projection -> [pre, post]
    examples: tuple[tuple[tuple[float, int], ...], ...]
    labels: tuple[int, ...]
    loss: Loss
    duration: float
    courses: Array | None = None  # target potentials of the grid, [examples, steps, outputs]

    def course(self, example: int) -> Array | None:
        """Target potentials of an example, if there are any."""
        return None if self.courses is None else self.courses[example]

    def steps(self, dt: float) -> int:
        return round(self.duration / dt)

    def events(self, dt: float, example: int = 0) -> list[tuple[int, int]]:
        """Events of an example as (step, channel)."""
        return [(round(time / dt), channel) for time, channel in self.examples[example]]


DEFAULTS = {"tau_mem": 20.0, "tau_syn": 5.0, "tau_b": 40.0, "b_incr": 0.25, "b_init": 0.05}
DEFAULTS |= {"v_thresh": 1.0, "v_reset": 0.0, "v_rest": 0.15}  # means; times in ms
PARAMETERS = {
    "lif": ("tau_mem", "tau_syn", "v_thresh", "v_reset"),
    "lif_subtract": ("tau_mem", "tau_syn", "v_thresh"),
    "lif_rest": ("tau_mem", "tau_syn", "v_thresh", "v_reset", "v_rest"),
    "alif": ("tau_mem", "tau_syn", "v_thresh", "v_reset", "tau_b", "b_incr", "b_init"),
    "li": ("tau_mem", "tau_syn"),
}


def problem(
    model: str = "lif",
    loss: str = "sum",
    recurrent: bool = False,
    hidden_layers: int = 1,
    seed: int = 0,
    sizes: tuple[int, int, int] = (5, 4, 3),
    duration: float = 24.0,
    examples: int = 1,
    t_ref: float = 0.0,
    parameters: Mapping[str, float] | None = None,
    spread: float = 0.1,
    grid: float = 0.1,
) -> Problem:
    """Draw a small problem: input events on multiples of ``grid`` ms, a few spikes per neuron.

    ``sizes``: input, hidden (each layer), output. ``parameters`` replaces means of ``DEFAULTS`` in
    the hidden layers; a neuron's own value differs from the mean by up to ``spread`` (relative).
    ``t_ref`` is of the hidden layers. The output is lif for losses of spike times, li for others.
    """
    draw = stream(seed, "problem")
    n_input, n_hidden, n_output = sizes

    def values(model: str, size: int, means: Mapping[str, float]) -> dict[str, Array]:
        own = {name: 1 + spread * draw.uniform(-1, 1, size) for name in PARAMETERS[model]}
        return {name: means[name] * factor for name, factor in own.items()}

    layers, weights, before = [], {}, n_input
    for index in range(hidden_layers):
        suffix = "" if hidden_layers == 1 else str(index)
        feedforward = f"in_to_hid{suffix}" if index == 0 else f"hid_to_hidfwd{index - 1}"
        layer = Layer(
            name=f"hidden{suffix}",
            model=model,
            parameters=values(model, n_hidden, DEFAULTS | dict(parameters or {})),
            feedforward=feedforward,
            recurrent=f"hid_to_hid{suffix}" if recurrent else "",
            t_ref=t_ref,
        )
        weights[feedforward] = draw.normal(6.0 / before, 3.0 / before, (before, n_hidden))
        if layer.recurrent:
            weights[layer.recurrent] = draw.normal(0, 2.0 / n_hidden, (n_hidden, n_hidden))
        layers.append(layer)
        before = n_hidden
    spiking = spikes_enter(loss)
    output = "lif" if spiking else "li"
    own = values(output, n_output, DEFAULTS)
    layers.append(Layer(name="output", model=output, parameters=own, feedforward="hid_to_out"))
    mean, deviation = (7.0, 2.0) if spiking else (0.0, 6.0)
    weights["hid_to_out"] = draw.normal(mean / before, deviation / before, (before, n_output))
    slots = int(0.8 * duration / grid)
    drawn = []
    for _ in range(examples):
        picks = draw.choice(slots * n_input, size=int(duration * n_input / 4), replace=False)
        drawn.append(tuple(sorted((int(k) % slots * grid, int(k) // slots) for k in picks)))
    return Problem(
        layers=tuple(layers),
        weights=weights,
        examples=tuple(drawn),
        labels=tuple(int(label) for label in draw.integers(0, n_output, examples)),
        loss=Loss(name=loss),
        duration=duration,
    )


def voltage(p: Parameters, x: Array, s: Array, held: Array | bool = False) -> Array:
    """V after ``s`` ms without events, from the state ``x`` [C, 3, N]; it stays where ``held``.

    V(s) = v_rest + (V - v_rest) e^(-s/tau_mem) + I (s/tau_mem) e^(-s/tau_mem) (e^z - 1)/z,
    z = s (1/tau_mem - 1/tau_syn): no cancellation for equal time constants.
    """
    z = s * (1 / p["tau_mem"] - 1 / p["tau_syn"])
    near = np.abs(z) < 1e-9
    growth = np.where(near, 1 + z / 2, np.expm1(z) / np.where(near, 1.0, z))
    decay = np.exp(-s / p["tau_mem"])
    gained = x[..., IN, :] * (s / p["tau_mem"]) * growth
    moved = p["v_rest"] + decay * (x[..., V, :] - p["v_rest"] + gained)
    return np.where(held, x[..., V, :], moved)


def flow(p: Parameters, x: Array, s: Array, held: Array | bool = False) -> Array:
    """State after ``s`` ms without events."""
    parts = (
        voltage(p, x, s, held),
        x[..., IN, :] * np.exp(-s / p["tau_syn"]),
        x[..., B, :] * np.exp(-s / p["tau_b"]),
    )
    return np.stack(np.broadcast_arrays(*parts), axis=-2)


def _above(p: Parameters, x: Array, s: Array) -> Array:
    return voltage(p, x, s) - p["v_thresh"] - x[..., B, :] * np.exp(-s / p["tau_b"])


def first_crossings(p: Parameters, x: Array, limit: Array, held: Array, points: int = 24) -> Array:
    """Time to the first upward crossing of the threshold within ``limit`` [C], else inf, [C, N]."""
    crossings = np.full(held.shape, np.inf)
    s = np.linspace(0, 1, points)[:, None, None] * limit[:, None]  # [M, C, 1]
    g = _above(p, x, s)
    up = (g[:-1] < 0) & (g[1:] >= 0) & ~held
    c, j = np.nonzero(up.any(0))
    if not c.size:
        return crossings
    at = up.argmax(0)[c, j]
    low, high = s[at, c, 0], s[at + 1, c, 0]
    p_one = {name: value[c, j] for name, value in p.items()}
    x_one = x[c, :, j].T  # [3, crossings]
    for _ in range(54):
        middle = 0.5 * (low + high)
        below = _above(p_one, x_one, middle) < 0
        low, high = np.where(below, middle, low), np.where(below, high, middle)
    crossings[c, j] = high
    return crossings


@dataclass(frozen=True, kw_only=True)
class Piece:
    """Undisturbed flow of all copies, and what ended it: a spike, an input event, or neither."""

    t: Array  # [C] its begin
    length: Array  # [C]
    states: list[Array]  # per layer [C, 3, N] at its begin
    held: list[Array]  # per layer [C, N]: in the refractory period
    spiker: Array  # [C] index over the neurons of all layers, -1: no spike
    channel: Array  # [C], -1: no input


def complete(layer: Layer, parameters: Parameters) -> dict[str, Array]:
    """Fill in what the model of the layer lacks, so that one formula serves all models."""
    absent = dict.fromkeys(("v_rest", "v_reset", "b_incr", "b_init"), 0.0)
    absent |= {"tau_b": 1.0, "v_thresh": np.inf}
    shape = parameters["tau_mem"].shape
    return {name: np.full(shape, value) for name, value in absent.items()} | dict(parameters)


def simulate(
    problem: Problem, example: int, parameters: Sequence[Parameters], weights: Mapping[str, Array]
) -> list[Piece]:
    """Run all copies; ``parameters`` (per layer) and ``weights`` have a leading axis C."""
    layers, duration, events = problem.layers, problem.duration, problem.examples[example]
    times = np.array([time for time, _ in events] + [np.inf])
    channels = np.array([channel for _, channel in events] + [-1])
    copies = np.arange(len(weights["hid_to_out"]))
    t, pointer = np.zeros(copies.size), np.zeros(copies.size, int)
    states = [np.zeros((copies.size, 3, layer.size)) for layer in layers]
    for x, p in zip(states, parameters, strict=True):
        x[:, B] = p["b_init"]
    release = [np.full((copies.size, layer.size), -np.inf) for layer in layers]
    pieces: list[Piece] = []
    while (t < duration).any():
        held = [t[:, None] < until for until in release]
        ends = [np.where(until > t[:, None], until, np.inf).min(1) for until in release]
        horizon = np.minimum(np.min([times[pointer], *ends], axis=0), duration)
        of_layers = list(zip(parameters, states, held, strict=True))
        crossings = np.hstack([first_crossings(p, x, horizon - t, h) for p, x, h in of_layers])
        spiker = crossings.argmin(1)
        soonest = crossings[copies, spiker]
        spiker[np.isinf(soonest)] = -1
        length = np.where(spiker >= 0, soonest, horizon - t)
        arrives = (spiker < 0) & (horizon == times[pointer])
        channel = np.where(arrives, channels[pointer], -1)
        pieces.append(
            Piece(t=t, length=length, states=states, held=held, spiker=spiker, channel=channel)
        )
        states = [flow(p, x, length[:, None], h) for p, x, h in of_layers]
        t = np.where(spiker >= 0, t + soonest, horizon)
        pointer = pointer + arrives
        c = np.flatnonzero(arrives)
        states[0][c, IN] += weights[layers[0].feedforward][c, channel[c]]
        _deliver_spikes(layers, parameters, weights, states, release, t, spiker)
    return pieces


def _deliver_spikes(
    layers: Sequence[Layer],
    parameters: Sequence[Parameters],
    weights: Mapping[str, Array],
    states: list[Array],
    release: list[Array],
    t: Array,
    spiker: Array,
) -> None:
    offset = 0
    for index, (layer, p, x) in enumerate(zip(layers, parameters, states, strict=True)):
        c = np.flatnonzero((spiker >= offset) & (spiker < offset + layer.size))
        j = spiker[c] - offset
        offset += layer.size
        subtract = layer.model == "lif_subtract"
        x[c, V, j] = x[c, V, j] - p["v_thresh"][c, j] if subtract else p["v_reset"][c, j]
        x[c, B, j] += p["b_incr"][c, j]
        release[index][c, j] = t[c] + layer.t_ref
        if layer.recurrent:
            x[c, IN] += weights[layer.recurrent][c, j]
        if index + 1 < len(layers):
            states[index + 1][c, IN] += weights[layers[index + 1].feedforward][c, j]


def spike_counts(layers: Sequence[Layer], pieces: Sequence[Piece]) -> list[Array]:
    """Number of spikes of every neuron, per layer [C, N]."""
    ends = np.cumsum([layer.size for layer in layers])
    spiker = np.array([piece.spiker for piece in pieces])[..., None]
    return np.split((spiker == np.arange(ends[-1])).sum(0), ends[:-1], axis=1)


def first_spikes(layers: Sequence[Layer], pieces: Sequence[Piece]) -> Array:
    """Time of the first spike of every output, inf for a silent one, [C, K]."""
    first = sum(layer.size for layer in layers[:-1])
    spiker = np.array([piece.spiker for piece in pieces])[..., None]
    ends = np.array([piece.t + piece.length for piece in pieces])[..., None]
    return np.where(spiker == first + np.arange(layers[-1].size), ends, np.inf).min(0)


def turning_times(p: Parameters, x: Array) -> Array:
    """Time of the extremum of V of an undisturbed leaky integrator; nan where it has none."""
    with np.errstate(divide="ignore", invalid="ignore"):
        ahead = (x[..., IN, :] - x[..., V, :]) * p["tau_syn"] / x[..., IN, :]
        rate = 1 / p["tau_mem"] - 1 / p["tau_syn"]
        return np.where(np.abs(ahead * rate) < 1e-12, ahead, np.log1p(ahead * rate) / rate)


def exact_loss(problem: Problem, p: Parameters, pieces: Sequence[Piece], example: int = 0) -> Array:
    """The loss in continuous time, [C]; ``p`` are the parameters of the output."""
    loss, T, label = problem.loss, problem.duration, problem.labels[example]
    if loss.name == "relative_mse":
        times = first_spikes(problem.layers, pieces)
        return relative_mse(np.where(np.isinf(times), T + 1, times), label, loss.delta_t)
    if loss.name.startswith("first_spike"):
        times = first_spikes(problem.layers, pieces)
        own = np.minimum(times[:, label], T)
        late = 1 / (1.01 * T - own) if loss.name == "first_spike" else np.expm1(own / loss.tau_1)
        times = np.where(np.isinf(times), 1e9 if loss.name.endswith("wp") else T + 1, times)
        return cross_entropy(-times / loss.tau_0, label) + loss.alpha * late
    x = np.array([piece.states[-1] for piece in pieces])  # [pieces, C, 3, K]
    t = np.array([piece.t for piece in pieces])[..., None]
    length = np.array([piece.length for piece in pieces])[..., None]
    if loss.name == "max":
        s = turning_times(p, x)
        s = np.where(
            (s > 0) & (s < length), s, length
        )  # else the largest V of a piece is at an end
        return cross_entropy(np.maximum(x[:, :, V], voltage(p, x, s)).max(0), label)
    nodes, node_weights = np.polynomial.legendre.leggauss(12)
    s = (0.5 + 0.5 * nodes)[:, None, None, None] * length  # [M, pieces, C, 1]
    share = (0.5 * node_weights)[:, None, None, None] * length / T
    if loss.name == "avg_xentropy":
        return (share[..., 0] * cross_entropy(voltage(p, x, s), label)).sum((0, 1))
    if loss.name == "sum_softmax":
        e = np.exp(voltage(p, x, s))
        shares = e / e.sum(-1, keepdims=True)
        return cross_entropy((share * shares).sum((0, 1)) * T / loss.dt_ms, label)
    weight = TIME_WEIGHTS[loss.name]((t + s) / T)
    if loss.name == "sum_weigh_input":
        at_start = activity(problem.examples[example], loss.tau_accumulator, t)
        weight = weight * at_start * np.exp(-s / loss.tau_accumulator)
    return cross_entropy((share * weight * voltage(p, x, s)).sum((0, 1)), label)


@dataclass(frozen=True, kw_only=True)
class Exact:
    """Exact loss and its central differences, nan where a spike count differs between the sides."""

    loss: float
    gradients: dict[str, Array]  # projection, or "population.parameter"
    counts: list[Array]
    first_spikes: Array


def finite_differences(problem: Problem, example: int = 0, step: float = 1e-5) -> Exact:
    """Differentiate the exact loss of one example by every weight and every parameter."""
    layers = problem.layers
    tables = dict(problem.weights) | {
        f"{layer.name}.{name}": value
        for layer in layers
        for name, value in layer.parameters.items()
    }
    entries = [(key, k) for key, table in tables.items() for k in range(table.size)]
    copies = {key: np.repeat(table[None], 1 + 2 * len(entries), 0) for key, table in tables.items()}
    widths = np.empty(len(entries))
    for e, (key, k) in enumerate(entries):
        flat = copies[key].reshape(len(copies[key]), -1)
        delta = step * max(1.0, abs(flat[0, k]))
        flat[1 + 2 * e, k] += delta
        flat[2 + 2 * e, k] -= delta
        widths[e] = flat[1 + 2 * e, k] - flat[2 + 2 * e, k]
    parameters = [
        complete(layer, {name: copies[f"{layer.name}.{name}"] for name in layer.parameters})
        for layer in layers
    ]
    pieces = simulate(problem, example, parameters, copies)
    losses = exact_loss(problem, parameters[-1], pieces, example)
    counts = spike_counts(layers, pieces)
    differs = (np.concatenate(counts, 1) != np.concatenate(counts, 1)[0]).any(1)
    slopes = (losses[1::2] - losses[2::2]) / widths
    slopes[differs[1::2] | differs[2::2]] = np.nan
    shapes = [table.shape for table in tables.values()]
    parts = np.split(slopes, np.cumsum([np.prod(shape, dtype=int) for shape in shapes])[:-1])
    gradients = {k: part.reshape(s) for k, part, s in zip(tables, parts, shapes, strict=True)}
    return Exact(
        loss=float(losses[0]),
        gradients=gradients,
        counts=[count[0] for count in counts],
        first_spikes=first_spikes(layers, pieces)[0],
    )
