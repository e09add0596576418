"""The learning rules: what is kept on the way forward, and how weights follow from it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Rule:
    """A learning rule.

    Args:
        name: What ``rule=NAME`` calls it.
        backends: Those that can run it.
        meaning: One line.
        source: The publication.
    """

    name: str
    backends: tuple[str, ...]
    meaning: str
    source: str


EVENTPROP = Rule(
    name="eventprop",
    backends=("native", "genn"),
    meaning="exact gradients from the adjoint system, with jumps at the spikes",
    source="Wunderlich & Pehle 2021, Sci Rep 11:12829",
)

SUPERSPIKE = Rule(
    name="superspike",
    backends=("native", "genn"),
    meaning="online eligibility traces with a surrogate derivative, times an error fed back",
    source="Zenke & Ganguli 2018, Neural Computation 30:1514",
)

RULES = {rule.name: rule for rule in (EVENTPROP, SUPERSPIKE)}
