"""The parameters that several built-in neurons share, and the keys that they follow."""

from __future__ import annotations

from dataclasses import replace

from snnrun.keys.files import GENERAL
from snnrun.keys.key import Row, number
from snnrun.models.declare import Parameter


def follows(row: Row, name: str, **more: object) -> Parameter:
    """Return the parameter whose default, unit and meaning are those of a key."""
    fixed = {"unit": row.get("unit", "1"), "meaning": row["meaning"], "key": row["name"]}
    return Parameter(name=name, default=GENERAL[row["name"]], **fixed | more)


# fmt: off
SYNAPTIC_KEY = number("TAU_SYN", "Time constant of the synaptic current.", unit="ms", above=0)
MEMBRANE_KEY = number("TAU_MEM", "Time constant of the membrane potential.", unit="ms", above=0)
THRESHOLD_KEY = number("V_THRESH", "Potential at which a neuron spikes.", above=0)
RESET_KEY = number(
    "V_RESET",
    "Potential after a spike. LIF_subtract, rockpool_LIF and bellec_ALIF take the threshold off, "
    "flux_LIF and spytorch_LIF set it to 0.",
)
REFRACTORY_KEY = number(
    "TAU_REF",
    "Refractory period: for so long after a spike the potential is held, but for that of "
    "bellec_ALIF, and no spike is emitted. Rounded to whole steps.", unit="ms", minimum=0,
)
KEYS_OF_SOME = (
    number(
        "TAU_B", "Time constant with which the adaptation B of ALIF neurons decays.", unit="ms",
        above=0,
    ),
    number(
        "B_INCR", "Rise of the adaptation B, and so of the threshold, at each spike.", minimum=0,
    ),
    number("B_INIT", "Adaptation B at the start of a trial.", minimum=0),
)
# fmt: on

TAU_MEM = follows(MEMBRANE_KEY, "tau_mem", positive=True, floor_key="MIN_TAU_M")
TAU_SYN = follows(SYNAPTIC_KEY, "tau_syn", positive=True, floor_key="MIN_TAU_SYN")
V_THRESH = follows(THRESHOLD_KEY, "v_thresh")
V_RESET = follows(RESET_KEY, "v_reset")
THRESHOLD = replace(V_THRESH, positive=True)
BIAS = Parameter(name="bias", default=0.0, unit="1", meaning="added to the potential in each step")
BIAS_IN = Parameter(
    name="bias", default=0.0, unit="1", meaning="added to what arrives in each step"
)
T_REF = follows(REFRACTORY_KEY, "t_ref", low=0.0)
TAU_B = follows(KEYS_OF_SOME[0], "tau_b", positive=True)
B_INCR = follows(KEYS_OF_SOME[1], "b_incr")
B_INIT = follows(KEYS_OF_SOME[2], "b_init")
TAU_SYN_INH = Parameter(
    name="tau_syn_inh",
    default=10.0,
    unit="ms",
    meaning="time constant of the inhibitory synaptic current",
    floor_key="MIN_TAU_SYN",
    positive=True,
)
TAU_RISE = Parameter(
    name="tau_rise",
    default=1.0,
    unit="ms",
    meaning="time constant with which the synaptic current rises",
    positive=True,
)

MEMBRANE = """
    dV/dt = (I - V) / tau_mem
    dI/dt = -I / tau_syn
"""
