"""A learning rule of one's own: three factors, none of which is a pair of spikes."""

from __future__ import annotations

from dataclasses import replace

from snnrun.rules import EVENTPROP, STDP
from snnrun.rules.base import Rule
from snnrun.rules.learning import Engine

THREE_FACTOR = Rule(
    name="three_factor",
    meaning="trace of the input x signals of the neuron x error of the example",
    source="this test",
    engine=Engine.PAIRS,
    beside=EVENTPROP,
    bind=lambda options: replace(
        STDP.usual(),
        a_plus=0.7,
        a_minus=0.3,
        tau_plus=7.0,
        tau_minus=15.0,
        w_min=-50.0,
        w_max=50.0,
        post_plus="1 / (1 + 10 * abs(V - threshold))**2",
        post_minus="I * V / tau_mem",
        third_factor="right - 2 * loss",
    ),
)
