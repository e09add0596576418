"""Optimisers as C++ structs."""

from __future__ import annotations

from collections.abc import Mapping

from snnrun.backends.native.printer import boolean, cxx_name, fill
from snnrun.backends.updates import Language, print_equation
from snnrun.models.equations import symbol
from snnrun.optimisers import Update
from snnrun.optimisers.optimiser import CLIP_NORM, DECAY, GRADIENT, RATE, SCALE, STEP, VALUE

OURS = (VALUE, GRADIENT, RATE, DECAY, STEP, SCALE)
FUNCTIONS: Mapping[str, str] = {"min": "minimum", "max": "maximum", "abs": "fabs"}
IN_DOUBLE = {"min": "std::min", "max": "std::max", "abs": "std::fabs", "pow": "std::pow"}


def _name(name: str) -> str:
    return name if name in OURS else cxx_name(symbol(name))


REALS = Language(literal="Real({})", name_of=_name, functions=FUNCTIONS)
DOUBLES = Language(literal="{}", name_of=_name, functions=IN_DOUBLE)


def numbers_of(update: Update) -> dict[str, float]:
    """Return the members of the struct, with their values."""
    found = {_name(name): value for name, value in update.numbers.items()}
    return found | ({CLIP_NORM: update.clip_norm} if update.clip_norm is not None else {})


def emit_optimiser(update: Update, struct: str, numbers: str) -> str:
    """Return an optimiser as a struct; ``numbers`` declares its members."""
    states = update.states
    known = {VALUE, GRADIENT, *states}
    lines = [f"vf& {_name(state)} = state[{i}];" for i, state in enumerate(states)]
    for name, tree in update.lines:
        kind = "" if name in known else "vf "
        known.add(name)
        lines.append(f"{kind}{_name(name)} = splat({print_equation(REALS, tree)});")
    once = [f"const double decay = weights ? this->{DECAY} : 0.0;"] * (DECAY in update.numbers)
    once += [f"const double {_name(n)} = {print_equation(DOUBLES, t)};" for n, t in update.once]
    shared = [_name(name) for name in update.shared]
    return fill(
        "optimiser",
        title=f"// {update.optimiser.name}: {update.optimiser.meaning}",
        struct=struct,
        states=len(states),
        scaled=boolean(update.clip_norm is not None),
        numbers=numbers,
        members=f"        Real {', '.join(shared)};\n" if shared else "",
        update="\n".join(f"            {line}" for line in lines),
        once="\n".join(f"        {line}" for line in once),
        values=", ".join(f"Real({name})" for name in shared),
    )
