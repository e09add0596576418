"""The exact simulation against itself: flows, losses, finite differences against an adjoint.

The adjoint here is the event-driven one that the grid approximates. It agrees with the finite
differences to 1e-7, so each of its terms is right, also those that weigh little in the whole.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import oracle
import pytest
from long import long_but
from oracle import IN, B, Piece, Problem, V, problem
from oracle_loss import TIME_WEIGHTS, Loss, activity

Array = np.ndarray
Values = dict[str, Array]  # parameters of one layer, [N]
Drive = list[tuple[float, Array]]  # (time since the begin of a piece, dl/dV of the outputs)

CASES = {
    "lif, sum": problem(seed=1),
    "lif, sum_weigh_exp, recurrent": problem(loss="sum_weigh_exp", recurrent=True, seed=2),
    "lif, sum_weigh_linear, v_reset": problem(
        loss="sum_weigh_linear", parameters={"v_reset": -0.3}, seed=3
    ),
    "lif, sum_weigh_sigmoid, recurrent, two layers": problem(
        loss="sum_weigh_sigmoid", hidden_layers=2, recurrent=True, seed=4
    ),
    "lif, max": problem(loss="max", seed=0),
    "lif, avg_xentropy": problem(loss="avg_xentropy", seed=5),
    "lif, first_spike": problem(loss="first_spike", seed=6),
    "lif_rest, first_spike_exp": problem("lif_rest", "first_spike_exp", seed=7),
    "lif_subtract, max, recurrent": problem("lif_subtract", "max", recurrent=True, seed=8),
    "alif, sum, recurrent": problem("alif", recurrent=True, seed=9),
    "alif, first_spike, two layers": problem("alif", "first_spike", hidden_layers=2, seed=10),
    "refractory lif, sum, recurrent": problem(recurrent=True, t_ref=1.5, seed=11),
    "refractory lif, max, two layers, v_reset": problem(
        loss="max", hidden_layers=2, t_ref=2.0, parameters={"v_reset": 0.2}, seed=13
    ),
    "refractory alif, avg_xentropy, recurrent": problem(
        "alif", "avg_xentropy", recurrent=True, t_ref=1.0, seed=13
    ),
    "refractory lif_subtract, first_spike, recurrent": problem(
        "lif_subtract", "first_spike", recurrent=True, t_ref=1.0, seed=14
    ),
}


def softmax(u: Array) -> Array:
    e = np.exp(u - u.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


def one_copy(case: Problem) -> tuple[list[Values], list[Piece]]:
    """Parameters of every layer, completed, and the pieces of the simulation of one copy."""
    parameters = [
        oracle.complete(layer, {key: value[None] for key, value in layer.parameters.items()})
        for layer in case.layers
    ]
    pieces = oracle.simulate(case, 0, parameters, {k: w[None] for k, w in case.weights.items()})
    return [{key: value[0] for key, value in p.items()} for p in parameters], pieces


def voltage_drives(case: Problem, p: Values, pieces: Sequence[Piece]) -> list[Drive]:
    """Derivative of the loss by the readout V, at the nodes of the quadrature, for every piece."""
    nodes, shares = np.polynomial.legendre.leggauss(12)
    target, x = np.eye(case.layers[-1].size)[case.labels[0]], [pc.states[-1][0] for pc in pieces]
    times = [piece.length * (0.5 + 0.5 * nodes) for piece in pieces]
    heights = [
        np.array([oracle.voltage(p, x_i, s) for s in s_i])
        for x_i, s_i in zip(x, times, strict=True)
    ]
    weights = [0.5 * shares * piece.length / case.duration for piece in pieces]
    if case.loss.name == "avg_xentropy":
        slopes = [softmax(h) - target for h in heights]
    else:
        weigh = TIME_WEIGHTS[case.loss.name]
        for i, piece in enumerate(pieces):
            weights[i] = weights[i] * weigh((piece.t + times[i]) / case.duration)
        u = np.sum([w @ h for w, h in zip(weights, heights, strict=True)], axis=0)
        slopes = [np.tile(softmax(u) - target, (nodes.size, 1)) for _ in pieces]
    return [
        [(s[q], w[q] * slope[q]) for q in range(nodes.size)]
        for s, w, slope in zip(times, weights, slopes, strict=True)
    ]


def peak_drives(case: Problem, p: Values, pieces: Sequence[Piece]) -> list[Drive]:
    """The same for the loss max: at the highest point of every output."""
    n_classes = case.layers[-1].size
    best, place = np.zeros(n_classes), [(0, 0.0)] * n_classes
    for i, piece in enumerate(pieces):
        turning = oracle.turning_times(p, piece.states[-1][0])
        for k in range(n_classes):
            inside = 0 < turning[k] < piece.length[0]
            at = turning[k] if inside else piece.length[0]
            height = oracle.voltage(p, piece.states[-1][0], at)[k]
            if height > best[k]:
                best[k], place[k] = height, (i, at)
    slope = np.diag(softmax(best) - np.eye(n_classes)[case.labels[0]])
    drives: list[Drive] = [[] for _ in pieces]
    for k, (i, at) in sorted(enumerate(place), key=lambda item: item[1]):
        drives[i].append((at, slope[k]))
    return drives


def spike_drives(case: Problem, pieces: Sequence[Piece]) -> Array:
    """Derivative of the loss by the first spike time of every output."""
    loss, T, label = case.loss, case.duration, case.labels[0]
    t = oracle.first_spikes(case.layers, pieces)[0]
    slope = -softmax(-t / loss.tau_0) / loss.tau_0
    slope[label] += 1 / loss.tau_0
    if loss.name == "first_spike":
        slope[label] += loss.alpha / (1.01 * T - t[label]) ** 2
    else:
        slope[label] += loss.alpha / loss.tau_1 * np.exp(t[label] / loss.tau_1)
    return slope


def rate(p: Values, x: Array) -> Array:
    """dx/dt of neurons that are not refractory."""
    membrane = (p["v_rest"] + x[IN] - x[V]) / p["tau_mem"]
    return np.array([membrane, -x[IN] / p["tau_syn"], -x[B] / p["tau_b"]])


class Adjoint:
    """Walks the pieces of an exact simulation backwards; ``gradients`` is the result."""

    def __init__(self, case: Problem) -> None:
        self.case, self.layers = case, case.layers
        self.p, self.pieces = one_copy(case)
        self.lam = [np.zeros((3, layer.size)) for layer in case.layers]
        self.at_release = [np.zeros(layer.size) for layer in case.layers]
        self.gradients: Values = {name: np.zeros(w.shape) for name, w in case.weights.items()}
        for layer in case.layers:
            for name in layer.parameters:
                self.gradients[f"{layer.name}.{name}"] = np.zeros(layer.size)
        self.drives: list[Drive] = [[] for _ in self.pieces]
        if not case.loss.name.startswith("first_spike"):
            drives_of = peak_drives if case.loss.name == "max" else voltage_drives
            self.drives = drives_of(case, self.p[-1], self.pieces)
        for i in reversed(range(len(self.pieces))):
            self.walk(i)
        for layer, lam in zip(self.layers, self.lam, strict=True):
            if "b_init" in layer.parameters:
                self.gradients[f"{layer.name}.b_init"] += lam[B]

    def walk(self, i: int) -> None:
        piece, held = self.pieces[i], [h[0] for h in self.pieces[i].held]
        later = [h[0] for h in self.pieces[min(i + 1, len(self.pieces) - 1)].held]
        starts = [x[0] for x in piece.states]
        of_layers = zip(self.p, starts, held, strict=True)
        ends = [oracle.flow(p, x, piece.length, h) for p, x, h in of_layers]
        for index, (p, x) in enumerate(zip(self.p, ends, strict=True)):
            change = -self.lam[index][V] * rate(p, x)[V]  # of a later release of V
            released = held[index] & ~later[index]
            self.at_release[index] = np.where(released, change, self.at_release[index])
        if piece.channel[0] >= 0:
            self.gradients[self.layers[0].feedforward][piece.channel[0]] += self.lam[0][IN]
        if piece.spiker[0] >= 0:
            self.jump(i, ends, later)
        for index in range(len(self.layers) - 1):
            self.flow_back(index, starts[index], piece.length[0], held[index])
        at = piece.length[0]
        for s, drive in [*reversed(self.drives[i]), (0.0, np.zeros(1))]:
            x = oracle.flow(self.p[-1], starts[-1], np.array(s), held[-1])
            self.flow_back(len(self.layers) - 1, x, at - s, held[-1])
            self.lam[-1][V] += drive
            at = s

    def flow_back(self, index: int, x: Array, s: float, held: Array) -> None:
        """Transposed flow of ``s`` ms that began in the state ``x``, and the parameters' share."""
        layer, p, lam = self.layers[index], self.p[index], self.lam[index]
        for name in {"tau_mem", "tau_syn", "tau_b", "v_rest"} & set(layer.parameters):
            moved = oracle.flow(p | {name: p[name] + 1e-30j}, x, np.array(s), held)
            self.gradients[f"{layer.name}.{name}"] += (lam * moved.imag).sum(0) / 1e-30
        linear = p | {"v_rest": np.zeros(layer.size)}
        units = [np.tile(unit[:, None], layer.size) for unit in np.eye(3)]
        columns = [oracle.flow(linear, unit, np.array(s), held) for unit in units]
        self.lam[index] = np.array([(lam * column).sum(0) for column in columns])

    def jump(self, i: int, ends: list[Array], later: list[Array]) -> None:
        index, j = 0, int(self.pieces[i].spiker[0])
        while j >= self.layers[index].size:
            j -= self.layers[index].size
            index += 1
        layer, lam = self.layers[index], self.lam[index][:, j]
        p = {name: value[j] for name, value in self.p[index].items()}
        before, subtract = ends[index][:, j], layer.model == "lif_subtract"
        fall = p["v_thresh"] if subtract else before[V] - p["v_reset"]
        after = before + np.array([-fall, 0.0, p["b_incr"]])
        r_x, g_x = np.array([float(subtract), 1.0, 1.0]), np.array([1.0, 0.0, -1.0])
        f_after = rate(p, after)
        if layer.t_ref:
            f_after[V] = 0.0
        S = lam @ (r_x * rate(p, before) - f_after) + self.at_release[index][j]
        for target in range(index, min(index + 2, len(self.layers))):
            name = self.layers[target].recurrent if target == index else None
            name = self.layers[target].feedforward if target > index else name
            if name:
                moves = np.where(
                    later[target], 0.0, self.lam[target][V] / self.p[target]["tau_mem"]
                )
                R = moves - self.lam[target][IN] / self.p[target]["tau_syn"]
                S -= self.case.weights[name][j] @ R
                self.gradients[name][j] += self.lam[target][IN]
        if index == len(self.layers) - 2:  # a readout that peaks when this spike arrives
            rise = rate(self.p[-1], ends[-1])[V]
            S += sum(drive @ rise for s, drive in self.drives[i] if s == self.pieces[i].length[0])
        if index == len(self.layers) - 1:
            time = self.pieces[i].t[0] + self.pieces[i].length[0]
            first = time == oracle.first_spikes(self.layers, self.pieces)[0, j]
            S += first * spike_drives(self.case, self.pieces)[j]
        ratio = S / (g_x @ rate(p, before))
        of_reset = {"v_thresh": ratio - subtract * lam[V], "v_reset": lam[V], "b_incr": lam[B]}
        for name in of_reset.keys() & set(layer.parameters):
            self.gradients[f"{layer.name}.{name}"][j] += of_reset[name]
        self.lam[index][:, j] = r_x * lam - g_x * ratio


