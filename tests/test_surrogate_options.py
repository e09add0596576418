"""The options of rule=surrogate: what they choose, what is refused, a user's own surrogate."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import reference_discrete
import sympy as sp
from runs import SMALL

from snnrun.backends.native.emit import emit, generate
from snnrun.compile.discrete import DISTANCE, REACH, bound
from snnrun.compile.program import Program, compile_program
from snnrun.config import Config, from_dict
from snnrun.errors import ConfigError, ModelError
from snnrun.gradcheck import check_gradients
from snnrun.models.losses import LOSSES
from snnrun.models.surrogates import SURROGATES, SpikeDerivative, Surrogate
from snnrun.network.build import build_network, find_learning, find_loss, find_rule
from snnrun.record import load_run
from snnrun.rules import SURROGATE
from snnrun.run import train


def config(rule: dict[str, Any] | str = "surrogate", **keys: Any) -> Config:
    if isinstance(rule, dict):
        rule = {"name": "surrogate", **rule}
    return from_dict({**SMALL, "LOSS_TYPE": "max", "rule": rule, **keys})


def program(chosen: Config) -> Program:
    loss = find_loss(chosen)
    return compile_program(
        build_network(chosen, 5, 3),
        loss,
        {},
        steps=chosen.steps,
        dt=chosen.DT_MS,
        rule=find_rule(chosen),
        learning=find_learning(chosen),
    )


@pytest.mark.parametrize("name", SURROGATES)
def test_every_surrogate_is_positive_at_the_threshold_and_falls_below_it(name: str) -> None:
    spikes = SpikeDerivative(surrogate=SURROGATES[name])
    values = values_of(spikes, 1.0)[WHERE <= 0]
    assert values[-1] > 0
    assert values[0] < 0.1 * values[-1]
    rising = values if name != "multi_gaussian" else values[values > 0]  # negative further away
    assert (np.diff(rising) >= -1e-12).all()


WHERE = np.linspace(-4, 4, 401)
OTHER = {"scale": 3.5, "window": 0.2, "width": 0.7, "dampening": 0.3}  # than the defaults


@pytest.mark.parametrize("own", [False, True], ids=["defaults", "own values"])
@pytest.mark.parametrize("name", SURROGATES)
def test_surrogates_are_the_published_expressions(name: str, own: bool) -> None:
    """Those of the reference are written from the publications, as their programs write them."""
    surrogate, threshold = SURROGATES[name], 1.3
    values = {key: OTHER[key] for key in surrogate.keys} if own else {}
    found = values_of(SpikeDerivative(surrogate=surrogate, values=values), threshold)
    wanted = reference_discrete.SURROGATES[name](WHERE, threshold, **values)
    np.testing.assert_allclose(found, wanted, rtol=1e-13, atol=1e-14)


def values_of(spikes: SpikeDerivative, threshold: float) -> np.ndarray:
    """Return the surrogate at WHERE, 0 beyond its bounds."""
    derivative = sp.sympify(bound(spikes, "derivative")).subs(REACH, threshold)
    found = np.broadcast_to(sp.lambdify(DISTANCE, derivative, "numpy")(WHERE), WHERE.shape)
    low, high = (bound(spikes, name) for name in ("low", "high"))
    inside = np.ones(len(WHERE), bool)
    if low is not None:
        inside &= float(low) <= WHERE
    if high is not None:
        inside &= float(high) >= WHERE
    return np.where(inside, found, 0.0)


def test_the_triangle_of_e_prop_is_a_dampened_one() -> None:
    """Bellec et al. 2020: 0.3 / v_th max(0, 1 - |v - v_th| / v_th)."""
    threshold = 0.6
    values = {"scale": 1 / threshold, "dampening": 0.3 / threshold}
    found = values_of(SpikeDerivative(surrogate=SURROGATES["triangular"], values=values), threshold)
    v = WHERE + threshold
    wanted = 0.3 / threshold * np.maximum(0, 1 - np.abs((v - threshold) / threshold))
    np.testing.assert_allclose(found, wanted, rtol=1e-12, atol=1e-15)
    assert found.max() == pytest.approx(0.5)


def test_scale_window_and_reset_are_in_the_program() -> None:
    made = generate(program(config()), "float32")
    usual = made.source
    assert "surrogate_scale*fabs(distance)" in usual
    assert made.numbers["Hidden.surrogate_scale"] == 10
    steep = generate(program(config({"scale": 7})), "float32")
    assert steep.source == usual
    assert steep.numbers == {**made.numbers, "Hidden.surrogate_scale": 7.0}
    windowed = config({"surrogate": "piecewise_linear", "window": 0.25})
    made = generate(program(windowed), "float32")
    assert "distance >= splat(-surrogate_window)" in made.source
    assert made.numbers["Hidden.surrogate_window"] == 0.25
    attached = emit(program(config({"detach_reset": False})), "float32")
    assert "dl_ds += -V*lam_V" in attached
    assert "dl_ds +=" not in usual


def test_the_description_names_surrogate_and_reset() -> None:
    text = program(config({"surrogate": "triangular", "scale": 2})).describe()
    assert "derivative of spikes: 1.0 - 2.0*Abs(x) where x >= -0.5 and x <= 0.5; reset det" in text


@pytest.mark.parametrize("name", [name for name, loss in LOSSES.items() if loss.spiking])
def test_losses_of_spike_times_are_refused_with_those_that_work(name: str) -> None:
    with pytest.raises(ConfigError) as error:
        config(LOSS_TYPE=name)
    assert str(error.value) == (
        f"LOSS_TYPE={name}: looks at spike times, which have no derivative in the discrete steps "
        "of rule=surrogate; use LOSS_TYPE=sum, sum_weigh_linear, sum_weigh_exp, sum_weigh_sigmoid, "
        "sum_weigh_input, max, avg_xentropy or sum_softmax, as in `snnrun train rule=surrogate "
        "LOSS_TYPE=max`, or rule=eventprop"
    )
    given = config("eventprop", LOSS_TYPE=name)
    with pytest.raises(ModelError, match=f"rule=surrogate: loss {name} looks at spike times"):
        compile_program(
            build_network(given, 5, 3), LOSSES[name], {}, steps=9, dt=1.0, rule=SURROGATE
        )


def test_backend_genn_and_gradcheck_are_refused() -> None:
    with pytest.raises(ConfigError) as error:
        find_rule(config(backend="genn"))
    assert str(error.value) == (
        "rule=surrogate: backend genn cannot run it; use backend=native or numpy"
    )
    with pytest.raises(ConfigError, match="finite differences cannot check them"):
        check_gradients(config())


def test_a_surrogate_of_ones_own_trains(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "ownsurrogates.py").write_text(
        "from snnrun.models.surrogates import Surrogate\n"
        "gauss = Surrogate(name='gauss', derivative='exp(-(scale * x)**2)', keys={'scale': 2.0})\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    rule = {"surrogate": "ownsurrogates.gauss"}
    train(config({**rule, "scale": 3.0}, N_TRAIN=400, N_EPOCH=4, ETA=0.02), tmp_path / "run")
    losses = load_run(tmp_path / "run").epochs["train_loss"]
    assert losses[-1] < 0.9 * losses[0]
    with pytest.raises(ConfigError, match="surrogate gauss does not use it"):
        find_learning(config({**rule, "window": 3.0}))
    with pytest.raises(ConfigError, match="must be a snnrun Surrogate, but is of type Neuron"):
        find_learning(config({"surrogate": "snnrun.models.neurons.LIF"}))


def test_a_surrogate_with_an_unknown_name_is_refused() -> None:
    bad = Surrogate(name="bad", derivative="exp(-beta * x)")
    with pytest.raises(ModelError, match="surrogate bad, derivative: unknown name 'beta'"):
        bound(SpikeDerivative(surrogate=bad), "derivative")
    with pytest.raises(ModelError, match="key 'beta' has no option"):
        Surrogate(name="bad", derivative="exp(-beta * x)", keys={"beta": 1.0})


def test_resets_are_detached_by_state() -> None:
    whole, none = (program(config({"detach_reset": one})) for one in (True, False))
    of_V = program(config({"detach_reset": ["V"]}))
    assert emit(of_V, "float32") == emit(whole, "float32")  # a LIF neuron resets nothing else
    assert emit(program(config({"detach_reset": []})), "float32") == emit(none, "float32")
    alif = {"HIDDEN_NEURON_TYPE": "ALIF"}
    [change] = {
        str(step.reset_change)
        for compiled in program(config({"detach_reset": ["V"]}, **alif)).populations
        if (step := compiled.step_back) is not None
    }
    assert change == "b_incr*lam_B"
    text = program(config({"detach_reset": ["B"]}, **alif)).describe()
    assert "; reset of B detached" in text


def test_a_state_that_no_spike_resets_is_not_detached() -> None:
    with pytest.raises(ModelError) as error:
        program(config({"detach_reset": ["V", "b"]}, HIDDEN_NEURON_TYPE="ALIF"))
    assert str(error.value) == (
        "rule.detach_reset=[V,b]: no spike resets a state 'b' in this network. Did you mean 'B'? "
        "Reset are: V, B"
    )
    with pytest.raises(ConfigError) as refused:
        config({"detach_reset": "V"})
    assert "rule.detach_reset=V: must be true, false or a list of names, as in [V]" in str(
        refused.value
    )
