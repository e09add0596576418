"""Combinations of choices in which every pair of them occurs."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import combinations
from typing import Any

Pair = tuple[tuple[str, Any], tuple[str, Any]]  # two keys, each with a value


def pairwise(
    choices: Mapping[str, Sequence[Any]], elsewhere: Callable[[Pair], bool] = lambda pair: False
) -> list[dict[str, Any]]:
    """Return combinations in which every pair of values of two keys occurs that is not elsewhere.

    Each new one takes, key by key, the value that meets most pairs that are still missing.
    """
    keys = sorted(choices, key=lambda key: -len(choices[key]))
    missing = {
        ((a, x), (b, y)) for a, b in combinations(keys, 2) for x in choices[a] for y in choices[b]
    }
    missing = {pair for pair in missing if not elsewhere(pair)}
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


def cover(
    found: Sequence[dict[str, Any]], but: str = "", pairs: Sequence[str] = ()
) -> list[dict[str, Any]]:
    """Return few of the combinations, in which every value of every key is, ``but`` of one.

    Every two values of ``pairs`` of keys that meet in the combinations meet in these too.
    """

    def held(chosen: dict[str, Any]) -> set[Any]:
        values = {(key, value) for key, value in chosen.items() if key != but}
        return values | pairs_of(chosen, list(pairs))

    missing, chosen = set().union(*map(held, found)), []
    while missing:
        chosen.append(max(found, key=lambda one: len(held(one) & missing)))
        missing -= held(chosen[-1])
    return chosen
