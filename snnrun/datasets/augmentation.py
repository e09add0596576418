"""Random changes of training examples: what the entries of AUGMENTATION do to a Block.

Each function takes a block, its argument, and one random generator per example, so that what
happens to an example depends on nothing but its own generator. Events that leave the trial or the
channels are removed. Source: Nowotny, Turner & Knight 2025, arXiv 2212.01232.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from snnrun.datasets.block import Block, overlaid

Generators = Sequence[np.random.Generator]
Change = Callable[[Block, Any, Generators], Block]


def random_shift(block: Block, limit: float, random: Generators) -> Block:
    """Shift all channels of an example by one whole number.

    It is uniform(-limit, limit) without its fraction, as in the reference. So for a whole limit all
    numbers of a size below it are equally likely, but for 0, which is so twice as much.
    """
    shifts = np.array([int(r.uniform(-limit, limit)) for r in random], np.int32)
    return replace(block, channels=block.channels + block.each(shifts)).cropped()


def image_shift(block: Block, limit: float, random: Generators) -> Block:
    """Shift an image by whole pixels along its columns and along its rows.

    Both numbers are drawn as that of ``random_shift``. What leaves the image is removed.
    """
    assert block.image is not None  # recipe_of lets nothing else through
    rows, columns, depth = block.image
    drawn = np.trunc([r.uniform(-limit, limit, 2) for r in random]).astype(np.int32)
    down, right = (block.each(shift) for shift in drawn.reshape(-1, 2).T)
    pixels, channel = np.divmod(block.channels, depth)
    row, column = pixels // columns + down, pixels % columns + right
    inside = (row >= 0) & (row < rows) & (column >= 0) & (column < columns)
    moved = (row * columns + column) * depth + channel
    return replace(block, channels=moved.astype(np.int32)).kept(inside)


def random_dilate(block: Block, factors: Sequence[float], random: Generators) -> Block:
    """Multiply all times of an example by one factor, log-uniform between the two ``factors``.

    An event stands for the middle of its step: step s becomes floor((s + 1/2) factor).
    """
    least, most = np.log(factors[0]), np.log(factors[1])
    drawn = np.exp([r.uniform(least, most) for r in random])
    times = (block.steps + 0.5) * block.each(drawn)
    np.minimum(times, block.n_steps, out=times)  # any that large is removed, and fits 32 bits
    return replace(block, steps=times.astype(np.int32)).cropped()


def id_jitter(block: Block, sd: float, random: Generators) -> Block:
    """Add to the channel of each event a normal number of deviation ``sd``, rounded."""
    drawn = [r.standard_normal(n, np.float32) for r, n in _each(block, random)]
    noise = np.rint(np.concatenate(drawn) * np.float32(sd)).astype(np.int32)
    return replace(block, channels=block.channels + noise, ordered=False).cropped()


def thin(block: Block, target: float, random: Generators) -> Block:
    """Keep each event with one probability, such that ``target`` events are left on average."""
    share = np.minimum(1.0, target / np.maximum(block.counts, 1))
    return _sparse(block, share, random)


def blend(sources: Sequence[Block], shares: Sequence[float], random: Generators) -> Block:
    """Make each example of the events of several, one from each block of ``sources``.

    The examples are shifted by whole steps and channels such that their mean step and mean channel
    are, but for rounding, those of the first; each event of source i is kept with the probability
    ``shares[i]``. Examples without events stay as they are.
    """
    first_step, first_channel = (_means(sources[0], events) for events in ("steps", "channels"))
    parts = []
    for source, share in zip(sources, shares, strict=True):
        by_steps = _distance(first_step, _means(source, "steps"))
        by_channels = _distance(first_channel, _means(source, "channels"))
        few = _sparse(source, np.full(len(source), share), random)
        moved = replace(
            few, steps=few.steps + few.each(by_steps), channels=few.channels + few.each(by_channels)
        )
        parts.append(moved.cropped())
    return overlaid(parts).sorted()


def _sparse(block: Block, share: np.ndarray, random: Generators) -> Block:
    """Keep each event of example i with the probability ``share[i]``."""
    drawn = [
        r.random(n, np.float32) < p for (r, n), p in zip(_each(block, random), share, strict=True)
    ]
    return block.kept(np.concatenate(drawn))


def _each(block: Block, random: Generators) -> Sequence[tuple[np.random.Generator, int]]:
    return list(zip(random, block.counts.tolist(), strict=True))


def _means(block: Block, events: str) -> np.ndarray:
    """Return the mean step or channel of each example, NaN where it has no events."""
    values = getattr(block, events)
    totals = np.concatenate([[0], np.cumsum(values, dtype=np.int64)])
    with np.errstate(invalid="ignore"):
        return np.diff(totals[block.ends]) / block.counts


def _distance(target: np.ndarray, mean: np.ndarray) -> np.ndarray:
    return np.rint(np.nan_to_num(target - mean)).astype(np.int32)


CHANGES: dict[str, Change] = {
    "random_shift": random_shift,
    "image_shift": image_shift,
    "random_dilate": random_dilate,
    "ID_jitter": id_jitter,
    "NORMALISE_SPIKE_NUMBER": thin,
}
