"""Spike-timing dependent plasticity, of the run or of single projections (rule: stdp).

Its equations are those of :class:`snnrun.rules.learning.Plasticity`.
"""

from __future__ import annotations

from collections.abc import Iterator

from snnrun.keys.check import Values
from snnrun.keys.key import when
from snnrun.keys.kinds import BOOL, FLOAT, TEXT
from snnrun.rules.base import Rule, option
from snnrun.rules.eventprop import EVENTPROP
from snnrun.rules.learning import Engine, Plasticity

# fmt: off
OPTIONS = (
    option(
        "a_plus", FLOAT,
        "Potentiation of a weight by a pair of spikes at no distance, before it is multiplied by "
        "ETA.",
    ),
    option("a_minus", FLOAT, "Depression by such a pair."),
    option(
        "a_post", FLOAT,
        "Change of all weights of a neuron at each of its spikes, whatever arrived: below 0 it "
        "weakens what does not help the neuron to spike.",
    ),
    option(
        "tau_plus", FLOAT,
        "Time constant with which potentiation falls with the time by which the presynaptic spike "
        "comes first.", unit="ms", above=0,
    ),
    option(
        "tau_minus", FLOAT,
        "Time constant with which depression falls with the time by which the postsynaptic spike "
        "comes first.", unit="ms", above=0,
    ),
    option(
        "w_min", FLOAT, "Least weight; initial weights are cut to it too.", maximum=1e6,
        minimum=-1e6,
    ),
    option(
        "w_max", FLOAT, "Largest weight; initial weights are cut to it too.", maximum=1e6,
        minimum=-1e6,
    ),
    option(
        "bound", TEXT,
        "additive: changes do not depend on the weight; multiplicative: potentiation goes with "
        "(w_max - w)^mu, depression with (w - w_min)^mu.",
        choices=("additive", "multiplicative"),
    ),
    option(
        "mu", FLOAT, "Exponent of multiplicative bounds; others than 1 take longer.", minimum=0,
        active_if=(when("rule.bound", "multiplicative"),),
    ),
    option(
        "reward", BOOL,
        "Multiply the changes of an example by a reward: 1 where the network's prediction is right,"
        " rule.punish where it is wrong. false: no example is told from another.",
    ),
    option(
        "punish", FLOAT, "Reward of an example with a wrong prediction.",
        active_if=(when("rule.reward", True),),
    ),
    option(
        "optimiser", TEXT,
        "What makes a change of weights of the mean over a mini-batch: sgd, times the learning "
        "rate; adam, as for gradients.", choices=("sgd", "adam"),
    ),
)
# fmt: on


def _bounds_in_order(values: Values) -> Iterator[str]:
    if values["rule.w_min"] >= values["rule.w_max"]:
        yield (
            f"rule.w_min={values['rule.w_min']:g}: must be below rule.w_max="
            f"{values['rule.w_max']:g}"
        )


STDP = Rule(
    name="stdp",
    meaning="weights follow the order of pre- and postsynaptic spikes, without gradients",
    source="Song, Miller & Abbott 2000, Nat Neurosci 3:919",
    engine=Engine.PAIRS,
    bind=Plasticity.of,
    options=OPTIONS,
    beside=EVENTPROP,
    blind=lambda options: not options.reward,
    checks=(_bounds_in_order,),
)
