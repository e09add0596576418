"""The learning rules: what is kept on the way forward, and how weights follow from it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Rule:
    """A learning rule.

    Args:
        name: What ``rule=NAME`` calls it.
        meaning: One line.
        source: The publication.
        discrete: Whether the steps themselves are differentiated, with a surrogate derivative of
            the spikes, and not the spike times.
    """

    name: str
    meaning: str
    source: str
    discrete: bool = False


EVENTPROP = Rule(
    name="eventprop",
    meaning="exact gradients from the adjoint system, with jumps at the spikes",
    source="Wunderlich & Pehle 2021, Sci Rep 11:12829",
)

SURROGATE = Rule(
    name="surrogate",
    meaning="backpropagation through the steps of time, with surrogate derivatives of the spikes",
    source="Neftci, Mostafa & Zenke 2019, IEEE Signal Process Mag 36(6):51, arXiv 1901.09948",
    discrete=True,
)

STDP = Rule(
    name="stdp",
    meaning="weights follow the order of pre- and postsynaptic spikes, without gradients",
    source="Song, Miller & Abbott 2000, Nat Neurosci 3:919",
)

SUPERSPIKE = Rule(
    name="superspike",
    meaning="online eligibility traces with a surrogate derivative, times an error fed back",
    source="Zenke & Ganguli 2018, Neural Computation 30:1514",
)

RULES = {rule.name: rule for rule in (EVENTPROP, SURROGATE, SUPERSPIKE, STDP)}
