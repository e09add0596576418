"""The grid semantics of snnrun in plain NumPy float64: every backend is held against this file.

Nothing here is derived by a program: the derivatives of each model stand below by hand, the matrix
exponential is a Taylor series, and no line is shared with the compiler that this file checks.

Times in ms. Step n covers [n dt, (n + 1) dt); a spike of step n has time (n + 1) dt.
Shapes: S states, N neurons of a layer, T steps, K classes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from oracle import Layer, Problem
from reference_loss import read_out

V, IN, B, ONE = 0, 1, 2, 2  # rows of the state: V, input, then adaptation or the constant 1
Array = np.ndarray
Parameters = Mapping[str, Array]  # name -> [N]
Gradients = dict[str, Array]  # projection -> [pre, post], "population.parameter" -> [N]


@dataclass(frozen=True, kw_only=True)
class Model:
    """dx/dt = A x; spike at V >= v_thresh (+ B where there is one); then V is set or lowered.

    ``ode`` lists (row, column, numerator, tau): A[row, column] = numerator / tau, where a numerator
    (and an initial value) is a number or a parameter. A constant drive is a state that stays 1.
    """

    name: str
    parameters: tuple[str, ...]
    ode: tuple[tuple[int, int, float | str, str], ...]
    initial: tuple[float | str, ...] = (0.0, 0.0)
    g_x: tuple[float, ...] = (1.0, 0.0)  # gradient of g = V - rhs by the state
    spiking: bool = True
    subtract: bool = False
    adaptive: bool = False

    def matrix(self, p: Parameters) -> Array:
        """Matrix of the ODE, [N, S, S]."""
        A = np.zeros((p["tau_mem"].size, len(self.initial), len(self.initial)))
        for row, column, numerator, tau in self.ode:
            A[:, row, column] = _value(numerator, p) / p[tau]
        return A

    def matrix_p(self, p: Parameters) -> dict[str, Array]:
        """Derivative of A by every parameter."""
        d = {name: np.zeros_like(self.matrix(p)) for name in self.parameters}
        for row, column, numerator, tau in self.ode:
            d[tau][:, row, column] = -_value(numerator, p) / p[tau] ** 2
            if isinstance(numerator, str):
                d[numerator][:, row, column] = 1 / p[tau]
        return d

    def start(self, p: Parameters) -> Array:
        """State at time 0, [S, N]."""
        return np.array([_value(number_or_name, p) for number_or_name in self.initial])

    def rhs(self, x: Array, p: Parameters) -> Array:
        return p["v_thresh"] + x[B] if self.adaptive else p["v_thresh"]

    def reset(self, x: Array, p: Parameters) -> Array:
        x = x.copy()
        x[V] = x[V] - p["v_thresh"] if self.subtract else p["v_reset"]
        if self.adaptive:
            x[B] = x[B] + p["b_incr"]
        return x

    def r_x(self, vector: Array) -> Array:
        """Product of the Jacobian of the reset (diagonal here) and a vector [S, N]."""
        return vector * np.array([self.subtract, *[1] * (len(vector) - 1)])[:, None]

    def r_p(self, lam: Array) -> dict[str, Array]:
        """lam . dr/dp of the parameters that the reset contains, [N] each."""
        d = {"v_thresh": -lam[V]} if self.subtract else {"v_reset": lam[V]}
        return d | ({"b_incr": lam[B]} if self.adaptive else {})


def _value(number_or_name: float | str, p: Parameters) -> Array:
    named = isinstance(number_or_name, str)
    return p[str(number_or_name)] if named else np.full(p["tau_mem"].shape, number_or_name)


MEMBRANE = ((V, V, -1.0, "tau_mem"), (V, IN, 1.0, "tau_mem"), (IN, IN, -1.0, "tau_syn"))
LIF = ("tau_mem", "tau_syn", "v_thresh", "v_reset")
MODELS: dict[str, Model] = {}
for _model in (
    Model(name="lif", parameters=LIF, ode=MEMBRANE),
    Model(name="lif_subtract", parameters=LIF[:3], ode=MEMBRANE, subtract=True),
    Model(
        name="alif",
        parameters=(*LIF, "tau_b", "b_incr", "b_init"),
        ode=(*MEMBRANE, (B, B, -1.0, "tau_b")),
        initial=(0.0, 0.0, "b_init"),
        g_x=(1.0, 0.0, -1.0),
        adaptive=True,
    ),
    Model(  # a constant term in the ODE: dV/dt = (v_rest + I - V) / tau_mem
        name="lif_rest",
        parameters=(*LIF, "v_rest"),
        ode=(*MEMBRANE, (V, ONE, "v_rest", "tau_mem")),
        initial=(0.0, 0.0, 1.0),
        g_x=(1.0, 0.0, 0.0),
    ),
    Model(name="li", parameters=LIF[:2], ode=MEMBRANE, spiking=False),
):
    MODELS[_model.name] = _model


def expm(M: Array) -> Array:
    """Matrix exponential of [..., n, n]: Taylor series of M / 2^k, then k squarings."""
    k = max(0, int(np.ceil(np.log2(max(np.abs(M).sum(-1).max(), 1e-300)))) + 2)
    M = M / 2.0**k
    term = result = np.broadcast_to(np.eye(M.shape[-1]), M.shape)
    for order in range(1, 18):
        term = term @ M / order
        result = result + term
    for _ in range(k):
        result = result @ result
    return result


@dataclass(frozen=True, kw_only=True)
class StepMap:
    """One step of a layer, x1 = P x0, and the derivative of P by every parameter."""

    P: Array  # [N, S, S]
    P_p: dict[str, Array]
    terms: tuple[tuple[int, ...], ...]  # per row: the columns of P that are not structurally zero

    def forward(self, x: Array) -> Array:
        """Sum the terms of each row in the order of the states, by plain multiply and add."""
        out = np.empty_like(x)
        for row, (first, *others) in enumerate(self.terms):
            total = self.P[:, row, first] * x[first]
            for column in others:
                total = total + self.P[:, row, column] * x[column]
            out[row] = total
        return out


def step_map(layer: Layer, dt: float, integrator: str = "exact", held: bool = False) -> StepMap:
    """Step of a layer (``integrator`` exact or euler); ``held``: V stays as it is (refractory)."""
    model, p = MODELS[layer.model], layer.parameters
    S = len(model.initial)
    moves = np.array([[0.0 if held else 1.0], *[[1.0]] * (S - 1)])  # row V first
    M = moves * model.matrix(p) * dt
    dM = {name: moves * d * dt for name, d in model.matrix_p(p).items()}
    zero, linked = np.zeros_like(M), (np.eye(S) + np.abs(M).sum(0)) > 0
    if integrator == "euler":
        P, dP = np.eye(S) + M, dM
    else:  # expm([[M, dM], [0, M]]) has the derivative of expm(M) in its upper right block
        P, linked = expm(M), np.linalg.matrix_power(linked, S)
        dP = {name: expm(np.block([[M, d], [zero, M]]))[:, :S, S:] for name, d in dM.items()}
    return StepMap(P=P, P_p=dP, terms=tuple(tuple(np.flatnonzero(row)) for row in linked))


Maps = Sequence[tuple[StepMap, StepMap]]  # per layer: free, held


def step_maps(problem: Problem, dt: float, integrator: str = "exact") -> Maps:
    """Step maps of all layers; change their P to compare with other roundings of it bit for bit."""
    free = [step_map(layer, dt, integrator) for layer in problem.layers]
    held = [step_map(layer, dt, integrator, held=True) for layer in problem.layers]
    return list(zip(free, held, strict=True))


@dataclass(frozen=True)
class Tape:
    """What one layer did in one trial."""

    free: StepMap
    held: StepMap
    n_ref: int
    arrived: Array  # [T, S, N] x0: after the arrivals
    stepped: Array  # [T, S, N] x1: after the step, before the reset
    spikes: Array  # [T, N] bool
    refractory: Array  # [T, N] bool: V is held and no spike is emitted


def _new_tape(layer: Layer, steps: int, dt: float, free: StepMap, held: StepMap) -> Tape:
    states = np.empty((2, steps, len(MODELS[layer.model].initial), layer.size))
    flags = np.zeros((2, steps, layer.size), bool)
    return Tape(free, held, round(layer.t_ref / dt), *states, *flags)


def simulate(problem: Problem, dt: float, example: int = 0, maps: Maps | None = None) -> list[Tape]:
    """Run one example forward; return the tape of every layer."""
    layers, weights, steps = problem.layers, problem.weights, problem.steps(dt)
    channels: list[list[int]] = [[] for _ in range(steps)]
    for step, channel in sorted(problem.events(dt, example)):
        channels[step].append(channel)
    maps = step_maps(problem, dt) if maps is None else maps
    tapes = [_new_tape(layer, steps, dt, *pair) for layer, pair in zip(layers, maps, strict=True)]
    states = [MODELS[layer.model].start(layer.parameters) for layer in layers]
    last_held = [np.full(layer.size, -1) for layer in layers]
    spiked: list[Sequence[int]] = [() for _ in layers]
    for n in range(steps):
        arriving, spiked = [channels[n], *spiked], []
        for index, (layer, tape) in enumerate(zip(layers, tapes, strict=True)):
            model, x = MODELS[layer.model], states[index]
            for pre in arriving[index]:
                x[IN] += weights[layer.feedforward][pre]
            for pre in arriving[index + 1] if layer.recurrent else ():
                x[IN] += weights[layer.recurrent][pre]
            tape.arrived[n] = x
            x = tape.free.forward(x)
            if tape.n_ref:
                tape.refractory[n] = n <= last_held[index]
                x = np.where(tape.refractory[n], tape.held.forward(tape.arrived[n]), x)
            tape.stepped[n] = states[index] = x
            spiked.append(())
            if model.spiking:
                fires = (x[V] >= model.rhs(x, layer.parameters)) & ~tape.refractory[n]
                if fires.any():
                    tape.spikes[n] = fires
                    spiked[index] = np.flatnonzero(fires).tolist()
                    last_held[index][fires] = n + tape.n_ref
                    states[index] = np.where(fires, model.reset(x, layer.parameters), x)
    return tapes


@dataclass(frozen=True)
class Result:
    """Loss, class (-1: no output spike), gradients, and the tape of every layer."""

    loss: float
    prediction: int
    gradients: Gradients
    tapes: list[Tape]

    @property
    def counts(self) -> list[Array]:
        return [tape.spikes.sum(0) for tape in self.tapes]


def gradient(
    problem: Problem,
    dt: float,
    example: int = 0,
    maps: Maps | None = None,
    push: Callable[[Array], Array] | None = None,
    euler: bool = False,
) -> Result:
    """Run one example forward and backward: EventProp on the grid.

    ``push``: spike counts of a hidden layer [N] -> what a regulariser adds to lam_V at each spike.
    ``euler``: the activity that weights sum_weigh_input takes Euler steps, as ``maps`` should then.
    ``start[n]`` is lam = dL/dx at the start of step n, ``end[n]`` after it, before its reset.
    """
    layers, tapes = problem.layers, simulate(problem, dt, example, maps)
    steps = problem.steps(dt)
    voltage, spikes = tapes[-1].stepped[:, V], tapes[-1].spikes
    arrivals = np.zeros((steps, len(problem.weights[layers[0].feedforward])))
    for event in problem.events(dt, example):
        arrivals[event] += 1.0
    readout = read_out(
        problem.loss, layers[-1], voltage, spikes, dt, problem.labels[example], arrivals.sum(1),
        euler,
    )  # fmt: skip
    drive = np.zeros(tapes[-1].spikes.shape) + readout.drive
    dl_dt = [np.zeros(tape.spikes.shape) for tape in tapes]  # by the spike times of every layer
    dl_dt[-1] += readout.dl_dt
    if problem.loss.name == "max" and problem.loss.kinks:
        _add_kinks(problem, tapes, drive, dl_dt[-2])
    start = [np.zeros((steps + 1, *tape.stepped.shape[1:])) for tape in tapes]
    end = [np.zeros(tape.stepped.shape) for tape in tapes]
    start[-1][steps, V] = readout.push
    owned = [(layer, name) for layer in layers for name in layer.parameters]
    gradients = {f"{layer.name}.{name}": np.zeros(layer.size) for layer, name in owned}
    for n in reversed(range(steps)):
        for index, (layer, tape) in enumerate(zip(layers, tapes, strict=True)):
            lam = start[index][n + 1].copy()
            if layer is layers[-1]:
                lam[V] += drive[n]
            if tape.spikes[n].any():
                change = dl_dt[index][n] - _sent(problem, index, n, tapes, start)
                lam = _jump(layer, tape, n, lam, start[index], change, gradients)
                if push is not None and layer is not layers[-1]:
                    lam[V] += tape.spikes[n] * push(tape.spikes.sum(0))
            end[index][n] = lam
            P = np.where(tape.refractory[n][:, None, None], tape.held.P, tape.free.P)
            start[index][n] = np.einsum("nij,in->jn", P, lam)
    for layer, tape, lam0, lam1 in zip(layers, tapes, start, end, strict=True):
        gradients[layer.feedforward] = arrivals.T @ lam0[:-1, IN]
        arrivals = np.concatenate([np.zeros((1, layer.size)), tape.spikes[:-1]])
        if layer.recurrent:
            gradients[layer.recurrent] = arrivals.T @ lam0[:-1, IN]
        for name, dP in tape.free.P_p.items():
            dP_n = np.where(tape.refractory[..., None, None], tape.held.P_p[name], dP)
            change = np.einsum("tin,tnij,tjn->n", lam1, dP_n, tape.arrived)
            gradients[f"{layer.name}.{name}"] += change
        if "b_init" in layer.parameters:
            gradients[f"{layer.name}.b_init"] += lam0[0, B]
    return Result(float(readout.loss), readout.prediction, gradients, tapes)


def _sent(problem: Problem, index: int, n: int, tapes: list[Tape], start: list[Array]) -> Array:
    """R: minus the derivative of the loss by the time at which the spikes of step n arrive.

    An arrival at step m changes the loss by w lam[m, IN], so one that comes a step later changes it
    by w (lam[m + 1, IN] - lam[m, IN]), exactly. (w lam . A e_in is the limit, but on a coarse grid
    it is the difference of two large terms whose errors do not cancel.) The last step's spikes
    arrive nowhere: nothing is sent back to them, not even what pushes a silent label.
    """
    total = np.zeros(tapes[index].spikes.shape[1])
    arrival, dt = n + 1, problem.duration / len(tapes[index].spikes)
    if arrival == len(tapes[index].spikes):
        return total
    for target in range(index, min(index + 2, len(tapes))):
        layer = problem.layers[target]
        name = layer.recurrent if target == index else layer.feedforward
        if name:
            lam = start[target][:, IN]
            total += problem.weights[name] @ (lam[arrival] - lam[arrival + 1]) / dt
    return total


def _jump(
    layer: Layer, tape: Tape, n: int, lam: Array, start: Array, change: Array, gradients: Gradients
) -> Array:
    """Take lam back through the spikes of step n; ``change`` is dl/dt_spike - R."""
    model, p, spikes = MODELS[layer.model], layer.parameters, tape.spikes[n]
    A, g_x = model.matrix(p), np.array(model.g_x)[:, None]
    x = tape.stepped[n].copy()
    x[IN] = tape.arrived[n, IN]  # so that D > 0: V can only have crossed upwards with this input
    x[V] = model.rhs(x, p)
    before = np.einsum("nij,jn->in", A, x)
    after = np.einsum("nij,jn->in", A, model.reset(x, p))
    if tape.n_ref:
        after[V] = 0.0
    S = (lam * (model.r_x(before) - after)).sum(0) + change
    released = n + tape.n_ref
    if tape.n_ref and released + 1 < len(tape.spikes):  # a later spike: V is released later
        S -= start[released + 1][V] * np.einsum("nj,jn->n", A[:, V], tape.stepped[released])
    D = (g_x * before).sum(0)
    ratio = np.where(spikes & (D > 0), S / np.where(D > 0, D, 1.0), 0.0)
    gradients[f"{layer.name}.v_thresh"] += ratio  # dg/dv_thresh = -1
    for name, part in model.r_p(lam).items():
        gradients[f"{layer.name}.{name}"] += spikes * part
    return np.where(spikes, model.r_x(lam) - g_x * ratio, lam)


def _add_kinks(problem: Problem, tapes: Sequence[Tape], drive: Array, dl_dt: Array) -> None:
    """Loss max: where arriving spikes turn a rising V into a falling one, V peaks at their time.

    A spike later by dt raises the peak by V' dt; spikes of one step share this by their pull.
    """
    output = problem.layers[-1]
    A = MODELS[output.model].matrix(output.parameters)
    for k, n in enumerate(tapes[-1].stepped[:, V].argmax(0)):
        if n == len(dl_dt) - 1:  # spikes of the last step arrive nowhere
            continue
        pulls = tapes[-2].spikes[n] * problem.weights["hid_to_out"][:, k] * A[k, V, IN]
        rise = A[k, V] @ tapes[-1].stepped[n, :, k]
        if rise > 0 and rise + pulls.sum() < 0:
            falling = np.minimum(pulls, 0.0)
            dl_dt[n] += drive[n, k] * rise * falling / falling.sum()


def mean_gradients(results: Sequence[Result]) -> Gradients:
    """Gradient of a batch: the mean of its examples."""
    return {key: np.mean([r.gradients[key] for r in results], 0) for key in results[0].gradients}
