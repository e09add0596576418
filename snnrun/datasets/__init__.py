"""Data sets: from files or a generator to spikes on the time grid.

load(config)   Splits: what a run needs. A data set reads its parts (declaration), they are put on
               the grid of the trial (grid, packing), and the examples that the run uses are chosen
               (choice); recipe and feed say how these are changed and served in training
DataSet        what to declare for a data set of your own (snnrun.datasets.declaration shows how)
pack           from Events to SpikeData in trials of one's own
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from snnrun.datasets.choice import (
    Choice,
    Packed,
    epoch_order,
    refuse_classes,
    refuse_validation_set,
    splits_of,
)
from snnrun.datasets.declaration import DataFile, DataSet, Part, Request, find
from snnrun.datasets.files import data_folder, find_file, needed
from snnrun.datasets.grid import Grid
from snnrun.datasets.judgement import judged, judged_targets
from snnrun.datasets.packing import Events, pack, to_steps
from snnrun.datasets.recipe import recipe_of
from snnrun.datasets.spikes import SpikeData, Split, Splits, left_out
from snnrun.errors import DataError, SnnrunError
from snnrun.load import where_and_what

if TYPE_CHECKING:
    from snnrun.config import Config

__all__ = [
    "DataFile",
    "DataSet",
    "Events",
    "Part",
    "Request",
    "SpikeData",
    "Split",
    "Splits",
    "epoch_order",
    "find",
    "load",
    "pack",
    "to_steps",
]


def load(config: Config, packed: Packed | None = None) -> Splits:
    """Return the splits of the data set that ``config.dataset`` names.

    A public data set that is missing from its default folder is fetched first, unless dataset.fetch
    is false. Raises DataError for files that are missing, damaged or of the wrong layout, for sizes
    beyond what there is and for events that cannot be meant for the trial (``notices`` holds what
    may be), ConfigError for a data set that does not exist.

    Calls with the same ``packed``, empty at first, put each part on the grid once. Their
    configurations must leave out speakers (EVALUATION=speaker) and differ by SPEAKER_LEFT only.
    """
    splits = load_chosen(config, find(config.dataset.name), Choice.of(config), packed)
    for split in splits.all():
        recipe_of(config, splits, split)  # so that what cannot be shown is refused now
    return splits


def load_chosen(
    config: Config, dataset: DataSet, choice: Choice, packed: Packed | None = None
) -> Splits:
    """Return the splits of ``choice``, with all else as ``load`` does it."""
    if dataset.files or dataset.generated:
        refuse_validation_set(dataset, choice, dataset.own_validation)
    folder = data_folder(dataset, config.dataset.path)
    grid = Grid.of(config)
    try:
        _ensure_files(config, dataset, choice.parts_of(dataset), folder)
        parts = read_parts(config, dataset, choice, folder)
        if any(part.courses is not None for part in parts.values()):
            refuse_classes(config)
        targets, lost = grid.targets_of(parts["train"])
        notices = judged_targets(config, dataset, parts["train"], lost)
        done: dict[int, SpikeData] = {}

        def on_grid(part: Part) -> SpikeData:
            if id(part) not in done:  # splits may share one
                courses = grid.courses_of(part)
                done[id(part)] = replace(grid.put(part), targets=targets, courses=courses)
            return done[id(part)]

        chosen = splits_of(dataset, choice, parts, on_grid, packed)
    except OSError as error:
        raise DataError(f"dataset {dataset.name}: {error}") from error
    except SnnrunError:
        raise
    except Exception as error:
        if "." not in config.dataset.name:
            raise
        here = getattr(getattr(dataset.read, "__code__", None), "co_filename", "")
        raise DataError(
            f"dataset {config.dataset.name}: its read() failed: {where_and_what(error, here)}"
        ) from error
    text = _description(dataset, parts["train"], chosen, lost)
    splits = Splits(**chosen, description=text, notices=notices)
    splits = replace(splits, notices=(*notices, *judged(config, splits, dataset)))
    return grid.with_channels_rescaled(splits, config.RESCALE_X)


def read_parts(config: Config, dataset: DataSet, choice: Choice, folder: Path) -> dict[str, Part]:
    """Return the parts that are needed, by name, as the data set's own function reads them."""
    names = choice.parts_of(dataset)
    given = dataset.read(
        Request(
            parts=names,
            folder=folder,
            options=config.dataset,
            sizes=choice.sizes,
            seeds=choice.seeds,
            trial_ms=config.TRIAL_MS,
            steps=config.steps,
        )
    )
    if not isinstance(given, Mapping) or not isinstance(given.get("train"), Part):
        raise DataError(
            f"dataset {dataset.name}: its read() must return a snnrun.datasets.Part for each of "
            f"{', '.join(names)}, as in {{'train': Part(...)}}, got {type(given).__name__}"
        )
    parts = {name: given[name] for name in names if name in given}
    refuse_validation_set(dataset, choice, "validation" in parts or choice.n_validate == 0)
    return {
        name: part if part.source else replace(part, source=f"{name} data")
        for name, part in parts.items()
    }


def _ensure_files(config: Config, dataset: DataSet, parts: tuple[str, ...], folder: Path) -> None:
    """Fetch a public data set that its default folder lacks, or raise DataError with what to do."""
    missing = [file for file in needed(dataset, parts) if find_file(folder, file) is None]
    if not missing:
        return
    # pooch and requests cost half a second of import: only when something is to be fetched
    from snnrun.datasets import fetch

    # A folder that the user names is the user's: a misspelt path must not start a download into it
    if config.dataset.path is None and config.dataset.fetch and dataset.public:
        fetch.download(dataset, folder)
    else:
        raise DataError(fetch.missing_text(dataset, folder, missing, config))


def _description(dataset: DataSet, part: Part, chosen: Mapping[str, Split], lost: int) -> str:
    """Return what the data are in one line: how much of what, and what was left out."""
    data = chosen["train"].data
    counts = ", ".join(f"{len(split):,} {name}" for name, split in chosen.items() if len(split))
    lines = [f"{dataset.name}{', generated' * dataset.generated}: {counts}"]
    if part.about:
        lines.append(part.about)
    outputs = "classes" if data.targets is None and data.courses is None else "outputs"
    lines.append(f"{data.n_channels:,} inputs, {data.n_classes} {outputs}, {data.n_steps:,} steps")
    events = f"{data.n_events:,} events{left_out(data)}"
    if not dataset.generated:
        lines.append(f"training file: {events}")
    if data.targets is not None:
        lines.append(f"{events}; target: {len(data.targets.steps):,} spikes")
    if lost:
        lines[-1] += f", {lost:,} beyond the trial were dropped"
    return "; ".join(lines)
