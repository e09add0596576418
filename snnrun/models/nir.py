"""The neurons of the NIR format, stepped as its equations are solved or as other programs do it.

NIR declares neurons in continuous time (Pedersen et al. 2024, Nat Commun 15:8122), and every
program steps them in its own way. What arrives in a step is ``input``, a spike adding its weight,
and a bias adds to it in every step:

    LIF        tau_mem dV/dt = v_leak - V + r S              S = input + bias
    CubaLIF    tau_mem dV/dt = v_leak - V + r I              tau_syn dI/dt = -I + w_in S
    IF         dV = r S                                      a step of S moves V by r S
    LI, CubaLI, I: the same without a threshold

``stepping`` says which of the programs is followed; docs/nir.md has the table. Neurons whose name
ends in ``.late`` keep still for ``lag`` steps, so that a bias does not act before the first spikes
can have come from the layers before. In norse, a bias behind the neuron itself does not act in the
first step either: what it stands behind has had no step yet.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from snnrun.models.declare import Neuron, Parameter
from snnrun.models.neurons import BIAS_IN, TAU_MEM, TAU_SYN, V_RESET, V_THRESH

STEPPINGS = {
    "exact": "the exact solution, with what arrives in a step as a current over this step",
    "jump": "the exact solution, with what arrives in a step as a jump at its start",
    "euler": "forward Euler, the potential with the new current",
    "norse": "norse 1.1: forward Euler; v_leak pulls the current too",
    "snntorch": "snnTorch 1.0 as it reads NIR: forward Euler, reset in the step of the spike",
    "snntorch_late": "snnTorch 1.0 with reset_delay, as its recurrent neurons: reset a step later",
    "sinabs": "sinabs 2.0: exponential decay, several spikes a step, reset by subtraction",
}
SOURCE = "Pedersen et al. 2024, Nat Commun 15:8122 (NIR); stepped as by {}"

R = Parameter(name="r", default=1.0, unit="1", meaning="resistance")
V_LEAK = Parameter(name="v_leak", default=0.0, unit="1", meaning="potential without input")
W_IN = Parameter(name="w_in", default=1.0, unit="1", meaning="factor on what arrives")
GAIN = Parameter(name="gain", default=1.0, unit="1", meaning="drive of the potential by I")
DRIVE = Parameter(name="drive", default=0.0, unit="1", meaning="I without spikes, by a bias")
LAG = Parameter(name="lag", default=0.0, unit="1", low=0.0, meaning="steps before the first one")
FIRST = Parameter(
    name="first", default=0.0, unit="1", meaning="part of the bias that the first step is without"
)
# A potential must be above the threshold, not on it: at least the next float32, for any threshold
ABOVE = Parameter(
    name="above",
    default=0.75 * 2.0**-23,
    unit="1",
    meaning="part of the threshold by which a potential must be above it",
)
MOST = Parameter(
    name="most",
    default=255.0,
    unit="1",
    low=1.0,
    high=255.0,
    meaning="most spikes of a neuron in a step",
)
STRICT = "V >= v_thresh + above * v_thresh"

DECAY = "exp(-dt / tau_mem)"
EXACT = f"V = V * {DECAY} + (v_leak + r * (input + bias)) * (1 - {DECAY})"
JUMP = f"V = V * {DECAY} + r * dt / tau_mem * {DECAY} * input + (v_leak + r * bias) * (1 - {DECAY})"
EULER = "V = V + dt / tau_mem * (v_leak - V + r * (input + bias))"
EULER_CURRENT = "I = I + dt / tau_syn * (w_in * (input + bias) - I)"
EULER_CUBA = f"""
    {EULER_CURRENT}
    V = V + dt / tau_mem * (v_leak - V + r * I)
"""
NORSE_CUBA = EULER_CUBA.replace("- I)", "- I + v_leak)", 1)
LATE_RESET = """
    V = (V * (1 - dt / tau_mem)) * (1 - S) + dt / tau_mem * r * (input + bias)
    S = 0
"""
LATE_RESET_CUBA = f"""
    {EULER_CURRENT}
    V = (V + dt / tau_mem * (r * I - V)) * (1 - S)
    S = 0
"""
SUM = "V = V + r * (input + bias)"
SINABS = f"V = V * {DECAY} + input + bias"
SINABS_SUM = "V = max(V, -v_thresh) + input + bias"
FLOW = """
    dV/dt = (v_leak + gain * I - V) / tau_mem
    dI/dt = (drive - I) / tau_syn