@pytest.mark.parametrize("name", long_but(CASES, list(CASES)[::3]))
def test_finite_differences_agree_with_the_exact_adjoint(name: str) -> None:
    case = CASES[name]
    exact, adjoint = oracle.finite_differences(case), Adjoint(case).gradients
    hidden = np.concatenate(exact.counts[:-1])
    assert (hidden >= 1).all()
    assert hidden.sum() >= 10
    if case.loss.name.startswith("first_spike"):
        assert np.isfinite(exact.first_spikes).all()
    for key, numeric in exact.gradients.items():
        known = ~np.isnan(numeric)
        assert known.mean() > 0.9, key
        # the differences themselves are good to 1e-10 (rounding of the loss over a width of 1e-5)
        error = np.abs(numeric - adjoint[key])[known].max()
        assert error <= 1e-7 * np.abs(numeric[known]).max() + 1e-9, key


@pytest.mark.parametrize("tau_syn", [5.0, 19.999999, 20.0, 20.00001, 60.0])
def test_flow_solves_the_differential_equation(tau_syn: float) -> None:
    values = oracle.DEFAULTS | {"tau_syn": tau_syn}
    p = {name: np.array([value]) for name, value in values.items()}
    x = np.array([[0.4], [1.7], [0.3]])
    for s in (0.0, 0.01, 3.0, 25.0):
        slope = oracle.flow(p, x, np.array(s + 1e-30j)).imag / 1e-30
        expected = rate(p, oracle.flow(p, x, np.array(s)))
        np.testing.assert_allclose(slope, expected, rtol=1e-9, atol=1e-15)


