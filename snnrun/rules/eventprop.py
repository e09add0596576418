"""EventProp: exact gradients of spike times."""

from __future__ import annotations

from snnrun.rules.base import Rule
from snnrun.rules.learning import Engine, Gradient

EVENTPROP = Rule(
    name="eventprop",
    meaning="exact gradients from the adjoint system, with jumps at the spikes",
    source="Wunderlich & Pehle 2021, Sci Rep 11:12829",
    engine=Engine.JUMPS,
    bind=lambda options: Gradient(),
    backends=("native", "genn", "numpy"),
)
