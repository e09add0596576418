"""rule=eprop against its equations written by hand, forwards in time and with a trace per synapse.

Shapes: T steps, P presynaptic and N hidden neurons, K outputs. Nothing of snnrun's derivation is
used: traces and learning signals are those of Bellec et al. 2020, Nat Commun 11:3625.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from discrete import CLASSES, Array, data_of, network
from graph_cases import DT as STEP
from graph_cases import GRAPHS, STEPS, start
from graph_cases import data as graph_data
from graph_cases import gradients as gradients_of
from long import long_but
from parity import load_weights, native

from snnrun.backends.base import NO_NOISE, Backend, Noise
from snnrun.backends.interpreter.backend import NumpyBackend
from snnrun.backends.native import open_native
from snnrun.compile.program import Program, compile_program
from snnrun.compile.traces import shares_traces
from snnrun.config import from_dict
from snnrun.errors import ConfigError, ModelError, SnnrunError
from snnrun.models.adaptive import BELLEC_ALIF
from snnrun.models.losses import LOSSES
from snnrun.models.neurons import BELLEC_LI, LIF_SUBTRACT
from snnrun.models.surrogates import TRIANGULAR, SpikeDerivative
from snnrun.network.build import build_network
from snnrun.network.network import Network, Projection
from snnrun.rules import EPROP, SURROGATE
from snnrun.rules.learning import ADAPTIVE, RANDOM, SYMMETRIC, Feedback, Gradient
from snnrun.run import program_of

T, P, N, EXAMPLES, DT = 60, 6, 9, 3, 1.0
TAU_MEM, TAU_B, TAU_OUT, THRESHOLD, REFRACTORY, DAMPENING = 20.0, 90.0, 15.0, 0.6, 2.0, 0.3
PSI = SpikeDerivative(
    surrogate=TRIANGULAR,
    values={"scale": 1 / THRESHOLD, "dampening": DAMPENING / THRESHOLD},
    detach_reset=None,
)
LOSS = "avg_xentropy"
BACKENDS: dict[str, Callable[[Program], Backend]] = {"numpy": NumpyBackend, "native": native}
CASES = [
    (beta, feedback, backend)
    for beta in (0.0, 0.2)  # without adaptation, and with it
    for feedback in (SYMMETRIC, RANDOM, ADAPTIVE)
    for backend in BACKENDS
]
USUAL = [case for case in CASES if case[2] == "numpy" or case == (0.2, ADAPTIVE, "native")]


def net(beta: float, *, recurrent: bool = True) -> Network:
    """Return inputs - neurons that adapt by ``beta`` - outputs."""
    given = {"tau_mem": TAU_MEM, "v_thresh": THRESHOLD, "tau_b": TAU_B, "beta": beta}
    return network(
        (P, N),
        BELLEC_ALIF,
        given | {"t_ref": REFRACTORY},
        recurrent=recurrent,
        output=BELLEC_LI,
        of_output={"tau_mem": TAU_OUT},
    )


def program(of: Network, feedback: str | None, seed: int = 1, update_steps: int = 0) -> Program:
    """Return it with a loss in each step; ``feedback`` None: by rule=surrogate."""
    back = Feedback(kind=feedback, seed=seed) if feedback else None
    rule = EPROP if feedback else SURROGATE
    learning = Gradient(spikes=PSI, feedback=back, update_steps=update_steps)
    return compile_program(of, LOSSES[LOSS], {}, steps=T, dt=DT, rule=rule, learning=learning)


@dataclass(frozen=True)
class ByHand:
    """What the network does with an example, and e-prop's gradients by its weights."""

    w: dict[str, Array]
    B: Array  # [N, K]
    beta: float

    def gradients(self, x_TP: Array, label: int, since: int = 0) -> tuple[dict[str, Array], int]:
        """Return the gradients of the loss ``since`` a step, and how many spikes there are."""
        alpha, rho, kappa = (np.exp(-DT / tau) for tau in (TAU_MEM, TAU_B, TAU_OUT))
        v, a, z, free_from = np.zeros(N), np.zeros(N), np.zeros(N), np.zeros(N)
        y = np.zeros(CLASSES)
        filtered = np.zeros(P + N)  # zbar of every presynaptic neuron
        eps_a, e, ebar = (np.zeros((P + N, N)) for _ in range(3))
        z_kappa = np.zeros(N)
        gradient, of_output, spikes = np.zeros((P + N, N)), np.zeros((N, CLASSES)), 0
        for t in range(T):
            y = kappa * y + z @ self.w["hid_to_out"]
            z_kappa = kappa * z_kappa + z
            ebar = kappa * ebar + e  # that of the step before, whose spikes have just arrived
            p = np.exp(y - y.max())
            error = (p / p.sum() - np.eye(CLASSES)[label]) / T
            if t >= since:
                gradient += ebar * (self.B @ error)
                of_output += np.outer(z_kappa, error)
            arriving = np.concatenate([x_TP[t], z])
            weights = np.concatenate([self.w["in_to_hid"], self.w["hid_to_hid"]])
            v = alpha * v + arriving @ weights - THRESHOLD * z
            a = rho * a + z
            distance = v - THRESHOLD - self.beta * a
            z = ((distance >= 0) & (t >= free_from)).astype(float)
            psi = DAMPENING / THRESHOLD * np.maximum(0, 1 - np.abs(distance / THRESHOLD))
            psi = np.where(t >= free_from, psi, 0.0)
            free_from = np.where(z > 0, t + 1 + REFRACTORY / DT, free_from)
            filtered = alpha * filtered + arriving
            e = psi * (filtered[:, None] - self.beta * eps_a)
            eps_a = psi * filtered[:, None] + (rho - psi * self.beta) * eps_a
            spikes += int(z.sum())
        found = {"in_to_hid": gradient[:P], "hid_to_hid": gradient[P:], "hid_to_out": of_output}
        return found, spikes


