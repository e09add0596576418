"""The parameters that the built-in neurons share."""

from __future__ import annotations

from snnrun.models.declare import Parameter

TAU_MEM = Parameter(
    name="tau_mem",
    default=20.0,
    unit="ms",
    positive=True,
    key="TAU_MEM",
    floor_key="MIN_TAU_M",
    meaning="membrane time constant",
)
TAU_SYN = Parameter(
    name="tau_syn",
    default=5.0,
    unit="ms",
    positive=True,
    key="TAU_SYN",
    floor_key="MIN_TAU_SYN",
    meaning="synaptic time constant",
)
V_THRESH = Parameter(
    name="v_thresh", default=1.0, unit="1", key="V_THRESH", meaning="spiking threshold"
)
V_RESET = Parameter(
    name="v_reset", default=0.0, unit="1", key="V_RESET", meaning="membrane potential after a spike"
)
T_REF = Parameter(
    name="t_ref", default=0.0, unit="ms", low=0.0, key="TAU_REF", meaning="refractory period"
)
