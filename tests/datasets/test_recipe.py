"""What the network is shown in an epoch depends on seeds, epoch and example only."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from test_block import assert_same_data

from snnrun.datasets import Events, SpikeData, Split, Splits, pack
from snnrun.datasets.block import take
from snnrun.datasets.recipe import Recipe, recipe_of
from snnrun.errors import DataError
from snnrun.streams import stream

STEPS, CHANNELS, CLASSES = 20, 15, 3
SIZES = [12, 5, 8]  # examples of each class
ALL = (
    ("random_shift", 3.0),
    ("random_dilate", (0.8, 1.3)),
    ("blend", (0.5, 0.6)),
    ("ID_jitter", 1.0),
    ("NORMALISE_SPIKE_NUMBER", True),
)


def split_of(name: str = "train") -> Split:
    random = stream(5, "recipe")
    labels = random.permutation(np.repeat(np.arange(CLASSES), SIZES))
    counts = random.integers(10, 30, len(labels))
    data = pack(
        Events(
            counts=counts,
            steps=random.integers(0, STEPS, counts.sum()),
            channels=random.integers(0, CHANNELS, counts.sum()),
        ),
        labels=labels,
        n_steps=STEPS,
        n_channels=CHANNELS,
        n_classes=CLASSES,
    )
    return Split(name=name, data=data, examples=np.arange(len(labels)))


def config_of(**keys: Any) -> SimpleNamespace:
    values: dict[str, Any] = {
        "AUGMENTATION": {},
        "BALANCE_TRAIN_CLASSES": False,
        "BALANCE_EVAL_CLASSES": False,
        "DT_MS": 1.0,
        "INPUT_DELAY": 2.0,
        "N_INPUT_DELAY": 0,
        "N_TRAIN": None,
        "SHUFFLE": True,
        "TEST_DATA_SEED": 456,
        "TRAIN_DATA_SEED": 123,
        "dataset": SimpleNamespace(merge=True),
    }
    return SimpleNamespace(**values | keys)


def recipe(**keys: Any) -> Recipe:
    splits = Splits(train=split_of())
    return recipe_of(config_of(**keys), splits, splits.train)


def prepared(recipe: Recipe, epoch: int) -> SpikeData:
    shown = recipe.shown(epoch)
    return recipe.prepared(epoch, shown.numbers, shown.labels)


def test_an_epoch_cut_into_any_blocks_is_the_same() -> None:
    made = recipe(AUGMENTATION=dict(ALL), N_INPUT_DELAY=2)
    shown, whole = made.shown(3), prepared(made, 3)
    assert len(shown) == 2 * sum(SIZES)
    for size in (1, 7):
        for first in range(0, len(shown), size):
            here = slice(first, first + size)
            part = made.prepared(3, shown.numbers[here], shown.labels[here])
            for i in range(len(part)):
                for a, b in zip(part.events(i), whole.events(first + i), strict=True):
                    np.testing.assert_array_equal(a, b)


def test_another_recipe_of_the_same_configuration_makes_the_same_bits() -> None:
    one, other = recipe(AUGMENTATION=dict(ALL)), recipe(AUGMENTATION=dict(ALL))
    prepared(one, 0)  # nothing that ran before matters
    assert_same_data(prepared(one, 1), prepared(other, 1))


@pytest.mark.parametrize("name", dict(ALL))
def test_every_augmentation_changes_events_anew_in_each_epoch(name: str) -> None:
    made = recipe(AUGMENTATION={name: dict(ALL)[name]}, SHUFFLE=False)
    plain = prepared(recipe(SHUFFLE=False), 0)
    first, second = prepared(made, 0), prepared(made, 1)
    other = prepared(replace(made, seed=124), 0)
    for one, two in ((first, plain), (first, second), (first, other)):
        assert one.n_events != two.n_events or (one.step_by_channel != two.step_by_channel).any()


def test_changes_are_made_in_the_order_of_the_keys() -> None:
    one, other = (
        prepared(recipe(AUGMENTATION=dict(order), SHUFFLE=False), 0)
        for order in ([ALL[0], ALL[4]], [ALL[4], ALL[0]])
    )
    assert one.n_events != other.n_events


def test_shuffled_and_plain_examples_are_those_of_the_split() -> None:
    for shuffle in (True, False):
        shown = recipe(SHUFFLE=shuffle).shown(2)
        assert sorted(shown.numbers) == list(range(sum(SIZES)))
        assert (shown.numbers[:-1] < shown.numbers[1:]).all() != shuffle
        np.testing.assert_array_equal(shown.labels, split_of().data.labels[shown.numbers])


def test_blended_examples_are_of_one_class_and_beyond_the_data() -> None:
    made = recipe(AUGMENTATION={"blend": (1.0, 1.0)}, N_TRAIN=100, SHUFFLE=False)
    data, shown = split_of().data, made.shown(0)
    assert shown.numbers.tolist() == list(range(100))
    assert len(set(shown.labels[25:])) == CLASSES
    np.testing.assert_array_equal(shown.labels[:25], data.labels)
    whole = prepared(replace(made, merge=False), 0)
    for i in (25, 60, 99):
        # with all events kept, it has those of two examples of its class but for lost ones
        draw = stream(123, "train blend", 0, i)
        sources = draw.choice(np.flatnonzero(data.labels == shown.labels[i]), 2)
        assert (data.labels[sources] == shown.labels[i]).all()
        counts = take(data, sources).counts
        assert counts[0] <= len(whole.events(i)[0]) <= counts.sum()
    for i in range(25):
        np.testing.assert_array_equal(whole.events(i)[1], data.events(i)[1])


def test_what_comes_before_blend_changes_what_is_blended_and_what_follows_changes_all() -> None:
    shift, mix = ("random_shift", 3.0), ("blend", (1.0, 1.0))
    before, after, without = (
        prepared(recipe(AUGMENTATION=dict(order), SHUFFLE=False), 0)
        for order in ([shift, mix], [mix, shift], [mix])
    )
    for i in range(50):
        a, b, c = (x.events(i)[1].tolist() for x in (before, after, without))
        if i < 25:
            assert a == b  # an original is shifted alike
        elif a != c:
            break
    else:
        raise AssertionError("blended examples were made of unshifted ones")


@pytest.mark.parametrize(("n_train", "count"), [(None, 50), (26, 26), (80, 80)])
def test_blend_fills_up_to_n_train_or_doubles(n_train: int | None, count: int) -> None:
    assert len(recipe(AUGMENTATION={"blend": (0.5, 0.5)}, N_TRAIN=n_train).shown(0)) == count


@pytest.mark.parametrize("n_train", [10, 25])
def test_blend_without_room_for_its_examples_is_refused(n_train: int) -> None:
    with pytest.raises(DataError, match=f"N_TRAIN={n_train} asks for beyond the 25 of the data"):
        recipe(AUGMENTATION={"blend": (0.5, 0.5)}, N_TRAIN=n_train)


def test_balanced_training_shows_equally_many_of_each_class_anew_in_each_epoch() -> None:
    made = recipe(BALANCE_TRAIN_CLASSES=True)
    shown = [made.shown(epoch) for epoch in range(6)]
    for each in shown:
        assert np.bincount(each.labels).tolist() == [5, 5, 5]
        assert len(set(each.numbers)) == 15
    assert len(set(np.concatenate([each.numbers for each in shown]))) > 20


def test_blended_examples_of_balanced_classes_are_balanced_too() -> None:
    made = recipe(BALANCE_TRAIN_CLASSES=True, AUGMENTATION={"blend": (0.5, 0.5)}, N_TRAIN=55)
    assert np.bincount(made.shown(0).labels).tolist() == [15, 15, 15]


def test_each_split_follows_its_own_keys() -> None:
    train, validation, test = (split_of(name) for name in ("train", "validation", "test"))
    splits = Splits(train=train, validation=validation, test=test)
    config = config_of(
        AUGMENTATION=dict(ALL), BALANCE_EVAL_CLASSES=True, N_INPUT_DELAY=2, INPUT_DELAY=2.6
    )
    one, two, three = (recipe_of(config, splits, split) for split in splits.all())
    assert [x.balanced for x in (one, two, three)] == [False, True, False]
    assert [x.shuffle for x in (one, two, three)] == [True, False, False]
    assert [x.seed for x in (one, two, three)] == [123, 123, 456]
    assert [x.changes for x in (one, two, three)] == [ALL, ALL[4:], ALL[4:]]
    assert {(x.copies, x.delay_steps) for x in (one, two, three)} == {(2, 3)}
    assert {x.target for x in (one, two, three)} == {float(np.diff(train.data.offsets).min())}


def test_normalised_spike_numbers_are_those_of_the_smallest_training_example() -> None:
    made = recipe(AUGMENTATION={"NORMALISE_SPIKE_NUMBER": True}, SHUFFLE=False)
    counts = [np.diff(prepared(made, epoch).offsets) for epoch in range(40)]
    smallest = np.diff(split_of().data.offsets).min()
    np.testing.assert_allclose(np.mean(counts, axis=0), smallest, rtol=0.15)
    assert len(set(map(tuple, counts))) == 40


def test_normalising_to_an_example_without_events_is_refused() -> None:
    split = split_of()
    events = Events(counts=np.array([0, 1]), steps=np.array([1]), channels=np.array([2]))
    data = pack(events, labels=np.array([0, 1]), n_steps=STEPS, n_channels=CHANNELS, n_classes=3)
    train = replace(split, data=data, examples=np.arange(2))
    config = config_of(AUGMENTATION={"NORMALISE_SPIKE_NUMBER": True})
    with pytest.raises(DataError, match="training example 0 has no events within the trial"):
        recipe_of(config, Splits(train=train), train)
