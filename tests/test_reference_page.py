"""docs/reference.md: its tables hold every key, with the defaults of the schema."""

from __future__ import annotations

import csv
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from snnrun.commands.names import COMMANDS
from snnrun.keys.kinds import plain, shown
from snnrun.schema import ALIASES, BASE, DATASETS, KEYS, SCHEMA
from snnrun.schema.hints import NOT_NEEDED, OTHERWISE, RENAMED

PAGE = (Path(__file__).parents[1] / "docs" / "reference.md").read_text()
with (Path(__file__).parent / "parameters.csv").open(newline="") as file:
    TABLE = [(row["benchmark"], row["name"]) for row in csv.DictReader(file)]

BENCHMARKS = ("yinyang", "mnist", "shd")
KINDS = ("same", "renamed", "corrected", "none")  # how the last cell of a key's row begins
OF_TABLE, OF_CODE = "Keys of its table", "Keys that only its code has"
OURS, APART = "Keys that it lacks", "Where its table and its code differ"

Cells = list[str]


def rows(heading: str) -> list[Cells]:
    """Return the rows of the table under a heading, without its head."""
    _, found, rest = PAGE.partition(f"\n## {heading}\n")
    assert found, heading
    lines = [line for line in rest.partition("\n## ")[0].splitlines() if line.startswith("| ")]
    cells = [[cell.strip() for cell in line.strip("| ").split(" | ")] for line in lines]
    assert {len(row) for row in cells} == {len(cells[0])}
    return cells[2:]


def code(cell: str) -> str:
    """Return what a cell holds, which is nothing but code."""
    match = re.fullmatch("`([^`]+)`", cell)
    assert match, f"{cell}: no code"
    return match[1]


def ours(cells: Cells) -> str | None:
    """Return the key that a row says we have, or None."""
    name, note = code(cells[0]), cells[-1]
    kind = re.split("[ :;,]", note)[0]
    assert kind in KINDS, note
    if kind == "renamed":
        match = re.match(r"renamed: `(\w+)`", note)
        assert match, note
        return match[1]
    return None if kind == "none" else name


def default(key: str, dataset: str) -> Any:
    return plain(SCHEMA[key].default_of(dataset))


def defaults(cells: Cells) -> dict[str, Any]:
    """Return data set -> default as a row states them."""
    listed = zip(BENCHMARKS, cells[1:4], strict=True)
    return {name: yaml.safe_load(code(cell)) for name, cell in listed if cell != "-"}


def as_written(value: Any) -> Any:
    """Return the value as YAML reads it, which takes 5e-06 for a text."""
    return float(value) if isinstance(value, str) and re.match(r"\de-\d+$", value) else value


KEY_ROWS = [(heading, row) for heading in (OF_TABLE, OF_CODE) for row in rows(heading)]


def identity(row: tuple[str, Cells]) -> str:
    return f"{row[0].split()[-1]}-{row[1][0]}"


@pytest.mark.parametrize("row", KEY_ROWS, ids=identity)
def test_a_row_names_a_key_that_exists_with_the_schemas_defaults(row: tuple[str, Cells]) -> None:
    cells = row[1]
    key = ours(cells)
    if key is None:
        assert code(cells[0]) not in SCHEMA
        assert defaults(cells) == {}
        return
    assert key in SCHEMA
    assert code(cells[0]) in {key, *RENAMED}
    for dataset, value in defaults(cells).items():
        assert as_written(value) == default(key, dataset), dataset


def test_the_first_table_is_the_references() -> None:
    stated = [(b, code(cells[0])) for cells in rows(OF_TABLE) for b in defaults(cells)]
    assert sorted(stated) == sorted(TABLE)


def test_every_key_is_on_the_page_once_as_the_references_or_ours() -> None:
    theirs = {ours(cells) for _, cells in KEY_ROWS} - {None}
    own = [code(cells[0]) for cells in rows(OURS)]
    assert theirs.isdisjoint(own)
    assert theirs | set(own) == set(KEYS), "a new key needs its row in docs/reference.md"
    for heading in (OF_TABLE, OF_CODE, OURS):
        names = [cells[0] for cells in rows(heading)]
        assert len(names) == len(set(names))


def test_other_names_that_the_schema_knows_are_on_the_page() -> None:
    named = {code(cells[0]) for _, cells in KEY_ROWS}
    assert {*ALIASES, *RENAMED} - {"HIDDEN_NOISE_AMP"} <= named  # a parameter of its model
    for alias, key in ALIASES.items():
        assert [ours(cells) for _, cells in KEY_ROWS if code(cells[0]) == alias] == [key]


def test_the_program_explains_keys_as_the_page_does() -> None:
    noted: dict[str, dict[str, str]] = {kind: {} for kind in KINDS}
    for _, cells in KEY_ROWS:
        kind, _, text = cells[-1].partition(": ")
        if text:
            noted.setdefault(kind, {})[code(cells[0])] = text
    assert noted["none"] == NOT_NEEDED
    assert noted["corrected"] == OTHERWISE
    renamed = {name: f"`{ours}`{more}" for name, (ours, more) in RENAMED.items()}
    assert noted["renamed"] == {n: t for n, t in renamed.items() if n != "HIDDEN_NOISE_AMP"}


def test_defaults_of_our_own_keys_are_the_schemas() -> None:
    for cells in rows(OURS):
        key = code(cells[0])
        # tasks of patterns are no data sets of the reference, and have the defaults of their rules
        names = {*DATASETS, BASE} - {"pattern", "pattern_generation", "evidence_accumulation"}
        of_all = {shown(default(key, name)) for name in names}
        assert of_all == {shown(yaml.safe_load(code(cells[1])))}


def test_where_table_and_code_differ_the_defaults_here_are_the_tables() -> None:
    found = rows(APART)
    for key, dataset, here, there in ([code(cell) for cell in cells] for cells in found):
        assert as_written(yaml.safe_load(here)) == default(key, dataset)
        assert (dataset, key) in TABLE
        assert as_written(yaml.safe_load(there)) != default(key, dataset)
    assert len(found) == 17


def test_links_and_commands_of_the_page_exist() -> None:
    anchors = {
        f"#{title.lower().replace(' ', '-')}" for title in re.findall("^## (.*)", PAGE, re.M)
    }
    links = re.findall(r"\]\(([^)]+)\)", PAGE)
    assert {link for link in links if link.startswith("#")} <= anchors
    for link in links:
        if not link.startswith(("#", "http")):
            assert (Path(__file__).parents[1] / "docs" / link).is_file()
    commands = re.findall(r"`snnrun (\w+)", PAGE)
    assert commands
    assert set(commands) <= set(COMMANDS)
