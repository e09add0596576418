"""Projections as GeNN weight update models.

Forward a spike adds its weight to an input of the target. Backward a spike's event finds the
target's adjoints at the step m in which the spike arrived; lam is that of the port's state:

    gradient += lam(m)
    R of the sender += w (lam(m) - lam(m + 1)) / dt
"""

from __future__ import annotations

from snnrun.backends.genn.arrivals import input_of, peaks_move
from snnrun.backends.genn.description import Access, Parameter, Synapses, Variable
from snnrun.backends.genn.printer import Formulas, adjoint_name, factor, slope_name, used
from snnrun.backends.genn.settings import Settings
from snnrun.compile.program import Program
from snnrun.network.network import Projection

WEIGHT = Variable(name="g", access=Access.COMMON)
GRADIENT = Variable(name="gradient", hidden=True)  # of each example: as large as all weights
FALLING = "falling"  # ends the name of the copy that sums weights which pull down


def learns_from_input(program: Program) -> bool:
    """Return whether spikes of the input are needed on the way back."""
    name = program.network.input.name
    return any(p.trained for p in program.network.projections if p.source == name)


def projections_of(program: Program, settings: Settings) -> list[Synapses]:
    """Return the synapses of every projection of the program."""
    found = []
    for projection in program.network.projections:
        found.append(_synapses(program, projection, settings))
        if peaks_move(program, projection):
            found.append(_falling(program, projection))
    if "accumulator_weight" in program.loss.readout.fields:
        found.append(_activity(program))
    return found


def _activity(program: Program) -> Synapses:
    """Return what counts the input's spikes of a step at the output, which weights them in time."""
    return Synapses(
        name="input_activity",
        source=program.network.input.name,
        target=program.populations[-1].population.name,
        spike="addToPost(events);",
        before=(Variable(name="events", type="int"),),
        into="Activity",
    )


def _port(program: Program, projection: Projection) -> str:
    """Return the state of the target that a projection's spikes add to."""
    neuron = program.network.layer(projection.target).population.neuron
    assert neuron is not None
    return neuron.ports[program.network.port_of(projection)]


def _synapses(program: Program, projection: Projection, settings: Settings) -> Synapses:
    port = _port(program, projection)
    adjoint, slope = adjoint_name(port), slope_name(port)
    from_input = projection.source == program.network.input.name
    count = "-events_back" if settings.pipeline else "-events"
    numbers: tuple[Parameter, ...] = ()
    event = [f"gradient += {adjoint}{f' * ({count})' if from_input else ''};"]
    if not projection.trained:
        event = []
    after = [Variable(name=adjoint)] if projection.trained else []
    if not from_input:
        back = f"g * {slope}"
        after.append(Variable(name=slope))
        if peaks_move(program, projection):
            pull, read, numbers = _pull(program, projection)
            back += f" - kink * fmin({pull} * g, 0.0)"
            after += [Variable(name="kink"), *read]
        event.append(f"addToPre({back});")
    if from_input:
        condition = f"{count} > 0"
        names = ["events", *(["events_back"] if settings.pipeline and event else [])]
    else:  # the sender spikes in the next step of the way back
        condition = f"due == {program.steps - 2} - (int)t"
        names = ["due"]
    return Synapses(
        name=projection.name,
        source=projection.source,
        target=projection.target,
        spike="addToPost(g * events);" if from_input else "addToPost(g);",
        event_condition=condition if event else "",
        event="\n".join(event),
        variables=(WEIGHT, *((GRADIENT,) if projection.trained else ())),
        before=tuple(Variable(name=name, type="int") for name in names),
        after=tuple(after),
        into=input_of(program, projection),
        back_into="" if from_input else "R",
        parameters=numbers,
    )


def _falling(program: Program, projection: Projection) -> Synapses:
    pull, read, numbers = _pull(program, projection)
    return Synapses(
        name=f"{projection.name}_{FALLING}",
        source=projection.source,
        target=projection.target,
        spike=f"addToPost(fmin({pull} * g, 0.0));",
        variables=(WEIGHT,),
        after=tuple(read),
        into="Falling",
        parameters=numbers,
    )


def _pull(
    program: Program, projection: Projection
) -> tuple[str, list[Variable], tuple[Parameter, ...]]:
    """Return the change of the potential's rate by its input, and the variables and parameters
    that it is made of.
    """
    output = program.populations[-1]
    port = program.network.port_of(projection)
    formulas, pull = Formulas(output), output.dynamics.readout_pulls[port]
    code = factor(formulas(pull))
    return code, formulas.coefficients_in(pull), used(code, formulas.numbers)