def weights(seed: int = 5) -> dict[str, Array]:
    draw = np.random.default_rng(seed)
    return {
        "in_to_hid": draw.normal(0.25, 0.3, (P, N)),
        "hid_to_hid": draw.normal(0.0, 0.3, (N, N)),
        "hid_to_out": draw.normal(0.0, 1.0, (N, CLASSES)),
    }


def inputs(seed: int = 6) -> Array:
    return np.random.default_rng(seed).random((EXAMPLES, T, P)) < 0.2


@pytest.mark.parametrize(("beta", "feedback", "kind"), long_but(CASES, USUAL))
def test_gradients_are_the_sums_of_learning_signals_times_eligibility_traces(
    beta: float, feedback: str, kind: str
) -> None:
    backend, w, x = BACKENDS[kind](program(net(beta), feedback)), weights(), inputs()
    load_weights(backend, w)
    B = w["hid_to_out"]
    if feedback != SYMMETRIC:
        [own] = backend.program.network.feedback
        assert own.start is not None
        backend.set(own.name, B := own.start)
    backend.gradient(data_of(x), np.arange(EXAMPLES))
    hand = ByHand(w=w, B=B, beta=beta)
    found = [hand.gradients(x[i], i % CLASSES) for i in range(EXAMPLES)]
    assert min(spikes for _, spikes in found) > 50
    wanted = {name: np.mean([g[name] for g, _ in found], axis=0) for name in w}
    if feedback == ADAPTIVE:
        wanted[own.name] = wanted["hid_to_out"]
    for name, gradient in wanted.items():
        length = np.linalg.norm(gradient)
        assert length > 0
        difference = np.linalg.norm(backend.get(name, "gradient") - gradient)
        assert difference <= 1e-10 * length, name


@pytest.mark.parametrize("kind", long_but(BACKENDS, ["numpy"]))
def test_without_recurrence_it_is_backpropagation_to_the_bit_and_with_it_it_is_not(
    kind: str,
) -> None:
    def gradients(recurrent: bool, feedback: str | None) -> dict[str, Array]:
        backend = BACKENDS[kind](program(net(0.2, recurrent=recurrent), feedback))
        w = weights()
        load_weights(backend, {n: w[n] for n in w if recurrent or n != "hid_to_hid"})
        backend.gradient(data_of(inputs()), np.arange(EXAMPLES))
        return {t.name: backend.get(t.name, "gradient") for t in backend.program.tensors}

    one, other = gradients(False, SYMMETRIC), gradients(False, None)
    for name in one:
        np.testing.assert_array_equal(one[name], other[name])
    one, other = gradients(True, SYMMETRIC), gradients(True, None)
    np.testing.assert_array_equal(one["hid_to_out"], other["hid_to_out"])
    for name in ("in_to_hid", "hid_to_hid"):
        apart = np.linalg.norm(one[name] - other[name]) / np.linalg.norm(other[name])
        assert apart > 0.01


