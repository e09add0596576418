"""What a search may vary: the ranges and choices of a command line, in Hydra's own syntax.

``interval(a,b)`` is any number between, ``range(a,b,step)`` one of a row, commas and
``choice(...)`` are values without an order; ``tag(log, interval(a,b))`` is drawn evenly in the
logarithm.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

from snnrun.config import listed
from snnrun.errors import ConfigError
from snnrun.keys.kinds import COUNT, FLOAT, INT, START
from snnrun.schema import ALIASES, GROUP_NAMES, SCHEMA
from snnrun.search.optuna import optuna

WHOLE, NUMBERS = (INT, COUNT), (INT, COUNT, FLOAT, START)
LOG = "log"


@dataclass(frozen=True, kw_only=True)
class Dimension:
    """A key that is searched.

    Args:
        name: The key or group.
        word: What stands before ``=`` on the command line, as in ``++AUGMENTATION.shift``.
        distribution: Optuna's; values of choices are the texts of the command line.
    """

    name: str
    word: str
    distribution: Any

    def override(self, value: Any) -> str:
        """Return the word of a command line that gives the key a value."""
        return f"{self.word}={value!r}" if isinstance(value, float) else f"{self.word}={value}"

    @property
    def continuous(self) -> bool:
        """Whether its values cannot be listed."""
        found = self.distribution
        return isinstance(found, optuna().distributions.FloatDistribution) and found.step is None

    @property
    def is_choice(self) -> bool:
        """Whether its values have no order."""
        return isinstance(self.distribution, optuna().distributions.CategoricalDistribution)

    @property
    def highest(self) -> float:
        """The largest value, of choices that are numbers too."""
        if not self.is_choice:
            return float(self.distribution.high)
        return max(float(choice) for choice in self.distribution.choices)

    def ends(self) -> tuple[Any, Any]:
        """Return the least value and the largest; of choices the first and the last."""
        found = self.distribution
        if self.is_choice:
            return found.choices[0], found.choices[-1]
        return found.low, found.high

    def __str__(self) -> str:
        found = self.distribution
        if self.is_choice:
            return ", ".join(map(str, found.choices))
        step = f" in steps of {found.step:g}" if found.step not in (None, 1) else ""
        return f"{found.low!r} to {found.high!r}{step}{' (log)' * found.log}"

    def values(self) -> list[Any]:
        """Return all values of one that is not continuous, in order."""
        found = self.distribution
        if self.is_choice:
            return list(found.choices)
        count = round((found.high - found.low) / found.step) + 1
        return [type(found.low)(found.low + k * found.step) for k in range(count)]


@dataclass(frozen=True, kw_only=True)
class Space:
    """What is searched, and the words that hold for all trials."""

    dimensions: tuple[Dimension, ...]
    fixed: tuple[str, ...]

    def distributions(self) -> dict[str, Any]:
        """Return name -> Optuna's distribution."""
        return {dimension.name: dimension.distribution for dimension in self.dimensions}

    def overrides(self, parameters: Mapping[str, Any]) -> list[str]:
        """Return the words of a trial, besides those of all."""
        return [d.override(parameters[d.name]) for d in self.dimensions if d.name in parameters]

    def grid(self) -> list[dict[str, Any]]:
        """Return all combinations; only of a space that is nowhere continuous."""
        names = [dimension.name for dimension in self.dimensions]
        rows = product(*(dimension.values() for dimension in self.dimensions))
        return [dict(zip(names, row, strict=True)) for row in rows]


def space_of(overrides: Sequence[Any], sampler: str) -> Space:
    """Return the space of a command line.

    Args:
        overrides: As Hydra has parsed them, without those of the search itself.
        sampler: Which is to draw from it.

    Raises:
        ConfigError: There is nothing to search, or something that cannot be.
    """
    searched = [override for override in overrides if override.is_sweep_override()]
    wrong = [problem for override in searched for problem in _problems(override)]
    if not searched:
        wrong = [
            "sweep=optuna: nothing is to be searched; give ranges or choices, as in "
            "'ETA=interval(1e-4,1e-2)' NUM_HIDDEN=64,128"
        ]
    if wrong:
        raise ConfigError(listed(wrong, "of what is searched"))
    dimensions = tuple(_dimension(override) for override in searched)
    wrong = list(_not_for(sampler, dimensions))
    if wrong:
        raise ConfigError(listed(wrong, "of what is searched"))
    fixed = [override.input_line for override in overrides if not override.is_sweep_override()]
    return Space(dimensions=dimensions, fixed=tuple(fixed))


