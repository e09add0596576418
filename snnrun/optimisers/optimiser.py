"""What an optimiser declares, and what becomes of it with the values of its keys.

An optimiser is data: equations by which a value that learns follows its gradient. Backends print
them, or let NumPy evaluate them; the order of operations is the one that is written. Names are

    w       the value; the last line assigns it
    g       its gradient, the mean over the mini-batch, clipped where that is asked for
    rate    its learning rate in this update
    decay   optimiser.weight_decay of a weight, 0 of a delay or of a parameter of a neuron
    step    the number of the update, from 1; in ``once`` alone

states, which are 0 at the start, and numbers, which stand for keys. Functions are those of the
equations of neurons, and sign. Other names that are assigned hold a value until the update is done.
"""

from __future__ import annotations

import ast
import re
import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from types import SimpleNamespace
from typing import Any

from snnrun.errors import ModelError
from snnrun.keys.key import Key, when
from snnrun.keys.kinds import FLOAT, INT, Kind
from snnrun.models.equations import FUNCTIONS, names_in, parse_assignments, read_expression

UPDATING = {**FUNCTIONS, "sign": ("sign", 1)}
VALUE, GRADIENT, RATE, DECAY, STEP, SCALE = "w", "g", "rate", "decay", "step", "scale"
GIVEN = (RATE, DECAY, SCALE)
GROUP = "optimiser"
CLIP_VALUE, CLIP_NORM = "clip_value", "clip_norm"
EVERY = tuple(f"{GROUP}.{name}" for name in ("name", CLIP_NORM, CLIP_VALUE, "rates"))
WEIGHT_DECAY = f"{GROUP}.weight_decay"

Line = tuple[str, ast.expr]  # name = expression
_DECAYS = re.compile(rf"\b{DECAY}\b").search


def option(name: str, kind: Kind, meaning: str, default: Any, **more: Any) -> dict[str, Any]:
    """Return an option of an optimiser of one's own; ``more``: what else Key has, as bounds."""
    return {"name": f"{GROUP}.{name}", "kind": kind, "meaning": meaning, "default": default, **more}


@dataclass(frozen=True, kw_only=True)
class Optimiser:
    """An optimiser.

    Args:
        name: What ``optimiser=NAME`` calls it.
        meaning: One line.
        update: The equations, a line each; or what makes them of the values of its keys, by their
            last names, as ``options.momentum``.
        once: Equations of what an update has in common for all values, in float64.
        states: What it keeps for each value from one update to the next.
        numbers: Name in the equations -> key.
        switches: Further keys that ``update`` asks for.
        usual: Key -> what its null means; where it is not here, 0.
        options: What ``option`` returns of each key of its own; then they are these keys. Numbers
            have their own names in the equations.
        bounded: A step is about as long as the learning rate, however large the gradient is.
        source: The publication.
    """

    name: str
    meaning: str
    update: str | Callable[[Any], str]
    once: str = ""
    states: tuple[str, ...] = ()
    numbers: Mapping[str, str] = field(default_factory=dict)
    switches: tuple[str, ...] = ()
    usual: Mapping[str, float] = field(default_factory=dict)
    options: tuple[Any, ...] = ()
    bounded: bool = False
    source: str = ""

    def __post_init__(self) -> None:
        section = f"options of optimiser={self.name}"
        fixed = {"section": section, "active_if": (when(f"{GROUP}.name", self.name),)}
        made = tuple(o if isinstance(o, Key) else Key(**fixed | o) for o in self.options)
        numbers = {k.name.partition(".")[2]: k.name for k in made if k.kind in (FLOAT, INT)}
        others = [k.name for k in made if k.name not in numbers.values()]
        others += [WEIGHT_DECAY] * any(map(_DECAYS, (self.once, str(self.update))))
        if taken := {*GIVEN, VALUE, GRADIENT, STEP} & {*self.states, *numbers, *self.numbers}:
            raise ModelError(f"optimiser {self.name}: {', '.join(taken)} cannot be a state or key")
        object.__setattr__(self, "options", made)
        object.__setattr__(self, "numbers", {**numbers, **self.numbers})
        object.__setattr__(self, "switches", tuple(dict.fromkeys((*self.switches, *others))))

    @property
    def keys(self) -> set[str]:
        """The keys that it uses."""
        return {*EVERY, *self.numbers.values(), *self.switches}

    def bind(self, values: Mapping[str, Any]) -> Update:
        """Return its equations with the values of keys.

        Raises:
            ModelError: The equations cannot be read.
        """
        own = {key: values[key] for key in (*self.numbers.values(), *self.switches)}
        own = {k: self.usual.get(k, 0.0) if v is None else v for k, v in own.items()}
        given = SimpleNamespace(**{key.rpartition(".")[2]: value for key, value in own.items()})
        text = self.update if isinstance(self.update, str) else self.update(given)
        numbers = {name: float(own[key]) for name, key in self.numbers.items()}
        value, norm = (values.get(f"{GROUP}.{name}") for name in (CLIP_VALUE, CLIP_NORM))
        if value is not None:
            numbers[CLIP_VALUE] = float(value)
            text = f"{GRADIENT} = max(min({GRADIENT}, {CLIP_VALUE}), -{CLIP_VALUE})\n{text}"
        if norm is not None:
            text = f"{GRADIENT} = {SCALE} * {GRADIENT}\n{text}"
        return Update(
            optimiser=self,
            text=text,
            given=numbers,
            weight_decay=float(own.get(WEIGHT_DECAY, 0.0)),
            clip_norm=norm,
        )