@pytest.mark.parametrize("kind", BACKENDS)
def test_adaptive_feedback_moves_with_the_weights_of_the_output_and_random_feedback_stays(
    kind: str,
) -> None:
    def moved(feedback: str) -> tuple[Array, Array]:
        backend, w = BACKENDS[kind](program(net(0.2), feedback)), weights()
        load_weights(backend, w)
        [own] = backend.program.network.feedback
        assert own.start is not None
        backend.set(own.name, own.start)
        every, data = np.arange(EXAMPLES), data_of(inputs())
        for step in range(3):
            backend.train(data, every, EXAMPLES, np.array([0.1]), step, NO_NOISE)
        of_output = backend.get("hid_to_out") - w["hid_to_out"]
        return backend.get(own.name) - own.start, of_output

    of_feedback, of_output = moved(ADAPTIVE)
    assert np.median(np.abs(of_output)) > 0.01
    np.testing.assert_allclose(of_feedback, of_output, atol=1e-12)
    of_feedback, _ = moved(RANDOM)
    assert (of_feedback == 0).all()


def test_training_has_the_same_bits_for_any_number_of_threads() -> None:
    def trained(threads: int) -> dict[str, bytes]:
        backend = native(program(net(0.2), ADAPTIVE), threads=threads)
        load_weights(backend, weights())
        data = data_of(np.random.default_rng(8).random((20, T, P)) < 0.2)
        backend.train(data, np.arange(20), 7, np.array([0.1, 0.1, 0.1]), 0, NO_NOISE)
        return {t.name: backend.get(t.name).tobytes() for t in backend.program.tensors}

    assert trained(1) == trained(2) == trained(3)


def test_feedback_is_drawn_with_its_own_seed() -> None:
    of = net(0.0)
    starts = [program(of, RANDOM, seed).network.feedback[0].start for seed in (1, 1, 2)]
    np.testing.assert_array_equal(starts[0], starts[1])
    assert starts[2] is not None
    assert not np.array_equal(starts[0], starts[2])


def test_symmetric_feedback_is_refused_where_a_population_does_not_lead_to_the_output() -> None:
    of = net(0.0)
    hidden, output = of.layers
    second = replace(
        hidden,
        population=replace(hidden.population, name="second"),
        projections=(
            replace(hidden.projections[1], name="on", target="second"),
            replace(hidden.projections[1], name="own", source="second", target="second"),
        ),
    )
    onward = replace(output, projections=(replace(output.projections[0], source="second"),))
    deep = replace(of, layers=(hidden, second, onward))
    with pytest.raises(ModelError, match="population hidden has no projection to the output"):
        program(deep, SYMMETRIC)
    made = program(deep, RANDOM)
    assert [p.source for p in made.network.feedback] == ["hidden", "second"]


def only_weights_learn(of: Network) -> Network:
    """Return a network in which parameters and delays stay, as traces need it."""

    def kept(p: Projection) -> Projection:
        return replace(p, delays=replace(p.delays, trained=False)) if p.delays else p

    layers = [
        replace(
            x,
            population=replace(x.population, trained=()),
            projections=tuple(map(kept, x.projections)),
        )
        for x in of.layers
    ]
    return replace(of, layers=tuple(layers))


@pytest.mark.parametrize(
    ("graph", "feedback"),
    [
        ("skip", SYMMETRIC),
        ("feedback", SYMMETRIC),
        ("lists", RANDOM),
        ("ports", RANDOM),
        ("late lists", ADAPTIVE),
        ("synaptic", ADAPTIVE),
        ("dropped", RANDOM),
    ],
)
def test_traces_while_a_trial_runs_have_the_gradients_of_the_way_back(
    graph: str, feedback: str
) -> None:
    of, noise = only_weights_learn(GRAPHS[graph].network(refractory=1.0)), Noise(key=7)
    noise = replace(noise, in_network=True)
    gradients = []
    for every in (0, 1000):
        learning = Gradient(
            spikes=SpikeDerivative(detach_reset=None),
            feedback=Feedback(kind=feedback),
            update_steps=every,
        )
        backend = NumpyBackend(
            compile_program(
                of, LOSSES[LOSS], {}, steps=STEPS, dt=STEP, rule=EPROP, learning=learning
            )
        )
        start(backend)
        backend.train(graph_data(), np.arange(3), 3, np.array([0.1]), 0, noise)
        gradients.append(gradients_of(backend))
    one, other = gradients
    assert one.keys() == other.keys()
    for name, gradient in one.items():
        length = np.linalg.norm(gradient)
        assert length > 0
        assert np.linalg.norm(other[name] - gradient) <= 1e-10 * length, name


