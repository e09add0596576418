"""Which examples a run uses: sizes from the config, random splits, and the order of each epoch."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from snnrun.datasets.selection import by_content, pools
from snnrun.datasets.spikes import SpikeData, Split, Splits
from snnrun.errors import DataError
from snnrun.streams import stream


@dataclass(frozen=True, kw_only=True)
class Chosen:
    """Indices of the examples of each split, int64, rising; test counts in its own file."""

    train: np.ndarray
    validation: np.ndarray
    test: np.ndarray


def from_files(
    config: Any,
    name: str,
    sizes: Mapping[str, tuple[Path | str, int]],
    pack_file: Callable[[str], SpikeData],
) -> Splits:
    """Return the splits of a data set that comes as a training file and, if needed, a test file.

    sizes      for "train" and, where it is needed, "test": the file (or what messages are to call
               it), and the examples in it
    pack_file  "train" or "test" -> its SpikeData; called once the sizes asked for are known to fit

    Raises DataError where more is asked for than the files hold.
    """
    if by_content(config):
        packed, usable = pools(config, sizes, pack_file, name)
        chosen, pack_file = choose(config, sizes, usable), packed.__getitem__
    else:
        chosen = choose(config, sizes)
    data = pack_file("train")
    parts = {"train": (data, chosen.train)}
    if len(chosen.validation):
        parts["validation"] = (data, chosen.validation)
    if len(chosen.test):
        parts["test"] = (pack_file("test"), chosen.test)
    splits = {n: Split(name=n, data=d, examples=e) for n, (d, e) in parts.items()}
    counts = ", ".join(f"{len(split):,} {n}" for n, split in splits.items())
    return Splits(
        train=splits["train"],
        validation=splits.get("validation"),
        test=splits.get("test"),
        description=f"{name}: {counts}; {data.n_channels:,} inputs, {data.n_classes} classes, "
        f"{data.n_steps:,} steps; training file: {_events_text(data)}",
    )


def _events_text(data: SpikeData) -> str:
    text = f"{data.n_events:,} events"
    if data.outside:
        text += f", {data.outside:,} beyond the trial were dropped"
    if data.merged:
        text += f", {data.merged:,} merged (same channel and step)"
    return text


def choose(
    config: Any,
    sizes: Mapping[str, tuple[Path | str, int]],
    usable: Mapping[str, np.ndarray] | None = None,
) -> Chosen:
    """Return the examples of each split of a data set that comes as a training and a test file.

    The examples of the training file are shuffled by the stream "split" of TRAIN_DATA_SEED. The
    first N_VALIDATE are for validation, so that this set is the same whatever N_TRAIN is, the next
    N_TRAIN for training; one of the two may be None, which means all that the other leaves. With
    AUGMENTATION.blend all that remain are for training, since N_TRAIN counts what it adds too. Of
    the test file N_TEST examples are used (None: all), chosen by the stream "test subset" of
    TEST_DATA_SEED.

    ``usable`` are the examples of each file to choose from (None: all). If "validation" is among
    them, those are the validation examples, and N_VALIDATE means nothing.
    """
    source, available = sizes["train"]
    test_source, tests = sizes.get("test", (source, 0))
    where = f"{source}, of the classes and speakers asked for," if usable else str(source)
    usable = usable or {"train": np.arange(available)}
    test_pool = usable.get("test", np.arange(tests))
    n_train, n_validate = config.N_TRAIN, config.N_VALIDATE
    if "validation" in usable:
        n_validate = 0
    if "blend" in config.AUGMENTATION and n_train is not None:
        n_train = min(n_train, max(1, len(usable["train"]) - n_validate))
    too_many = ""
    if config.N_TEST is not None and len(test_pool) < config.N_TEST:
        too_many = (
            f"N_TEST={config.N_TEST} asks for more than the {len(test_pool)} examples of "
            f"{test_source}. Use N_TEST={len(test_pool)} or less, or N_TEST=null for all"
        )
    try:
        n_train, n_validate = _training_sizes(n_train, n_validate, len(usable["train"]), where)
    except DataError as error:
        raise DataError("\n".join([str(error), too_many]).rstrip()) from None
    if too_many:
        raise DataError(too_many)
    order = stream(config.TRAIN_DATA_SEED, "split").permutation(usable["train"])
    test_order = stream(config.TEST_DATA_SEED, "test subset").permutation(test_pool)
    return Chosen(
        train=np.sort(order[n_validate : n_validate + n_train]),
        validation=usable.get("validation", np.sort(order[:n_validate])),
        test=np.sort(test_order[: config.N_TEST]),
    )


def _training_sizes(
    n_train: int | None, n_validate: int | None, available: int, source: str
) -> tuple[int, int]:
    """Return how many examples of the training file are for training and for validation."""
    if n_train is None and n_validate is None:
        raise DataError("N_TRAIN and N_VALIDATE are both null: only one can be all that remain")
    if not available:
        raise DataError(f"{source} holds no example to train on")
    asked = (n_train or 0) + (n_validate or 0)
    if asked > available or n_validate == available:
        keys = {"N_TRAIN": n_train, "N_VALIDATE": n_validate}
        wanted = " with ".join(f"{key}={n}" for key, n in keys.items() if n)
        problem = f"asks for {asked} examples" if asked > available else "leaves none to train on"
        keep = n_validate or 0
        keep = keep if 2 * keep < available else available // 10
        raise DataError(
            f"{wanted} {problem}, but {source} holds {available}. Use for example "
            f"N_TRAIN={available - keep} N_VALIDATE={keep}"
        )
    if n_train is None:
        return available - (n_validate or 0), n_validate or 0
    return n_train, available - n_train if n_validate is None else n_validate


def epoch_order(examples: np.ndarray, seed: int, epoch: int, shuffle: bool) -> np.ndarray:
    """Return ``examples`` (int64) in the order of an epoch.

    The order depends on the seed and the number of the epoch only, never on what ran before.
    Without ``shuffle`` it is the order that they are given in.
    """
    if not shuffle:
        return examples.copy()
    return stream(seed, "shuffle", epoch).permutation(examples)
