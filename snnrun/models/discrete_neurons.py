"""The built-in neurons that are declared by their update in discrete time.

Each is another library's neuron, line by line. Only rules that learn in discrete steps use them.
"""

from __future__ import annotations

from dataclasses import replace

from snnrun.models.declare import Neuron, Parameter
from snnrun.models.parameters import TAU_MEM, TAU_SYN, V_THRESH

THRESHOLD = replace(V_THRESH, positive=True)
BIAS = Parameter(name="bias", default=0.0, unit="1", meaning="added to the potential in each step")
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

DISCRETE_NEURONS = {
    neuron.name: neuron
    for neuron in (ROCKPOOL_LIF_DELTA, ROCKPOOL_LIF, FLUX_LIF, SPYTORCH_LIF, SPYTORCH_LI)
}