def _problems(override: Any) -> Iterator[str]:
    """Yield what is wrong of a key that is searched, by itself."""
    name, line = override.key_or_group, override.input_line
    key = SCHEMA.get(ALIASES.get(name, name))
    if name.endswith("_SEED"):
        yield (
            f"{line}: a search would find the luckiest seed; leave it out, and give sweep.seeds=3 "
            "to compare means over several"
        )
    elif override.is_choice_sweep():
        texts = list(override.sweep_string_iterator())
        if len(set(texts)) < len(texts):
            yield f"{line}: one of the values is given twice"
        if key is not None:
            read = [getattr(item, "text", item) for item in override.sweep_iterator()]
            yield from (problem for value in read if (problem := key.convert(value)[1]))
    elif name in GROUP_NAMES or (key is not None and key.kind not in NUMBERS):
        what = key.kind.text if key is not None and not key.choices else "one of several choices"
        yield f"{line}: {name} is {what}, not a number; give the values themselves, as in A,B"
    else:
        yield from _problems_of_range(override, key)


def _problems_of_range(override: Any, key: Any) -> Iterator[str]:
    line, value = override.input_line, override.value()
    low, high = _ends(override)
    logarithmic = LOG in value.tags
    if unknown := value.tags - {LOG}:
        yield f"{line}: {', '.join(sorted(unknown))} is no tag of a search; there is {LOG}"
    elif not low < high:
        yield f"{line}: the first of the two must be less than the second"
    elif logarithmic and override.is_range_sweep():
        yield f"{line}: a range has even steps; draw from tag({LOG}, interval(...)) instead"
    elif logarithmic and low <= 0:
        yield f"{line}: must begin above 0 to be drawn evenly in the logarithm"
    elif key is not None:
        yield from (problem for end in (low, high) if (problem := key.convert(end)[1]))


def _ends(override: Any) -> tuple[float, float]:
    """Return the least and the largest value."""
    value = override.value()
    if override.is_interval_sweep():
        return value.start, value.end
    row = list(value.range())
    return (row[0], row[-1]) if row else (0, 0)


def _dimension(override: Any) -> Dimension:
    name = override.key_or_group
    return Dimension(
        name=ALIASES.get(name, name),
        word=override.get_key_element(),
        distribution=_distribution(override),
    )


def _distribution(override: Any) -> Any:
    kinds = optuna().distributions
    if override.is_choice_sweep():
        return kinds.CategoricalDistribution(list(override.sweep_string_iterator()))
    key = SCHEMA.get(ALIASES.get(override.key_or_group, override.key_or_group))
    value, (low, high) = override.value(), _ends(override)
    whole = key.kind in WHOLE if key else isinstance(low, int) and isinstance(high, int)
    log = LOG in value.tags
    step = value.step if override.is_range_sweep() else None
    if whole:
        return kinds.IntDistribution(int(low), int(high), log=log, step=int(step or 1))
    step = None if step is None else float(step)
    return kinds.FloatDistribution(float(low), float(high), log=log, step=step)


def _not_for(sampler: str, dimensions: Sequence[Dimension]) -> Iterator[str]:
    """Yield what a sampler cannot draw from."""
    choices = [d.name for d in dimensions if d.is_choice]
    if sampler == "grid":
        for dimension in dimensions:
            if dimension.continuous:
                found = dimension.distribution
                yield (
                    f"sweep.sampler=grid: {dimension.name} is any number from {found.low:g} to "
                    f"{found.high:g}; give values, as in {dimension.name}={found.low:g},"
                    f"{found.high:g}, or range(...)"
                )
    elif sampler == "cmaes":
        if choices:
            yield (
                f"sweep.sampler=cmaes: is for ranges of numbers, and {', '.join(choices)} has "
                "choices; give ranges, or take tpe"
            )
        elif len(dimensions) < 2:
            yield "sweep.sampler=cmaes: needs two ranges at least; take tpe for one"
