"""Projections of a network that learns online, their updates, and the whole as a description.

As in the native backend e and the shown trace hold c = dt / decay times those of the equations:

    e <- e (1 - dt / rise) + c z~ s'      lambda <- lambda (1 - dt / decay) + e      m += lambda err
"""

from __future__ import annotations

from snnrun.backends.genn.describe import check_tables, with_flags
from snnrun.backends.genn.description import (
    Access,
    Description,
    Parameter,
    Reference,
    Shared,
    Synapses,
    Update,
    Variable,
)
from snnrun.backends.genn.flags import flags_of, raise_unless
from snnrun.backends.genn.online_population import FEEDBACK, OnlineLayer, numbers_in, online_input
from snnrun.backends.genn.printer import used
from snnrun.backends.genn.settings import Settings
from snnrun.compile.program import Program

FED_BACK = "feedback"  # the projection from the outputs to hidden neurons
UPDATE = "learn"  # the group of the updates
POST = "id_syn % num_post"  # id_post: GeNN's CUDA code does not compile where an update says it
NUMBERS = ("rate", "steps", "decay")  # parameters of an update, beside ``apply``


def describe_online(program: Program, settings: Settings) -> Description:
    """Return the GeNN model of ``program``."""
    layers = [OnlineLayer(program, i, settings) for i in range(len(program.populations))]
    populations = [online_input(program, settings), *(layer.write() for layer in layers)]
    populations[-1] = with_flags(populations[-1], len(layers))
    for population in populations:
        check_tables(population)
    synapses = [_forward(program, index) for index in range(len(layers))]
    if len(layers) > 1:
        synapses.append(_feedback(program))
    return Description(
        program=program.describe(),
        batch=1,
        precision=settings.scalar,
        neurons=tuple(populations),
        synapses=tuple(synapses),
        updates=tuple(_update(program, layer) for layer in layers),
    )


def update_of(projection: str) -> str:
    """Return the name of the update of a projection."""
    return f"{projection}_rmaxprop"


def _forward(program: Program, index: int) -> Synapses:
    projection = program.network.layers[index].forward
    lines = [
        "if (learn) {",
        "    e = e * KEEP_E + shown_slope * shown_trace;",
        "    lambda = lambda * KEEP_LAMBDA + e;",
        "    m += lambda * shown_error;",
        "}",
    ]
    dynamics = "\n".join(lines)
    return Synapses(
        name=projection.name,
        source=projection.source,
        target=projection.target,
        spike="addToPost(g * out);" if index == 0 else "addToPost(g);",
        variables=(
            Variable(name="g", access=Access.COMMON),
            *(Variable(name=name) for name in ("e", "lambda", "m")),
        ),
        before=(
            Variable(name="shown_trace"),
            *((Variable(name="out", type="int"),) * (index == 0)),
        ),
        after=(Variable(name="shown_slope"), Variable(name="shown_error")),
        dynamics=dynamics,
        parameters=(Parameter(name="learn", type="int"), *used(dynamics, numbers_in(program))),
    )


def _feedback(program: Program) -> Synapses:
    hidden, output = (c.population.name for c in program.populations)
    return Synapses(
        name=FED_BACK,
        source=output,
        target=hidden,
        variables=(Variable(name="g", access=Access.COMMON),),
        before=(Variable(name="error"),),
        into=FEEDBACK,
        dynamics="addToPost(g * error);",
    )


def _update(program: Program, layer: OnlineLayer) -> Update:
    """Return RMaxProp; ``second`` is the root of the published leaking maximum."""
    name = program.network.layers[layer.layer].forward.name
    lines = [
        "if (apply) {",
        f"    {raise_unless('m - m == 0.0', layer.layer)}",
        f"    const scalar all = m{f' - g * OWN_PULL * own_sum[{POST}]' if layer.het else ''};",
        "    const scalar mean = all / steps;",
        "    second = fmax(second * decay, fabs(mean));",
        "    g += mean / (second + EPSILON) * rate;",
        "    g = fmax(-W_MAX, fmin(W_MAX, g));",
        "}",
        "m = 0.0;",
    ]
    code = "\n".join(lines)
    tables = [flags_of(program.populations[-1].population.name)]
    if layer.het:
        own = layer.compiled.population.name
        tables.append(Shared(name="own_sum", owner=own, table="own_sum"))
    return Update(
        name=update_of(name),
        group=UPDATE,
        code=code,
        references=tuple(
            Reference(name=n, owner=name, variable=n, written=True) for n in ("g", "m")
        ),
        variables=(Variable(name="second"),),
        parameters=(
            *(Parameter(name=n, type="scalar") for n in NUMBERS),
            Parameter(name="apply", type="int"),
            *used(code, numbers_in(program)),
        ),
        of_synapses=True,
        tables=tuple(tables),
    )
