"""What must hold between the populations and projections of a network."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise

from snnrun.connectivity import built_in, read
from snnrun.errors import did_you_mean
from snnrun.graphs import leading_to, reached_from
from snnrun.keys.check import Checks, Values
from snnrun.keys.kinds import shown
from snnrun.models.losses import BUILT_IN
from snnrun.models.neurons import NEURON_TYPES
from snnrun.rules import find_rule
from snnrun.schema.choices import ProjectionChoice, described, graph_of, layers_of, output_neuron
from snnrun.schema.fields import FROZEN, INPUT, OUTPUT
from snnrun.schema.files import FILE_KEY, problem_of_file
from snnrun.schema.given import Graph
from snnrun.schema.layers import LAYERS_KEY
from snnrun.schema.lists import POPULATIONS_KEY, PROJECTIONS_KEY

CHECKS = Checks()


def output_spikes(values: Values) -> bool | None:
    """Return whether the outputs spike; None where a user's own loss or neuron decides it."""
    own_error = "rule.name" in values and find_rule(values["rule.name"]).loss
    loss = BUILT_IN.get(values["LOSS_TYPE"])
    if own_error or (loss and loss.spiking):
        return True
    return None if loss is None or "." in output_neuron(values) else False


@CHECKS.add
def _file_that_can_be_read(values: Values) -> Iterator[str]:
    if values[FILE_KEY] is None:
        return
    others = [key for key in (LAYERS_KEY, POPULATIONS_KEY, PROJECTIONS_KEY) if values[key]]
    if others:
        yield (
            f"{FILE_KEY}={values[FILE_KEY]}: {others[0]} is given too, and both describe the "
            f"network; use {FILE_KEY}=null, or {others[0]}=[]"
        )
    elif problem := problem_of_file(values):
        yield problem


@CHECKS.add
def _described_once_and_wholly(values: Values) -> Iterator[str]:
    populations, projections = values[POPULATIONS_KEY], values[PROJECTIONS_KEY]
    if not (populations or projections):
        return
    if values[LAYERS_KEY]:
        given = POPULATIONS_KEY if populations else PROJECTIONS_KEY
        yield (
            f"{LAYERS_KEY}: {given} is given too, and both describe the network; use "
            f"{LAYERS_KEY}=[], or {POPULATIONS_KEY}=[] and {PROJECTIONS_KEY}=[]"
        )
    if not populations:
        ends = [end for p in projections for end in (p["from"], p["to"])]
        names = [n for n in dict.fromkeys(ends) if n not in (INPUT, OUTPUT)]
        example = ", ".join(f"{{name: {name}, size: 100}}" for name in names)
        yield (
            f"{POPULATIONS_KEY}=[]: {PROJECTIONS_KEY} connects populations that are not there; add "
            f"them, as in {POPULATIONS_KEY}=[{example or '{name: output}'}]"
        )
    if not projections:
        names = [p["name"] for p in populations if p["name"] not in (INPUT, OUTPUT)]
        chain = [INPUT, *names, OUTPUT]
        example = ", ".join(f"{{from: {a}, to: {b}}}" for a, b in pairwise(chain))
        yield (
            f"{PROJECTIONS_KEY}=[]: nothing connects the populations of {POPULATIONS_KEY}; add "
            f"projections, as in {PROJECTIONS_KEY}=[{example}]"
        )


@CHECKS.add
def _known_ends(values: Values) -> Iterator[str]:
    graph = described(values)
    for given in graph.projections:
        for end in ("from", "to"):
            name = given.fields[end]
            known = graph.names if end == "from" else graph.names[1:]
            if end == "to" and name == INPUT:
                yield (
                    f"{given.place}.to=input: the input is the data, and nothing leads to it; "
                    f"there are {', '.join(known)}"
                )
            elif name not in known:
                yield (
                    f"{given.place}.{end}={name}: there is no such population; there are "
                    f"{', '.join(known)}.{did_you_mean(name, known)}"
                )


@CHECKS.add
def _names_are_given_once(values: Values) -> Iterator[str]:
    """Refuse a name of two things; network.layers has said so of its own."""
    graph = described(values)
    parts = [graph.input, *graph.populations, *graph.projections]
    taken = {f"{p.name}_parameters" for p in graph.populations}
    taken |= {f"{p.name}_delays" for p in graph.projections if "delay" in p.fields}
    for index, part in enumerate(parts):
        other = next((p for p in parts[:index] if p.name == part.name), None)
        if other is None and part.name not in taken:
            continue
        whose = f"{other.place or other.name} has it" if other else "snnrun calls a tensor so"
        yield (
            f"{part.place}.name={part.name}: {whose} already; names are given once, to populations "
            "and projections; give it another name"
        )


