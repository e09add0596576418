"""The list of runs as a table: a row is a mapping, so that pandas takes it as it is."""

from __future__ import annotations

import html
from collections.abc import Iterable
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import Any

from snnrun.errors import ConfigError
from snnrun.interface.mistakes import brief
from snnrun.numbers import table
from snnrun.report.runs import find_runs

Row = dict[str, Any]


class RunTable(list[Row]):
    """Rows of runs, the newest first; ``pandas.DataFrame(snnrun.runs())`` takes them.

    A notebook shows them as a table. Scores of classes are accuracies; NaN where there is none.
    """

    def __init__(self, rows: Iterable[Row] = ()) -> None:
        super().__init__(rows)

    def __repr__(self) -> str:
        if not self:
            return "no runs"
        columns = list(self[0])
        cells = [columns, *([_text(row[name]) for name in columns] for row in self)]
        return "\n".join(table(cells, range(len(columns)), gap="  "))

    def _repr_html_(self) -> str:
        if not self:
            return "<p>no runs</p>"
        head = "".join(f"<th>{html.escape(name)}</th>" for name in self[0])
        body = "".join(
            "<tr>"
            + "".join(f"<td>{html.escape(_text(value))}</td>" for value in row.values())
            + "</tr>"
            for row in self
        )
        return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


@brief
def runs(folder: str | Path = ".") -> RunTable:
    """Return the runs below ``folder``/outputs, the newest first, as `snnrun runs` lists them.

    Raises:
        ConfigError: There is no such folder.
    """
    root = Path(folder)
    if not root.is_dir():
        raise ConfigError(f"{root}: there is no such folder")
    return RunTable(_row(asdict(line)) for line in find_runs(root))


def _row(values: Row) -> Row:
    values["folder"] = str(values["folder"])
    values["created"] = datetime.fromtimestamp(values["created"]).replace(microsecond=0)
    return values


def _text(value: Any) -> str:
    if isinstance(value, float):
        return "" if value != value else f"{value:.4f}"
    return str(value)
