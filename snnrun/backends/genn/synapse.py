"""Projections as GeNN weight update models.

Forward a spike adds its weight to an input of the target. Backward a spike's event finds the
target's adjoints at the step m in which the spike arrived; lam is that of the port's state:

    gradient += lam(m)
    R of the sender += w (lam(m) - lam(m + 1)) / dt

See delayed.py for those with delays.
"""

from __future__ import annotations

from snnrun.backends.genn import delayed
from snnrun.backends.genn.arrivals import input_of, peaks_move
from snnrun.backends.genn.description import Access, Pairs, Synapses, Variable
from snnrun.backends.genn.printer import adjoint_name, pull_name, slope_name
from snnrun.backends.genn.settings import Settings
from snnrun.compile.program import Program
from snnrun.network.delays import DelayKind
from snnrun.network.network import Projection

WEIGHT = Variable(name="g", access=Access.COMMON)
GRADIENT = Variable(name="gradient", hidden=True)  # of each example: as large as all weights
FALLING = "falling"  # ends the name of the copy that sums weights which pull down


def learns_from_input(program: Program) -> bool:
    """Return whether spikes of the input are needed on the way back."""
    name = program.network.input.name
    return any(_learns(p) for p in program.network.projections if p.source == name)


def _learns(projection: Projection) -> bool:
    return projection.trained or (projection.delays is not None and projection.delays.trained)


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
    from_input = projection.source == program.network.input.name
    count = "-events_back" if settings.pipeline else "-events"
    event, after = _event(program, projection, f" * ({count})" if from_input else "")
    if from_input:
        condition = f"{count} > 0"
        names = ["events", *(["events_back"] if settings.pipeline and event else [])]
    else:  # the sender spikes in the next step of the way back
        condition = f"due == {program.steps - 2} - (int)t"
        names = ["due"]
    weight = "g * events" if from_input else "g"
    delays = projection.delays
    spike = delayed.spike_code(program, weight) if delays else f"addToPost({weight});"
    own = [WEIGHT, *([GRADIENT] if projection.trained else [])]
    own += [delayed.GRADIENT] if delays and delays.trained else []
    of_kind = {delays.kind: (delayed.DELAY,)} if delays else {}
    return Synapses(
        name=projection.name,
        source=projection.source,
        target=projection.target,
        pairs=_pairs(projection),
        spike=spike,
        event_condition=condition if event else "",
        event=event,
        variables=(*own, *of_kind.get(DelayKind.SYNAPTIC, ())),
        of_source=of_kind.get(DelayKind.AXONAL, ()),
        of_target=of_kind.get(DelayKind.DENDRITIC, ()),
        slots=delayed.slots(program, delays, settings) if delays else 0,
        parameters=delayed.NUMBERS if delays else (),
        before=tuple(Variable(name=name, type="int") for name in names),
        after=after,
        into=input_of(program, projection),
        back_into="" if from_input else "R",
    )


def _pairs(projection: Projection) -> Pairs | None:
    synapses = projection.synapses
    return Pairs(pre=synapses.pre, post=synapses.post) if synapses else None


def _event(
    program: Program, projection: Projection, times: str
) -> tuple[str, tuple[Variable, ...]]:
    """Return what a spike does on the way back, and what of the target it reads.

    ``times``: how many spikes come at once, as a factor or "".
    """
    port = _port(program, projection)
    adjoint = adjoint_name(port)
    slope = slope_name(port) if projection.source != program.network.input.name else ""
    after = [adjoint] if _learns(projection) else []
    after += [slope] if slope else []
    read = tuple(Variable(name=name) for name in after)
    if not after:
        return "", ()
    if projection.delays is not None:
        code = delayed.event_code(
            program, projection.delays, adjoint, slope, times=times, trained=projection.trained
        )
        return code, read
    lines = [f"gradient += {adjoint}{times};"] if projection.trained else []
    if slope:
        back = f"g * {slope}"
        if peaks_move(program, projection):
            pull = pull_name(program.network.port_of(projection))
            back += f" - kink * fmin({pull} * g, 0.0)"
            read = (*read, Variable(name="kink"), Variable(name=pull))
        lines.append(f"addToPre({back});")
    return "\n".join(lines), read


def _falling(program: Program, projection: Projection) -> Synapses:
    pull = pull_name(program.network.port_of(projection))
    return Synapses(
        name=f"{projection.name}_{FALLING}",
        source=projection.source,
        target=projection.target,
        pairs=_pairs(projection),
        spike=f"addToPost(fmin({pull} * g, 0.0));",
        variables=(WEIGHT,),
        after=(Variable(name=pull),),
        into="Falling",
    )
