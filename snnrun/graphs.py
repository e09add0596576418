"""Directed graphs of names: what reaches what, and an order in which signals pass."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

Edge = tuple[str, str]  # from, to


def groups_of(names: Sequence[str], edges: Iterable[Edge]) -> tuple[tuple[int, ...], ...]:
    """Return the numbers of names that reach each other both ways, group by group.

    A group comes after those that lead to it, and otherwise in the order of ``names``.
    """
    edges = [(start, end) for start, end in edges if start in names and end in names]
    before = {name: leading_to(name, edges) for name in names}
    found: list[tuple[int, ...]] = []
    left = list(names)
    while left:  # one of those that wait for nobody but their own group
        first = next(n for n in left if all(n in before[m] for m in before[n] if m in left))
        group = [n for n in left if n == first or (n in before[first] and first in before[n])]
        found.append(tuple(names.index(n) for n in group))
        left = [n for n in left if n not in group]
    return tuple(found)


def leading_to(name: str, edges: Iterable[Edge]) -> set[str]:
    """Return all names from which a path leads to ``name``."""
    edges = list(edges)
    found: set[str] = set()
    at = [name]
    while at:
        here = at.pop()
        new = {start for start, end in edges if end == here} - found
        found |= new
        at += new
    return found


def reached_from(name: str, edges: Iterable[Edge]) -> set[str]:
    """Return all names to which a path leads from ``name``."""
    return leading_to(name, [(end, start) for start, end in edges])