"""


def _exact_cuba() -> str:
    """Return the exact step of a membrane behind a current, with equal time constants too.

    A current I at the start of the step has moved V by I dt / tau_mem exp(-y) sinh(x) / x at its
    end, with y = dt / 2 (1 / tau_mem + 1 / tau_syn) and x = dt / 2 (1 / tau_mem - 1 / tau_syn), of
    which sinh(x) / x is a series of x^2.
    """
    square = "(dt / 2 * (1 / tau_mem - 1 / tau_syn)) ** 2"
    series = "1"
    for k in range(12, 0, -1):
        series = f"(1 + {square} / {2 * k * (2 * k + 1)} * {series})"
    moved = f"dt / tau_mem * exp(-dt / 2 * (1 / tau_mem + 1 / tau_syn)) * {series}"
    driven = f"(input + bias) * (r * w_in * (1 - {DECAY} - {moved}))"
    return f"""
        V = V * {DECAY} + I * (r * {moved}) + v_leak * (1 - {DECAY}) + {driven}
        I = I * exp(-dt / tau_syn) + (input + bias) * (w_in * (1 - exp(-dt / tau_syn)))
    """


OF_MEMBRANE = (TAU_MEM, R, V_LEAK, BIAS_IN)
OF_CURRENT = (TAU_MEM, TAU_SYN, R, V_LEAK, W_IN, BIAS_IN)
UPDATES = {  # stepping -> kind of neuron -> its step
    "exact": {"LIF": EXACT, "CubaLIF": _exact_cuba(), "IF": SUM},
    "jump": {"LIF": JUMP, "CubaLIF": FLOW, "IF": SUM},
    "euler": {"LIF": EULER, "CubaLIF": EULER_CUBA, "IF": SUM},
    "norse": {"LIF": EULER, "CubaLIF": NORSE_CUBA, "IF": SUM},
    "snntorch": {"LIF": EULER, "CubaLIF": EULER_CUBA, "IF": SUM},
    "snntorch_late": {"LIF": LATE_RESET, "CubaLIF": LATE_RESET_CUBA},
    "sinabs": {"LIF": SINABS, "IF": SINABS_SUM},
}
PARAMETERS = {"LIF": OF_MEMBRANE, "CubaLIF": OF_CURRENT, "IF": (R, BIAS_IN)}
READOUTS = {"LI": "LIF", "CubaLI": "CubaLIF", "I": "IF"}  # kind -> the same with a threshold


def _spiking(stepping: str, kind: str, step: str) -> Neuron:
    about: dict[str, Any] = {
        "name": f"nir_{stepping}_{kind.lower()}",
        "meaning": f"{kind} of NIR, stepped by {STEPPINGS[stepping]}",
        "source": SOURCE.format(STEPPINGS[stepping]),
    }
    own = PARAMETERS[kind]
    if stepping == "sinabs":
        own = tuple(p for p in own if p not in (R, V_LEAK))
        return Neuron(
            **about,
            update=step,
            threshold="V >= v_thresh",
            count="floor(V / v_thresh)",
            max_spikes="most",
            reset="V = V - spikes * v_thresh",
            parameters=(*own, replace(V_THRESH, positive=True), MOST),
        )
    if step is FLOW:
        own = (TAU_MEM, TAU_SYN, V_LEAK, GAIN, DRIVE)
        return Neuron(
            **about,
            equations=step,
            threshold="V >= v_thresh",
            reset="V = v_reset",
            parameters=(*own, V_THRESH, V_RESET),
        )
    late = stepping == "snntorch_late"
    own = tuple(p for p in own if not (late and p is V_LEAK))
    return Neuron(
        **about,
        update=step,
        threshold=STRICT,
        reset="S = 1" if late else "V = v_reset",
        parameters=(*own, V_THRESH, ABOVE, *(() if late else (V_RESET,))),
    )


def _readout(neuron: Neuron, kind: str, stepping: str) -> Neuron:
    """Return a neuron without its threshold."""
    of_spikes = {V_THRESH.name, V_RESET.name, ABOVE.name, MOST.name}
    return replace(
        neuron,
        name=f"nir_{stepping}_{kind.lower()}",
        input="" if neuron.discrete else neuron.input,
        update=neuron.update.replace("max(V, -v_thresh)", "V"),
        readout="V" if neuron.discrete else None,
        threshold=None,
        count=None,
        max_spikes=None,
        reset="",
        parameters=tuple(p for p in neuron.parameters if p.name not in of_spikes),
        meaning=neuron.meaning.replace(READOUTS[kind], kind, 1),
    )


def _late(neuron: Neuron) -> Neuron:
    """Return a neuron all of whose states are 0 in its first ``lag`` steps."""
    gates = "".join(f"\n{s} = {s} * max(G, 0)" for s in neuron.variables if s != "S")
    update, own = neuron.update, [LAG]
    if neuron.name.startswith("nir_norse_"):
        update = update.replace("input + bias", "input + bias - first * (1 - max(G, 0))")
        own.append(FIRST)
    return replace(
        neuron,
        name=f"{neuron.name}_late",
        input="",
        update=f"{update}\nG = min(G + 1, 1){gates}",
        readout="V",
        initial={"G": "-lag"},
        parameters=(*neuron.parameters, *own),
    )


def _all() -> dict[str, Neuron]:
    found: dict[str, Neuron] = {}
    for stepping, kinds in UPDATES.items():
        for kind, step in kinds.items():
            found[f"nir.{stepping}.{kind}"] = _spiking(stepping, kind, step)
        as_in = stepping.removesuffix("_late")  # a readout has no reset that could be late
        for kind, spiking in READOUTS.items():
            if spiking in kinds:
                neuron = found[f"nir.{as_in}.{spiking}"]
                found[f"nir.{stepping}.{kind}"] = _readout(neuron, kind, stepping)
    found |= {f"{name}.late": _late(neuron) for name, neuron in found.items() if neuron.discrete}
    return found


COUNTER = Neuron(
    name="nir_counter",
    update="V = V + input",
    parameters=(),
    meaning="counts what arrives; behind outputs that spike, how often they did so far",
    source="read out as other programs read spikes: by their number",
)
SUMMER = Neuron(
    name="nir_sum",
    update="V = input + bias",
    parameters=(BIAS_IN,),
    meaning="what arrives in a step; for an output of NIR without a neuron",
    source=SOURCE.format("all"),
)
NIR_NEURONS: dict[str, Neuron] = {"nir.count": COUNTER, "nir.sum": SUMMER, **_all()}
