"""Updates that learn: the sum of the batch's gradients, then the step of the optimiser.

The host gives what all values of an array share in an update.
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
from snnrun.backends.updates import Language, print_equation
from snnrun.compile.program import DELAYS, Program, Tensor
from snnrun.models.equations import symbol
from snnrun.optimisers.optimiser import GRADIENT, VALUE

TOTAL = "total"  # the summed gradient


def learned(tensor: str, parameter: str = "") -> str:
    """Return the name that the updates of a tensor, or of a row of parameters, begin with."""
    return f"{tensor}_{parameter}" if parameter else tensor


def trained_tensors(program: Program) -> list[Tensor]:
    """Return the tensors that the device trains, in the order of their flags."""
    return [tensor for tensor in program.tensors if tensor.trained and not is_hosted(tensor)]


def updates_of(program: Program) -> list[Update]:
    """Return the updates of everything that is trained.

    Groups: ``sum`` adds up the gradients of the batch and clears them, ``learn`` takes the step.
    """
    found = []
    for tensor in program.tensors:
        if tensor.trained and is_hosted(tensor) and tensor.projection is not None:
            gradient = DELAY_GRADIENT.name if tensor.kind == DELAYS else "gradient"
            found.append(_sum(tensor.name, tensor.projection.name, gradient, of_synapses=True))
    flags = flags_of(program.populations[-1].population.name)
    for number, tensor in enumerate(trained_tensors(program)):
        if not tensor.parameters:
            step = _step(program, tensor.name, tensor.name, "g", flags, number, tensor.bounds)
            found.append(_sum(tensor.name, tensor.name, "gradient", of_synapses=True))
            found.append(replace(step, of_synapses=True))
            continue
        population = program.populations[tensor.layer].population
        for parameter in population.trained:
            name, value = learned(tensor.name, parameter), genn_name(symbol(parameter))
            found.append(_sum(name, population.name, f"gradient_{parameter}"))
            bounds = population.bounds(parameter)
            found.append(_step(program, name, population.name, value, flags, number, bounds))
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


def step_of(name: str) -> str:
    """Return the name of the update that takes the step of a tensor, or of a row of parameters."""
    return f"{name}_step"


def in_step(name: str) -> str:
    """Return what a name of an equation is called in the code of a step."""
    return {VALUE: "value", GRADIENT: GRADIENT}.get(name) or genn_name(symbol(name))


SIGN = "((({0}) > 0.0) - (({0}) < 0.0))"
NAMES = {"min": "fmin", "max": "fmax", "abs": "fabs", "sign": SIGN}
SCALARS = Language(literal="{}", name_of=in_step, functions=NAMES)


def _step(
    program: Program,
    name: str,
    owner: str,
    value: str,
    flags: Shared,
    number: int,
    bounds: tuple[float, float],
) -> Update:
    """Return the step of ``value``, which stays within ``bounds``; it may raise a flag."""
    optimiser = program.optimiser
    known = {VALUE, GRADIENT, *optimiser.states}
    lines = [f"scalar {GRADIENT} = {TOTAL};"]
    for target, tree in optimiser.lines:
        kind = "" if target in known else "scalar "
        known.add(target)
        lines.append(f"{kind}{in_step(target)} = {print_equation(SCALARS, tree)};")
    limits = dict(zip(("LOWEST", "LARGEST"), bounds, strict=True))
    sound = f"fabs(value) < {LARGEST_VALUE!r} && {TOTAL} - {TOTAL} == 0.0"  # a bound hides NaN
    lines.append(raise_unless(sound, number))
    lines += [
        f"value = {function}(value, {limit});"
        for function, limit in (("fmax", "LOWEST"), ("fmin", "LARGEST"))
        if isfinite(limits[limit])
    ]
    code = "".join(f"{line}\n" for line in lines)
    shared = {in_step(name): 0.0 for name in optimiser.shared}
    return Update(
        name=step_of(name),
        group="learn",
        code=code,
        references=(
            Reference(name="value", owner=owner, variable=value, written=True),
            Reference(name=TOTAL, owner=f"{name}_sum", variable=TOTAL),
        ),
        variables=tuple(Variable(name=in_step(state)) for state in optimiser.states),
        parameters=used(code, {**shared, **limits}),
        tables=(flags,),
    )
