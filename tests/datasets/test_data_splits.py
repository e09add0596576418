"""Which examples are used, and in which order."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from snnrun.datasets import Events, Split, choice, epoch_order, pack
from snnrun.errors import DataError


def choose(available: int = 100, **asked: Any) -> SimpleNamespace:
    """Return the examples that are chosen of a file with so many, and of 30 in a test file."""
    usable = {"train": np.arange(available), "test": np.arange(30)}
    names = {"train": "train_file", "test": "test_file"}
    return SimpleNamespace(**choice.choose(choice.Choice(**asked), usable, names))


def test_splits_are_disjoint_and_cover_the_file() -> None:
    chosen = choose(n_train=80, n_validate=20)
    assert (len(chosen.train), len(chosen.validation)) == (80, 20)
    both = np.concatenate([chosen.train, chosen.validation])
    assert sorted(both) == list(range(100))
    assert chosen.test.tolist() == list(range(30))
    assert chosen.train.dtype == np.int64


def test_the_split_is_reproducible_and_random() -> None:
    first, again = (choose(n_validate=20) for _ in range(2))
    other = choose(n_validate=20, train_seed=124)
    assert np.array_equal(first.validation, again.validation)
    assert not np.array_equal(first.validation, other.validation)
    assert first.validation.tolist() != list(range(20))


def test_validation_stays_the_same_when_training_gets_smaller() -> None:
    large = choose(n_train=80, n_validate=20)
    small = choose(n_train=10, n_validate=20)
    assert np.array_equal(large.validation, small.validation)
    assert set(small.train) < set(large.train)


@pytest.mark.parametrize(
    ("n_train", "n_validate", "sizes"),
    [(None, 20, (80, 20)), (70, None, (70, 30)), (None, 0, (100, 0)), (100, None, (100, 0))],
)
def test_null_means_all_that_remain(
    n_train: int | None, n_validate: int | None, sizes: tuple
) -> None:
    chosen = choose(n_train=n_train, n_validate=n_validate)
    assert (len(chosen.train), len(chosen.validation)) == sizes


def test_a_smaller_test_set_is_a_random_part() -> None:
    chosen = choose(n_test=10)
    other = choose(n_test=10, test_seed=1)
    assert len(set(chosen.test)) == 10
    assert chosen.test.tolist() != list(range(10))
    assert not np.array_equal(chosen.test, other.test)


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        (
            {"n_train": 90, "n_validate": 20},
            "N_TRAIN=90 with N_VALIDATE=20 asks for 110 examples, but train_file holds 100. "
            "Use for example N_TRAIN=80 N_VALIDATE=20",
        ),
        (
            {"n_train": 500, "n_validate": 500},
            "N_TRAIN=500 with N_VALIDATE=500 asks for 1000 examples, but train_file holds 100. "
            "Use for example N_TRAIN=90 N_VALIDATE=10",
        ),
        (
            {"n_train": 101, "n_validate": None},
            "N_TRAIN=101 asks for 101 examples, but train_file holds 100. "
            "Use for example N_TRAIN=100 N_VALIDATE=0",
        ),
        (
            {"n_validate": 100},
            "N_VALIDATE=100 leaves none to train on, but train_file holds 100. "
            "Use for example N_TRAIN=90 N_VALIDATE=10",
        ),
        (
            {"n_test": 31},
            "N_TEST=31 asks for more than the 30 examples of test_file. "
            "Use N_TEST=30 or less, or N_TEST=null for all",
        ),
        (
            {"n_validate": None},
            "N_TRAIN and N_VALIDATE are both null: only one can be all that remain",
        ),
    ],
)
def test_more_than_there_is_is_refused(keys: dict[str, Any], message: str) -> None:
    with pytest.raises(DataError) as caught:
        choose(**keys)
    assert str(caught.value) == message


def test_a_data_set_without_examples_is_refused_without_advice() -> None:
    for n_validate in (0, 10):
        with pytest.raises(DataError, match=r"train_file holds no example to train on$"):
            choose(0, n_validate=n_validate)


@pytest.fixture
def split() -> Split:
    events = Events(counts=np.zeros(50, int), steps=np.zeros(0, int), channels=np.zeros(0, int))
    data = pack(events, labels=np.zeros(50, int), n_steps=2, n_channels=1, n_classes=1)
    return Split(name="train", data=data, examples=np.arange(10, 40))


def test_the_order_of_an_epoch_depends_on_seed_and_epoch_only(split: Split) -> None:
    orders = [epoch_order(split.examples, 3, epoch, True) for epoch in (0, 1, 2)]
    assert np.array_equal(epoch_order(split.examples, 3, 1, True), orders[1])
    assert not np.array_equal(orders[0], orders[1])
    assert not np.array_equal(epoch_order(split.examples, 4, 1, True), orders[1])
    for order in orders:
        assert order.dtype == np.int64
        assert sorted(order) == list(range(10, 40))


def test_without_shuffling_the_order_is_that_of_the_split(split: Split) -> None:
    order = epoch_order(split.examples, 3, 5, False)
    assert order.tolist() == list(range(10, 40))
    order[0] = 0
    assert split.examples[0] == 10
