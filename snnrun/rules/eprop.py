"""e-prop: the part of the gradient that a synapse can know while the network runs.

With z_j(t) the spikes of a neuron, h_j its states, and E the loss, the gradient by a weight is

    dE/dw_ji = sum over t of (dE/dz_j(t)) e_ji(t)                                         eq. (1)
    eps_ji(t) = (dh_j(t)/dh_j(t-1)) eps_ji(t-1) + dh_j(t)/dw_ji
    e_ji(t)  = (dz_j(t)/dh_j(t)) eps_ji(t)                              eq. (25) for ALIF neurons

where dz/dh is the surrogate's derivative, and 0 while a neuron is refractory. e-prop replaces the
total derivative dE/dz_j(t) by the learning signal, what z_j changes through the outputs alone:

    L_j(t) = sum over k of B_jk (error of output k at t)                                  eq. (4)

All that other hidden neurons would send back is left out. The outputs' leak filters e_ji into
ebar_ji. The same sum can be taken from the end of a trial to its start: then L_j(t) is the adjoint
of the outputs where a spike of j in step t arrives, times B_jk, and passes through the Jacobian of
the neuron's own step only. That is what backends do: see compile/discrete.py, and
network/feedback.py for who sends back. With update_steps they sum forwards: compile/traces.py.

Options and the paper: feedback symmetric, random, adaptive are its three kinds of B; adaptive ones
are updated as the output's weights are. surrogate=triangular with dampening 0.3 is its psi at a
threshold of 1. detach_reset=null leaves out the derivative of the potential's reset, and keeps that
of the adaptation's rise, as in eq. (25). REG_TYPE=simple with AVG_SNSUM and LBD_UPPER=LBD_LOWER is
its regulariser of rates, with c_reg its strength.

Source: Bellec, Scherr, Subramoney, Hajek, Salaj, Legenstein & Maass 2020, Nat Commun 11:3625.
"""

from __future__ import annotations

from typing import Any

from snnrun.keys.key import when
from snnrun.keys.kinds import FLOAT, INT, TEXT
from snnrun.rules import surrogate
from snnrun.rules.base import Rule, option
from snnrun.rules.learning import ADAPTIVE, RANDOM, SYMMETRIC, Engine, Feedback, Gradient

_OWN = (when("rule.feedback", RANDOM, ADAPTIVE),)

# fmt: off
OPTIONS = (
    *surrogate.OPTIONS,
    option(
        "feedback", TEXT,
        "How errors of the outputs reach hidden neurons: through the weights of their projections "
        "to the output (symmetric), through fixed normal ones (random), or through such that learn "
        "as if they led to the output (adaptive).",
        choices=(SYMMETRIC, RANDOM, ADAPTIVE),
    ),
    option(
        "feedback_sd", FLOAT,
        "Standard deviation of random feedback, and of adaptive feedback at the start.",
        minimum=0, active_if=_OWN,
    ),
    option("feedback_seed", INT, "Seed of that feedback.", minimum=0, active_if=_OWN),
    option(
        "update_steps", INT,
        "After how many steps weights change, while the trials of a mini-batch run, by traces that "
        "each synapse keeps. Needs a loss of each step.",
        minimum=1, nullable=True, null="once, when they have ended",
    ),
)
# fmt: on


def _bind(options: Any) -> Gradient:
    feedback = Feedback(kind=options.feedback, sd=options.feedback_sd, seed=options.feedback_seed)
    return Gradient(
        spikes=surrogate.spikes_of(options),
        feedback=feedback,
        update_steps=options.update_steps or 0,
    )


EPROP = Rule(
    name="eprop",
    meaning="eligibility traces of synapses times a learning signal that the outputs send",
    source="Bellec et al. 2020, Nat Commun 11:3625",
    engine=Engine.STEPS,
    bind=_bind,
    options=OPTIONS,
    backends=("native", "numpy"),
    hint=surrogate.hint,
)
