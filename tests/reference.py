"""The grid semantics of snnrun in plain NumPy float64: every backend is held against this file.

Nothing here is derived by a program: the derivatives of each model stand below by hand, the matrix
exponential is a Taylor series, and no line is shared with the compiler that this file checks.

Times in ms. Step n covers [n dt, (n + 1) dt); a spike of step n has time (n + 1) dt.
Shapes: S states, N neurons of a layer, T steps, K classes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from oracle import Layer, Problem
from reference_loss import read_out
from reference_models import IN, MODELS, B, V

Array = np.ndarray
Gradients = dict[str, Array]  # projection -> [pre, post], "population.parameter" -> [N]


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
    crossed: Array  # [T, N] int: of a spike, the step in which V crossed before it was kept back

    @property
    def late(self) -> Array:
        """Spikes that came steps after the crossing, [T, N] bool."""
        return self.spikes & (self.crossed < np.arange(len(self.spikes))[:, None])


def _new_tape(layer: Layer, steps: int, dt: float, free: StepMap, held: StepMap) -> Tape:
    states = np.empty((2, steps, len(MODELS[layer.model].initial), layer.size))
    flags = np.zeros((2, steps, layer.size), bool)
    crossed = np.zeros((steps, layer.size), int)
    return Tape(free, held, round(layer.t_ref / dt), *states, *flags, crossed)


@dataclass(frozen=True)
class Disturbance:
    """What training does to a layer: noise added to V, and who may not spike."""

    noise: Array  # [T, N]
    spike_dropout: Array  # [T, N] bool


def simulate(
    problem: Problem,
    dt: float,
    example: int = 0,
    maps: Maps | None = None,
    disturbances: Sequence[Disturbance] = (),
) -> list[Tape]:
    """Run one example forward; return the tape of every layer. Disturbed are the first layers."""
    layers, weights, steps = problem.layers, problem.weights, problem.steps(dt)
    channels: list[list[int]] = [[] for _ in range(steps)]
    for step, channel in sorted(problem.events(dt, example)):
        channels[step].append(channel)
    maps = step_maps(problem, dt) if maps is None else maps
    tapes = [_new_tape(layer, steps, dt, *pair) for layer, pair in zip(layers, maps, strict=True)]
    states = [MODELS[layer.model].start(layer.parameters) for layer in layers]
    last_held = [np.full(layer.size, -1) for layer in layers]
    spiked: list[Sequence[int]] = [() for _ in layers]
    waiting = [np.full(layer.size, -1) for layer in layers]  # since the step of the crossing
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
            disturbance = disturbances[index] if index < len(disturbances) else None
            if disturbance:
                x[V] += disturbance.noise[n]
            if tape.n_ref:
                tape.refractory[n] = n <= last_held[index]
                x = np.where(tape.refractory[n], tape.held.forward(tape.arrived[n]), x)
            tape.stepped[n] = states[index] = x
            spiked.append(())
            if model.spiking:
                fires = (x[V] >= model.rhs(x, layer.parameters)) & ~tape.refractory[n]
                tape.crossed[n] = n
                if disturbance:
                    kept_back, since = fires & disturbance.spike_dropout[n], waiting[index]
                    tape.crossed[n] = np.where(since >= 0, since, n)
                    waiting[index] = np.where(kept_back, tape.crossed[n], -1)
                    fires &= ~kept_back
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
    disturbances: Sequence[Disturbance] = (),
    euler: bool = False,
) -> Result:
    """Run one example forward and backward: EventProp on the grid.

    ``push``: spike counts of a hidden layer [N] -> what a regulariser adds to lam_V at each spike.
    ``euler``: the activity that weights sum_weigh_input takes Euler steps, as ``maps`` should then.
    ``start[n]`` is lam = dL/dx at the start of step n, ``end[n]`` after it, before its reset.
    """
    layers, tapes = problem.layers, simulate(problem, dt, example, maps, disturbances)
    steps = problem.steps(dt)
    voltage, spikes = tapes[-1].stepped[:, V], tapes[-1].spikes
    arrivals = np.zeros((steps, len(problem.weights[layers[0].feedforward])))
    for event in problem.events(dt, example):
        arrivals[event] += 1.0
    label, activity = problem.labels[example], arrivals.sum(1)
    seen = voltage, spikes, dt, label, activity, euler, problem.course(example)
    readout = read_out(problem.loss, layers[-1], *seen)
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
    pending = [np.zeros(tape.spikes.shape) for tape in tapes]  # S of late spikes, at the crossing
    for n in reversed(range(steps)):
        for index, (layer, tape) in enumerate(zip(layers, tapes, strict=True)):
            lam = start[index][n + 1].copy()
            if layer is layers[-1]:
                lam[V] += drive[n]
            if tape.spikes[n].any():
                change = dl_dt[index][n] - _sent(problem, index, n, tapes, start)
                lam = _jump(layer, tape, n, lam, start[index], change, gradients, pending[index])
                if push is not None and layer is not layers[-1]:
                    lam[V] += tape.spikes[n] * push(tape.spikes.sum(0))
            if pending[index][n].any():
                lam = _moved(layer, tape, n, lam, pending[index][n], gradients)
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
    layer: Layer,
    tape: Tape,
    n: int,
    lam: Array,
    start: Array,
    change: Array,
    gradients: Gradients,
    pending: Array,
) -> Array:
    """Take lam back through the spikes of step n; ``change`` is dl/dt_spike - R.

    A late spike comes a drawn number of steps after the crossing, so it moves with the crossing: S
    is left in ``pending`` for the way back to that step. V is there what it was, not the threshold.
    """
    model, p, spikes = MODELS[layer.model], layer.parameters, tape.spikes[n]
    A, late = model.matrix(p), tape.late[n]
    x = tape.stepped[n].copy()
    x[IN] = tape.arrived[n, IN]  # so that D > 0: V can only have crossed upwards with this input
    x[V] = np.where(late, x[V], model.rhs(x, p))
    before = np.einsum("nij,jn->in", A, x)
    after = np.einsum("nij,jn->in", A, model.reset(x, p))
    if tape.n_ref:
        after[V] = 0.0
    S = (lam * (model.r_x(before) - after)).sum(0) + change
    released = n + tape.n_ref
    if tape.n_ref and released + 1 < len(tape.spikes):  # a later spike: V is released later
        S -= start[released + 1][V] * np.einsum("nj,jn->n", A[:, V], tape.stepped[released])
    for i in np.flatnonzero(late):
        pending[tape.crossed[n, i], i] = S[i]
    for name, part in model.r_p(lam).items():
        gradients[f"{layer.name}.{name}"] += spikes * part
    lam = np.where(spikes, model.r_x(lam), lam)
    return _moved(layer, tape, n, lam, np.where(spikes & ~late, S, 0.0), gradients)


def _moved(layer: Layer, tape: Tape, n: int, lam: Array, S: Array, gradients: Gradients) -> Array:
    """Take into lam that crossings of step n move with the state: S is dL/dt of what they move."""
    model, p = MODELS[layer.model], layer.parameters
    A, g_x = model.matrix(p), np.array(model.g_x)[:, None]
    x = tape.stepped[n].copy()
    x[IN] = tape.arrived[n, IN]
    x[V] = model.rhs(x, p)
    D = (g_x * np.einsum("nij,jn->in", A, x)).sum(0)
    ratio = np.where(D > 0, S / np.where(D > 0, D, 1.0), 0.0)
    gradients[f"{layer.name}.v_thresh"] += ratio  # dg/dv_thresh = -1
    return lam - g_x * ratio


def _add_kinks(problem: Problem, tapes: Sequence[Tape], drive: Array, dl_dt: Array) -> None:
    """Loss max: where arriving spikes turn a rising V into a falling one, V peaks at their time.

    A spike later by dt raises the peak by V' dt; spikes of one step share this by their pull.
    """
    output = problem.layers[-1]
    A = MODELS[output.model].matrix(output.parameters)
    first, last = problem.loss.window or (0, len(dl_dt))
    for k, n in enumerate(first + tapes[-1].stepped[first:last, V].argmax(0)):
        if n == last - 1:  # its spikes arrive nowhere, or where nothing is read
            continue
        pulls = tapes[-2].spikes[n] * problem.weights["hid_to_out"][:, k] * A[k, V, IN]
        rise = A[k, V] @ tapes[-1].stepped[n, :, k]
        if rise > 0 and rise + pulls.sum() < 0:
            falling = np.minimum(pulls, 0.0)
            dl_dt[n] += drive[n, k] * rise * falling / falling.sum()


def mean_gradients(results: Sequence[Result]) -> Gradients:
    """Gradient of a batch: the mean of its examples."""
    return {key: np.mean([r.gradients[key] for r in results], 0) for key in results[0].gradients}
