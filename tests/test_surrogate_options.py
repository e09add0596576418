"""The options of rule=surrogate: what they choose, what is refused, a user's own surrogate."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
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
    low, derivative = bound(spikes, "low"), bound(spikes, "derivative")
    slope = sp.lambdify(DISTANCE, sp.sympify(derivative).subs(REACH, 1.0), "numpy")
    x = np.linspace(-3, 0, 301)
    values = np.broadcast_to(slope(x), x.shape) * (x >= float(low) if low is not None else 1)
    assert values[-1] > 0
    assert (np.diff(values) >= -1e-12).all()
    assert values[0] < 0.1 * values[-1]


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
    assert "derivative of spikes: 1 - 2.0*Abs(x) where x >= -0.5 and x <= 0.5; reset det" in text


@pytest.mark.parametrize("name", [name for name, loss in LOSSES.items() if loss.spiking])
def test_losses_of_spike_times_are_refused_with_those_that_work(name: str) -> None:
    with pytest.raises(ConfigError) as error:
        config(LOSS_TYPE=name)
    assert str(error.value) == (
        f"LOSS_TYPE={name}: looks at spike times, which have no derivative in the discrete steps "
        "of rule=surrogate; use LOSS_TYPE=sum, sum_weigh_linear, sum_weigh_exp, sum_weigh_sigmoid, "
        "sum_weigh_input, max or avg_xentropy, as in `snnrun train rule=surrogate LOSS_TYPE=max`, "
        "or rule=eventprop"
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
    with pytest.raises(ConfigError, match="a snnrun Surrogate is needed"):
        find_learning(config({"surrogate": "snnrun.models.neurons.LIF"}))


def test_a_surrogate_with_an_unknown_name_is_refused() -> None:
    bad = Surrogate(name="bad", derivative="exp(-beta * x)")
    with pytest.raises(ModelError, match="surrogate bad, derivative: unknown name 'beta'"):
        bound(SpikeDerivative(surrogate=bad), "derivative")
    with pytest.raises(ModelError, match="key 'beta' has no option"):
        Surrogate(name="bad", derivative="exp(-beta * x)", keys={"beta": 1.0})
