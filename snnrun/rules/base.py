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
from snnrun.keys.files import options_of
from snnrun.keys.key import Condition, Key, when
from snnrun.keys.kinds import Kind
from snnrun.models.neurons import LISTED
from snnrun.rules.learning import Engine, Learning


def option(name: str, kind: Kind, meaning: str, **more: Any) -> dict[str, Any]:
    """Return an option, of the group ``rule``; ``more``: what else Key has, such as its default.

    The default of a built-in rule's option is in its file, conf/rule/NAME.yaml. With ``active_if``
    the rule uses it under one of these conditions only.
    """
    return {"name": f"rule.{name}", "kind": kind, "meaning": meaning, **more}


@dataclass(frozen=True, kw_only=True)
class Rule:
    """A learning rule.

    Args:
        name: What ``rule=NAME`` calls it.
        meaning: One line.
        source: The publication.
        engine: What runs it.
        bind: Makes the form of learning of the values of its options, which are attributes.
        options: What ``option`` returns of each of its own keys; then they are these keys.
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
    options: tuple[Any, ...] = ()
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

    def __post_init__(self) -> None:
        usual = options_of("rule", self.name)
        fixed = {"section": f"options of rule={self.name}", "active_if": self.chosen_by}
        keys = []
        for given in self.options:
            if not isinstance(given, Key):
                if "default" not in given and given["name"] not in usual:
                    raise ValueError(f"rule {self.name}: option {given['name']} has no default")
                given = Key(**fixed | {"default": usual.get(given["name"])} | given)
            keys.append(given)
        object.__setattr__(self, "options", tuple(keys))

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
        of_projection = LISTED if self.plastic else ()
        return (when("rule.name", self.name), *of_projection)

    def usual(self) -> Learning:
        """Return the form of learning with the defaults of all options."""
        usual = {k.name.partition(".")[2]: k.convert(k.default)[0] for k in self.options}
        return self.bind(SimpleNamespace(**usual))
