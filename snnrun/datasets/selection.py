"""Examples by what they are: of which class (REDUCED_CLASSES), by which speaker (SPEAKER_LEFT).

Both need labels and speakers, so the files are packed before examples are chosen. Numbers of
examples stay their places in the file.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from snnrun.datasets.spikes import SpikeData, Splits
from snnrun.errors import ConfigError, DataError

Packed = dict[str, tuple[SpikeData, np.ndarray]]  # part -> its data, which examples are usable


class PackedOnce:
    """A configuration for reading data, which takes files from ``packed`` that are there already.

    They are the same for configurations that differ by SPEAKER_LEFT only.
    """

    def __init__(self, config: Any, packed: Packed) -> None:
        self._config = config
        self.packed = packed

    def __getattr__(self, name: str) -> Any:
        return getattr(self._config, name)


def by_content(config: Any) -> bool:
    """Return whether examples are chosen by their class or speaker."""
    return config.REDUCED_CLASSES is not None or config.EVALUATION == "speaker"


def of_classes(config: Any, data: SpikeData, name: str) -> tuple[SpikeData, np.ndarray]:
    """Return the data with REDUCED_CLASSES only, and which examples (int64) are of one of them.

    Labels are then places in REDUCED_CLASSES. Other examples get label 0 and must not be used.
    """
    classes = config.REDUCED_CLASSES
    if classes is None:
        return data, np.arange(len(data))
    if max(classes) >= data.n_classes:
        raise DataError(
            f"REDUCED_CLASSES={list(classes)}: {name} has {data.n_classes} classes, "
            f"0 to {data.n_classes - 1}"
        )
    place = np.full(data.n_classes, -1, np.int32)
    place[list(classes)] = np.arange(len(classes))
    labels = place[data.labels]
    names = tuple(data.class_names[c] for c in classes) if data.class_names else ()
    reduced = replace(data, n_classes=len(classes), labels=np.maximum(labels, 0), class_names=names)
    return reduced, np.flatnonzero(labels >= 0)


def pools(
    config: Any, sizes: Mapping[str, Any], pack_file: Callable[[str], SpikeData], name: str
) -> tuple[dict[str, SpikeData], dict[str, np.ndarray]]:
    """Return the data of each file, and which of its examples are to choose from.

    With EVALUATION=speaker, "validation" are those of the speakers SPEAKER_LEFT in the training
    file, and "train" those of the others.
    """
    known: Packed = getattr(config, "packed", {})
    for part in sizes:
        if part not in known:
            known[part] = of_classes(config, pack_file(part), name)
    packed = {part: known[part][0] for part in sizes}
    usable = {part: known[part][1] for part in sizes}
    if config.EVALUATION == "speaker":
        left = _is_left(config, packed["train"], name)[usable["train"]]
        usable["train"], usable["validation"] = usable["train"][~left], usable["train"][left]
        for part, speakers in (("train", "other"), ("validation", "left-out")):
            if not len(usable[part]):
                raise DataError(
                    f"SPEAKER_LEFT={list(config.SPEAKER_LEFT)}: {name} has no example of the "
                    f"{speakers} speakers"
                )
    return packed, usable


def speakers_of(data: SpikeData) -> np.ndarray:
    """Return the list of speakers, in rising order, whose places SPEAKER_LEFT counts."""
    return np.unique(data.speakers) if data.speakers is not None else np.zeros(0, np.int32)


def check_selection(config: Any, splits: Splits, name: str) -> None:
    """Raise DataError where a data set's own reader did not choose as the configuration asks."""
    classes, data = config.REDUCED_CLASSES, splits.train.data
    if classes is not None and data.n_classes != len(classes):
        raise DataError(
            f"REDUCED_CLASSES={list(classes)}: dataset {name} cannot be reduced to some classes; "
            "leave it out. A data set of your own can be, if it is read with "
            "snnrun.datasets.splits.from_files"
        )
    if config.EVALUATION != "speaker":
        return
    validation = splits.validation
    if data.speakers is None or validation is None or validation.data.speakers is None:
        raise DataError(_no_speakers(name))
    known = np.unique(data.speakers[splits.train.examples])
    if np.isin(validation.data.speakers[validation.examples], known).any():
        raise DataError(_no_speakers(name))


def _is_left(config: Any, data: SpikeData, name: str) -> np.ndarray:
    """Return for each example whether its speaker is one of SPEAKER_LEFT."""
    if config.SPEAKER_LEFT is None:
        raise ConfigError(
            "SPEAKER_LEFT=null: all speakers would be left out, and none to train on; name some, "
            "or use `snnrun crossval`, which leaves out one after the other"
        )
    if data.speakers is None:
        raise DataError(_no_speakers(name))
    speakers = speakers_of(data)
    if max(config.SPEAKER_LEFT) >= len(speakers):
        raise DataError(
            f"SPEAKER_LEFT={list(config.SPEAKER_LEFT)}: {name} has {len(speakers)} speakers in "
            f"its training data, so places are 0 to {len(speakers) - 1}"
        )
    return np.isin(data.speakers, speakers[list(config.SPEAKER_LEFT)])


def _no_speakers(name: str) -> str:
    return f"EVALUATION=speaker: dataset {name} does not tell speakers apart; use EVALUATION=random"
