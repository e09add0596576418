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
from snnrun.backends.genn.online_population import (
    FEEDBACK,
    OnlineLayer,
    number,
    online_input,
)
from snnrun.backends.genn.settings import Settings
from snnrun.backends.online import online_of
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
    rule, dt = online_of(program), program.dt
    projection = program.network.layers[index].forward
    lines = [
        "if (learn) {",
        f"    e = e * {number(1 - dt / rule.tau_rise)} + shown_slope * shown_trace;",
        f"    lambda = lambda * {number(1 - dt / rule.tau_decay)} + e;",
        "    m += lambda * shown_error;",
        "}",
    ]
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
        dynamics="\n".join(lines),
        parameters=(Parameter(name="learn", type="int"),),
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
    rule = online_of(program)
    name = program.network.layers[layer.layer].forward.name
    limit, rho = number(rule.w_limit), number(1e-3 * rule.het_rho)
    lines = [
        "if (apply) {",
        f"    {raise_unless('m - m == 0.0', layer.layer)}",
        f"    const scalar all = m{f' - g * {rho} * own_sum[{POST}]' if layer.het else ''};",
        "    const scalar mean = all / steps;",
        "    second = fmax(second * decay, fabs(mean));",
        f"    g += mean / (second + {number(rule.epsilon)}) * rate;",
        f"    g = fmax(-{limit}, fmin({limit}, g));",
        "}",
        "m = 0.0;",
    ]
    tables = [flags_of(program.populations[-1].population.name)]
    if layer.het:
        own = layer.compiled.population.name
        tables.append(Shared(name="own_sum", owner=own, table="own_sum"))
    return Update(
        name=update_of(name),
        group=UPDATE,
        code="\n".join(lines),
        references=tuple(
            Reference(name=n, owner=name, variable=n, written=True) for n in ("g", "m")
        ),
        variables=(Variable(name="second"),),
        parameters=(
            *(Parameter(name=n, type="scalar") for n in NUMBERS),
            Parameter(name="apply", type="int"),
        ),
        of_synapses=True,
        tables=tuple(tables),
    )
