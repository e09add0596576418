"""The built-in neurons, and the keys that their parameters follow.

A spike adds its weight to I; V meets the threshold or is read out. Those that are declared by
their update in discrete time are each another library's neuron, line by line; only rules that
learn in discrete steps use them.
"""

from __future__ import annotations

from snnrun.keys.key import number, table, text, unless, when
from snnrun.models.adaptive import BELLEC_ALIF, SE_ADLIF
from snnrun.models.declare import Neuron, Parameter
from snnrun.models.losses import BUILT_IN
from snnrun.models.nonlinear import ADEX, EIF, IZHIKEVICH, LIF_COND, NONLINEAR, QIF
from snnrun.models.parameters import (
    B_INCR,
    B_INIT,
    BIAS,
    BIAS_IN,
    KEYS_OF_SOME,
    MEMBRANE,
    MEMBRANE_KEY,
    REFRACTORY_KEY,
    RESET_KEY,
    SYNAPTIC_KEY,
    T_REF,
    TAU_B,
    TAU_MEM,
    TAU_RISE,
    TAU_SYN,
    TAU_SYN_INH,
    THRESHOLD,
    THRESHOLD_KEY,
    V_RESET,
    V_THRESH,
)

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
    parameters=(TAU_MEM, TAU_SYN, V_THRESH, V_RESET, T_REF, TAU_B, B_INCR, B_INIT),
    meaning="leaky integrate-and-fire neuron with an adaptive threshold",
    source="Bellec et al. 2018, NeurIPS 31, eq. 4",
)

LIF_EXC_INH = Neuron(
    name="lif_exc_inh",
    equations="""
        dV/dt = (E - I - V) / tau_mem
        dE/dt = -E / tau_syn
        dI/dt = -I / tau_syn_inh
    """,
    input="E",
    other_inputs=("I",),
    threshold="V >= v_thresh",
    reset="V = v_reset",
    refractory="t_ref",
    held=("V",),
    parameters=(TAU_MEM, TAU_SYN, TAU_SYN_INH, V_THRESH, V_RESET, T_REF),
    meaning="leaky integrate-and-fire neuron with an excitatory and an inhibitory synaptic "
    "current, ports E and I, each of its own time constant",
    source="Tsodyks, Uziel & Markram 2000, J Neurosci 20:RC50",
)

LIF_DOUBLE_EXP = Neuron(
    name="lif_double_exp",
    equations="""
        dV/dt = (I - V) / tau_mem
        dI/dt = R / tau_rise - I / tau_syn    # the charge of an arrival is that of lif
        dR/dt = -R / tau_rise
    """,
    input="R",
    other_inputs=("I",),
    threshold="V >= v_thresh",
    reset="V = v_reset",
    refractory="t_ref",
    held=("V",),
    parameters=(TAU_MEM, TAU_SYN, TAU_RISE, V_THRESH, V_RESET, T_REF),
    meaning="leaky integrate-and-fire neuron with a synaptic current that rises and decays "
    "exponentially, port R; arrivals at port I raise it at once",
    source="Roth & van Rossum 2009, Modeling synapses, in De Schutter (ed.), Computational "
    "Modeling Methods for Neuroscientists, MIT Press",
)

LI = Neuron(
    name="li",
    equations=MEMBRANE,
    parameters=(TAU_MEM, TAU_SYN),
    meaning="leaky integrator: the membrane of lif without a threshold, for readouts",
    source="Wunderlich & Pehle 2021, Sci Rep 11:12829, eq. 7",
)

MOST_SPIKES = Parameter(
    name="max_spikes_per_dt",
    default=15.0,
    unit="1",
    low=1.0,
    high=255.0,
    meaning="most spikes of a neuron in a step",
)

ROCKPOOL_LIF_DELTA = Neuron(
    name="rockpool_lif_delta",
    update="""
        V = V * exp(-dt / tau_mem)
        V = V + input + bias
    """,
    threshold="V >= v_thresh",
    count="floor(V / v_thresh)",
    max_spikes="max_spikes_per_dt",
    reset="V = V - spikes * v_thresh",
    parameters=(TAU_MEM, THRESHOLD, BIAS, MOST_SPIKES),
    meaning="leaky integrate-and-fire neuron whose potential jumps at each arrival, with several "
    "spikes a step",
    source="Muir, Bauer & Weidel 2019, doi 10.5281/zenodo.3773845: rockpool 3.1, LIFNeuronTorch",
)

