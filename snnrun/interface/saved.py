"""Runs that there are: their list as a table, and pictures of them as Matplotlib figures."""

from __future__ import annotations

import html
from collections.abc import Iterable, Sequence
from dataclasses import fields
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from snnrun.commands.saved_run import run_folder
from snnrun.console import brief
from snnrun.errors import ConfigError
from snnrun.numbers import table
from snnrun.plots.library import require_matplotlib
from snnrun.record.reader import Run, load_run
from snnrun.record.summary import Summary
from snnrun.sweeps.runs import find_runs
from snnrun.sweeps.settings import differing, value_of
from snnrun.sweeps.sweep import Job

if TYPE_CHECKING:
    from matplotlib.figure import Figure

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

    Keys that were given and that differ between the runs have columns of their own, as texts; sizes
    are in bytes.

    Raises:
        ConfigError: There is no such folder.
    """
    root = Path(folder)
    if not root.is_dir():
        raise ConfigError(f"{root}: there is no such folder")
    jobs = find_runs(root)
    keys = differing(jobs)
    return RunTable(_row(job, keys) for job in jobs)


@brief
def plot(
    runs: Run | str | Path | Sequence[Run | str | Path],
    file: str | Path | None = None,
    *,
    what: str = "",
    epoch: int | None = None,
    trial: int | None = None,
    example: int | None = None,
) -> Figure:
    """Return a picture of the course of a run, of several in comparison, or of a sweep.

    Runs that differ only by seeds are shown as mean and standard deviation. A notebook shows the
    figure; Matplotlib's methods change it.

    Args:
        runs: A run or its folder, several of them, or the folder of a sweep or a search.
        file: Write it to this file too, in the format of its suffix (.png, .pdf, .svg).
        what: Another picture of one run, one of `snnrun plot --what`; without it, its course.
        epoch, trial, example: What of it to show, as `snnrun plot` has it.

    Raises:
        SnnrunError: There is no such run, no epoch has ended in one, it has recorded nothing for
            the picture, or Matplotlib is missing.
    """
    require_matplotlib("snnrun.plot")
    from snnrun.commands.plot import opened, writable
    from snnrun.plots.comparison import comparison, with_epochs
    from snnrun.plots.folder import picture_of
    from snnrun.plots.records import Asked, Records
    from snnrun.plots.saved import COURSE, pictures
    from snnrun.plots.style import save

    written = None if file is None else writable(Path(file).expanduser(), "file=")
    many = [runs] if isinstance(runs, Run | str | Path) else list(runs)
    alone = None if len(many) > 1 or isinstance(many[0], Run) else Path(many[0]).expanduser()
    asked = Asked(epoch=epoch, trial=trial, example=example)
    of_one = what or asked.given
    if alone is not None and not of_one and (whole := picture_of(alone)):
        figure = whole[1]
    else:
        shown = [run if isinstance(run, Run) else load_run(run_folder(str(run))) for run in many]
        if len(shown) > 1 and of_one:
            raise ConfigError(f"what={what!r}: is for one run, and these are {len(shown)}")
        if len(shown) > 1:
            figure = comparison(shown)
        else:
            [picture] = pictures(Records(with_epochs(shown[0]), opened), [what or COURSE], asked)
            figure = picture.figure()
    if written is not None:
        save(figure, written)
    return figure


def _row(job: Job, keys: Sequence[str]) -> Row:
    row = {field.name: getattr(job, field.name) for field in fields(Summary)}
    row["folder"] = str(job.folder)
    row["size"], row["notes"] = job.size, [note.text for note in job.notes]
    row["created"] = datetime.fromtimestamp(job.created).replace(microsecond=0)
    return {**row, **{key: value_of(job, key) for key in keys}}


def _text(value: Any) -> str:
    if isinstance(value, float):
        return "" if value != value else f"{value:.4f}"
    return str(value)
