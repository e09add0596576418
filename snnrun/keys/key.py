"""What is known of a configuration key, the check of a value against it, and tables of keys."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from snnrun.errors import did_you_mean
from snnrun.keys.files import GENERAL, defaults_of, having
from snnrun.keys.kinds import BOOL, FLOAT, INT, NAMES, TEXT, Kind, Problems, shown
from snnrun.keys.synonyms import value_hint

NULLS = ("null", "None", "none", "~")  # how people write null where a number or a list belongs

RESUME, TEST = "resume", "test"  # commands that may change keys of a run that exists


@dataclass(frozen=True, kw_only=True)
class Condition:
    """A condition on another key: that it has one of ``values``, or, with ``not_``, none of them.

    A dotted path (a user's own neuron, loss, ...) meets every condition.
    """

    key: str
    values: tuple[Any, ...]
    not_: bool = False

    def holds(self, config: Mapping[str, Any]) -> bool:
        """Return whether ``config`` (name -> checked value) meets the condition."""
        value = config[self.key]
        if isinstance(value, str) and "." in value:
            return True
        return (value in self.values) != self.not_

    def __str__(self) -> str:
        values = " or ".join(shown(v) for v in self.values)
        return f"{self.key} is {'not ' if self.not_ else ''}{values}"


def when(key: str, *values: Any) -> Condition:
    """Return the condition that ``key`` has one of ``values``."""
    return Condition(key=key, values=values)


def unless(key: str, *values: Any) -> Condition:
    """Return the condition that ``key`` has none of ``values``."""
    return Condition(key=key, values=values, not_=True)


@dataclass(frozen=True, kw_only=True)
class Key:
    """One configuration key.

    Args:
        name: The key, or ``group.option`` for an option of a group.
        section: The heading under which ``snnrun keys`` lists it.
        kind: Type of value.
        default: Value where the data set has no other.
        meaning: What it does, in one or two sentences.
        datasets: Data set -> its own default.
        unit: Unit of the value.
        minimum, maximum: Bounds that are allowed themselves.
        above, below: Bounds that are not.
        choices: The only texts allowed, or entries of a list; with ``dotted_path`` a path to a
            user's object too.
        nullable: Whether null is allowed; ``null`` says what it means.
        active_if: The key has an effect if one of these holds; empty: always.
        changeable: Commands (resume, test) in which it may differ from what the run began with.
    """

    name: str
    section: str
    kind: Kind
    default: Any
    meaning: str
    datasets: Mapping[str, Any] = field(default_factory=dict)
    unit: str = ""
    minimum: float | None = None
    maximum: float | None = None
    above: float | None = None
    below: float | None = None
    choices: tuple[str, ...] = ()
    dotted_path: bool = False
    nullable: bool = False
    null: str = ""
    active_if: tuple[Condition, ...] = ()
    changeable: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not self.meaning or bool(self.null) != self.nullable:
            raise ValueError(f"{self.name}: say what it means, and what null means if allowed")
        for value in (self.default, *self.datasets.values()):
            _, problem = self.convert(value)
            if problem:
                raise ValueError(f"{self.name}: default {problem}")

    def default_of(self, dataset: str) -> Any:
        """Return the default in ``dataset``; for one that is not built in, the general one."""
        return self.convert(self.datasets.get(dataset, self.default))[0]

    def convert(self, value: Any) -> tuple[Any, str]:
        """Return (clean value, ""), or (None, the problem as one line)."""
        if value == "???":
            return None, f"{self.name} has no value; it must be {self.allowed()}"
        if self.nullable and (value is None or self._means_null(value)):
            return None, ""
        try:
            clean = self.kind.convert(value)
        except Problems as problems:
            return None, "\n  ".join(f"{self.name}{line}" for line in problems.lines)
        except (ValueError, OverflowError):
            return None, self._refusal(value)
        if not self._within(clean):
            return None, self._refusal(value)
        return clean, ""

    def allowed(self) -> str:
        """Return what is allowed, as it completes "must be ..."."""
        if self.choices:
            text = "some of " if self.kind is NAMES else "one of "
            text += ", ".join(self.choices)
            text += " or the dotted path of your own" if self.dotted_path else ""
        else:
            signs = {">": self.above, ">=": self.minimum, "<": self.below, "<=": self.maximum}
            bounds = [f"{sign} {bound:g}" for sign, bound in signs.items() if bound is not None]
            text = f"{self.kind.text} {' and '.join(bounds)}".strip()
        if self.unit:
            text += f" ({self.unit})"
        return text + (f", or null: {self.null}" if self.nullable else "")

    def _means_null(self, value: Any) -> bool:
        return isinstance(value, str) and value in NULLS and self.kind is not TEXT

    def _within(self, value: Any) -> bool:
        if self.choices:
            return not self._strange(value)
        if isinstance(value, bool) or not isinstance(value, int | float):
            return True
        return (
            (self.minimum is None or value >= self.minimum)
            and (self.maximum is None or value <= self.maximum)
            and (self.above is None or value > self.above)
            and (self.below is None or value < self.below)
        )

    def _strange(self, value: Any) -> list[Any]:
        """Return what ``value`` is, or has in it, that is none of the choices."""
        texts = value.split(",") if self.kind is NAMES and isinstance(value, str) else value
        return [
            text
            for text in (texts if isinstance(texts, list | tuple) else [texts])
            if text not in self.choices and not (self.dotted_path and _is_dotted_path(str(text)))
        ]

    def _refusal(self, value: Any) -> str:
        hint = value_hint(self.name, value)
        if not hint and self.choices and (strange := self._strange(value)):
            hint = did_you_mean(strange[0], self.choices) if isinstance(strange[0], str) else ""
        if self.kind is BOOL and value in (0, 1):
            hint = f" Did you mean {'true' if value else 'false'}?"
        if self.kind is TEXT and isinstance(value, bool | int | float):
            hint = (
                " In a YAML file a text that looks like a number, or like true or null, stands in "
                f'quotes, as in {self.name.rpartition("].")[2]}: "{shown(value)}"'
            )
        return f"{self.name}={shown(value)}: must be {self.allowed()}.{hint}"


def _is_dotted_path(value: str) -> bool:
    parts = value.split(".")
    return len(parts) > 1 and all(part.isidentifier() for part in parts)


# Short ways to write tables of keys

Row = dict[str, Any]


def table(section: str, *rows: Row, **all_: Any) -> tuple[Key, ...]:
    """Return keys of one section, with the defaults that the files have.

    ``all_`` is what the rows have in common.
    """
    keys = []
    for given in rows:
        name = given["name"]
        usual = {"default": GENERAL[name], "datasets": defaults_of(name)}
        keys.append(Key(**usual | all_ | given, section=section))
    return tuple(keys)


def row(name: str, meaning: str, kind: Kind, **more: Any) -> Row:
    """Return a row; ``more``: what else Key has."""
    return {"name": name, "meaning": meaning, "kind": kind, **more}


number = partial(row, kind=FLOAT)
whole = partial(row, kind=INT)
switch = partial(row, kind=BOOL)
text = partial(row, kind=TEXT)  # with choices one of several words


def with_option(name: str) -> tuple[Condition, ...]:
    """Return the condition that the data set uses the option ``dataset.name``."""
    return (when("dataset.name", *having(f"dataset.{name}")),)
