"""Backpropagation through the steps of time, with a surrogate for the derivative of a spike."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from snnrun.errors import ConfigError
from snnrun.keys.key import when
from snnrun.keys.kinds import ALL_OR_NAMES, FLOAT, TEXT
from snnrun.load import find
from snnrun.models.surrogates import KEYS, SURROGATES, SpikeDerivative, Surrogate
from snnrun.rules.base import Rule, option
from snnrun.rules.learning import Engine, Gradient


def _using(key: str) -> tuple[str, ...]:
    """Return the built-in surrogates that have a key."""
    return tuple(name for name, surrogate in SURROGATES.items() if key in surrogate.keys)


def _own(key: str) -> str:
    """Return what a key is where it is null."""
    of_each = (f"{name} {SURROGATES[name].keys[key]:g}" for name in _using(key))
    return f"the surrogate's own: {', '.join(of_each)}"


# fmt: off
OPTIONS = (
    option(
        "surrogate", TEXT,
        "What stands for the derivative of a spike by x, the state's distance above the threshold, "
        "or the dotted path of your own: fast_sigmoid 1/(scale|x| + 1)^2; sigmoid scale s(1 - s) "
        "with s = 1/(1 + exp(-scale x)); arctan scale/2 / (1 + (pi/2 scale x)^2); triangular "
        "dampening max(0, 1 - scale|x|); piecewise_linear 1/threshold for x >= -window, else 0; "
        "gaussian dampening N(x), a normal density of standard deviation width; multi_gaussian "
        "the same less two wider ones beside it; exponential dampening scale/2 exp(-scale|x|).",
        choices=tuple(SURROGATES), dotted_path=True,
    ),
    option(
        "scale", FLOAT,
        "Steepness of a surrogate, 1 / units of the potential. Larger: only neurons near their "
        "threshold learn.",
        above=0, nullable=True, null=_own("scale"),
        active_if=(when("rule.surrogate", *_using("scale")),),
    ),
    option(
        "window", FLOAT,
        "How far below the threshold piecewise_linear begins, in units of the potential.",
        above=0, nullable=True, null=_own("window"),
        active_if=(when("rule.surrogate", *_using("window")),),
    ),
    option(
        "width", FLOAT,
        "Standard deviation of the surrogates gaussian and multi_gaussian, in units of the "
        "potential.",
        above=0, nullable=True, null=_own("width"),
        active_if=(when("rule.surrogate", *_using("width")),),
    ),
    option(
        "dampening", FLOAT,
        "Factor on a surrogate. Smaller: less of a gradient comes through many spikes.",
        above=0, nullable=True, null=_own("dampening"),
        active_if=(when("rule.surrogate", *_using("dampening")),),
    ),
    option(
        "detach_reset", ALL_OR_NAMES,
        "Let a reset count as a constant: its size is differentiated, but not that it happens; of "
        "all states, or of those that a list names.",
        nullable=True,
        null="true with rule=surrogate; of the state on the threshold alone with rule=eprop, as "
        "published",
    ),
)
# fmt: on


def spikes_of(options: Any) -> SpikeDerivative:
    """Return what stands for the derivative of a spike.

    Raises:
        ConfigError: A key is given that the surrogate does not use.
    """
    surrogate = find(options.surrogate, SURROGATES, Surrogate, "rule.surrogate")
    given = {key: getattr(options, key) for key in KEYS}
    values = {key: float(value) for key, value in given.items() if value is not None}
    for key in values:
        if key not in surrogate.keys:
            raise ConfigError(
                f"rule.{key}={values[key]:g}: has no effect, as surrogate {surrogate.name} does "
                "not use it; leave it out"
            )
    return SpikeDerivative(surrogate=surrogate, values=values, detach_reset=options.detach_reset)


def _bind(options: Any) -> Gradient:
    spikes = spikes_of(options)
    if spikes.detach_reset is None:
        spikes = replace(spikes, detach_reset=True)
    return Gradient(spikes=spikes)


def hint(config: Any) -> str:
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
    hint=hint,
)
