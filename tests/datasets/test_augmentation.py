"""Each augmentation against a loop over single events that draws the same numbers."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from test_block import CHANNELS, STEPS, Example, block_of, events_of, examples

from snnrun.datasets.augmentation import (
    blend,
    id_jitter,
    image_shift,
    random_dilate,
    random_shift,
    thin,
)
from snnrun.streams import stream

seeds = st.integers(0, 10_000)


def generators(seed: int, count: int) -> list[np.random.Generator]:
    return [stream(seed, "test", 0, number) for number in range(count)]


def inside(events: Example) -> Example:
    return [(t, c) for t, c in events if 0 <= t < STEPS and 0 <= c < CHANNELS]


@settings(deadline=None)
@given(examples, seeds, st.floats(1.01, 9))
def test_shift_moves_all_channels_of_an_example_alike(
    given: list[Example], seed: int, limit: float
) -> None:
    found = random_shift(block_of(given), limit, generators(seed, len(given)))
    for events, changed, random in zip(
        given, events_of(found), generators(seed, len(given)), strict=True
    ):
        shift = math.trunc(random.uniform(-limit, limit))
        assert changed == inside([(t, c + shift) for t, c in events])


@settings(deadline=None)
@given(st.tuples(*[st.integers(1, 5)] * 3), st.data(), seeds, st.floats(1.01, 5))
def test_an_image_moves_along_its_rows_and_columns(
    image: tuple[int, int, int], data: st.DataObject, seed: int, limit: float
) -> None:
    rows, columns, depth = image
    places = st.tuples(*(st.integers(0, size - 1) for size in (STEPS, *image)))
    given = data.draw(st.lists(st.lists(places, max_size=20), min_size=1, max_size=4))
    flat = [[(t, (y * columns + x) * depth + p) for t, y, x, p in example] for example in given]
    block = replace(block_of(flat), image=image, n_channels=rows * columns * depth)
    found = image_shift(block, limit, generators(seed, len(given)))
    for events, changed, random in zip(
        given, events_of(found), generators(seed, len(given)), strict=True
    ):
        down, right = (math.trunc(shift) for shift in random.uniform(-limit, limit, 2))
        moved = [(t, y + down, x + right, p) for t, y, x, p in events]
        inside = [
            (t, (y * columns + x) * depth + p)
            for t, y, x, p in moved
            if 0 <= y < rows and 0 <= x < columns
        ]
        assert changed == inside


@settings(deadline=None)
@given(examples, seeds, st.floats(0.1, 1.0), st.floats(1.0, 20.0))
def test_dilation_multiplies_all_times_of_an_example_alike(
    given: list[Example], seed: int, least: float, most: float
) -> None:
    found = random_dilate(block_of(given), (least, most), generators(seed, len(given)))
    for events, changed, random in zip(
        given, events_of(found), generators(seed, len(given)), strict=True
    ):
        factor = np.exp(random.uniform(np.log(least), np.log(most)))
        assert changed == inside([(math.floor((t + 0.5) * factor), c) for t, c in events])


@settings(deadline=None)
@given(examples, seeds, st.floats(0.1, 9))
def test_jitter_moves_the_channel_of_each_event(given: list[Example], seed: int, sd: float) -> None:
    found = id_jitter(block_of(given), sd, generators(seed, len(given)))
    for events, changed, random in zip(
        given, events_of(found), generators(seed, len(given)), strict=True
    ):
        noise = random.standard_normal(len(events), np.float32) * np.float32(sd)
        assert changed == inside(
            [(t, c + round(float(n))) for (t, c), n in zip(events, noise, strict=True)]
        )


def mean(values: list[int]) -> float:
    return sum(values) / len(values)


@settings(deadline=None)
@given(
    st.lists(examples, min_size=2, max_size=3).filter(lambda x: len(set(map(len, x))) == 1), seeds
)
@pytest.mark.long
def test_blending_aligns_examples_and_keeps_shares_of_their_events(
    sources: list[list[Example]], seed: int
) -> None:
    shares = [0.3, 1.0, 0.6][: len(sources)]
    count = len(sources[0])
    blocks = [block_of(source) for source in sources]
    found = blend(blocks, shares, generators(seed, count))
    random = generators(seed, count)
    expected: list[Example] = [[] for _ in range(count)]
    for source, share in zip(sources, shares, strict=True):
        for i, (events, first) in enumerate(zip(source, sources[0], strict=True)):
            kept = random[i].random(len(events), np.float32) < share
            move = [0, 0]
            if events and first:
                centre, own = ([mean([e[k] for e in x]) for k in (0, 1)] for x in (first, events))
                move = [round(a - b) for a, b in zip(centre, own, strict=True)]
            moved = [(t + move[0], c + move[1]) for t, c in events]
            expected[i] += inside([e for e, keep in zip(moved, kept, strict=True) if keep])
    by_channel = [sorted(example, key=lambda e: (e[1], e[0])) for example in expected]
    assert events_of(found) == by_channel


def test_shifts_are_uniform_with_twice_as_many_zeros() -> None:
    block = block_of([[(0, 3)]] * 20_000)
    found = random_shift(block, 3, generators(1, 20_000))
    counts = np.bincount(found.channels, minlength=7) / 20_000
    np.testing.assert_allclose(counts, [0, 1 / 6, 1 / 6, 2 / 6, 1 / 6, 1 / 6, 0], atol=0.015)


def test_jitter_has_the_deviation_asked_for_and_events_move_by_themselves() -> None:
    block = block_of([[(0, 3)] * 20_000])
    moved = id_jitter(block, 0.8, generators(1, 1)).channels - 3
    assert abs(moved.mean()) < 0.03
    # rounding to whole channels adds 1/12 to the variance
    assert moved.std() == pytest.approx(math.sqrt(0.8**2 + 1 / 12), rel=0.03)


def test_factors_of_dilation_are_log_uniform() -> None:
    block = block_of([[(2, 0)]] * 20_000)
    found = random_dilate(block, (0.5, 2.0), generators(1, 20_000))
    # step 2 is 2.5 steps late; it stays in step 2 for factors from 2 / 2.5 to 3 / 2.5
    share = math.log(3 / 2) / math.log(4)
    assert (found.steps == 2).mean() == pytest.approx(share, abs=0.01)


def test_thinning_leaves_the_number_asked_for_on_average() -> None:
    sizes = [40, 10, 5, 0] * 500
    block = block_of([[(0, 0)] * size for size in sizes])
    counts = thin(block, 10.0, generators(1, len(sizes))).counts.reshape(-1, 4)
    np.testing.assert_allclose(counts.mean(axis=0), [10, 10, 5, 0], atol=0.4)
    assert counts[:, 0].std() == pytest.approx(math.sqrt(40 * 0.25 * 0.75), rel=0.1)
    assert (counts[:, 1:] == [10, 5, 0]).all()  # which have no more than that


def test_blending_examples_without_events_works() -> None:
    empty, full = block_of([[], []]), block_of([[(1, 1)], []])
    assert events_of(blend([empty, full], (1.0, 1.0), generators(1, 2))) == [[(1, 1)], []]
