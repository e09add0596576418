"""Learning rules, one module each; nothing outside asks for one by its name."""

from __future__ import annotations

from snnrun.load import find
from snnrun.rules.base import Rule
from snnrun.rules.eprop import EPROP
from snnrun.rules.eventprop import EVENTPROP
from snnrun.rules.stdp import STDP
from snnrun.rules.superspike import SUPERSPIKE
from snnrun.rules.surrogate import SURROGATE

RULES = {rule.name: rule for rule in (EVENTPROP, SURROGATE, EPROP, SUPERSPIKE, STDP)}


def find_rule(name: str, where: str = "rule.name") -> Rule:
    """Return the built-in rule ``name``, or the one of a dotted path that ``where`` holds."""
    return find(name, RULES, Rule, where)
