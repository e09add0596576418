"""The built-in neurons: a spike adds its weight to I; V meets the threshold or is read out."""

from __future__ import annotations

from snnrun.models.declare import Neuron, Parameter
from snnrun.models.discrete_neurons import (
    FLUX_LIF,
    ROCKPOOL_LIF,
    ROCKPOOL_LIF_DELTA,
    SPYTORCH_LI,
    SPYTORCH_LIF,
)
from snnrun.models.parameters import T_REF, TAU_MEM, TAU_SYN, V_RESET, V_THRESH

MEMBRANE = """
    dV/dt = (I - V) / tau_mem
    dI/dt = -I / tau_syn
"""

LIF = Neuron(
    name="lif",
    equations=MEMBRANE,
    threshold="V >= v_thresh",
    reset="V = v_reset",
    refractory="t_ref",
    held=("V",),
    parameters=(TAU_MEM, TAU_SYN, V_THRESH, V_RESET, T_REF),
    meaning="leaky integrate-and-fire neuron with an exponential synaptic current",
    source="Wunderlich & Pehle 2021, Sci Rep 11:12829, Table 1",
)

LIF_SUBTRACT = Neuron(
    name="lif_subtract",
    equations=MEMBRANE,
    threshold="V >= v_thresh",
    reset="V = V - v_thresh",
    refractory="t_ref",
    held=("V",),
    parameters=(TAU_MEM, TAU_SYN, V_THRESH, T_REF),
    meaning="leaky integrate-and-fire neuron whose reset takes the threshold off the potential",
    source="Guo et al. 2022, arXiv 2203.06145 (soft reset); adjoint derived here",
)

ALIF = Neuron(
    name="alif",
    equations=MEMBRANE + "dB/dt = -B / tau_b",
    threshold="V >= v_thresh + B",
    reset="""
        V = v_reset
        B = B + b_incr
    """,
    refractory="t_ref",
    held=("V",),
    initial={"B": "b_init"},
    parameters=(
        TAU_MEM,
        TAU_SYN,
        V_THRESH,
        V_RESET,
        T_REF,
        Parameter(
            name="tau_b",
            default=100.0,
            unit="ms",
            positive=True,
            key="TAU_B",
            meaning="time constant of the threshold's adaptation",
        ),
        Parameter(
            name="b_incr",
            default=0.1,
            unit="1",
            key="B_INCR",
            meaning="rise of the threshold at each spike",
        ),
        Parameter(
            name="b_init",
            default=0.0,
            unit="1",
            key="B_INIT",
            meaning="adaptation at the start of a trial",
        ),
    ),
    meaning="leaky integrate-and-fire neuron with an adaptive threshold",
    source="Bellec et al. 2018, NeurIPS 31, eq. 4",
)

LI = Neuron(
    name="li",
    equations=MEMBRANE,
    parameters=(TAU_MEM, TAU_SYN),
    meaning="leaky integrator: the membrane of lif without a threshold, for readouts",
    source="Wunderlich & Pehle 2021, Sci Rep 11:12829, eq. 7",
)

NEURONS = {neuron.name: neuron for neuron in (LIF, LIF_SUBTRACT, ALIF, LI)}

# Config names: the neuron, and the parameters that differ from neuron to neuron.
NEURON_TYPES: dict[str, tuple[Neuron, tuple[str, ...]]] = {
    "LIF": (LIF, ()),
    "hetLIF": (LIF, ("tau_mem", "tau_syn")),
    "ALIF": (ALIF, ()),
    "LIF_subtract": (LIF_SUBTRACT, ()),
    "LI": (LI, ()),
    "hetLI": (LI, ("tau_mem", "tau_syn")),
    "rockpool_LIF": (ROCKPOOL_LIF, ()),
    "rockpool_LIF_delta": (ROCKPOOL_LIF_DELTA, ()),
    "flux_LIF": (FLUX_LIF, ()),
    "spytorch_LIF": (SPYTORCH_LIF, ()),
    "spytorch_LI": (SPYTORCH_LI, ()),
}
