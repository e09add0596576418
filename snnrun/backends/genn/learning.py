"""Updates that learn: the sum of the batch's gradients, then Adam (Kingma & Ba 2015, algorithm 1).

The host gives ``rate`` = ETA / (1 - beta1^k) and ``correction`` = 1 / (1 - beta2^k) for update k.
"""

from __future__ import annotations

from snnrun.backends.genn.description import Access, Parameter, Reference, Update, Variable
from snnrun.backends.genn.printer import formula, genn_name
from snnrun.compile.program import Program
from snnrun.models.equations import symbol

ADAM = ("rate", "correction", "beta1", "beta2", "epsilon")
ADAM_CODE = """\
first = beta1 * first + (1.0 - beta1) * total;
second = beta2 * second + (1.0 - beta2) * (total * total);
value = {new};
"""
STEP = "value - rate * first / (sqrt(second * correction) + epsilon)"


def learned(tensor: str, parameter: str = "") -> str:
    """Return the name that the updates of a tensor, or of a row of parameters, begin with."""
    return f"{tensor}_{parameter}" if parameter else tensor


def updates_of(program: Program) -> list[Update]:
    """Return the updates of everything that is trained.

    Groups: ``sum`` adds up the gradients of the batch and clears them, ``learn`` is Adam's step.
    """
    found = []
    for tensor in program.tensors:
        if not tensor.trained:
            continue
        population = program.populations[tensor.layer].population
        if not tensor.parameters:
            found += _updates(tensor.name, tensor.name, "g", "gradient", "", of_synapses=True)
            continue
        for parameter in population.trained:
            floor = population.floors.get(parameter)
            found += _updates(
                learned(tensor.name, parameter), population.name, genn_name(symbol(parameter)),
                f"gradient_{parameter}", "" if floor is None else formula(floor),
                of_synapses=False,
            )  # fmt: skip
    return found


def _updates(
    name: str, owner: str, value: str, gradient: str, floor: str, *, of_synapses: bool
) -> list[Update]:
    new = f"fmax({STEP}, {floor})" if floor else STEP
    return [
        Update(
            name=f"{name}_sum", group="sum", code="total = gradient;\ngradient = 0.0;\n",
            references=(
                Reference(name="gradient", owner=owner, variable=gradient, written=True),
            ),
            variables=(Variable(name="total", access=Access.SUM_OF_BATCH),),
            of_synapses=of_synapses,
        ),
        Update(
            name=f"{name}_adam", group="learn", code=ADAM_CODE.format(new=new),
            references=(
                Reference(name="value", owner=owner, variable=value, written=True),
                Reference(name="total", owner=f"{name}_sum", variable="total"),
            ),
            variables=(Variable(name="first"), Variable(name="second")),
            parameters=tuple(Parameter(name=n, type="scalar") for n in ADAM),
            of_synapses=of_synapses,
        ),
    ]  # fmt: skip
