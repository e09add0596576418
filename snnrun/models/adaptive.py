"""Neurons by their updates that adapt: by a current that oscillates with the potential, and by a
threshold that rises.
"""

from __future__ import annotations

from snnrun.models.declare import Neuron, Parameter
from snnrun.models.parameters import BIAS_IN, T_REF, TAU_B, TAU_MEM, THRESHOLD, V_THRESH


def _limit(state: str, side: str, default: float) -> Parameter:
    return Parameter(
        name=f"tau_{state}_{side}",
        default=default,
        unit="ms",
        meaning=f"{'shortest' if side == 'min' else 'longest'} time constant of {state.upper()}",
        positive=True,
    )


def _share(state: str) -> Parameter:
    return Parameter(
        name=f"share_{state}",
        default=0.5,
        unit="1",
        meaning=f"where the time constant lies from tau_{state}_min, 0, to tau_{state}_max, 1",
        low=0.0,
        high=1.0,
    )


_TAU_V = "(tau_v_min + share_v * (tau_v_max - tau_v_min))"
_TAU_W = "(tau_w_min + share_w * (tau_w_max - tau_w_min))"

SE_ADLIF = Neuron(
    name="se_adlif",
    # W is that of the end of the step before, with the V and S of after its reset
    update=f"""
        W = W * exp(-dt / {_TAU_W}) + (1 - exp(-dt / {_TAU_W})) * q * (a * V + b * S)
        S = 0
        V = V * exp(-dt / {_TAU_V}) + (1 - exp(-dt / {_TAU_V})) * (input + bias - W)
    """,
    threshold="V >= v_thresh",
    reset="""
        V = 0
        S = S + 1
    """,
    parameters=(
        THRESHOLD,
        _limit("v", "min", 5.0),
        _limit("v", "max", 25.0),
        _share("v"),
        _limit("w", "min", 60.0),
        _limit("w", "max", 300.0),
        _share("w"),
        Parameter(
            name="a",
            default=0.5,
            unit="1",
            meaning="adaptation current by the potential",
            low=0.0,
            high=1.0,
        ),
        Parameter(
            name="b",
            default=1.0,
            unit="1",
            meaning="adaptation current by the spikes",
            low=0.0,
            high=2.0,
        ),
        Parameter(name="q", default=120.0, unit="1", meaning="factor on a and b", positive=True),
        BIAS_IN,
    ),
    meaning="leaky integrate-and-fire neuron with an adaptation current, by symplectic Euler steps",
    source="Baronig, Ferrand, Sabathiel & Legenstein 2025, doi:10.1038/s41467-025-60878-z, "
    "SE-adLIF, whose u is V; models/alif.py of its code",
)

BELLEC_ALIF = Neuron(
    name="bellec_alif",
    update="""
        V = V * exp(-dt / tau_mem) + input
        B = B * exp(-dt / tau_b)
    """,
    threshold="V >= v_thresh + beta * B",
    # what is taken off and added in the next step, which decays both once more before
    reset="""
        V = V - v_thresh * exp(dt / tau_mem)
        B = B + exp(dt / tau_b)
    """,
    refractory="t_ref",
    parameters=(
        TAU_MEM,
        V_THRESH,
        T_REF,
        TAU_B,
        Parameter(
            name="beta", default=0.07, unit="1", meaning="rise of the threshold with adaptation B"
        ),
    ),
    meaning="leaky integrate-and-fire neuron with an adaptive threshold, whose potential jumps at "
    "each arrival, and goes on while the neuron is refractory",
    source="Bellec et al. 2020, Nat Commun 11:3625",
)
