"""Backpropagation through the steps of time, with a surrogate for the derivative of a spike."""

from __future__ import annotations

from typing import Any

from snnrun.errors import ConfigError
from snnrun.keys.key import unless, when
from snnrun.keys.kinds import BOOL, FLOAT, TEXT
from snnrun.load import find
from snnrun.models.surrogates import KEYS, SURROGATES, SpikeDerivative, Surrogate
from snnrun.rules.base import Rule, option
from snnrun.rules.learning import Engine, Gradient

# fmt: off
OPTIONS = (
    option(
        "surrogate", TEXT,
        "What stands for the derivative of a spike by x, the state's distance above the threshold, "
        "or the dotted path of your own: fast_sigmoid 1/(scale|x| + 1)^2; sigmoid scale s(1 - s) "
        "with s = 1/(1 + exp(-scale x)); arctan scale/2 / (1 + (pi/2 scale x)^2); triangular "
        "max(0, 1 - scale|x|); piecewise_linear 1/threshold for x >= -window, else 0.",
        choices=tuple(SURROGATES), dotted_path=True,
    ),
    option(
        "scale", FLOAT,
        "Steepness of the surrogates but piecewise_linear, 1 / units of the potential. Larger: "
        "only neurons near their threshold learn.",
        above=0, nullable=True,
        null="the surrogate's own: fast_sigmoid 10, sigmoid 10, arctan 2, triangular 1",
        active_if=(unless("rule.surrogate", "piecewise_linear"),),
    ),
    option(
        "window", FLOAT,
        "How far below the threshold piecewise_linear begins, in units of the potential.",
        above=0, nullable=True, null="the surrogate's own: 0.5",
        active_if=(when("rule.surrogate", "piecewise_linear"),),
    ),
    option(
        "detach_reset", BOOL,
        "Let a reset count as a constant: its size is differentiated, but not that it happens.",
    ),
)
# fmt: on


def _bind(options: Any) -> Gradient:
    surrogate = find(options.surrogate, SURROGATES, Surrogate, "rule.surrogate")
    given = {key: getattr(options, key) for key in KEYS}
    values = {key: float(value) for key, value in given.items() if value is not None}
    for key in values:
        if key not in surrogate.keys:
            raise ConfigError(
                f"rule.{key}={values[key]:g}: has no effect, as surrogate {surrogate.name} does "
                "not use it; leave it out"
            )
    spikes = SpikeDerivative(surrogate=surrogate, values=values, detach_reset=options.detach_reset)
    return Gradient(spikes=spikes)


def _hint(config: Any) -> str:
    """Say where the default surrogate is steep for potentials in mV, and learns slowly.

    Its scale is per unit of the potential, and suits a threshold of 1.
    """
    options = config.rule
    if options.surrogate != "fast_sigmoid" or options.scale is not None or config.V_THRESH < 10:
        return ""
    return (
        "rule.scale=1 usually learns faster than the default with V_THRESH="
        f"{config.V_THRESH:g} (docs/rules.md)"
    )


SURROGATE = Rule(
    name="surrogate",
    meaning="backpropagation through the steps of time, with surrogate derivatives of the spikes",
    source="Neftci, Mostafa & Zenke 2019, IEEE Signal Process Mag 36(6):51, arXiv 1901.09948",
    engine=Engine.STEPS,
    bind=_bind,
    options=OPTIONS,
    backends=("native", "numpy"),
    hint=_hint,
)
