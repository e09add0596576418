"""`snnrun data info | verify | fetch`: where files are, what is in them, how to get them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from snnrun.datasets import load, load_chosen
from snnrun.datasets.checksums import read_record, status
from snnrun.datasets.choice import Choice
from snnrun.datasets.contents import Contents, contents_in
from snnrun.datasets.declaration import DataSet, find
from snnrun.datasets.fetch import copy_from, download, missing_text
from snnrun.datasets.files import ANOTHER_FOLDER, data_folder, find_file
from snnrun.datasets.judgement import lines_of
from snnrun.datasets.spikes import left_out
from snnrun.errors import DataError

if TYPE_CHECKING:
    from snnrun.config import Config


def info(config: Config) -> None:
    """Print where the files of the data set are expected, and what is in them."""
    with _opened(config) as (dataset, folder):
        if not dataset.files:
            return
        record = read_record(folder)
        paths = {file: find_file(folder, file) for file in dataset.files}
        rows = []
        for file, path in paths.items():
            size = "missing" if path is None else f"{path.stat().st_size:,} bytes"
            origin = "" if path is None else record.get(path.name, {}).get("origin", "")
            rows.append((file.name if path is None else path.name, file.split, size, origin))
        _table(("file", "split", "size", "origin"), rows)
        missing = [file for file, path in paths.items() if path is None]
        if missing:
            _say(missing_text(dataset, folder, missing, config))
            return
        _print_contents(contents_in(folder, config, dataset))
        try:
            _say_judgement(dataset, config)
        except DataError as error:
            _say(f"refused by `snnrun train`: {error}")


def verify(config: Config) -> None:
    """Check the files from end to end, and whether their events fit the trial.

    Raises DataError where a file is missing, changed or damaged, or where `snnrun train` would
    refuse the data.
    """
    with _opened(config) as (dataset, folder):
        if not dataset.files:
            return
        states = {file: status(folder, file) for file in dataset.files}
        rows = [(s.path.name if s.path else f.name, s.text) for f, s in states.items()]
        _table(("file", "checksum"), rows)
        missing = [file for file, state in states.items() if state.path is None]
        if missing:
            raise DataError(missing_text(dataset, folder, missing, config))
        changed = [str(state.path) for state in states.values() if not state.intact]
        if changed:
            raise DataError(f"{', '.join(changed)}: changed since fetched. Remove and fetch anew")
        _print_contents(contents_in(folder, config, dataset))
        _say_judgement(dataset, config)
        _say(f"layout ok; {_origin([state.public for state in states.values()])}")


def _origin(public: Sequence[bool | None]) -> str:
    if all(public):
        return "public files, checksums ok"
    if False in public:
        return "these are not the public files"
    return "nothing tells whether these are the public files"


def fetch(config: Config, from_folder: Path | None = None) -> None:
    """Download the public files, or copy those of ``from_folder``, to where they are expected."""
    with _opened(config, look=False) as (dataset, folder):
        if not dataset.files and from_folder is None:
            _say("no files: the examples are made when they are needed; there is nothing to fetch")
            return
        if from_folder is None:
            download(dataset, folder, _say)
        else:
            check = partial(contents_in, config=config, dataset=dataset)
            copy_from(dataset, Path(from_folder).expanduser(), folder, check, _say)
        _print_contents(contents_in(folder, config, dataset))


@contextmanager
def _opened(config: Config, look: bool = True) -> Iterator[tuple[DataSet, Path]]:
    """Give the data set and the folder of its files, after printing what it is.

    To ``look`` prints the folder too, and all of a set without files. Errors of the file system (no
    right, no room, no such folder) become a DataError.
    """
    dataset = find(config.dataset.name)
    try:
        _say(f"{dataset.name}: {dataset.title}")
        folder = data_folder(dataset, config.dataset.path)
        if look and dataset.files:
            _say(f"folder {folder}")
        elif look:
            _say("no files: the examples are made when they are needed")
            splits = load(config)
            _print_contents(contents_in(folder, config, dataset))
            for line in lines_of(splits.notices):
                _say(line)
        yield dataset, folder
    except OSError as error:
        raise DataError(f"dataset {dataset.name}: {error}. {ANOTHER_FOLDER}") from error


def _say_judgement(dataset: DataSet, config: Config) -> None:
    """Load the whole files as a run would, and say what is odd about their events."""
    splits = load_chosen(config, dataset, Choice.everything(config, dataset))
    files = {id(split.data): split.data for split in splits.all()}.values()
    used = sum(data.n_events for data in files)
    total = used + sum(data.dropped for data in files)
    for line in lines_of(splits.notices):
        _say(line)
    if not splits.notices:
        text = f"{used:,} of {total:,} are used{left_out(*files)}"
        _say(f"events fit the trial of {config.TRIAL_MS:g} ms: {text}")


def _print_contents(contents: Sequence[Contents]) -> None:
    """Print a table with a column for each part, and a row for each of its properties."""
    rows = {
        "examples": [f"{part.examples:,}" for part in contents],
        "classes": [f"{part.classes or ''}" for part in contents],
        "outputs": [f"{part.outputs or ''}" for part in contents],
        "channels": [f"{part.channels:,}" for part in contents],
        "events": [f"{part.events:,}" for part in contents],
        "  of an example": [
            f"{p.least_events:,} to {p.most_events:,}, mean {p.events / p.examples:,.0f}"
            for p in contents
        ],
        "last event (ms)": [f"{part.last_ms:.1f}" for part in contents],
        "speakers": [" ".join(map(str, part.speakers)) for part in contents],
    }
    _table(
        ("", *(part.part for part in contents)),
        [(name, *values) for name, values in rows.items() if any(values)],
    )


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print a table; columns without any entry are left out."""
    from rich.table import Table  # rich is imported where it prints, as everywhere

    table = Table(box=None, padding=(0, 2, 0, 0))
    used = [i for i in range(len(heads)) if any(row[i] for row in rows)]
    for i in used:
        table.add_column(heads[i], overflow="fold")
    for row in rows:
        table.add_row(*(row[i] for i in used))
    _console().print(table)


def _say(text: str) -> None:
    _console().print(text, markup=False, highlight=False, soft_wrap=True)


def _console() -> Any:
    from rich.console import Console

    return Console()
