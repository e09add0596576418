"""Combinations of choices in which every pair of them occurs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import Any


def pairwise(choices: Mapping[str, Sequence[Any]]) -> list[dict[str, Any]]:
    """Return combinations in which every pair of values of two keys occurs.

    Each new one takes, key by key, the value that meets most pairs that are still missing.
    """
    keys = sorted(choices, key=lambda key: -len(choices[key]))
    missing = {
        ((a, x), (b, y)) for a, b in combinations(keys, 2) for x in choices[a] for y in choices[b]
    }
    found = []
    while missing:
        (a, x), (b, y) = min(missing, key=str)
        chosen = {a: x, b: y}
        for key in keys:
            if key in chosen:
                continue
            chosen[key] = max(
                choices[key],
                key=lambda value: len(pairs_of({**chosen, key: value}, keys) & missing),
            )
        missing -= pairs_of(chosen, keys)
        found.append(chosen)
    return found


def pairs_of(chosen: dict[str, Any], keys: list[str]) -> set:
    present = [key for key in keys if key in chosen]
    return {((a, chosen[a]), (b, chosen[b])) for a, b in combinations(present, 2)}
