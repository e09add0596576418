"""Which examples a run uses: by number, class, speaker or part, and in which order.

Classes and speakers need the data, so then parts are put on the grid before examples are chosen.
Numbers of examples stay their places in the part.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from snnrun.datasets.declaration import DataSet, Part
from snnrun.datasets.spikes import SpikeData, Split
from snnrun.errors import ConfigError, DataError
from snnrun.streams import stream

Packed = dict[str, tuple[SpikeData, np.ndarray]]  # part -> its data, which examples are usable
NO_SPEAKERS = "EVALUATION=speaker: dataset {} does not tell speakers apart; use EVALUATION=random"


@dataclass(frozen=True, kw_only=True)
class Choice:
    """What a configuration asks for: N_TRAIN and the other keys of these names.

    ``blend`` tells whether N_TRAIN counts examples that are made besides those of the data.
    """

    n_train: int | None = None
    n_validate: int | None = 0
    n_test: int | None = None
    train_seed: int = 123
    test_seed: int = 456
    evaluation: str = "random"
    speaker_left: tuple[int, ...] | None = (0,)
    reduced_classes: tuple[int, ...] | None = None
    blend: bool = False

    @classmethod
    def of(cls, config: Any) -> Choice:
        """Return the choice of a configuration."""
        return cls(
            n_train=config.N_TRAIN,
            n_validate=config.N_VALIDATE,
            n_test=config.N_TEST,
            train_seed=config.TRAIN_DATA_SEED,
            test_seed=config.TEST_DATA_SEED,
            evaluation=config.EVALUATION,
            speaker_left=config.SPEAKER_LEFT,
            reduced_classes=config.REDUCED_CLASSES,
            blend="blend" in config.AUGMENTATION,
        )

    @classmethod
    def everything(cls, config: Any, dataset: DataSet) -> Choice:
        """Return the choice of all examples, as they are in the files."""
        own = dataset.own_validation
        return cls(
            train_seed=config.TRAIN_DATA_SEED,
            test_seed=config.TEST_DATA_SEED,
            n_validate=None if own else 0,
            evaluation="validation_set" if own else "random",
        )

    @property
    def sizes(self) -> dict[str, int | None]:
        """Examples asked for of each part."""
        return {"train": self.n_train, "validation": self.n_validate, "test": self.n_test}

    @property
    def seeds(self) -> dict[str, int]:
        """Seeds of what is drawn for each part."""
        return {"train": self.train_seed, "validation": self.test_seed, "test": self.test_seed}

    def parts_of(self, dataset: DataSet) -> tuple[str, ...]:
        """Return the parts of the data set that are read."""
        own = dataset.generated or self.evaluation == "validation_set"
        wanted = {"train": True, "validation": own and self.n_validate != 0}
        return tuple(n for n, is_read in (wanted | {"test": self.n_test != 0}).items() if is_read)

    @property
    def by_content(self) -> bool:
        """Whether examples are chosen by their class or speaker."""
        return self.reduced_classes is not None or self.evaluation == "speaker"


def refuse_validation_set(dataset: DataSet, choice: Choice, has_one: bool) -> None:
    """Raise ConfigError where a validation set is asked for that ``dataset`` does not have."""
    if choice.evaluation == "validation_set" and not has_one:
        raise ConfigError(
            f"EVALUATION=validation_set: dataset {dataset.name} has no validation set of its own; "
            'use EVALUATION=random (read() of a DataSet that has one returns a part "validation")'
        )


def refuse_classes(config: Any) -> None:
    """Raise DataError for a key that chooses or mixes examples by their class: there is none."""
    keys = ("REDUCED_CLASSES", "BALANCE_TRAIN_CLASSES", "BALANCE_EVAL_CLASSES")
    asked = [key for key in keys if getattr(config, key)]
    asked += ["AUGMENTATION.blend"] * ("blend" in config.AUGMENTATION)
    if asked:
        raise DataError(
            f"{asked[0]}: dataset {config.dataset.name} has target courses and no classes; leave "
            "it out"
        )


def splits_of(
    dataset: DataSet,
    choice: Choice,
    parts: Mapping[str, Part],
    on_grid: Callable[[Part], SpikeData],
    packed: Packed | None = None,
) -> dict[str, Split]:
    """Return the splits that are asked for, by name.

    Args:
        dataset: The data set.
        choice: Which examples.
        parts: What was read of it, by name.
        on_grid: Gives the data of a part; called once the sizes asked for are known to fit.
        packed: Data that were on the grid before; further ones are added.

    Raises:
        DataError: More is asked for than there is.
    """
    if dataset.generated:
        _refuse_selection(dataset, choice)
        return {
            name: Split(
                name=name,
                data=on_grid(part),
                examples=np.arange(choice.sizes[name] or 0) % len(part.labels),
            )
            for name, part in parts.items()
        }
    usable = {name: np.arange(len(part.labels)) for name, part in parts.items()}
    data: dict[str, SpikeData] = {}
    if choice.by_content:
        packed = {} if packed is None else packed
        for name, part in parts.items():
            if name not in packed:
                packed[name] = of_classes(choice.reduced_classes, on_grid(part), dataset.name)
        data = {name: packed[name][0] for name in parts}
        usable = {name: packed[name][1] for name in parts}
        if choice.evaluation == "speaker":
            usable |= _by_speaker(choice, data["train"], usable["train"], dataset.name)
    chosen = choose(choice, usable, {name: str(part.source) for name, part in parts.items()})
    data = data or {name: on_grid(parts[name]) for name in parts if len(chosen[name])}
    return {
        name: Split(name=name, data=data.get(name, data["train"]), examples=examples)
        for name, examples in chosen.items()
        if len(examples)
    }


def of_classes(
    classes: Sequence[int] | None, data: SpikeData, name: str
) -> tuple[SpikeData, np.ndarray]:
    """Return the data with these classes only, and which examples (int64) are of one of them.

    Labels are then places in ``classes``. Other examples get label 0 and must not be used.
    """
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


def speakers_of(data: SpikeData) -> np.ndarray:
    """Return the list of speakers, in rising order, whose places SPEAKER_LEFT counts."""
    return np.unique(data.speakers) if data.speakers is not None else np.zeros(0, np.int32)


def _by_speaker(
    choice: Choice, data: SpikeData, usable: np.ndarray, name: str
) -> dict[str, np.ndarray]:
    """Return the training examples of SPEAKER_LEFT as "validation", those of others as "train"."""
    if choice.speaker_left is None:
        raise ConfigError(
            "SPEAKER_LEFT=null: all speakers would be left out, and none to train on; name some, "
            "or use `snnrun crossval`, which leaves out one after the other"
        )
    if data.speakers is None:
        raise DataError(NO_SPEAKERS.format(name))
    asked, speakers = list(choice.speaker_left), speakers_of(data)
    if max(asked) >= len(speakers):
        raise DataError(
            f"SPEAKER_LEFT={asked}: {name} has {len(speakers)} speakers in its training data, so "
            f"places are 0 to {len(speakers) - 1}"
        )
    left = np.isin(data.speakers, speakers[asked])[usable]
    found = {"train": usable[~left], "validation": usable[left]}
    for part, whose in (("train", "other"), ("validation", "left-out")):
        if not len(found[part]):
            raise DataError(f"SPEAKER_LEFT={asked}: {name} has no example of the {whose} speakers")
    return found


def _refuse_selection(dataset: DataSet, choice: Choice) -> None:
    """Raise DataError where a set that is generated is asked for what only files have."""
    if choice.reduced_classes is not None:
        raise DataError(
            f"REDUCED_CLASSES={list(choice.reduced_classes)}: dataset {dataset.name} cannot be "
            "reduced to some classes; leave it out"
        )
    if choice.evaluation == "speaker":
        raise DataError(NO_SPEAKERS.format(dataset.name))
    for name, size in choice.sizes.items():
        if size is None:
            raise DataError(
                f"the size of the {name} set is null, but {dataset.name} is generated and has none "
                "of its own: N_TRAIN, N_VALIDATE and N_TEST must be numbers of examples"
            )


def choose(
    choice: Choice, usable: Mapping[str, np.ndarray], sources: Mapping[str, str]
) -> dict[str, np.ndarray]:
    """Return the examples of each split, int64, rising, those of the test in their own part.

    Args:
        choice: Which examples.
        usable: The examples of each part to choose from. With EVALUATION=speaker, "validation" are
            the validation examples.
        sources: What messages call each part.

    The examples of the training part are shuffled by the stream "split" of TRAIN_DATA_SEED. The
    first N_VALIDATE are for validation, so that this set is the same whatever N_TRAIN is, the next
    N_TRAIN for training; one of the two may be None, which means all that the other leaves. With
    AUGMENTATION.blend all that remain are for training, since N_TRAIN counts what it adds too. With
    EVALUATION=validation_set, N_VALIDATE are of the part "validation" (None: all). Of the test part
    N_TEST examples are used (None: all). Both are chosen by the streams "validation subset" and
    "test subset" of TEST_DATA_SEED.
    """
    train, test = usable["train"], usable.get("test", np.zeros(0, np.int64))
    where = sources["train"]
    if choice.by_content:
        where += ", of the classes and speakers asked for,"
    n_train, n_validate, problems = choice.n_train, choice.n_validate, []
    validation = usable.get("validation")
    if choice.evaluation == "validation_set" and validation is not None:
        problems += _too_many("N_VALIDATE", n_validate, len(validation), sources["validation"])
        validation = _drawn(choice, "validation subset", validation, n_validate)
    if validation is not None or choice.evaluation == "validation_set":
        n_validate = 0
    if choice.blend and n_train is not None:
        n_train = min(n_train, max(1, len(train) - (n_validate or 0)))
    try:
        n_train, n_validate = _training_sizes(n_train, n_validate, len(train), where)
    except DataError as error:
        problems.append(str(error))
    problems += _too_many("N_TEST", choice.n_test, len(test), sources.get("test", "test data"))
    if problems:
        raise DataError("\n".join(problems))
    order = stream(choice.train_seed, "split").permutation(train)
    return {
        "train": np.sort(order[n_validate : n_validate + n_train]),  # type: ignore[operator]
        "validation": np.sort(order[:n_validate]) if validation is None else validation,
        "test": _drawn(choice, "test subset", test, choice.n_test),
    }


def _too_many(key: str, asked: int | None, available: int, source: str) -> list[str]:
    if asked is None or asked <= available:
        return []
    return [
        f"{key}={asked} asks for more than the {available} examples of {source}. Use "
        f"{key}={available} or less, or {key}=null for all"
    ]


def _drawn(choice: Choice, name: str, usable: np.ndarray, n: int | None) -> np.ndarray:
    return np.sort(stream(choice.test_seed, name).permutation(usable)[:n])


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