ROCKPOOL_LIF = Neuron(
    name="rockpool_lif",
    update="""
        I = (I + input) * exp(-dt / tau_syn)
        V = V * exp(-dt / tau_mem) + I + bias
    """,
    threshold="V >= v_thresh",
    count="floor(V / v_thresh)",
    max_spikes="max_spikes_per_dt",
    reset="V = V - spikes * v_thresh",
    parameters=(TAU_MEM, TAU_SYN, THRESHOLD, BIAS, MOST_SPIKES),
    meaning="leaky integrate-and-fire neuron with an exponential synaptic current, with several "
    "spikes a step",
    source="Muir, Bauer & Weidel 2019, doi 10.5281/zenodo.3773845: rockpool 3.1, LIFTorch",
)

FLUX_LIF = Neuron(
    name="flux_lif",
    update="""
        I = I + dt / tau_syn * (input - I)
        V = V + dt / tau_mem * (I - V)
    """,
    threshold="V >= v_thresh",
    reset="V = 0",
    parameters=(TAU_MEM, TAU_SYN, THRESHOLD),
    meaning="leaky integrate-and-fire neuron by forward Euler, with a filtered input current",
    source="Phillips 2022, gist 91ebcb33d4efcd6eb2ce7735ffa551b3, Flux LIF neuron",
)

SPYTORCH_LIF = Neuron(
    name="spytorch_lif",
    update="""
        V = (V * exp(-dt / tau_mem) + I) * (1 - S)
        I = I * exp(-dt / tau_syn) + input
        S = 0
    """,
    threshold="V >= v_thresh",
    reset="S = 1",
    parameters=(TAU_MEM, TAU_SYN, THRESHOLD),
    meaning="leaky integrate-and-fire neuron that is reset a step after its spike",
    source="Neftci, Mostafa & Zenke 2019, IEEE Signal Process Mag 36:51, spytorch tutorials",
)

SPYTORCH_LI = Neuron(
    name="spytorch_li",
    update="""
        V = V * exp(-dt / tau_mem) + I
        I = I * exp(-dt / tau_syn) + input
    """,
    parameters=(TAU_MEM, TAU_SYN),
    meaning="leaky integrator: the membrane of spytorch_lif without a threshold, for readouts",
    source="Neftci, Mostafa & Zenke 2019, IEEE Signal Process Mag 36:51, spytorch tutorials",
)

LI_DELTA = Neuron(
    name="li_delta",
    update="V = V * exp(-dt / tau_mem) + (1 - exp(-dt / tau_mem)) * (input + bias)",
    parameters=(TAU_MEM, BIAS_IN),
    meaning="leaky integrator of what arrives, without a synaptic current, for readouts",
    source="Baronig, Ferrand, Sabathiel & Legenstein 2025, doi:10.1038/s41467-025-60878-z; "
    "models/li.py of its code",
)

BELLEC_LI = Neuron(
    name="bellec_li",
    update="V = V * exp(-dt / tau_mem) + input",
    parameters=(TAU_MEM,),
    meaning="leaky integrator: the membrane of bellec_alif without a threshold, for readouts",
    source="Bellec et al. 2020, Nat Commun 11:3625",
)

DISCRETE_NEURONS = {  # by their own names
    neuron.name: neuron
    for neuron in (
        ROCKPOOL_LIF_DELTA,
        ROCKPOOL_LIF,
        FLUX_LIF,
        SPYTORCH_LIF,
        SE_ADLIF,
        BELLEC_ALIF,
        SPYTORCH_LI,
        LI_DELTA,
        BELLEC_LI,
    )
}

NEURONS = {
    neuron.name: neuron for neuron in (LIF, LIF_SUBTRACT, ALIF, LIF_EXC_INH, LIF_DOUBLE_EXP, LI)
} | NONLINEAR

# Config names: the neuron, and the parameters that differ from neuron to neuron.
NEURON_TYPES: dict[str, tuple[Neuron, tuple[str, ...]]] = {
    "LIF": (LIF, ()),
    "hetLIF": (LIF, ("tau_mem", "tau_syn")),
    "ALIF": (ALIF, ()),
    "LIF_subtract": (LIF_SUBTRACT, ()),
    "LIF_exc_inh": (LIF_EXC_INH, ()),
    "LIF_double_exp": (LIF_DOUBLE_EXP, ()),
    "LIF_cond": (LIF_COND, ()),
    "QIF": (QIF, ()),
    "EIF": (EIF, ()),
    "AdEx": (ADEX, ()),
    "Izhikevich": (IZHIKEVICH, ()),
    "LI": (LI, ()),
    "hetLI": (LI, ("tau_mem", "tau_syn")),
    "rockpool_LIF": (ROCKPOOL_LIF, ()),
    "rockpool_LIF_delta": (ROCKPOOL_LIF_DELTA, ()),
    "flux_LIF": (FLUX_LIF, ()),
    "spytorch_LIF": (SPYTORCH_LIF, ()),
    "SE_adLIF": (SE_ADLIF, ()),
    "bellec_ALIF": (BELLEC_ALIF, ()),
    "spytorch_LI": (SPYTORCH_LI, ()),
    "LI_delta": (LI_DELTA, ()),
    "bellec_LI": (BELLEC_LI, ()),
}

