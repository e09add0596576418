"""EVALUATION=validation_set: the validation examples come from a file of their own."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from snnrun.datasets.declaration import DataSet
from snnrun.datasets.spikes import SpikeData, Split, Splits
from snnrun.datasets.splits import from_files
from snnrun.errors import ConfigError, DataError
from snnrun.streams import stream


def refuse_validation_set(dataset: DataSet, config: Any) -> None:
    """Raise ConfigError where a validation set is asked for that ``dataset`` does not have."""
    if config.EVALUATION == "validation_set" and not dataset.own_validation:
        raise ConfigError(
            f"EVALUATION=validation_set: dataset {dataset.name} has no validation set of its own; "
            "use EVALUATION=random (a DataSet that has one says own_validation=True)"
        )


def from_own_files(
    config: Any,
    name: str,
    sizes: Mapping[str, tuple[Path, int]],
    pack_file: Callable[[str], SpikeData],
) -> Splits:
    """Return the splits of a data set that may have a validation file besides the other two.

    Arguments are those of ``from_files``, which does it all unless EVALUATION is validation_set.
    Then N_TRAIN examples are of the training file (None: all) and N_VALIDATE of the validation file
    (None: all), chosen by the stream "validation subset" of TEST_DATA_SEED.
    """
    if config.EVALUATION != "validation_set":
        return from_files(config, name, sizes, pack_file)
    examples = _choose(config, *sizes["validation"]) if "validation" in sizes else np.zeros(0)
    splits = from_files(_WithoutSplit(config), name, sizes, pack_file)
    if not len(examples):
        return splits
    data = pack_file("validation")
    return replace(
        splits,
        validation=Split(name="validation", data=data, examples=examples),
        description=f"{splits.description}; validation file: {len(examples)} of {len(data)}",
    )


def _choose(config: Any, source: Path, available: int) -> np.ndarray:
    """Return the N_VALIDATE examples of the validation file, int64, rising."""
    if config.N_VALIDATE is not None and available < config.N_VALIDATE:
        raise DataError(
            f"N_VALIDATE={config.N_VALIDATE} asks for more than the {available} examples of "
            f"{source}. Use N_VALIDATE={available} or less, or N_VALIDATE=null for all"
        )
    order = stream(config.TEST_DATA_SEED, "validation subset").permutation(available)
    return np.sort(order[: config.N_VALIDATE])


@dataclass(frozen=True)
class _WithoutSplit:
    """The configuration, but with no validation examples taken from the training file."""

    config: Any
    N_VALIDATE: int = 0
    EVALUATION: str = "random"

    def __getattr__(self, name: str) -> Any:
        return getattr(self.config, name)
