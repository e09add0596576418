"""Steps between populations: a spike takes one here, and none in programs that walk all layers."""

from __future__ import annotations

from collections.abc import Sequence

from snnrun.graphs import groups_of


def lags_of(
    names: Sequence[str], edges: Sequence[tuple[str, str]], inputs: Sequence[str], stepping: str
) -> dict[str, int]:
    """Return name -> steps by which a population comes after the input.

    A spike takes a step to the next population here. Programs that walk through all layers in one
    step have none, but for loops; populations that are met by a lag show the same, later.
    """
    lags = dict.fromkeys([*inputs, *names], 0)
    if stepping == "jump":
        return lags
    for group in groups_of(names, edges):
        own = {names[i] for i in group}
        outside = [a for a, b in edges if b in own and a not in own]
        behind = [lags[a] + (a not in inputs) for a in outside]
        lags |= dict.fromkeys(own, max(behind, default=0))
    return lags
