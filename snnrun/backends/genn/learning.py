"""Updates that learn: the sum of the batch's gradients, then Adam (Kingma & Ba 2015, algorithm 1).

The host gives ``rate`` = ETA / (1 - beta1^k) and ``correction`` = 1 / (1 - beta2^k) for update k.
"""

from __future__ import annotations

from dataclasses import replace
from math import isfinite

from snnrun.backends.base import LARGEST_VALUE
from snnrun.backends.genn.delayed import GRADIENT as DELAY_GRADIENT
from snnrun.backends.genn.description import Access, Reference, Shared, Update, Variable
from snnrun.backends.genn.flags import flags_of, raise_unless
from snnrun.backends.genn.hosted import is_hosted
from snnrun.backends.genn.printer import genn_name, used
from snnrun.compile.program import DELAYS, Program, Tensor
from snnrun.models.equations import symbol

ADAM = ("rate", "correction", "beta1", "beta2", "epsilon")
STEP = """\
first = beta1 * first + (1.0 - beta1) * total;
second = beta2 * second + (1.0 - beta2) * (total * total);
value = value - rate * first / (sqrt(second * correction) + epsilon);
"""


def learned(tensor: str, parameter: str = "") -> str:
    """Return the name that the updates of a tensor, or of a row of parameters, begin with."""
    return f"{tensor}_{parameter}" if parameter else tensor


def trained_tensors(program: Program) -> list[Tensor]:
    """Return the tensors that the device trains, in the order of their flags."""
    return [tensor for tensor in program.tensors if tensor.trained and not is_hosted(tensor)]


def updates_of(program: Program) -> list[Update]:
    """Return the updates of everything that is trained.

    Groups: ``sum`` adds up the gradients of the batch and clears them, ``learn`` is Adam's step.
    """
    found = []
    for tensor in program.tensors:
        if tensor.trained and is_hosted(tensor) and tensor.projection is not None:
            gradient = DELAY_GRADIENT.name if tensor.kind == DELAYS else "gradient"
            found.append(_sum(tensor.name, tensor.projection.name, gradient, of_synapses=True))
    flags = flags_of(program.populations[-1].population.name)
    for number, tensor in enumerate(trained_tensors(program)):
        if not tensor.parameters:
            adam = _adam(tensor.name, tensor.name, "g", flags, number, tensor.bounds)
            found.append(_sum(tensor.name, tensor.name, "gradient", of_synapses=True))
            found.append(replace(adam, of_synapses=True))
            continue
        population = program.populations[tensor.layer].population
        for parameter in population.trained:
            name, value = learned(tensor.name, parameter), genn_name(symbol(parameter))
            found.append(_sum(name, population.name, f"gradient_{parameter}"))
            bounds = population.bounds(parameter)
            found.append(_adam(name, population.name, value, flags, number, bounds))
    return found


def _sum(name: str, owner: str, gradient: str, *, of_synapses: bool = False) -> Update:
    return Update(
        name=f"{name}_sum",
        group="sum",
        code="total = gradient;\ngradient = 0.0;\n",
        references=(Reference(name="gradient", owner=owner, variable=gradient, written=True),),
        variables=(Variable(name="total", access=Access.SUM_OF_BATCH),),
        of_synapses=of_synapses,
    )


def _adam(
    name: str, owner: str, value: str, flags: Shared, number: int, bounds: tuple[float, float]
) -> Update:
    """Return Adam's step of ``value``, which stays within ``bounds``; it may raise a flag."""
    check = raise_unless(f"fabs(value) < {LARGEST_VALUE!r}", number)
    limits = dict(zip(("LOWEST", "LARGEST"), bounds, strict=True))
    kept = [
        f"value = {function}(value, {limit});\n"
        for function, limit in (("fmax", "LOWEST"), ("fmin", "LARGEST"))
        if isfinite(limits[limit])
    ]
    code = f"{STEP}{check}\n{''.join(kept)}"  # a bound would hide NaN
    return Update(
        name=f"{name}_adam",
        group="learn",
        code=code,
        references=(
            Reference(name="value", owner=owner, variable=value, written=True),
            Reference(name="total", owner=f"{name}_sum", variable="total"),
        ),
        variables=(Variable(name="first"), Variable(name="second")),
        parameters=used(code, {**dict.fromkeys(ADAM, 0.0), **limits}),
        tables=(flags,),
    )
