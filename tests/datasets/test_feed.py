"""Feeds: mini-batches in order, prepared ahead, and what happens when that fails."""

from __future__ import annotations

import threading
import time
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from test_block import assert_same_data
from test_recipe import prepared, recipe

from snnrun.datasets import SpikeData, feed
from snnrun.datasets.feed import Feed, Served
from snnrun.datasets.recipe import Recipe

AUGMENTED: dict[str, Any] = {"AUGMENTATION": {"random_shift": 3.0, "ID_jitter": 1.0}}


@pytest.fixture
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Prepare two mini-batches of five at a time."""
    monkeypatch.setattr(feed, "BLOCK_POINTERS", 10 * (20 + 15))


def served(given: Feed, epoch: int, chunk: int) -> list[Served]:
    found, first = [], 0
    while first < given.trials:
        found.append(given.serve(epoch, first, min(first + chunk, given.trials)))
        first = found[-1].last
    return found


def events(parts: list[Served]) -> list[tuple[int, bytes, bytes]]:
    return [
        (int(number), *(array.tobytes() for array in part.data.events(int(example))))
        for part in parts
        for example, number in zip(part.examples, part.numbers, strict=True)
    ]


@pytest.mark.usefixtures("small_blocks")
@pytest.mark.parametrize("chunk", [1, 2, 3, 100])
@pytest.mark.parametrize("keys", [{}, AUGMENTED, {"N_INPUT_DELAY": 1}])
def test_every_example_comes_once_in_order_however_many_are_asked_for(
    keys: dict[str, Any], chunk: int
) -> None:
    made = recipe(**keys)
    shown, whole = made.shown(1), prepared(made, 1)
    with Feed(made, 5, epochs=3) as given:
        parts = served(given, 1, chunk)
    assert [part.first for part in parts[1:]] == [part.last for part in parts[:-1]]
    assert parts[-1].last == given.trials == 5
    np.testing.assert_array_equal(np.concatenate([p.numbers for p in parts]), shown.numbers)
    np.testing.assert_array_equal(np.concatenate([p.labels for p in parts]), shown.labels)
    for place, (_, steps, channels) in enumerate(events(parts)):
        expected = whole.events(place)
        assert (steps, channels) == (expected[0].tobytes(), expected[1].tobytes())


@pytest.mark.usefixtures("small_blocks")
def test_beginning_in_the_middle_gives_the_same_bits() -> None:
    with Feed(recipe(**AUGMENTED), 5, epochs=4) as one:
        all_of_it = [events(served(one, epoch, 1)) for epoch in range(4)]
    with Feed(recipe(**AUGMENTED), 5, epochs=4) as other:
        late = other.serve(2, 3, 4)
        assert events([late]) == all_of_it[2][15:20]
        assert events(served(other, 3, 2)) == all_of_it[3]
    assert len({str(epoch) for epoch in all_of_it}) == 4


@pytest.mark.usefixtures("small_blocks")
def test_blocks_differ_in_the_key_of_dropout_and_data_as_they_are_have_none() -> None:
    with Feed(recipe(**AUGMENTED), 5, epochs=1) as given:
        assert [part.key for part in served(given, 0, 1)] == [(0,), (0,), (1,), (1,), (2,)]
    with Feed(recipe(), 5, epochs=1) as given:
        assert {part.key for part in served(given, 0, 1)} == {()}


class Watched(Recipe):
    """Notes what is prepared, by whom; fails or takes long where it is told to."""

    log: list[tuple[int, int, str]]
    fails_at: int = -1
    seconds: float = 0.0

    def prepared(self, epoch: int, numbers: np.ndarray, labels: np.ndarray) -> SpikeData:
        self.log.append((epoch, len(numbers), threading.current_thread().name))
        time.sleep(self.seconds)
        if epoch == self.fails_at:
            raise MemoryError("no room for the block")
        return super().prepared(epoch, numbers, labels)


def watched(fails_at: int = -1, seconds: float = 0.0) -> Watched:
    plain = recipe(**AUGMENTED)
    made = Watched(**{name: getattr(plain, name) for name in plain.__dataclass_fields__})
    for name, value in (("log", []), ("fails_at", fails_at), ("seconds", seconds)):
        object.__setattr__(made, name, value)
    return made


def wait_for(made: Watched, count: int) -> None:
    limit = time.monotonic() + 10
    while len(made.log) < count and time.monotonic() < limit:
        time.sleep(0.01)


@pytest.mark.usefixtures("small_blocks")
def test_the_blocks_that_follow_are_prepared_meanwhile_on_into_the_next_epoch() -> None:
    made = watched()
    with Feed(made, 5, epochs=2) as given:
        given.serve(0, 4, 5)  # the last block of the epoch
        wait_for(made, 3)
        assert [epoch for epoch, _, _ in made.log[:3]] == [0, 1, 1]
        assert all("augmentation" in thread for _, _, thread in made.log)
        served(given, 1, 100)
        assert len(made.log) == 4  # each block once, and none beyond the last epoch


@pytest.mark.usefixtures("small_blocks")
def test_an_error_in_the_background_reaches_who_asks_for_the_block() -> None:
    with Feed(watched(fails_at=1), 5, epochs=3) as given:
        assert len(served(given, 0, 100)) == 3
        with pytest.raises(MemoryError, match="no room for the block"):
            given.serve(1, 0, 1)


@pytest.mark.usefixtures("small_blocks")
def test_a_closed_feed_prepares_no_more_and_keeps_nobody_waiting() -> None:
    made = watched(seconds=1.0)
    with Feed(made, 5, epochs=50) as given:
        given.serve(0, 0, 1)
        started = time.monotonic()
    assert time.monotonic() - started < 0.8
    time.sleep(1.5)
    assert len(made.log) <= 2 + feed.MOST_WORKERS


def test_the_size_of_blocks_does_not_depend_on_the_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    sizes = []
    for cores in (1, 16):
        monkeypatch.setattr(feed, "usable_cores", lambda cores=cores: cores)
        with Feed(recipe(**AUGMENTED), 2, epochs=1) as given:
            sizes.append([(part.first, part.last) for part in served(given, 0, 100)])
    assert sizes[0] == sizes[1]


@pytest.mark.usefixtures("small_blocks")
def test_any_number_of_workers_prepares_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    found = []
    for cores in (1, 16):
        monkeypatch.setattr(feed, "usable_cores", lambda cores=cores: cores)
        with Feed(replace(recipe(**AUGMENTED)), 5, epochs=1) as given:
            found.append([part.data for part in served(given, 0, 100)])
    for one, other in zip(*found, strict=True):
        assert_same_data(one, other)
