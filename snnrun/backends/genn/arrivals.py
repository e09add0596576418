"""Where the arrivals of projections are summed: the inputs of a GeNN population.

Each port of a population has an input of its own. An output whose peaks matter (see potential.py)
has one more for arrivals that no peak moves with: those of the input, and delayed ones.
"""

from __future__ import annotations

from snnrun.compile.program import Program
from snnrun.network.network import Projection

USUAL = "Isyn"  # GeNN's own input


def peaks_move(program: Program, projection: Projection) -> bool:
    """Return whether the output's peaks move with the spikes of a projection, which end them."""
    return (
        program.loss.readout.peaks
        and projection.target == program.populations[-1].population.name
        and projection.source != program.network.input.name
        and projection.delays is None
    )


def input_of(program: Program, projection: Projection) -> str:
    """Return the name of the input that a projection adds to."""
    network = program.network
    port = network.port_of(projection)
    beside = network.layer(projection.target).projections
    if not peaks_move(program, projection) and any(peaks_move(program, p) for p in beside):
        return f"Apart_{port}"
    return f"In_{port}" if port else USUAL


def inputs_of(program: Program, population: str, *, moving: bool = False) -> dict[int, list[str]]:
    """Return the inputs of a population by port; ``moving``: those that peaks move with."""
    found: dict[int, list[str]] = {}
    for projection in program.network.layer(population).projections:
        if moving and not peaks_move(program, projection):
            continue
        names = found.setdefault(program.network.port_of(projection), [])
        if (name := input_of(program, projection)) not in names:
            names.append(name)
    return dict(sorted(found.items()))


def own_inputs(program: Program, population: str) -> tuple[str, ...]:
    """Return the inputs of a population that GeNN must be told of."""
    by_port = inputs_of(program, population).values()
    return tuple(name for names in by_port for name in names if name != USUAL)