@CHECKS.add
def _on_the_way_from_the_input_to_the_output(values: Values) -> Iterator[str]:
    graph = described(values)
    edges = [p.ends for p in graph.projections]
    if {end for edge in edges for end in edge} - set(graph.names):
        return
    reached, leading = reached_from(INPUT, edges), leading_to(OUTPUT, edges)
    if OUTPUT not in {end for _, end in edges}:
        yield (
            f"{PROJECTIONS_KEY}: none leads to the output; add one, as in "
            f"{{from: {_last(graph)}, to: output}}"
        )
        return
    for given in graph.populations:
        if given.name not in reached:
            yield (
                f"{given.place or PROJECTIONS_KEY}: no spikes of the input reach population "
                f"{given.name}; add a projection, as in {{from: input, to: {given.name}}}"
                + _or_leave_out(given.name)
            )
        elif given.name not in leading and given.name != OUTPUT:
            yield (
                f"{given.place}: nothing leads from population {given.name} to the output; add a "
                f"projection, as in {{from: {given.name}, to: output}}{_or_leave_out(given.name)}"
            )


def _last(graph: Graph) -> str:
    return next((p.name for p in graph.populations[-2::-1]), INPUT)


def _or_leave_out(name: str) -> str:
    return "" if name == OUTPUT else ", or leave the population out"


def _all_projections(values: Values) -> Sequence[ProjectionChoice]:
    return [p for layer in layers_of(values) for p in layer.projections]


@CHECKS.add
def _sources_that_spike(values: Values) -> Iterator[str]:
    if output_spikes(values) is not False:
        return
    for given in graph_of(values).projections:
        if given.fields["from"] == OUTPUT:
            yield (
                f"{given.place}.from=output: the outputs do not spike with "
                f"LOSS_TYPE={values['LOSS_TYPE']}, so that nothing would leave them; use a loss of "
                "spikes, such as LOSS_TYPE=first_spike, or another population"
            )


@CHECKS.add
def _ports_that_there_are(values: Values) -> Iterator[str]:
    """Refuse what is plain of built-in neurons; the network tells of users' own."""
    for layer in layers_of(values):
        neuron, _ = NEURON_TYPES.get(layer.neuron, (None, ()))
        for projection in layer.projections:
            if neuron is None or projection.port in ("", *neuron.ports):
                continue
            yield (
                f"{projection.place}.port={projection.port}: neuron {layer.neuron} of "
                f"{layer.name} has no such port; it has {', '.join(neuron.ports)}."
                f"{did_you_mean(projection.port, neuron.ports)}"
            )


@CHECKS.add
def _kernels_of_inputs_with_a_shape(values: Values) -> Iterator[str]:
    if not values["N_INPUT_DELAY"] or "shape" in graph_of(values).input.fields:
        return
    for projection in _all_projections(values):
        kind = projection.connectivity
        if projection.source != INPUT or not built_in(kind):
            continue
        if read(kind, projection.place).target is not None:
            yield (
                f"{projection.place}.connectivity={shown(kind)}: with "
                f"N_INPUT_DELAY={values['N_INPUT_DELAY']} the input is several copies of the data "
                "and has no shape; leave one of them out, or use delay, which needs no copies"
            )


@CHECKS.add
def _delays_within_the_trial(values: Values) -> Iterator[str]:
    trial = values["TRIAL_MS"]
    for projection in _all_projections(values):
        delay = projection.delay
        if delay is None or delay.longest is None or delay.longest < trial:
            continue
        field = ".max" if delay.most is not None else ""
        yield (
            f"{projection.place}.delay{field}={delay.longest:g}: spikes would arrive after the end "
            f"of the trial (TRIAL_MS={trial:g}); use shorter delays or a longer trial"
        )


@CHECKS.add
def _gradients_for_delays_signs_and_dropout(values: Values) -> Iterator[str]:
    for projection in _all_projections(values):
        rule = projection.rule
        if rule == FROZEN or not find_rule(rule).plastic:
            continue
        if projection.delay is not None:
            yield (
                f"{projection.place}.delay: rule={rule} pairs spikes as they are emitted, and "
                "knows no delays; leave delay out, or give the projection another rule"
            )
        if projection.dropout:
            yield (
                f"{projection.place}.dropout={projection.dropout:g}: rule={rule} pairs spikes, "
                "whatever they add; leave dropout out, or give the projection another rule"
            )
        if projection.sign:
            yield (
                f"{projection.place}.sign={shown(projection.sign)}: rule={rule} keeps weights "
                "within bounds of its own, rule.w_min and rule.w_max; leave sign out, or give the "
                "projection another rule"
            )


@CHECKS.add
def _dropout_that_can_be(values: Values) -> Iterator[str]:
    for projection in _all_projections(values):
        if not projection.dropout:
            continue
        where = f"{projection.place}.dropout={projection.dropout:g}"
        if values["backend.name"] == "genn":
            yield f"{where}: backend=genn has no dropout of currents; use backend=native"
        if projection.delay is not None and projection.delay.kind == "dendritic":
            yield (
                f"{where}: goes with delays of kind axonal or synaptic, not dendritic; leave one "
                "of them out"
            )
