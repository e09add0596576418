"""The configuration of a run, and what it has otherwise than its preset."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from snnrun.config import flat
from snnrun.keys.kinds import plain, shown
from snnrun.page.parts import Section, Table, Text, element, paragraph
from snnrun.record.provenance import CONFIG
from snnrun.record.reader import Run
from snnrun.schema import SCHEMA


@dataclass(frozen=True)
class Reference:
    """What a run is compared with: a preset or a table, by its name, with its values."""

    name: str
    values: Mapping[str, Any]


def table_of(config: Mapping[str, Any]) -> Reference:
    """Return the table of the data set of a run, by key."""
    dataset = config["dataset.name"]
    values = {name: key.default_of(dataset) for name, key in SCHEMA.items()}
    return Reference(f"the table of {dataset}", values)


def configuration(run: Run, reference: Reference | None) -> Section:
    """Return the keys that differ from the reference, what they mean, and the whole file."""
    given = flat(run.config)
    compared = reference or table_of(given)
    rows = []
    for name, value in given.items():
        usual = compared.values.get(name, given[name] if name not in SCHEMA else None)
        if name.endswith(".name") and name not in compared.values:
            continue
        if _same(value, usual):
            continue
        known = SCHEMA.get(name)
        rows.append([name, _shown(value), _shown(usual), known.meaning if known else ""])
    whole = element("pre", str(run.provenance[CONFIG]))
    details = Text(element("details", element("summary", "The whole configuration"), whole))
    if not rows:
        return Section("Configuration", [paragraph(f"As in {compared.name}."), details])
    title = f"Otherwise than in {compared.name}"
    heading = ["key", "here", "there", "meaning"]
    return Section("Configuration", [Table(heading, rows, range(4), title), details])


def _same(one: Any, other: Any) -> bool:
    return bool(plain(one) == plain(other))


def _shown(value: Any) -> str:
    text = shown(value)
    return text if len(text) < 400 else f"{text[:400]} ..."
