"""Options of STDP, of the run (rule=stdp) or of projections (rule: stdp in network.layers)."""

from __future__ import annotations

from collections.abc import Iterator

from snnrun.errors import NoEffect
from snnrun.keys.check import Values, check
from snnrun.keys.key import unless, when
from snnrun.keys.kinds import shown
from snnrun.keys.table import number, switch, table, text
from snnrun.schema.layers import DEFAULT_KEYS, FROZEN, layers_of

USED = (when("rule.name", "stdp"), unless("network.layers", ()))
NAME = "stdp"

# fmt: off
OPTIONS = table(
    "options of rule=stdp",
    number(
        "rule.a_plus", 1.0,
        "Potentiation of a weight by a pair of spikes at no distance, before it is multiplied by "
        "ETA.", active_if=USED,
    ),
    number("rule.a_minus", 1.05, "Depression by such a pair.", active_if=USED),
    number(
        "rule.a_post", 0.0,
        "Change of all weights of a neuron at each of its spikes, whatever arrived: below 0 it "
        "weakens what does not help the neuron to spike.", active_if=USED,
    ),
    number(
        "rule.tau_plus", 20.0,
        "Time constant with which potentiation falls with the time by which the presynaptic spike "
        "comes first.", unit="ms", above=0, active_if=USED,
    ),
    number(
        "rule.tau_minus", 20.0,
        "Time constant with which depression falls with the time by which the postsynaptic spike "
        "comes first.", unit="ms", above=0, active_if=USED,
    ),
    number(
        "rule.w_min", 0.0, "Least weight; initial weights are cut to it too.", maximum=1e6,
        minimum=-1e6, active_if=USED,
    ),
    number(
        "rule.w_max", 1.0, "Largest weight; initial weights are cut to it too.", maximum=1e6,
        minimum=-1e6, active_if=USED,
    ),
    text(
        "rule.bound", "additive",
        "additive: changes do not depend on the weight; multiplicative: potentiation goes with "
        "(w_max - w)^mu, depression with (w - w_min)^mu.",
        choices=("additive", "multiplicative"), active_if=USED,
    ),
    number(
        "rule.mu", 1.0, "Exponent of multiplicative bounds; others than 1 take longer.", minimum=0,
        active_if=(when("rule.bound", "multiplicative"),),
    ),
    switch(
        "rule.reward", False,
        "Multiply the changes of an example by a reward: 1 where the network's prediction is right,"
        " rule.punish where it is wrong. false: no example is told from another.", active_if=USED,
    ),
    number(
        "rule.punish", -1.0, "Reward of an example with a wrong prediction.",
        active_if=(when("rule.reward", True),),
    ),
    text(
        "rule.optimiser", "sgd",
        "What makes a change of weights of the mean over a mini-batch: sgd, times the learning "
        "rate; adam, as for gradients.", choices=("sgd", "adam"), active_if=USED,
    ),
)
# fmt: on


def _plastic(values: Values) -> bool:
    """Return whether any projection learns by STDP."""
    return any(p.rule == NAME for x in layers_of(values) for p in x.projections)


@check("network.layers", *DEFAULT_KEYS, *(key.name for key in OPTIONS))
def _of_plastic_projections(values: Values) -> Iterator[str]:
    for key in () if _plastic(values) else OPTIONS:
        if values[key.name] != key.default and any(c.holds(values) for c in key.active_if):
            yield NoEffect(
                key.name,
                f"{key.name}={shown(values[key.name])}: no projection learns by {NAME}, which "
                "alone uses it; leave it out",
            )


@check("network.layers", "rule.w_min", "rule.w_max", *DEFAULT_KEYS)
def _bounds_in_order(values: Values) -> Iterator[str]:
    if _plastic(values) and values["rule.w_min"] >= values["rule.w_max"]:
        yield (
            f"rule.w_min={values['rule.w_min']:g}: must be below rule.w_max="
            f"{values['rule.w_max']:g}"
        )


@check("network.layers", *DEFAULT_KEYS)
def _one_rule_for_gradients(values: Values) -> Iterator[str]:
    """Refuse two rules that both compute gradients; STDP goes with each of them."""
    run = values["rule.name"]
    gradient = "eventprop" if run == NAME else run
    for index, layer in enumerate(layers_of(values)):
        for part, projection in (("forward", layer.forward), ("recurrent", layer.recurrent)):
            if projection is not None and projection.rule not in (FROZEN, NAME, gradient):
                yield (
                    f"network.layers[{index}].{part}.rule={projection.rule}: the run's rule is "
                    f"{run}, which goes together with {gradient}, {NAME} and {FROZEN}"
                )


@check("network.layers", "REG_TYPE", *DEFAULT_KEYS)
def _regularised_by_gradients(values: Values) -> Iterator[str]:
    hidden = layers_of(values)[:-1]
    rules = {p.rule for x in hidden for p in x.projections}
    learned = rules - {FROZEN, NAME} or any(layer.train_tau for layer in hidden)
    if values["REG_TYPE"] != "none" and NAME in rules and not learned:
        yield NoEffect(
            "REG_TYPE",
            f"REG_TYPE={values['REG_TYPE']}: has no effect, as it adds to gradients and nothing in "
            f"the hidden layers learns from gradients with rule {NAME}; leave it out",
        )


CHECKS = (
    _of_plastic_projections,
    _bounds_in_order,
    _one_rule_for_gradients,
    _regularised_by_gradients,
)
