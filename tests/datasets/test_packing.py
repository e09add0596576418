"""Packing: both orders, merging, dropping, limits."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from snnrun.datasets import Events, SpikeData, Split, Splits, pack, to_steps
from snnrun.datasets import packing as packing_module
from snnrun.errors import DataError

N_STEPS, N_CHANNELS = 6, 5


def events_of(examples: list[list[tuple[int, int]]]) -> Events:
    """Make Events of (step, channel) pairs."""
    pairs = np.array([pair for example in examples for pair in example], np.int64).reshape(-1, 2)
    counts = np.array([len(example) for example in examples], np.int64)
    return Events(counts=counts, steps=pairs[:, 0], channels=pairs[:, 1])


def packed(blocks: Any, n: int, **options: Any) -> SpikeData:
    sizes = {"n_steps": N_STEPS, "n_channels": N_CHANNELS, "n_classes": 3, **options}
    return pack(blocks, labels=np.arange(n) % 3, **sizes)


def listed(values: np.ndarray, pointers: np.ndarray, turned: bool) -> list[tuple[int, int]]:
    """Walk one example by its pointers and return (step, channel) pairs in the order met."""
    pairs = []
    for row in range(len(pointers) - 1):
        for value in values[pointers[row] : pointers[row + 1]]:
            pairs.append((int(value), row) if turned else (row, int(value)))
    return pairs


def test_a_small_example_is_packed_as_by_hand() -> None:
    data = packed(events_of([[(2, 4), (0, 1), (2, 0)], [], [(5, 4)]]), 3)
    assert data.offsets.tolist() == [0, 3, 3, 4]
    assert data.channel_by_step.tolist() == [1, 0, 4, 4]
    assert data.step_by_channel.tolist() == [2, 0, 2, 5]
    assert data.step_pointers.tolist() == [
        [0, 1, 1, 3, 3, 3, 3],
        [0, 0, 0, 0, 0, 0, 0],
        [0, 0, 0, 0, 0, 0, 1],
    ]
    assert data.channel_pointers[0].tolist() == [0, 1, 2, 2, 2, 3]
    steps, channels = data.events(0)
    assert steps.tolist() == [0, 2, 2]
    assert channels.tolist() == [1, 0, 4]


pairs = st.tuples(st.integers(-2, N_STEPS + 2), st.integers(0, N_CHANNELS - 1))


@given(examples=st.lists(st.lists(pairs, max_size=12), max_size=6), merge=st.booleans())
@settings(max_examples=150, deadline=None)
def test_both_orders_hold_the_events_of_the_source(
    examples: list[list[tuple[int, int]]], merge: bool
) -> None:
    data = packed(events_of(examples), len(examples), merge=merge)
    outside = merged = 0
    for number, example in enumerate(examples):
        inside = [(step, channel) for step, channel in example if 0 <= step < N_STEPS]
        expected = sorted(set(inside) if merge else inside)
        outside += len(example) - len(inside)
        merged += len(inside) - len(expected)
        own = slice(*data.offsets[number : number + 2])
        by_step = listed(data.channel_by_step[own], data.step_pointers[number], turned=False)
        by_channel = listed(data.step_by_channel[own], data.channel_pointers[number], turned=True)
        assert by_step == expected
        assert by_channel == sorted(expected, key=lambda pair: (pair[1], pair[0]))
    assert (data.outside, data.merged, data.dropped) == (outside, merged, outside + merged)


@given(
    examples=st.lists(st.lists(pairs, max_size=9), min_size=1, max_size=9),
    cut=st.integers(0, 9),
    block=st.integers(1, 12),
)
@settings(max_examples=60, deadline=None)
def test_the_result_does_not_depend_on_how_the_source_is_cut_into_blocks(
    examples: list[list[tuple[int, int]]], cut: int, block: int
) -> None:
    whole = packed(events_of(examples), len(examples))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(packing_module, "BLOCK_EVENTS", block)
        patch.setattr(packing_module, "BLOCK_POINTERS", 4 * block)
        blocks = (events_of(part) for part in (examples[:cut], examples[cut:]))
        pieces = packed(blocks, len(examples), at_most_events=block)
    for name in ("offsets", "step_pointers", "channel_by_step", "step_by_channel"):
        assert np.array_equal(getattr(whole, name), getattr(pieces, name))
    assert np.array_equal(whole.channel_pointers, pieces.channel_pointers)
    assert whole.dropped == pieces.dropped


def test_equal_events_at_the_border_of_two_examples_are_not_merged() -> None:
    data = packed(events_of([[(3, 2)], [(3, 2)], [], [(3, 2), (3, 2)]]), 4)
    assert np.diff(data.offsets).tolist() == [1, 1, 0, 1]
    assert data.merged == 1


def test_steps_are_whole_though_the_quotient_is_rounded_down() -> None:
    assert 0.3 / 0.1 < 3
    farthest = 2**31 - 1
    assert to_steps(np.array([0.3, 0.29, 0.0, -0.05, 1e9, -1e9]), 0.1).tolist() == [
        *(3, 2, 0, -1),
        *(farthest, -farthest),
    ]


def test_times_in_ms_are_binned_and_those_outside_the_trial_counted() -> None:
    times = np.array([0.0, 0.49, 0.5, 2.99, 3.0, -0.1])
    events = Events(counts=np.array([6]), times_ms=times, channels=np.arange(6) % N_CHANNELS)
    data = packed(events, 1, dt_ms=0.5)
    assert data.events(0)[0].tolist() == [0, 0, 1, 5]
    assert (data.outside, data.merged) == (2, 0)


def test_sixteen_bits_are_used_to_the_last_value() -> None:
    events = events_of([[(65534, 65534), (0, 0), (65535, 1)]])
    data = packed(events, 1, n_steps=65535, n_channels=65535)
    assert data.events(0)[0].tolist() == [0, 65534]
    assert data.events(0)[1].tolist() == [0, 65534]
    assert data.outside == 1


def test_an_event_costs_four_bytes_and_arrays_cannot_be_written() -> None:
    few, many = (packed(events_of([[(1, c) for c in range(n)]]), 1) for n in (1, 4))
    assert many.n_bytes - few.n_bytes == 3 * 4
    with pytest.raises(ValueError, match="read-only"):
        many.channel_by_step[0] = 1


def test_labels_speakers_and_names_are_kept() -> None:
    data = packed(
        events_of([[], []]), 2, speakers=np.array([7, 9], np.uint16), class_names=("a", "b", "c")
    )
    assert data.labels.dtype == np.int32
    assert data.speakers.tolist() == [7, 9]
    assert data.class_names == ("a", "b", "c")


WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "channel": ({"n_channels": 2}, "channels run from 0 to 3, but there are 2 .0 to 1."),
    "label": ({"n_classes": 1}, "labels run from 0 to 1, but there are 1 classes"),
    "steps": ({"n_steps": 65536}, "65536 steps cannot be stored: 1 to 65535.*TRIAL_MS"),
    "channels": ({"n_channels": 70000}, "70000 input channels cannot be stored"),
    "names": ({"class_names": ("a",)}, "1 names for 3 classes"),
    "speakers": ({"speakers": np.arange(3)}, "speakers must be int32 of shape .2,."),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_cannot_be_packed_is_named(case: str) -> None:
    options, message = WRONG[case]
    with pytest.raises(DataError, match=message):
        packed(events_of([[(1, 0), (2, 3)], [(0, 1)]]), 2, **options)


@pytest.mark.parametrize(("n", "message"), [(1, "more examples than the 1"), (3, "2 examples, bu")])
def test_a_number_of_labels_other_than_of_examples_is_refused(n: int, message: str) -> None:
    with pytest.raises(DataError, match=message):
        packed(events_of([[(1, 0)], [(0, 1)]]), n)


@pytest.mark.parametrize("odd", [np.nan, np.inf, -np.inf])
def test_a_time_that_is_not_a_number_is_refused_with_its_example(odd: float) -> None:
    times = np.array([1.0, 2.0, odd])
    events = Events(counts=np.array([1, 0, 2]), times_ms=times, channels=np.zeros(3, int))
    with pytest.raises(DataError, match="my data: example 2 has a time that is not a number"):
        packed(events, 3, dt_ms=1.0, source="my data")


def test_what_is_known_of_times_does_not_depend_on_what_is_dropped() -> None:
    times = np.array([4.0, -2.0, 0.5, 1.5, 9.0, 9.5])
    events = Events(counts=np.array([2, 0, 2, 2]), times_ms=times, channels=np.zeros(6, int))
    coverage = packed(events, 4, dt_ms=0.5).coverage
    assert (coverage.events, coverage.before, coverage.after) == (6, 1, 3)
    np.testing.assert_array_equal(coverage.first, [-4, np.nan, 1, 18])
    np.testing.assert_array_equal(coverage.last, [8, np.nan, 3, 19])
    whole = packed(events, 4, dt_ms=0.5, n_steps=30, start=-2.0).coverage
    assert (whole.before, whole.after) == (0, 0)
    np.testing.assert_array_equal(whole.first, [0, np.nan, 5, 22])
    np.testing.assert_array_equal(whole.last, [12, np.nan, 7, 23])


def test_a_trial_begins_where_it_is_said_to() -> None:
    times = np.array([104.0, 101.0, 7.5, 8.0, 1e12 + 2.0, 1e12])
    events = Events(counts=np.array([2, 0, 2, 2]), times_ms=times, channels=np.arange(6) % 5)
    steps = [packed(events, 4, dt_ms=1.0, start="first").events(e)[0].tolist() for e in range(4)]
    assert steps == [[0, 3], [], [0, 0], [0, 2]]
    whole = events_of([[(104, 1), (101, 2)], [], [(7, 0)]])
    assert packed(whole, 3, start="first").events(0)[0].tolist() == [0, 3]
    assert packed(whole, 3, start=100.0).events(0)[0].tolist() == [1, 4]


def test_times_need_a_step_and_events_fitting_counts() -> None:
    channels = np.zeros(2, int)
    events = Events(counts=np.array([2]), times_ms=np.zeros(2), channels=channels)
    with pytest.raises(DataError, match="dt_ms > 0, got None"):
        packed(events, 1)
    with pytest.raises(DataError, match="counts add up to 3, but there are 2 times and 2 channels"):
        Events(counts=np.array([3]), times_ms=np.zeros(2), channels=channels)
    with pytest.raises(DataError, match="either times_ms, values or steps"):
        Events(counts=np.array([2]), channels=channels)
    as_list: Any = [1.0, 2.0]
    with pytest.raises(DataError, match="times_ms must be a NumPy array, got a list"):
        Events(counts=np.array([2]), times_ms=as_list, channels=channels)
    with pytest.raises(DataError, match="steps must be integers, got float64"):
        Events(counts=np.array([2]), steps=np.zeros(2), channels=channels)


def test_splits_must_fit_together() -> None:
    data, other = packed(events_of([[(1, 1)]]), 1), packed(events_of([[]]), 1, n_channels=7)
    train = Split(name="train", data=data, examples=np.array([0]))
    with pytest.raises(DataError, match="n_channels is 5 in train and 7 in test"):
        Splits(train=train, test=Split(name="test", data=other, examples=np.array([0])))
    with pytest.raises(DataError, match=r"examples must be 0 .. 0, got 1 .. 1"):
        Split(name="train", data=data, examples=np.array([1]))
    with pytest.raises(DataError, match="the training split is empty"):
        Splits(train=Split(name="train", data=data, examples=np.array([], np.int64)))