# What stands for an output that is read out where a loss takes its spikes: the same membrane.
SPIKING = {LI.name: LIF, SPYTORCH_LI.name: SPYTORCH_LIF, BELLEC_LI.name: BELLEC_ALIF}

HIDDEN_NEURONS = tuple(name for name, (neuron, _) in NEURON_TYPES.items() if neuron.threshold)
OUTPUT_NEURONS = tuple(name for name in NEURON_TYPES if name not in HIDDEN_NEURONS)
NEURON_KEYS = [row["name"] for row in (*KEYS_OF_SOME, REFRACTORY_KEY)]  # of some neurons only
DISCRETE = [name for name, (neuron, _) in NEURON_TYPES.items() if neuron.discrete]
DRAWN = [name for name, (_, drawn) in NEURON_TYPES.items() if drawn]
# of networks in parts, whose neurons and recurrence are each part's own
LISTED = (unless("network.layers", ()), unless("network.populations", ()))
IN_PARTS = (*LISTED, unless("network.file", None))


def using(key: str) -> list[str]:
    """Return the names of the hidden neurons with a parameter that follows ``key``."""
    return [n for n in HIDDEN_NEURONS if key in [p.key for p in NEURON_TYPES[n][0].parameters]]


RESET_KEY["active_if"] = (
    unless("HIDDEN_NEURON_TYPE", *(n for n in HIDDEN_NEURONS if n not in using("V_RESET"))),
    when("LOSS_TYPE", *(name for name, loss in BUILT_IN.items() if loss.spiking)),  # of the outputs
    *IN_PARTS,
)
for _row in KEYS_OF_SOME:
    _row["active_if"] = (when("HIDDEN_NEURON_TYPE", *using(_row["name"])), *IN_PARTS)
_DIFFERING = (
    when("TRAIN_TAU", True),
    when("TRAIN_TAU_OUTPUT", True),
    when("HIDDEN_NEURON_TYPE", *(name for name in HIDDEN_NEURONS if name in DRAWN)),
    when("OUTPUT_NEURON_TYPE", *(name for name in OUTPUT_NEURONS if name in DRAWN)),
    *IN_PARTS,
)

# fmt: off
KEYS = table(
    "model parameters",
    SYNAPTIC_KEY,
    MEMBRANE_KEY,
    THRESHOLD_KEY,
    RESET_KEY,
    REFRACTORY_KEY,
    text(
        "HIDDEN_NEURON_TYPE",
        "Neurons of the hidden layers: LIF leaky integrate-and-fire; hetLIF with time constants "
        "drawn for each neuron; ALIF with an adaptive threshold; LIF_subtract whose reset takes "
        "the threshold off the potential; LIF_exc_inh with an excitatory and an inhibitory current "
        "(ports E and I; tau_syn_inh in network.hidden_parameters); LIF_double_exp with a current "
        "that rises first (tau_rise there). Not linear between spikes: "
        "LIF_cond with conductances (ports E and I), QIF quadratic, EIF exponential, AdEx with "
        "adaptation, Izhikevich in mV. Or your own, as in mylab.neurons.alif2. By updates in "
        "discrete time, with rule=surrogate or eprop only: rockpool_LIF and, without a synaptic "
        "current, rockpool_LIF_delta, with up to max_spikes_per_dt spikes a step and a bias (both "
        "in network.hidden_parameters); flux_LIF by forward Euler; spytorch_LIF, reset a step "
        "late; SE_adLIF with an adaptation current of potential and spikes; bellec_ALIF with an "
        "adaptive threshold and without a synaptic current (beta in network.hidden_parameters).",
        choices=HIDDEN_NEURONS, dotted_path=True,
    ),
    text(
        "OUTPUT_NEURON_TYPE",
        "Neurons of the output: LI leaky integrator; hetLI with time constants drawn for each "
        "neuron; with rule=surrogate or eprop only: spytorch_LI the one of spytorch_LIF, LI_delta "
        "and bellec_LI without a synaptic current; or your own. The losses of spikes need outputs "
        "that spike: with them LI stands for LIF, hetLI for hetLIF, spytorch_LI for spytorch_LIF "
        "and bellec_LI for bellec_ALIF.",
        choices=OUTPUT_NEURONS, dotted_path=True,
    ),
    *KEYS_OF_SOME,
) + table(
    "learning parameters",
    number(
        "MIN_TAU_M", "Smallest membrane time constant, trained or drawn.", unit="ms", above=0,
        active_if=_DIFFERING,
    ),
    number(
        "MIN_TAU_SYN", "Smallest synaptic time constant, trained or drawn.", unit="ms", above=0,
        active_if=_DIFFERING,
    ),
)
# fmt: on
