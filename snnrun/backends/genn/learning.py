"""Updates that learn: the sum of the batch's gradients, then Adam (Kingma & Ba 2015, algorithm 1).

The host gives ``rate`` = ETA / (1 - beta1^k) and ``correction`` = 1 / (1 - beta2^k) for update k.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from snnrun.backends.base import LARGEST_VALUE
from snnrun.backends.genn.description import Access, Reference, Shared, Update, Variable
from snnrun.backends.genn.flags import flags_of, raise_unless
from snnrun.backends.genn.printer import genn_name, used
from snnrun.compile.program import Program, Tensor
from snnrun.models.equations import symbol

NO_NUMBERS: Mapping[str, float] = MappingProxyType({})
ADAM = ("rate", "correction", "beta1", "beta2", "epsilon")
MOMENTS = """\
first = beta1 * first + (1.0 - beta1) * total;
second = beta2 * second + (1.0 - beta2) * (total * total);
"""
STEP = "value - rate * first / (sqrt(second * correction) + epsilon)"


def learned(tensor: str, parameter: str = "") -> str:
    """Return the name that the updates of a tensor, or of a row of parameters, begin with."""
    return f"{tensor}_{parameter}" if parameter else tensor


def trained_tensors(program: Program) -> list[Tensor]:
    """Return the tensors that are trained, in the order of their flags."""
    return [tensor for tensor in program.tensors if tensor.trained]


def updates_of(program: Program) -> list[Update]:
    """Return the updates of everything that is trained.

    Groups: ``sum`` adds up the gradients of the batch and clears them, ``learn`` is Adam's step.
    """
    found = []
    flags = flags_of(program.populations[-1].population.name)
    for number, tensor in enumerate(trained_tensors(program)):
        check = raise_unless(f"fabs(value) < {LARGEST_VALUE!r}", number)
        population = program.populations[tensor.layer].population
        if not tensor.parameters:
            step = f"value = {STEP};\n{check}\n"
            found += _updates(
                tensor.name, tensor.name, "g", "gradient", step, flags, of_synapses=True
            )
            continue
        for parameter in population.trained:
            lowest = f"LOWEST_{parameter}"
            floored = parameter in population.floors
            found += _updates(
                learned(tensor.name, parameter),
                population.name,
                genn_name(symbol(parameter)),
                f"gradient_{parameter}",
                f"value = {f'fmax({STEP}, {lowest})' if floored else STEP};\n{check}\n",
                flags,
                of_synapses=False,
                numbers={lowest: population.floors[parameter]} if floored else {},
            )
    return found


def _updates(
    name: str,
    owner: str,
    value: str,
    gradient: str,
    step: str,
    flags: Shared,
    *,
    of_synapses: bool,
    numbers: Mapping[str, float] = NO_NUMBERS,
) -> list[Update]:
    return [
        Update(
            name=f"{name}_sum",
            group="sum",
            code="total = gradient;\ngradient = 0.0;\n",
            references=(Reference(name="gradient", owner=owner, variable=gradient, written=True),),
            variables=(Variable(name="total", access=Access.SUM_OF_BATCH),),
            of_synapses=of_synapses,
        ),
        Update(
            name=f"{name}_adam",
            group="learn",
            code=MOMENTS + step,
            references=(
                Reference(name="value", owner=owner, variable=value, written=True),
                Reference(name="total", owner=f"{name}_sum", variable="total"),
            ),
            variables=(Variable(name="first"), Variable(name="second")),
            parameters=used(MOMENTS + step, {**dict.fromkeys(ADAM, 0.0), **numbers}),
            of_synapses=of_synapses,
            tables=(flags,),
        ),
    ]
