"""What is given of the parts of a network, whichever way the configuration describes it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from snnrun.graphs import groups_of


@dataclass(frozen=True, kw_only=True)
class Given:
    """The fields that are given of a population or projection, its name among them.

    ``place``: where in the configuration; "" where other keys describe it.
    """

    fields: Mapping[str, Any]
    place: str = ""

    @property
    def name(self) -> str:
        """Name of the population or projection."""
        return str(self.fields["name"])

    @property
    def ends(self) -> tuple[str, str]:
        """From which population a projection leads, and to which."""
        return self.fields["from"], self.fields["to"]


@dataclass(frozen=True, kw_only=True)
class Graph:
    """The input, the populations behind it with the output last, and the projections."""

    input: Given
    populations: tuple[Given, ...]
    projections: tuple[Given, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """The names of all populations, the input first, as they are listed."""
        return (self.input.name, *(p.name for p in self.populations))

    def sorted(self) -> Graph:
        """Return it with every population behind those that it receives from.

        Those that reach each other both ways stay in the order of the list. Projections are in the
        order of their targets, those into one in the order of their sources.
        """
        names = self.names[1:]
        groups = groups_of(names, [p.ends for p in self.projections])
        order = [i for group in groups for i in group]
        at = {self.input.name: -1} | {names[i]: place for place, i in enumerate(order)}
        return Graph(
            input=self.input,
            populations=tuple(self.populations[i] for i in order),
            projections=tuple(
                sorted(self.projections, key=lambda p: (at[p.ends[1]], at[p.ends[0]]))
            ),
        )
