"""What the network is shown of a split in each epoch: which examples, and how they are changed.

An example of the data has its index there as its number. Blended ones, which have no place in the
data, take the numbers from len(data) on. Every random choice has a stream of its own, by what it is
for, the epoch and the number of the example; so it depends on nothing that ran before.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from snnrun.datasets.augmentation import CHANGES, blend
from snnrun.datasets.block import Block, arranged, take
from snnrun.datasets.choice import epoch_order
from snnrun.datasets.spikes import SpikeData, Split, Splits, check_limits
from snnrun.errors import DataError
from snnrun.streams import stream

BLEND, THIN, IMAGE_SHIFT = "blend", "NORMALISE_SPIKE_NUMBER", "image_shift"


@dataclass(frozen=True, kw_only=True)
class Shown:
    """The examples of an epoch in their order."""

    numbers: np.ndarray  # int64 [n]
    labels: np.ndarray  # int32 [n]

    def __len__(self) -> int:
        return len(self.numbers)


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """How a split becomes what the network is shown.

    changes   entries of AUGMENTATION in their order
    blended   examples that blend makes in an epoch
    target    events that NORMALISE_SPIKE_NUMBER leaves of an example on average; 0: not asked for
    copies    delayed copies of the channels, each ``delay_steps`` after the one before
    balanced  show equally many examples of each class, chosen anew in each epoch
    shuffle   show them in a new order in each epoch
    merge     several events of a channel in a step count as one
    """

    split: Split
    seed: int
    changes: tuple[tuple[str, Any], ...] = ()
    blended: int = 0
    target: float = 0.0
    copies: int = 0
    delay_steps: int = 0
    balanced: bool = False
    shuffle: bool = False
    merge: bool = True

    @property
    def changing(self) -> bool:
        """Whether the network is shown anything but the events of the data."""
        return bool(self.changes) or self.copies > 0

    def shown(self, epoch: int) -> Shown:
        """Return the examples of an epoch."""
        data, numbers = self.split.data, self.split.examples
        if self.balanced:
            numbers = self._balanced(epoch)
        made = np.arange(len(data), len(data) + self.blended)
        numbers = np.concatenate([numbers, made])
        numbers = epoch_order(numbers, self.seed, epoch, self.shuffle)
        labels = np.empty(len(numbers), np.int32)
        new = numbers >= len(data)
        labels[~new] = data.labels[numbers[~new]]
        if self.blended:
            labels[new] = self._blended_labels(epoch)[numbers[new] - len(data)]
        return Shown(numbers=numbers, labels=labels)

    def prepared(self, epoch: int, numbers: np.ndarray, labels: np.ndarray) -> SpikeData:
        """Return what the network is shown of these examples, in their order."""
        block = self._changed(epoch, numbers, labels)
        if self.copies:
            block = block.delayed(self.copies, self.delay_steps)
        packed = block.packed(labels, self.split.data.n_classes, self.merge)
        courses = self.split.data.courses
        return replace(packed, courses=courses.taken(numbers)) if courses else packed

    def _changed(self, epoch: int, numbers: np.ndarray, labels: np.ndarray) -> Block:
        """Return the examples after all changes: a blended one of what came before blend."""
        names = [name for name, _ in self.changes]
        at = names.index(BLEND) if BLEND in names else len(names)
        before, after = self.changes[:at], self.changes[at + 1 :]
        new = numbers >= len(self.split.data)
        block = self._apply(before, epoch, numbers[~new])
        if new.any():
            share = self.changes[at][1]
            made = self._blend(before, share, epoch, numbers[new], labels[new])
            places = np.empty(len(numbers), np.int64)
            places[~new], places[new] = np.arange(len(block)), np.arange(len(made)) + len(block)
            block = arranged([block, made], places)
        return self._apply(after, epoch, numbers, block)

    def _apply(
        self,
        changes: Sequence[tuple[str, Any]],
        epoch: int,
        numbers: np.ndarray,
        block: Block | None = None,
    ) -> Block:
        """Change ``block``, or what the data hold of the examples called ``numbers``."""
        block = take(self.split.data, numbers) if block is None else block
        for name, argument in changes:
            random = [self._stream(name, epoch, number) for number in numbers.tolist()]
            argument = self.target if name == THIN else argument
            block = CHANGES[name](block, argument, random)
        return block

    def _blend(
        self,
        before: Sequence[tuple[str, Any]],
        shares: Sequence[float],
        epoch: int,
        numbers: np.ndarray,
        labels: np.ndarray,
    ) -> Block:
        random = [self._stream(BLEND, epoch, number) for number in numbers.tolist()]
        drawn = np.array(
            [
                r.choice(self._members[label], len(shares))
                for r, label in zip(random, labels.tolist(), strict=True)
            ]
        )
        sources = [self._apply(before, epoch, column) for column in drawn.T]
        return blend(sources, shares, random)

    def _stream(self, name: str, epoch: int, number: int) -> np.random.Generator:
        return stream(self.seed, f"{self.split.name} {name}", epoch, number)

    @cached_property
    def _members(self) -> dict[int, np.ndarray]:
        """The examples of each class that occurs in the split."""
        labels = self.split.labels
        return {int(c): self.split.examples[labels == c] for c in np.unique(labels)}

    def _blended_labels(self, epoch: int) -> np.ndarray:
        """Return the class of each blended example: any, or, if balanced, all alike often."""
        random, classes = stream(self.seed, "blended classes", epoch), list(self._members)
        if self.balanced:
            return random.permutation(np.resize(classes, self.blended))
        return random.choice(classes, self.blended)

    def _balanced(self, epoch: int) -> np.ndarray:
        """Return as many examples of each class as the smallest one has, in rising order."""
        size = min(map(len, self._members.values()))
        random = stream(self.seed, f"{self.split.name} balance", epoch)
        chosen = [random.choice(m, size, replace=False) for m in self._members.values()]
        return np.sort(np.concatenate(chosen))


def recipe_of(config: Any, splits: Splits, split: Split) -> Recipe:
    """Return how ``config`` wants ``split``, one of ``splits``, to be shown.

    Raises DataError where the data do not allow it.
    """
    data = split.data
    check_limits(data.n_steps, data.n_channels * (1 + config.N_INPUT_DELAY), data.n_classes)
    training = split is splits.train
    validating = split is splits.validation
    changes = tuple((config.AUGMENTATION or {}).items())
    if IMAGE_SHIFT in dict(changes) and data.image is None:
        raise DataError(
            f"AUGMENTATION.{IMAGE_SHIFT}: the channels of {config.dataset.name} are not pixels of "
            "an image (with RESCALE_X they are not, either). Turn it off with "
            f"AUGMENTATION.{IMAGE_SHIFT}=null, or use random_shift, which moves channels along "
            "their numbers"
        )
    if not training:
        changes = tuple((name, argument) for name, argument in changes if name == THIN)
    balance = {True: config.BALANCE_TRAIN_CLASSES, False: config.BALANCE_EVAL_CLASSES}[training]
    return Recipe(
        split=split,
        seed=config.TRAIN_DATA_SEED if training or validating else config.TEST_DATA_SEED,
        changes=changes,
        blended=_blended(config, splits.train) if BLEND in dict(changes) else 0,
        target=_smallest(splits.train) if THIN in dict(changes) else 0.0,
        copies=config.N_INPUT_DELAY,
        delay_steps=round(config.INPUT_DELAY / config.DT_MS),
        balanced=balance and (training or validating),
        shuffle=config.SHUFFLE and training,
        merge=config.dataset.merge,
    )


def _blended(config: Any, train: Split) -> int:
    """Return how many examples blend adds in each epoch: up to N_TRAIN, or as many as there are."""
    if config.N_TRAIN is None:
        return len(train)
    if len(train) >= config.N_TRAIN:
        raise DataError(
            f"AUGMENTATION.blend makes the training examples that N_TRAIN={config.N_TRAIN} asks "
            f"for beyond the {len(train)} of the data, which are none. Use for example "
            f"N_TRAIN={2 * len(train.data)}, or N_TRAIN=null for as many as there are"
        )
    return int(config.N_TRAIN - len(train))


def _smallest(train: Split) -> float:
    """Return the number of events of the training example that has the fewest."""
    counts = np.diff(train.data.offsets)[train.examples]
    if counts.min() == 0:
        number = int(train.examples[np.argmin(counts)])
        raise DataError(
            f"AUGMENTATION.NORMALISE_SPIKE_NUMBER: training example {number} has no events within "
            "the trial, so all examples would be left without any. Leave it out, or choose a "
            "longer TRIAL_MS"
        )
    return float(counts.min())
