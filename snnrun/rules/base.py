"""What a learning rule declares.

A rule is data: its options with their bounds, what it needs of the rest of a configuration, and
``bind``, which makes a form of learning of the values of its options. One of your own is chosen as
rule.name=mylab.rules.MINE.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

from snnrun.keys.check import Check
from snnrun.keys.key import Condition, Key, unless, when
from snnrun.keys.table import Row, table
from snnrun.rules.learning import Engine, Learning


@dataclass(frozen=True, kw_only=True)
class Rule:
    """A learning rule.

    Args:
        name: What ``rule=NAME`` calls it.
        meaning: One line.
        source: The publication.
        engine: What runs it.
        bind: Makes the form of learning of the values of its options, which are attributes.
        options: Its own keys, of the group ``rule``.
        backends: Those that can run it.
        beside: The rule with which a network's other projections learn, and the output where the
            configuration does not say, where this one is for single projections.
        loss: The built-in loss that is its own error, with options of the rule as its keys.
        step: The key that scales what learning changes.
        spread: The key that scales its initial weights, where those have one for all.
        blind: Whether labels play no part with these options.
        hint: What the head of a run with this configuration advises, or "".
        unused: Keys that mean nothing with it -> the option that stands for it, or "".
        fixed: Keys of which it knows one value -> that.
        no_hidden: The condition under which there is no hidden layer.
        checks: What must hold between its options and other keys: each yields a line per problem.
    """

    name: str
    meaning: str
    source: str
    engine: Engine
    bind: Callable[[Any], Learning]
    options: tuple[Key, ...] = ()
    backends: tuple[str, ...] = ("native",)
    beside: Rule | None = None
    loss: str = ""
    step: str = "ETA"
    spread: str = ""
    blind: Callable[[Any], bool] = lambda options: False
    hint: Callable[[Any], str] = lambda config: ""
    unused: Mapping[str, str] = field(default_factory=dict)
    fixed: Mapping[str, Any] = field(default_factory=dict)
    no_hidden: Condition | None = None
    checks: tuple[Check, ...] = ()

    @property
    def gradient(self) -> Rule:
        """The rule of a whole network: this one, or the one beside which it trains projections."""
        return self.beside or self

    @property
    def plastic(self) -> bool:
        """Whether it trains single projections, beside another rule."""
        return self.engine is Engine.PAIRS

    @property
    def discrete(self) -> bool:
        """Whether the steps themselves are differentiated, and not the spike times."""
        return self.gradient.engine is Engine.STEPS

    @property
    def chosen_by(self) -> tuple[Condition, ...]:
        """The conditions one of which must hold for a network to learn by it."""
        of_projection = (unless("network.layers", ()),) if self.plastic else ()
        return (when("rule.name", self.name), *of_projection)

    def usual(self) -> Learning:
        """Return the form of learning with the defaults of all options."""
        return self.bind(SimpleNamespace(**{k.name.split(".")[1]: k.default for k in self.options}))


def options(rule: str, *rows: Row, plastic: bool = False) -> tuple[Key, ...]:
    """Return rows as options of the rule with this name; ``plastic``: it is one of projections.

    A row may have conditions of its own, under which the rule uses it.
    """
    used = (when("rule.name", rule), *((unless("network.layers", ()),) if plastic else ()))
    rows = tuple({"active_if": used, **row, "name": f"rule.{row['name']}"} for row in rows)
    return table(f"options of rule={rule}", *rows)
