"""Delayed projections in a GeNN model.

A delayed spike arrives in the steps next to its time, ``after`` steps later than without a delay,
with h(after) times its weight; see network/delays.py for h, which ``width`` makes wider. On the way
back its event looks at the adjoints of the target as they were when the backward pass was in those
steps, which GeNN keeps (``lam[after]``); GeNN's step t tells how many there are. What would arrive
after the last step never does.

    gradient of the weight   += h lam[after]
    gradient of the delay    += w lam[after] times the derivative of h
    R of the sender          += w h slope[after]
"""

from __future__ import annotations

from snnrun.backends.genn.description import Access, Parameter, Variable
from snnrun.backends.genn.printer import block, fill, formula
from snnrun.backends.genn.settings import Settings
from snnrun.compile.program import Program
from snnrun.network.delays import Delays

DELAY = Variable(name="delay", access=Access.COMMON)  # ms
GRADIENT = Variable(name="delay_gradient", hidden=True)  # of each synapse and example
WIDTH = Parameter(name="width", type="scalar")  # in steps


def slots(program: Program, delays: Delays, settings: Settings) -> int:
    """Return how many steps a projection's arrivals and targets are kept for, this one included."""
    return min(delays.steps(program.dt) + 2 + int(settings.delay_width), program.steps)


def spike_code(program: Program, weight: str) -> str:
    """Return what a spike does; one of the last trial that is still on its way does nothing."""
    return _arrivals(
        program,
        f"t > 0.0 ? {program.steps} - (int)t : -1",
        [f"addToPostDelay(share * {weight}, after);"],
    )


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
    lines = [f"gradient += share * {adjoint}[after]{times};"] if trained else []
    if delays.trained:
        per_dt = formula(1 / program.dt)
        moved = f"g * {adjoint}[after] / top * {per_dt}{times}"
        lines.append(f"delay_gradient += distance > 0.0 ? {moved} : -({moved});")
    if slope:
        lines.append(f"addToPre(share * g * {slope}[after]);")
    return _arrivals(program, "(int)t - 1", lines)


def _arrivals(program: Program, last: str, lines: list[str]) -> str:
    """Return code that carries out lines for every arrival, ``last`` of which is the last one."""
    return fill("arrivals", dt=formula(program.dt), last=last, lines=block(lines, 2))
