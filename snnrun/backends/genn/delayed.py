"""Delayed projections in a GeNN model.

A delayed spike arrives in the steps next to its time, ``after`` steps later than without a delay,
with h(after) times its weight; see network/delays.py for h, which ``width`` makes wider. On the way
back its event looks at the adjoints of the target as they were when the backward pass was in those
steps, which GeNN keeps (``lam[after]``); GeNN's step t tells how many there are. What would arrive
after the last step never does. Which steps are met follows from the whole numbers and the fractions
of delay and width, as 1 + delay may be rounded to the next whole number.

    gradient of the weight   += h lam[after]
    gradient of the delay    += w lam[after] times the derivative of h
    R of the sender          += w h slope[after]
"""

from __future__ import annotations

from collections.abc import Sequence

from snnrun.backends.genn.description import Access, Parameter, Variable
from snnrun.backends.genn.printer import block, fill, formula
from snnrun.backends.genn.settings import Settings
from snnrun.compile.program import Program
from snnrun.network.delays import Delays

DELAY = Variable(name="delay", access=Access.COMMON)  # in steps
GRADIENT = Variable(name="delay_gradient", hidden=True)  # of each synapse and example
NUMBERS = tuple(Parameter(name=name, type="scalar") for name in ("width", "steepness"))  # of h


def shape_of(width: float) -> dict[str, float]:
    """Return NUMBERS for a width in steps: s of h, and its steepness."""
    return {"width": width, "steepness": (1.0 + width) ** -2}


def slots(program: Program, delays: Delays, settings: Settings) -> int:
    """Return how many steps a projection's arrivals and targets are kept for, this one included."""
    return min(delays.steps(program.dt) + 2 + int(settings.delay_width), program.steps)


def spike_code(program: Program, weight: str) -> str:
    """Return what a spike does; one of the last trial that is still on its way does nothing."""
    last = f"t > 0.0 ? {program.steps} - (int)t : -1"
    return _arrivals(last, [f"addToPostDelay(share * {weight}, after);"])


def event_code(
    program: Program, delays: Delays, adjoint: str, slope: str, *, times: str, trained: bool
) -> str:
    """Return what an event does.

    Args:
        adjoint: Name of the variable of the port's adjoint.
        slope: Of what is sent back to the sender; "": it needs nothing.
        times: How many spikes it stands for, as a factor or "".
        trained: Whether the weights learn.
    """
    sums = []  # name, what each arrival adds, what is done with the sum
    if trained:
        sums.append(("met", f"share * {adjoint}[after]", f"gradient += met{times};"))
    if delays.trained:
        of_each = f"distance > 0.0 ? {adjoint}[after] : -{adjoint}[after]"
        per_ms = f"steepness * {formula(1 / program.dt)}"
        sums.append(("moved", of_each, f"delay_gradient += g * moved * {per_ms}{times};"))
    if slope:
        sums.append(("sent", f"share * {slope}[after]", "addToPre(g * sent);"))
    return _arrivals(
        "(int)t - 1",
        [f"{name} += {each};" for name, each, _ in sums],
        before=[f"scalar {name} = 0.0;" for name, *_ in sums],
        behind=[use for *_, use in sums],
    )


def _arrivals(
    last: str, each: Sequence[str], before: Sequence[str] = (), behind: Sequence[str] = ()
) -> str:
    """Return code that carries out lines for each arrival, up to the ``last`` that there is."""
    return fill(
        "arrivals", last=last, before=block(before, 0), each=block(each, 1), behind=block(behind, 0)
    )