@dataclass(frozen=True, kw_only=True)
class Update:
    """An optimiser with the values of its keys.

    Args:
        optimiser: The declaration.
        text: Its equations, with those of clipping.
        given: Name in the equations -> number.
        weight_decay: What ``decay`` is of weights.
        clip_norm: Largest norm of the whole gradient; None: any. ``scale`` follows from it.
    """

    optimiser: Optimiser
    text: str
    given: Mapping[str, float]
    weight_decay: float = 0.0
    clip_norm: float | None = None

    def __post_init__(self) -> None:
        self._lines  # noqa: B018  what is wrong with them is said here

    @cached_property
    def _lines(self) -> tuple[tuple[Line, ...], tuple[Line, ...]]:
        """The lines of ``once`` and of each value."""
        where = f"optimiser {self.optimiser.name}"
        known = {*self.given, *GIVEN}
        once = _read(self.optimiser.once, {*known, STEP}, {*self.given, *GIVEN, STEP}, where)
        known |= {name for name, _ in once}
        lines = _read(
            self.text, {*known, VALUE, GRADIENT, *self.optimiser.states}, {*known, STEP}, where
        )
        if not lines or lines[-1][0] != VALUE:
            raise ModelError(f"{where}: the last line of its update must assign {VALUE}")
        return once, lines

    @property
    def once(self) -> tuple[Line, ...]:
        """What is computed once for an array of values, in float64."""
        used, found = self._used_in(self.lines), []
        for line in reversed(self._lines[0]):
            if line[0] in used:
                found.append(line)
                used |= names_in(line[1])
        return tuple(reversed(found))

    @property
    def lines(self) -> tuple[Line, ...]:
        """What is computed for each value."""
        return self._lines[1]

    @staticmethod
    def _used_in(lines: tuple[Line, ...]) -> set[str]:
        return {name for _, tree in lines for name in names_in(tree)}

    @property
    def states(self) -> tuple[str, ...]:
        """The states that the equations use."""
        found = {name for name, _ in self.lines} | self._used_in(self.lines)
        return tuple(name for name in self.optimiser.states if name in found)

    @property
    def shared(self) -> tuple[str, ...]:
        """What the equations of a value use that all values of an array share, in order."""
        used = self._used_in(self.lines)
        names = (*self.given, *GIVEN, *(name for name, _ in self._lines[0]))
        return tuple(name for name in names if name in used)

    def rounded(self, precision: str) -> Update:
        """Return the same for values in ``precision``, float32 or float64.

        What is computed once takes numbers as the values meet them: the correction of a mean has
        the decay of that mean, of which a rounding error would be a large part of 1 - decay.
        """
        used = self._used_in(self.lines)
        form = {"float32": "f", "float64": "d"}[precision]  # of struct: NumPy takes long to import
        given = {
            n: struct.unpack(form, struct.pack(form, x))[0] if n in used else x
            for n, x in self.given.items()
        }
        return replace(self, given=given)

    @property
    def numbers(self) -> dict[str, float]:
        """The numbers of keys that are used, and ``decay`` of weights."""
        used = self._used_in((*self.once, *self.lines))
        found = {name: value for name, value in self.given.items() if name in used}
        return found | ({DECAY: self.weight_decay} if DECAY in used else {})

    def describe(self) -> list[str]:
        """Return lines of text: what it is, and its equations."""
        numbers = ", ".join(f"{name} {value:g}" for name, value in self.numbers.items())
        once = [f"{name} = {ast.unparse(tree)}" for name, tree in self.once]
        lines = [f"{name} = {ast.unparse(tree)}" for name, tree in self.lines]
        if self.clip_norm is not None:
            once.insert(0, f"{SCALE} = min(1, {self.clip_norm:g} / (norm of all gradients + 1e-6))")
        head = f"optimiser {self.optimiser.name}: {self.optimiser.meaning}"
        return [
            f"{head}; {numbers}" if numbers else head,
            *(f"    once: {line}" for line in once),
            *(f"    {line}" for line in lines),
        ]


def _read(text: str, names: set[str], fixed: set[str], where: str) -> tuple[Line, ...]:
    """Return the assignments of a text, each of which may use what those before it assign."""
    lines: list[Line] = []
    for name, value, line, at in parse_assignments(text, where):
        if name in fixed:
            raise ModelError(f"{where}: {name!r} cannot be assigned, as it is given\n    {line}")
        tree = read_expression(value, names, where, line, at, UPDATING)
        lines.append((name, tree))
        names = names | {name}
    return tuple(lines)
