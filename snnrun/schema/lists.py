"""``network.populations`` and ``network.projections``: a network as a graph, part by part."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from snnrun.keys.kinds import Kind, Problems, shown
from snnrun.schema.fields import (
    INPUT,
    OUTPUT,
    PROJECTION,
    Fields,
    name_of,
    population_fields,
    read_fields,
    settle_size,
    wrong_output,
    wrong_weights,
)
from snnrun.schema.given import Given, Graph

POPULATIONS_KEY, PROJECTIONS_KEY = "network.populations", "network.projections"
OF_PROJECTION = {"from": name_of, "to": name_of, **PROJECTION}


def graph_of_lists(populations: Sequence[Fields], projections: Sequence[Fields]) -> Graph:
    """Return the graph that the two lists describe, each projection with a name."""
    parts = {
        fields["name"]: Given(fields=fields, place=f"{POPULATIONS_KEY}[{index}]")
        for index, fields in enumerate(populations)
    }
    end = parts.pop(OUTPUT, Given(fields={"name": OUTPUT}))
    first = parts.pop(INPUT, Given(fields={"name": INPUT}))
    return Graph(
        input=first,
        populations=(*parts.values(), end),
        projections=tuple(
            Given(fields={**fields, "name": name}, place=f"{PROJECTIONS_KEY}[{index}]")
            for index, (fields, name) in enumerate(
                zip(projections, _names(projections), strict=True)
            )
        ),
    )


def _names(projections: Sequence[Fields]) -> list[str]:
    """Return the name of each projection: its own, or FROM_to_TO, with numbers if it is repeated.

    The first of several is numbered too, and no number is one that another projection has.
    """
    usual = [f"{p['from']}_to_{p['to']}" for p in projections]
    taken = {p["name"] for p in projections if "name" in p}
    unnamed = [name for name, p in zip(usual, projections, strict=True) if "name" not in p]
    names = []
    for name, fields in zip(usual, projections, strict=True):
        if "name" in fields:
            names.append(fields["name"])
            continue
        if unnamed.count(name) > 1 or name in taken:
            name = next(n for i in range(len(taken) + 1) if (n := f"{name}{i}") not in taken)
        taken.add(name)
        names.append(name)
    return names


def _populations(value: Any) -> tuple[Fields, ...]:
    """Return the populations with clean values, without fields that are null."""
    if not isinstance(value, list | tuple):
        raise ValueError(value)
    wrong: list[str] = []
    clean = []
    for index, item in enumerate(value):
        place, name = f"[{index}]", item.get("name") if isinstance(item, Mapping) else None
        fields = read_fields(place, item, population_fields(name == OUTPUT), wrong)
        if isinstance(item, Mapping) and name is None:
            wrong.append(f"{place}: has no name; add one, as in {{name: fast, size: 100}}")
        settle_size(place, fields, wrong)
        wrong += wrong_output(place, fields) if name == OUTPUT else ()
        wrong += _wrong_input(place, fields) if name == INPUT else ()
        clean.append(fields)
    wrong += _repeated(clean, "population")
    if wrong:
        raise Problems(wrong)
    return tuple(clean)


def _wrong_input(place: str, fields: Fields) -> Iterator[str]:
    others = [name for name in fields if name not in ("name", "shape", "size")]
    for name in others:
        yield f"{place}.{name}: the input has a shape and no neurons; leave it out"
    if "shape" not in fields and not others:
        yield f"{place}: the input is known; leave it out, or give it a shape alone"


def _projections(value: Any) -> tuple[Fields, ...]:
    """Return the projections with clean values, without fields that are null."""
    if not isinstance(value, list | tuple):
        raise ValueError(value)
    wrong: list[str] = []
    clean = []
    for index, item in enumerate(value):
        place = f"[{index}]"
        fields = read_fields(place, item, OF_PROJECTION, wrong)
        wrong += wrong_weights(place, fields)
        if isinstance(item, Mapping):
            wrong += [
                f"{place}.{end}: is missing; give the name of a population, as in "
                "{from: input, to: fast}"
                for end in ("from", "to")
                if item.get(end) is None
            ]
        clean.append(fields)
    wrong += _repeated(clean, "projection")
    if wrong:
        raise Problems(wrong)
    return tuple(clean)


def _repeated(parts: Sequence[Fields], what: str) -> Iterator[str]:
    names = [fields.get("name") for fields in parts]
    for index, name in enumerate(names):
        if name is not None and name in names[:index]:
            yield (
                f"[{index}].name={shown(name)}: {what} {names.index(name)} of the list has this "
                "name already; names are given once"
            )


POPULATIONS = Kind(
    text="a list of populations, as in [{name: fast, size: 100}, {name: slow, size: 50}]",
    convert=_populations,
    mapping=True,
)
PROJECTIONS = Kind(
    text="a list of projections, as in [{from: input, to: fast}, {from: fast, to: output}]",
    convert=_projections,
    mapping=True,
)
