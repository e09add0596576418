"""Delayed projections in a GeNN model.

A spike whose delay is m + part steps arrives in two steps: (1 - part) of its weight m steps later
than without a delay, part one step after that. On the way back its event looks at the adjoints of
the target as they were when the backward pass was in those steps, which GeNN keeps (``lam[m]``);
the GeNN step t tells how many there are. What would arrive after the last step never does.

    gradient of the weight   += (1 - part) lam[m] + part lam[m + 1]
    gradient of the delay    += w (lam[m + 1] - lam[m]) / dt
    R of the sender          += w ((1 - part) slope[m] + part slope[m + 1])
"""

from __future__ import annotations

from snnrun.backends.genn.description import Access, Variable
from snnrun.backends.genn.printer import formula
from snnrun.compile.program import Program
from snnrun.network.delays import Delays

DELAY = Variable(name="delay", access=Access.COMMON)  # ms
GRADIENT = Variable(name="delay_gradient", hidden=True)  # of each synapse and example


def slots(program: Program, delays: Delays | None) -> int:
    """Return how many steps a projection's arrivals and targets are kept for, this one included."""
    return min(delays.steps(program.dt) + 2, program.steps) if delays else 0


def spike_code(program: Program, weight: str) -> str:
    """Return what a spike does; one of the last trial that is still on its way does nothing."""
    return (
        f"{_split(program)}"
        f"const int left = {program.steps} - (int)t;\n"
        f"if (t > 0.0 && whole <= left) addToPostDelay((1.0 - part) * {weight}, whole);\n"
        f"if (t > 0.0 && whole < left) addToPostDelay(part * {weight}, following);\n"
    )


def event_code(
    program: Program, delays: Delays, adjoint: str, slope: str, *, times: str, trained: bool
) -> str:
    """Return what an event does; ``times``: how many spikes it stands for, as a factor or "".

    Args:
        adjoint: Name of the variable of the port's adjoint.
        slope: Of what is sent back to the sender; "": it needs nothing.
        trained: Whether the weights learn.
    """
    lines = []
    for share, at, sign in (("(1.0 - part)", "whole", "-"), ("part", "following", "+")):
        inner = []
        if trained:
            inner.append(f"gradient += {share} * {adjoint}[{at}]{times};")
        if delays.trained:
            per_dt = formula(1 / program.dt)
            inner.append(f"delay_gradient {sign}= g * {adjoint}[{at}] * {per_dt}{times};")
        if slope:
            inner.append(f"addToPre({share} * g * {slope}[{at}]);")
        lines += [f"if ({at} < (int)t) {{", *(f"    {line}" for line in inner), "}"]
    return _split(program) + "\n".join(lines) + "\n"


def _split(program: Program) -> str:
    return (
        f"const scalar late = delay / {formula(program.dt)};\n"
        "const int whole = (int)late;\n"
        "const int following = whole + 1;\n"  # GeNN pastes an index as it stands
        "const scalar part = late - whole;\n"
    )