def test_held_neurons_keep_v_while_their_input_decays() -> None:
    p = {name: np.full(2, value) for name, value in oracle.DEFAULTS.items()}
    x = np.array([[0.4, 0.4], [1.7, 1.7], [0.3, 0.3]])
    moved = oracle.flow(p, x, np.array(2.0), np.array([True, False]))
    assert moved[V, 0] == 0.4
    assert moved[V, 1] > 0.4
    np.testing.assert_allclose(moved[IN], 1.7 * np.exp(-2.0 / 5.0))


@pytest.mark.parametrize("name", ["alif, sum, recurrent", "refractory lif, sum, recurrent"])
def test_spikes_start_at_the_threshold_and_nothing_stays_above_it(name: str) -> None:
    p, pieces = one_copy(CASES[name])
    n_spikes = 0
    for piece in pieces:
        x, held = piece.states[0][0], piece.held[0][0]
        assert (x[V] < p[0]["v_thresh"] + x[B])[~held].all()
        j = piece.spiker[0]
        if j >= 0:
            end = oracle.flow(p[0], x, piece.length, held)
            assert abs(end[V] - p[0]["v_thresh"] - end[B])[j] < 1e-12
            assert not held[j]
            n_spikes += 1
    assert n_spikes >= 10


@pytest.mark.parametrize("loss", [*TIME_WEIGHTS, "max", "avg_xentropy"])
def test_losses_agree_with_dense_sampling_of_the_readout(loss: str) -> None:
    case = replace(CASES["lif, sum"], loss=Loss(name=loss))
    p, pieces = one_copy(case)
    times, weights, heights = [], [], []
    for piece in pieces:  # midpoints of 200 parts of every piece
        s = piece.length[0] * (np.arange(200) + 0.5) / 200
        times.append(piece.t[0] + s)
        weights.append(np.full(200, piece.length[0] / 200))
        heights.append([oracle.voltage(p[-1], piece.states[-1][0], at) for at in s])
    t, w, height = np.concatenate(times), np.concatenate(weights), np.concatenate(heights)
    if loss == "max":
        value = -np.log(softmax(height.max(0)))[case.labels[0]]
    elif loss == "avg_xentropy":
        value = -(w / case.duration) @ np.log(softmax(height))[:, case.labels[0]]
    else:
        weight = TIME_WEIGHTS[loss](t / case.duration)
        if loss == "sum_weigh_input":
            weight = weight * activity(case.examples[0], case.loss.tau_accumulator, t)
        u = (w * weight / case.duration) @ height
        value = -np.log(softmax(u))[case.labels[0]]
    # samples stop half a part before a peak at the end of a piece
    within = 1e-4 if loss == "max" else 2e-5
    assert oracle.finite_differences(case).loss == pytest.approx(value, abs=within)


def test_silent_outputs_count_as_one_ms_after_the_trial() -> None:
    case = CASES["lif, first_spike"]
    weights = dict(case.weights) | {"hid_to_out": case.weights["hid_to_out"].copy()}
    weights["hid_to_out"][:, case.labels[0]] = 0.0
    exact = oracle.finite_differences(replace(case, weights=weights))
    t = np.where(np.isinf(exact.first_spikes), case.duration + 1, exact.first_spikes)
    assert np.isinf(exact.first_spikes).sum() == 1
    expected = -np.log(softmax(-t))[case.labels[0]] + 0.1 / (0.01 * case.duration)
    assert exact.loss == pytest.approx(expected, rel=1e-12)


def test_problems_depend_on_the_seed_alone() -> None:
    one, same, other = problem(seed=3), problem(seed=3), problem(seed=4)
    assert one.examples == same.examples != other.examples
    assert all((one.weights[name] == same.weights[name]).all() for name in one.weights)
    assert one.events(0.05) == [(2 * step, channel) for step, channel in one.events(0.1)]
