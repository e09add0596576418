"""Neurons whose equations are not linear between spikes; network.integrator takes their steps.

But for Izhikevich's, which is in mV, potentials are in units in which lif rests at 0 and spikes at
1. A steady current of 1 moves lif to its threshold, and Izhikevich's neuron beyond its rest.
"""

from __future__ import annotations

from snnrun.models.declare import Neuron, Parameter
from snnrun.models.parameters import T_REF, TAU_MEM, TAU_SYN, TAU_SYN_INH, V_RESET, V_THRESH

V_CRIT = Parameter(
    name="v_crit",
    default=0.5,
    unit="1",
    meaning="potential above which a spike comes without more input",
    positive=True,
)
V_ONSET = Parameter(
    name="v_onset", default=0.7, unit="1", meaning="potential at which the upstroke begins"
)
SHARPNESS = Parameter(
    name="sharpness",
    default=0.1,
    unit="1",
    meaning="rise of the potential that makes the upstroke e times as fast",
    positive=True,
)
TAU_W = Parameter(
    name="tau_w",
    default=100.0,
    unit="ms",
    meaning="time constant of the adaptation current w",
    positive=True,
)
COUPLING = Parameter(
    name="coupling", default=0.1, unit="1", meaning="adaptation current by potential, at rest"
)
W_INCR = Parameter(
    name="w_incr", default=0.1, unit="1", meaning="rise of the adaptation current at each spike"
)
E_EXC = Parameter(
    name="e_exc", default=6.0, unit="1", meaning="reversal potential of the excitatory conductance"
)
E_INH = Parameter(
    name="e_inh", default=-2.0, unit="1", meaning="reversal potential of the inhibitory conductance"
)

QIF = Neuron(
    name="qif",
    equations="""
        dV/dt = (V * (V / v_crit - 1) + I) / tau_mem
        dI/dt = -I / tau_syn
    """,
    threshold="V >= v_thresh",
    reset="V = v_reset",
    refractory="t_ref",
    held=("V",),
    parameters=(TAU_MEM, TAU_SYN, V_THRESH, V_RESET, T_REF, V_CRIT),
    meaning="quadratic integrate-and-fire neuron with an exponential synaptic current",
    source="Latham, Richmond, Nelson & Nirenberg 2000, J Neurophysiol 83:808, eq. 1",
)

EIF = Neuron(
    name="eif",
    equations="""
        dV/dt = (sharpness * exp((V - v_onset) / sharpness) - V + I) / tau_mem
        dI/dt = -I / tau_syn
    """,
    threshold="V >= v_thresh",
    reset="V = v_reset",
    refractory="t_ref",
    held=("V",),
    parameters=(TAU_MEM, TAU_SYN, V_THRESH, V_RESET, T_REF, V_ONSET, SHARPNESS),
    meaning="exponential integrate-and-fire neuron with an exponential synaptic current",
    source="Fourcaud-Trocme, Hansel, van Vreeswijk & Brunel 2003, J Neurosci 23:11628, eq. 13",
)

ADEX = Neuron(
    name="adex",
    equations="""
        dV/dt = (sharpness * exp((V - v_onset) / sharpness) - V - w + I) / tau_mem
        dw/dt = (coupling * V - w) / tau_w
        dI/dt = -I / tau_syn
    """,
    threshold="V >= v_thresh",
    reset="""
        V = v_reset
        w = w + w_incr
    """,
    refractory="t_ref",
    held=("V",),
    parameters=(*EIF.parameters, TAU_W, COUPLING, W_INCR),
    meaning="exponential integrate-and-fire neuron with an adaptation current",
    source="Brette & Gerstner 2005, J Neurophysiol 94:3637, eqs 1, 2",
)

IZHIKEVICH = Neuron(
    name="izhikevich",
    equations="""
        dV/dt = 0.04 * V ** 2 + 5 * V + 140 - u + drive * I
        du/dt = a * (b * V - u)
        dI/dt = -I / tau_syn
    """,
    threshold="V >= v_peak",
    reset="""
        V = c
        u = u + d
    """,
    initial={"V": "c", "u": "b * c"},
    parameters=(
        TAU_SYN,
        Parameter(
            name="drive",
            default=4.0,
            unit="mV/ms",
            meaning="of a current of 1; its default just makes it spike, by a steady current",
        ),
        Parameter(name="v_peak", default=30.0, unit="mV", meaning="potential at which it is reset"),
        Parameter(name="a", default=0.02, unit="1/ms", meaning="rate of the recovery u"),
        Parameter(name="b", default=0.2, unit="1/ms", meaning="pull of V on the recovery"),
        Parameter(name="c", default=-65.0, unit="mV", meaning="potential after a spike"),
        Parameter(name="d", default=8.0, unit="mV/ms", meaning="rise of u at each spike"),
    ),
    meaning="Izhikevich's neuron, in mV and ms, with an exponential synaptic current",
    source="Izhikevich 2003, IEEE Trans Neural Netw 14:1569, eqs 1-3",
)

LIF_COND = Neuron(
    name="lif_cond",
    equations="""
        dV/dt = (E * (e_exc - V) + I * (e_inh - V) - V) / tau_mem
        dE/dt = -E / tau_syn
        dI/dt = -I / tau_syn_inh
    """,
    input="E",
    other_inputs=("I",),
    threshold="V >= v_thresh",
    reset="V = v_reset",
    refractory="t_ref",
    held=("V",),
    parameters=(TAU_MEM, TAU_SYN, TAU_SYN_INH, V_THRESH, V_RESET, T_REF, E_EXC, E_INH),
    meaning="leaky integrate-and-fire neuron with an excitatory and an inhibitory conductance, "
    "ports E and I, in units of that of the leak",
    source="Brette et al. 2007, J Comput Neurosci 23:349, appendix 2, benchmark 1 (COBA)",
)

NONLINEAR = {n.name: n for n in (QIF, EIF, ADEX, IZHIKEVICH, LIF_COND)}
