"""Whether a declaration says all that a reader needs, and what of it can be trained."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import sympy as sp

from snnrun.models.declare import Neuron
from snnrun.models.equations import symbol
from snnrun.models.losses import BUILT_IN, Loss
from snnrun.models.readouts import Readout
from snnrun.schema import KEYS


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One thing that was checked."""

    name: str
    passed: bool
    text: str


def neuron_findings(neuron: Neuron) -> list[Finding]:
    """Return what is missing from, or wrong with, a neuron's declaration."""
    problems = [*_unexplained(neuron), *_unused(neuron), *_may_divide_by_zero(neuron)]
    problems += [
        f"{p.name}: low = {p.low:g} is not below high = {p.high:g}"
        for p in neuron.parameters
        if not p.low < p.high
    ]
    for p in neuron.parameters:
        for key in (p.key, p.floor_key):
            if key is not None and key not in KEYS:
                problems.append(f"{p.name}: there is no configuration key {key}")
    return [_declaration(problems, "units, meanings, bounds and source"), _trained(neuron)]


def loss_findings(loss: Loss) -> list[Finding]:
    """Return what is missing from, or wrong with, a loss's declaration."""
    problems = [f"{name} is missing" for name in ("meaning", "source") if not getattr(loss, name)]
    problems += [f"there is no configuration key {k}" for k in loss.keys if k not in KEYS]
    of_target = loss.readout.courses
    read, by = ("d", "cost") if of_target else ("y", "score")
    if symbol(read) not in loss.expression(by).free_symbols:
        problems.append(f"{by} does not depend on {read}, so nothing can be learned")
    problems += [
        f"{name} has no effect: it belongs to {' and '.join(str(r) for r in readouts)}"
        for name, readouts in _of_readouts().items()
        if getattr(loss, name) != getattr(Loss, name) and name not in loss.readout.fields
    ]
    return [_declaration(problems, "meaning, source, keys and fields")]


def _of_readouts() -> dict[str, list[Readout]]:
    """Return the fields of losses that only some readouts look at, with these."""
    found: dict[str, list[Readout]] = {}
    for readout in dict.fromkeys(known.readout for known in BUILT_IN.values()):
        for name in readout.fields:
            found.setdefault(name, []).append(readout)
    return found


def time_constants(neuron: Neuron) -> tuple[str, ...]:
    """Return the parameters that the rates, or what is assigned, are divided by."""
    below = _names(_divisors(neuron))
    return tuple(p.name for p in neuron.parameters if p.name in below)


def _divisors(neuron: Neuron) -> list[sp.Expr]:
    """Return what the rates, or what is assigned, are divided by."""
    found = [sp.fraction(sp.together(rate))[1] for rate in neuron.system.rates]
    assigned = [line.value for line in neuron.system.update]
    powers = {power for value in assigned for power in value.atoms(sp.Pow)}
    return found + [power.base for power in powers if power.exp.could_extract_minus_sign()]


def _declaration(problems: list[str], what: str) -> Finding:
    text = "; ".join(problems) if problems else f"{what} are there"
    return Finding(name="declaration", passed=not problems, text=text)


def _trained(neuron: Neuron) -> Finding:
    """Say which parameters learning changes; wrong where one of them has no full gradient."""
    whole = neuron.trainable
    floors = [p.name for p in neuron.parameters if p.floor_key]
    wrong = [name for name in floors if name not in whole]
    text = f"TRAIN_TAU trains {', '.join(floors) or 'nothing'}; "
    text += f"gradients are checked of {', '.join(whole) or 'no parameter'}"
    left = [p.name for p in neuron.parameters if p.name not in whole]
    if left:
        text += f", not of {', '.join(left)} (refractory period or initial value)"
    if wrong:
        text += f". {', '.join(wrong)} must not have a floor_key: no gradient of it is derived"
    return Finding(name="parameters", passed=not wrong, text=text)


def _unexplained(neuron: Neuron) -> Iterator[str]:
    for name in ("meaning", "source"):
        if not getattr(neuron, name):
            yield f"{name} is missing"
    for parameter in neuron.parameters:
        for name in ("unit", "meaning"):
            if not getattr(parameter, name):
                hint = " (1 for a plain number)" if name == "unit" else ""
                yield f"{parameter.name}: {name} is missing{hint}"


def _unused(neuron: Neuron) -> Iterator[str]:
    system = neuron.system
    used = _names([*system.rates, *system.resets.values(), *system.initial.values()])
    used |= _names(line.value for line in system.update)
    if system.count is not None:
        used |= _names([system.count])
    if system.threshold_value is not None:
        used |= _names([system.threshold_value])
    for parameter in neuron.parameters:
        if parameter.name not in used | {neuron.refractory, neuron.max_spikes}:
            yield f"{parameter.name} is not used by any equation"


def _may_divide_by_zero(neuron: Neuron) -> Iterator[str]:
    usual = {symbol(p.name): p.default for p in neuron.parameters}
    for name in time_constants(neuron):
        p = neuron.parameter(name)
        without = usual | {symbol(name): 0.0}
        vanishes = any(divisor.subs(without).is_zero for divisor in _divisors(neuron))
        if vanishes and not p.positive and p.low <= 0 <= p.high:
            yield f"{name}: its bounds allow 0, by which a rate is divided; declare positive=True"


def _names(expressions: Iterable[sp.Expr]) -> set[str]:
    return {str(s) for e in expressions for s in sp.sympify(e).free_symbols}
