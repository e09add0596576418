"""Projections as GeNN weight update models.

Forward a spike adds its weight to the target's input. Backward a spike's event finds the target's
adjoints at the step m in which the spike arrived; lam is that of the input state:

    gradient += lam(m)
    R of the sender += w (lam(m) - lam(m + 1)) / dt
"""

from __future__ import annotations

from snnrun.backends.genn.description import Access, Parameter, Synapses, Variable
from snnrun.backends.genn.printer import Formulas, adjoint_name, factor, used
from snnrun.backends.genn.settings import Settings
from snnrun.compile.population import CompiledPopulation
from snnrun.compile.program import Program
from snnrun.network.network import Projection

WEIGHT = Variable(name="g", access=Access.COMMON)
GRADIENT = Variable(name="gradient", hidden=True)  # of each example: as large as all weights
FALLING = "falling"  # ends the name of the copy that sums weights which pull down


def projections_of(program: Program, settings: Settings) -> list[Synapses]:
    """Return the synapses of every projection of the program."""
    found = []
    for index, layer in enumerate(program.network.layers):
        for projection in layer.projections:
            from_input = projection.source == program.network.input.name
            kinked = _kinked(program) and index == len(program.network.layers) - 1
            found.append(
                _synapses(program, projection, settings, from_input=from_input, kinked=kinked)
            )
            if kinked:
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


def _kinked(program: Program) -> bool:
    """Whether the loss looks at peaks, which move with the spikes that end them."""
    return program.loss.readout.peaks and len(program.network.layers) > 1


def _target(program: Program, projection: Projection) -> CompiledPopulation:
    return next(c for c in program.populations if c.population.name == projection.target)


def _synapses(
    program: Program, projection: Projection, settings: Settings, *, from_input: bool, kinked: bool
) -> Synapses:
    adjoint = adjoint_name(_target(program, projection).dynamics.neuron.input)
    count = "-events_back" if settings.pipeline else "-events"
    numbers: tuple[Parameter, ...] = ()
    event = [f"gradient += {adjoint}{f' * ({count})' if from_input else ''};"]
    if not projection.trained:
        event = []
    after = [Variable(name=adjoint)] if projection.trained else []
    if not from_input:
        back = "g * arrival_slope"
        after.append(Variable(name="arrival_slope"))
        if kinked:
            pull, read, numbers = _pull(program)
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
        back_into="" if from_input else "R",
        parameters=numbers,
    )


def _falling(program: Program, projection: Projection) -> Synapses:
    pull, read, numbers = _pull(program)
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


def _pull(program: Program) -> tuple[str, list[Variable], tuple[Parameter, ...]]:
    """Return the change of the potential's rate by its input, and the variables and parameters
    that it is made of.
    """
    output = program.populations[-1]
    formulas, pull = Formulas(output), output.dynamics.readout_pulls[0]
    code = factor(formulas(pull))
    return code, formulas.coefficients_in(pull), used(code, formulas.numbers)