def test_weights_change_while_trials_run() -> None:
    """Updates by hand: traces go on, and an update is of what the steps since the last one add."""
    data, every = data_of(inputs()), np.arange(EXAMPLES)
    whole = NumpyBackend(program(net(0.2), SYMMETRIC))
    parts = NumpyBackend(program(net(0.2), SYMMETRIC, update_steps=25))
    gradients = []
    for backend in (whole, parts):
        load_weights(backend, weights())
        # so small a rate that the network stays as it is
        backend.train(data, every, EXAMPLES, np.array([1e-12]), 0, NO_NOISE)
        gradients.append({n: backend.get(n, "gradient") for n in weights()})
        np.testing.assert_allclose(backend.get("in_to_hid"), weights()["in_to_hid"], atol=1e-10)
    late = ByHand(w=weights(), B=weights()["hid_to_out"], beta=0.2)
    found = [late.gradients(inputs()[i], i % CLASSES, since=50)[0] for i in every]
    for name in weights():
        wanted = np.mean([g[name] for g in found], axis=0)
        assert np.abs(wanted - gradients[0][name]).max() > 1e-3
        np.testing.assert_allclose(gradients[1][name], wanted, atol=1e-8)


ONLINE = [("adaptive", f) for f in (SYMMETRIC, RANDOM, ADAPTIVE)] + [("alike", SYMMETRIC)]


@pytest.mark.parametrize(
    ("neurons", "feedback"), long_but(ONLINE, [("adaptive", ADAPTIVE), ("alike", SYMMETRIC)])
)
def test_weights_that_change_while_trials_run_are_the_same_on_both_backends(
    neurons: str, feedback: str
) -> None:
    whose = net(0.2)
    if neurons == "alike":  # the synapses of a presynaptic neuron share a trace
        given = {"v_thresh": 0.15, "t_ref": 0.0}
        whose = network((P, N), LIF_SUBTRACT, given, recurrent=True, output=BELLEC_LI)
    of = program(whose, feedback, update_steps=7)
    assert shares_traces(of.populations[0]) == (neurons == "alike")
    data, trained = data_of(inputs()), []
    for backend in (NumpyBackend(of), native(of), native(of, threads=3)):
        load_weights(backend, weights())
        for own in of.network.feedback:
            assert own.start is not None
            backend.set(own.name, own.start)
        found = [
            backend.train(data, np.arange(EXAMPLES), 2, np.array([0.02, 0.01]), n, NO_NOISE)
            for n in (0, 2)
        ]
        values = {t.name: backend.get(t.name) for t in of.tensors}
        trained.append({**values, "loss": np.array([r.loss for r in found])})
        assert found[0].neuron_spikes[:N].sum() > 50
    slow, fast, threads = trained
    assert np.abs(fast["hid_to_hid"] - weights()["hid_to_hid"]).max() > 0.1
    for name in slow:
        np.testing.assert_allclose(fast[name], slow[name], rtol=1e-10, atol=1e-12, err_msg=name)
        np.testing.assert_array_equal(fast[name], threads[name], err_msg=name)


def test_a_native_backend_refuses_traces_that_it_does_not_keep(tmp_path: Path) -> None:
    config = from_dict(
        {
            "rule": {"name": "eprop", "update_steps": 10, "feedback": "random"},
            "LOSS_TYPE": LOSS,
            "network": {"layers": [{"forward": {"delay": 3.0}}]},
        }
    )
    made = program_of(config, build_network(config, 5, 3))
    with pytest.raises(ConfigError, match="use backend=numpy"):
        open_native(made, config, tmp_path)


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        ({"LOSS_TYPE": "max"}, "use LOSS_TYPE=avg_xentropy"),
        ({"REG_TYPE": "simple"}, "needs the spikes of a whole trial"),
        ({"TRAIN_TAU": True}, "parameters are trained"),
        ({"OUTPUT_NEURON_TYPE": "hetLI"}, "all alike"),
        ({"N_HID_LAYER": 2}, "rule.feedback=random"),
    ],
)
def test_updates_while_trials_run_are_refused_where_gradients_are_known_later(
    keys: dict[str, Any], said: str
) -> None:
    usual = {"rule": {"name": "eprop", "update_steps": 10}, "backend": "numpy", "LOSS_TYPE": LOSS}

    def build() -> None:
        config = from_dict(usual | keys)
        program_of(config, build_network(config, 5, 3))

    with pytest.raises(SnnrunError, match=said):
        build()
