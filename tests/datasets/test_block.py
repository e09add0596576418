"""Taking examples out of data and putting them together, against loops over single events."""

from __future__ import annotations

from dataclasses import fields

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from snnrun.datasets import Events, SpikeData, pack
from snnrun.datasets.block import Block, arranged, overlaid, take

STEPS, CHANNELS = 12, 7
Example = list[tuple[int, int]]  # (step, channel)

examples = st.lists(
    st.lists(st.tuples(st.integers(0, STEPS - 1), st.integers(0, CHANNELS - 1)), max_size=30),
    min_size=1,
    max_size=6,
)


def data_of(given: list[Example], *, merge: bool = True, channels: int = CHANNELS) -> SpikeData:
    flat = [event for example in given for event in example]
    return pack(
        Events(
            counts=np.array([len(example) for example in given]),
            steps=np.array([step for step, _ in flat], int),
            channels=np.array([channel for _, channel in flat], int),
        ),
        labels=np.arange(len(given)) % 3,
        n_steps=STEPS,
        n_channels=channels,
        n_classes=3,
        merge=merge,
    )


def block_of(given: list[Example]) -> Block:
    """Return a block whose events are in the order given, which is none."""
    flat = [event for example in given for event in example]
    return Block(
        n_steps=STEPS,
        n_channels=CHANNELS,
        counts=np.array([len(example) for example in given]),
        steps=np.array([step for step, _ in flat], np.int32),
        channels=np.array([channel for _, channel in flat], np.int32),
        ordered=False,
    )


def events_of(block: Block) -> list[Example]:
    return [
        list(zip(block.steps[at].tolist(), block.channels[at].tolist(), strict=True))
        for at in block.slices()
    ]


def assert_same_data(one: SpikeData, other: SpikeData) -> None:
    for field in fields(SpikeData):
        a, b = getattr(one, field.name), getattr(other, field.name)
        if isinstance(a, np.ndarray):
            assert a.dtype == b.dtype, field.name
            np.testing.assert_array_equal(a, b, err_msg=field.name)


@settings(deadline=None)
@given(examples, st.booleans())
def test_what_is_taken_and_packed_is_what_was_there(given: list[Example], merge: bool) -> None:
    data = data_of(given, merge=merge)
    order = np.arange(len(given))[::-1]
    packed = take(data, order).packed(data.labels[order], 3, merge)
    again = take(packed, order).packed(data.labels, 3, merge)
    assert_same_data(again, data)
    for example in order:
        for a, b in zip(packed.events(len(given) - 1 - example), data.events(example), strict=True):
            np.testing.assert_array_equal(a, b)


@settings(deadline=None)
@given(examples, st.booleans())
def test_a_block_in_any_order_is_packed_like_events(given: list[Example], merge: bool) -> None:
    expected = data_of(given, merge=merge)
    assert_same_data(block_of(given).packed(expected.labels, 3, merge), expected)


@settings(deadline=None)
@given(examples, st.integers(0, 4), st.integers(1, 7))
def test_a_delay_line_is_copies_with_channels_of_their_own(
    given: list[Example], copies: int, delay: int
) -> None:
    data = data_of(given)
    delayed = take(data, np.arange(len(data))).delayed(copies, delay)
    slow = [
        [
            (step + i * delay, channel + i * CHANNELS)
            for i in range(copies + 1)
            for step, channel in example
            if step + i * delay < STEPS
        ]
        for example in given
    ]
    expected = data_of(slow, channels=CHANNELS * (copies + 1))
    assert_same_data(delayed.packed(data.labels, 3, True), expected)


def test_cropping_removes_what_lies_outside_on_any_side() -> None:
    block = block_of([[(-1, 0), (0, -1), (0, 0)], [(STEPS, 0), (0, CHANNELS)], [(11, 6), (1, 1)]])
    assert events_of(block.cropped()) == [[(0, 0)], [], [(11, 6), (1, 1)]]


def test_overlaid_examples_hold_the_events_of_all() -> None:
    one = block_of([[(1, 1)], [], [(2, 2), (3, 3)]])
    other = block_of([[(4, 4), (5, 5)], [(6, 6)], []])
    assert events_of(overlaid([one, other])) == [
        [(1, 1), (4, 4), (5, 5)],
        [(6, 6)],
        [(2, 2), (3, 3)],
    ]


def test_arranged_examples_stand_in_the_order_asked_for() -> None:
    one, other = block_of([[(1, 1)], [(2, 2), (2, 3)]]), block_of([[(3, 3)], []])
    assert events_of(arranged([one, other], np.array([2, 1, 3, 0]))) == [
        [(3, 3)],
        [(2, 2), (2, 3)],
        [],
        [(1, 1)],
    ]


@pytest.mark.parametrize("wanted", [[True, False, True, True, False], [True] * 5, [False] * 5])
def test_kept_events_stay_with_their_example(wanted: list[bool]) -> None:
    given: list[Example] = [[(0, 0), (1, 1)], [], [(2, 2), (3, 3), (4, 4)]]
    left = iter(wanted)
    expected = [[event for event in example if next(left)] for example in given]
    assert events_of(block_of(given).kept(np.array(wanted))) == expected
