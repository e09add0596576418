"""A drawing of a directed graph in rows: where its boxes stand, and how its links run.

Sources stand above targets, but for links that close a loop, which lead up. Each link passes every
row between its ends in a place of its own, and has its label in one of these places, so that
neither boxes nor labels nor links lie on each other; links cross between rows only. The steps are
those of Sugiyama, Tagawa & Toda 1981 (IEEE Trans Syst Man Cybern 11:109): break loops, longest
paths, order each row by the middle of its neighbours, then move it as close to them as it can be.
All lengths are in inches; y points down.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations, pairwise

import numpy as np

from snnrun.graphs import Edge, groups_of

BESIDE = 0.22  # between what stands in a row
BETWEEN, MOST_BETWEEN = 0.34, 0.9  # rows, the more the further links go aside there
SLOPE = 0.12  # of that
LANE = 0.12  # width of a link that passes a row
PART = 0.8  # of the width of a box, over which the ends of links are spread
STRAIGHT = 8.0  # how much more it weighs that links are straight inside than at their ends
SWEEPS, SETTLING = 12, 60

Point = tuple[float, float]


@dataclass(frozen=True, kw_only=True)
class Box:
    """What is linked: its extent from the middle of its ``width`` on, and ``right`` beside it."""

    name: str
    width: float
    height: float
    right: float = 0.0


@dataclass(frozen=True, kw_only=True)
class Link:
    """From a box to another one, with a label of this size."""

    source: str
    target: str
    width: float
    height: float


@dataclass(frozen=True, kw_only=True)
class Layout:
    """Where everything is.

    Args:
        boxes: Name -> middle of the box.
        labels: Middle of the label of each link.
        routes: Way of each link, from its source to its target: upright from every second point to
            the next one, in a curve between.
        left, right, height: Extent of the whole; its top is 0.
    """

    boxes: Mapping[str, Point]
    labels: Sequence[Point]
    routes: Sequence[Sequence[Point]]
    left: float
    right: float
    height: float


@dataclass(eq=False, kw_only=True)
class _Cell:
    """A place in a row; ``above`` and ``below``: to what it is linked in the rows beside."""

    row: int
    left: float
    right: float
    height: float
    box: bool = False
    x: float = 0.0
    y: float = 0.0
    above: list[_Cell] = field(default_factory=list)
    below: list[_Cell] = field(default_factory=list)


def place(boxes: Sequence[Box], links: Sequence[Link]) -> Layout:
    """Return where boxes and links are drawn; links from a box to itself are not among them."""
    names = [box.name for box in boxes]
    up = _closing(names, links)
    ranks = _ranks(names, links, up)
    rows: list[list[_Cell]] = [[] for _ in range(2 * max(ranks.values()) + 1)]
    cells = {}
    for box in boxes:
        half, row = box.width / 2, 2 * ranks[box.name]
        cell = _Cell(row=row, left=half, right=half + box.right, height=box.height, box=True)
        cells[box.name] = cell
        rows[row].append(cell)
    chains = []
    for link, turned in zip(links, up, strict=True):
        ends = (link.target, link.source) if turned else (link.source, link.target)
        chains.append(_chain(link, cells[ends[0]], cells[ends[1]]))
        for cell in chains[-1][1:-1]:
            rows[cell.row].append(cell)
    _sort(rows)
    _straighten(rows)
    tops, bottoms = _heights(rows)
    routes = [_route(chain, tops, bottoms) for chain in chains]
    labels = [next(c for c in chain[1:-1] if c.right > LANE / 2) for chain in chains]
    every = [cell for row in rows for cell in row]
    return Layout(
        boxes={name: (cell.x, cell.y) for name, cell in cells.items()},
        labels=[(cell.x, cell.y) for cell in labels],
        routes=[route[::-1] if turned else route for route, turned in zip(routes, up, strict=True)],
        left=min(cell.x - cell.left for cell in every),
        right=max(cell.x + cell.right for cell in every),
        height=bottoms[-1],
    )


def _chain(link: Link, first: _Cell, last: _Cell) -> list[_Cell]:
    """Return the places through which a link leads down, its label in one of the middle."""
    label = first.row + 1 + 2 * ((last.row - first.row) // 4)
    chain = [first]
    for row in range(first.row + 1, last.row):
        half, height = (link.width / 2, link.height) if row == label else (LANE / 2, 0.0)
        chain.append(_Cell(row=row, left=half, right=half, height=height))
    chain.append(last)
    for cell, following in pairwise(chain):
        cell.below.append(following)
        following.above.append(cell)
    return chain


def _route(chain: Sequence[_Cell], tops: Sequence[float], bottoms: Sequence[float]) -> list[Point]:
    """Return the way through the places of a link."""
    first, *between, last = chain
    start, end = _anchor(first, first.below, chain[1]), _anchor(last, last.above, chain[-2])
    route = [(start, first.y + first.height / 2), (start, bottoms[first.row])]
    for cell in between:
        route += [(cell.x, tops[cell.row]), (cell.x, bottoms[cell.row])]
    return [*route, (end, tops[last.row]), (end, last.y - last.height / 2)]


def _closing(names: Sequence[str], links: Sequence[Link]) -> list[bool]:
    """Return which links lead up, as few as can easily be found, each of which closes a loop."""
    edges = [(link.source, link.target) for link in links]
    order: list[str] = []
    for group in groups_of(names, edges):
        order += _order([names[k] for k in group], names[0], edges)
    at = {name: k for k, name in enumerate(order)}
    return [at[start] > at[end] for start, end in edges]


def _order(group: Sequence[str], first: str, edges: Sequence[Edge]) -> list[str]:
    """Return names that reach each other by their distances from the first name of all.

    One after the other is put elsewhere, as long as fewer edges lead up then, or as many but more
    names stand as in the group, and each name still has an edge from above.
    """
    if len(group) == 1:
        return list(group)
    distance: dict[str, int] = {}
    reached = {first}
    while len(distance) < len(reached):
        steps = max(distance.values(), default=-1) + 1
        distance |= {name: steps for name in reached if name not in distance}
        reached |= {end for start, end in edges if start in reached}

    def cost(order: Sequence[str]) -> tuple[int, int]:
        at = {name: k for k, name in enumerate(order)}
        up = sum(at[start] > at[end] for start, end in edges if start in at and end in at)
        return up, sum(at[one] > at[other] for one, other in combinations(group, 2))

    def fed(order: Sequence[str]) -> bool:
        at = {name: k for k, name in enumerate(order)}
        return all(
            any(end == name and at.get(start, -1) < k for start, end in edges)
            for name, k in at.items()
        )

    order = sorted(group, key=lambda name: distance.get(name, 0))
    least, before = cost(order), (-1, -1)
    while least != before:
        before = least
        for name in group:
            others = [other for other in order if other != name]
            for k in range(len(order)):
                moved = [*others[:k], name, *others[k:]]
                if (found := cost(moved)) < least and fed(moved):
                    order, least = moved, found
    return order


def _ranks(names: Sequence[str], links: Sequence[Link], up: Sequence[bool]) -> dict[str, int]:
    """Return the length of the longest way to each name; where no way goes on, that of all.

    Links that lead up are turned.
    """
    ends = [
        (link.target, link.source) if turned else (link.source, link.target)
        for link, turned in zip(links, up, strict=True)
    ]
    ranks = dict.fromkeys(names, 0)
    for _ in names:
        for start, end in ends:
            ranks[end] = max(ranks[end], ranks[start] + 1)
    last = set(names) - {start for start, _ in ends}
    return ranks | dict.fromkeys(last, max(ranks.values()))


def _sort(rows: list[list[_Cell]]) -> None:
    """Order each row by the middle of its neighbours, as long as fewer links cross."""
    best, fewest = [list(row) for row in rows], _crossings(rows)
    for sweep in range(SWEEPS):
        down = sweep % 2 == 0
        for before, row in pairwise(rows if down else rows[::-1]):
            at = {id(cell): k for k, cell in enumerate(before)}
            keys = {}
            for k, cell in enumerate(row):
                near = [at[id(c)] for c in (cell.above if down else cell.below)]
                keys[id(cell)] = sum(near) / len(near) if near else k
            row.sort(key=lambda cell: keys[id(cell)])
        if (found := _crossings(rows)) < fewest:
            best, fewest = [list(row) for row in rows], found
    rows[:] = best


def _crossings(rows: Sequence[Sequence[_Cell]]) -> int:
    """Return how many pairs of links cross."""
    total = 0
    for row, following in pairwise(rows):
        at = {id(cell): k for k, cell in enumerate(following)}
        ends = np.array([(k, at[id(c)]) for k, cell in enumerate(row) for c in cell.below])
        if len(ends):
            above, below = (ends[:, None] - ends).transpose(2, 0, 1)
            total += int((above * below < 0).sum()) // 2
    return total


def _straighten(rows: Sequence[Sequence[_Cell]]) -> None:
    """Move every row as close to the middle of its neighbours as its order lets it."""
    for row in rows:
        _settle(row, [0.0] * len(row))
    for sweep in range(SETTLING):
        for row in rows if sweep % 2 else rows[::-1]:
            _settle(row, [_wanted(cell) for cell in row])


def _wanted(cell: _Cell) -> float:
    """Return the mean place of what a cell is linked to."""
    near = cell.above + cell.below
    weights = [1.0 if cell.box or other.box else STRAIGHT for other in near]
    total = sum(weight * other.x for weight, other in zip(weights, near, strict=True))
    return total / sum(weights)


def _settle(row: Sequence[_Cell], wanted: Sequence[float]) -> None:
    """Place a row where the squared distances to ``wanted`` are least and nothing overlaps.

    Less the room on its left, each place must not lie before the one before it: that is isotonic
    regression, which pools adjacent violators.
    """
    room, total = [], 0.0
    for k, cell in enumerate(row):
        total += row[k - 1].right + BESIDE + cell.left if k else 0.0
        room.append(total)
    pools: list[tuple[float, int]] = []
    for one in (w - r for w, r in zip(wanted, room, strict=True)):
        pool = (one, 1)
        while pools and pools[-1][0] > pool[0]:
            mean, count = pools.pop()
            pool = ((mean * count + pool[0] * pool[1]) / (count + pool[1]), count + pool[1])
        pools.append(pool)
    shifts = [mean for mean, count in pools for _ in range(count)]
    for cell, shift, offset in zip(row, shifts, room, strict=True):
        cell.x = shift + offset


def _heights(rows: Sequence[Sequence[_Cell]]) -> tuple[list[float], list[float]]:
    """Return top and bottom of each row, in the middle of which its cells are put."""
    tops, bottoms, at = [], [], 0.0
    for row in rows:
        tops.append(at)
        bottoms.append(at + max(cell.height for cell in row))
        for cell in row:
            cell.y = (tops[-1] + bottoms[-1]) / 2
        aside = max((abs(c.x - cell.x) for cell in row for c in cell.below), default=0.0)
        at = bottoms[-1] + float(np.clip(SLOPE * aside, BETWEEN, MOST_BETWEEN))
    return tops, bottoms


def _anchor(box: _Cell, linked: Sequence[_Cell], to: _Cell) -> float:
    """Return where on the edge of a box its link to one of the cells begins or ends."""
    order = sorted(linked, key=lambda cell: cell.x)
    share = (order.index(to) + 0.5) / len(order) - 0.5
    return box.x + 2 * box.left * PART * share
