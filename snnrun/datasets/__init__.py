"""Data sets: from files or a generator to spikes on the time grid.

load(config)   Splits: what a run needs
DataSet        what to declare for a data set of your own (snnrun.datasets.declaration shows how)
pack_for       from Events to SpikeData in the trials of a configuration; pack is without one
from_files     the examples that a configuration asks for
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from snnrun.datasets.declaration import Contents, DataFile, DataSet, find
from snnrun.datasets.files import data_folder, find_file, needed
from snnrun.datasets.judgement import judged
from snnrun.datasets.packing import Events, pack, pack_for, steps_of
from snnrun.datasets.recipe import recipe_of
from snnrun.datasets.rescale import read_rescaled, with_channels_rescaled
from snnrun.datasets.selection import Packed, PackedOnce, check_selection
from snnrun.datasets.spikes import SpikeData, Split, Splits
from snnrun.datasets.splits import epoch_order, from_files
from snnrun.datasets.validation import refuse_validation_set
from snnrun.errors import DataError, SnnrunError
from snnrun.load import where_and_what

if TYPE_CHECKING:
    from snnrun.config import Config

__all__ = [
    "Contents",
    "DataFile",
    "DataSet",
    "Events",
    "SpikeData",
    "Split",
    "Splits",
    "epoch_order",
    "find",
    "from_files",
    "load",
    "pack",
    "pack_for",
    "steps_of",
]


def load(config: Config, packed: Packed | None = None) -> Splits:
    """Return the splits of the data set that ``config.dataset`` names.

    A public data set that is missing from its default folder is fetched first, unless dataset.fetch
    is false. Raises DataError for files that are missing, damaged or of the wrong layout, for sizes
    beyond what there is and for events that cannot be meant for the trial (``notices`` holds what
    may be), ConfigError for a data set that does not exist.

    Calls with the same ``packed``, empty at first, pack each file once. Their configurations must
    leave out speakers (EVALUATION=speaker) and differ by SPEAKER_LEFT only.
    """
    dataset = find(config.dataset.name)
    refuse_validation_set(dataset, config)
    try:
        _ensure_files(dataset, config)
        source = config if packed is None else PackedOnce(config, packed)
        if packed:
            splits = dataset.read(source)  # times were rescaled when the files were packed
        else:
            splits = read_rescaled(dataset.read, source, dataset.name)
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
    if not isinstance(splits, Splits):
        raise DataError(
            f"dataset {dataset.name}: its read() must return Splits, got {type(splits).__name__}"
        )
    check_selection(config, splits, dataset.name)
    if splits.train.data.n_steps != config.steps:
        raise DataError(
            f"dataset {dataset.name}: its trials have {splits.train.data.n_steps} steps, but "
            f"TRIAL_MS and DT_MS make {config.steps}; pack with n_steps=config.steps"
        )
    notices = judged(config, splits, dataset.name)
    splits = replace(splits, notices=(*splits.notices, *notices))
    splits = with_channels_rescaled(config, splits)
    for split in splits.all():
        recipe_of(config, splits, split)  # so that what cannot be shown is refused now
    return splits


def _ensure_files(dataset: DataSet, config: Config) -> None:
    """Fetch a public data set that its default folder lacks, or raise DataError with what to do."""
    folder = data_folder(dataset, config)
    missing = [file for file in needed(dataset, config) if find_file(folder, file) is None]
    if not missing:
        return
    # pooch and requests cost half a second of import: only when something is to be fetched
    from snnrun.datasets import fetch

    # A folder that the user names is the user's: a misspelt path must not start a download into it
    if config.dataset.path is None and config.dataset.fetch and dataset.public:
        fetch.download(dataset, folder)
    else:
        raise DataError(fetch.missing_text(dataset, folder, missing, config))
