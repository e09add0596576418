"""From events (time, channel) of each example to SpikeData: bin to steps, drop, merge, sort twice.

Works on blocks of about half a million events, so that a data set of any size needs little more
memory than its result. Each event becomes one 32-bit key, step * 65536 + channel, and each example
is sorted by itself: NumPy sorts such vectors with SIMD instructions, which is some ten times faster
than an argsort over everything.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from snnrun.datasets.coverage import Coverage
from snnrun.datasets.spikes import Image, SpikeData, check_limits
from snnrun.datasets.store import growing
from snnrun.errors import DataError

BLOCK_EVENTS = 1 << 19  # events worked on at a time
BLOCK_POINTERS = 1 << 21  # and their step and channel counters
# Of a step: 0.3 ms / 0.1 ms is step 3, though the quotient is 2.9999999999999996
STEP_TOLERANCE = 1e-6
NOT_A_TIME = np.iinfo(np.int32).min
FARTHEST = np.iinfo(np.int32).max  # step of everything beyond it

Start = float | Literal["first"]


class ChannelError(DataError):
    """An event of a channel that the data are not said to have."""


@dataclass(frozen=True, kw_only=True)
class Events:
    """Events of consecutive examples, one after the other; exactly one kind of times is given.

    counts    [k]            events of each example
    channels  [sum(counts)]  integers
    times_ms  [sum(counts)]  times in ms, or
    values    [sum(counts)]  numbers from 0 to 1 that a latency code turns into times, or
    steps     [sum(counts)]  integer steps of the trial
    which     [sum(counts)]  integers, where many events have few times: the place of each event's
                             time in ``times_ms`` or ``values``, which are of any length then
    """

    counts: np.ndarray
    channels: np.ndarray
    times_ms: np.ndarray | None = None
    values: np.ndarray | None = None
    steps: np.ndarray | None = None
    which: np.ndarray | None = None

    def __post_init__(self) -> None:
        kinds = (self.times_ms, self.values, self.steps)
        given = [array for array in kinds if array is not None]
        if len(given) != 1:
            raise DataError("Events needs either times_ms, values or steps")
        for name, array in vars(self).items():
            if array is not None and not isinstance(array, np.ndarray):
                got = type(array).__name__
                raise DataError(
                    f"Events.{name} must be a NumPy array, got a {got}: numpy.array(...)"
                )
        for name in ("channels", "counts", "steps", "which"):
            array = getattr(self, name)
            if array is not None and array.dtype.kind not in "iu":
                raise DataError(f"Events.{name} must be integers, got {array.dtype}")
        times = given[0] if self.which is None else self.which
        total = int(np.sum(self.counts))
        if not len(times) == len(self.channels) == total or (self.counts < 0).any():
            raise DataError(
                f"Events: counts add up to {total}, but there are {len(times)} times "
                f"and {len(self.channels)} channels"
            )


def latency_ms(values: np.ndarray, input_ms: float, dt_ms: float) -> np.ndarray:
    """Return the time of the one spike that stands for each value in [0, 1], in ms.

        t = v (T - 4 d) + 2 d          T: input_ms, d: dt_ms

    so that the first and the last two steps stay free, as in genn_eventprop. Raises DataError where
    there are no more than four steps.
    """
    if not input_ms > 4 * dt_ms:
        raise DataError(
            f"{input_ms:g} ms of input with DT_MS={dt_ms:g} are too short for the latency code, "
            "which needs more than four steps; see dataset.input_ms and TRIAL_MS"
        )
    return np.asarray(values, np.float64) * (input_ms - 4 * dt_ms) + 2 * dt_ms


def to_steps(times_ms: np.ndarray, dt_ms: float) -> np.ndarray:
    """Return the step of each time: floor(t / dt + 1e-6), int32.

    Steps that have no place in 32 bits become the farthest ones that have, -2,147,483,647 and
    2,147,483,647. NaN and infinite times give NOT_A_TIME.
    """
    quotient = np.floor(np.asarray(times_ms, np.float64) / dt_ms + STEP_TOLERANCE)
    missing = ~np.isfinite(quotient)
    if missing.any():
        quotient[missing] = 0
    steps = np.clip(quotient, -FARTHEST, FARTHEST).astype(np.int32)
    steps[missing] = NOT_A_TIME
    return steps


def pack(
    blocks: Events | Iterable[Events],
    *,
    labels: np.ndarray,
    n_steps: int,
    n_channels: int,
    n_classes: int,
    dt_ms: float | None = None,
    merge: bool = True,
    speakers: np.ndarray | None = None,
    class_names: tuple[str, ...] = (),
    source: str = "the data",
    at_most_events: int = 0,
    start: Start = 0.0,
    image: Image | None = None,
    input_ms: float | None = None,
    on_disk: Path | None = None,
) -> SpikeData:
    """Return the SpikeData of all examples in ``blocks``.

    blocks   one Events, or any iterable of them (a generator keeps memory small); the order is kept
    dt_ms    length of a step in ms; needed where blocks give times_ms
    merge    events of one channel in one step count once (True) or as many as there are (False)
    source   names the data in messages
    at_most_events  a bound on the number of events, where one is known: room is then reserved once
             (room that is not used costs no memory) and never moved
    start    time of the source (ms, or steps where those are given) at which a trial begins, or
             "first": at the first event of each example (dataset.start)
    image    (rows, columns, channels of a pixel) where channels are pixels, row by row
    input_ms  part of the trial that the latency code of values takes; by default all of it
    on_disk  folder for files that hold the events and where they start, instead of memory

    Events outside the trial are dropped and counted, and ``coverage`` says where they lie. Raises
    DataError for times that are no numbers or infinite, channels that do not exist, labels out of
    range, or a number of examples other than of labels.
    """
    check_limits(n_steps, n_channels, n_classes)
    if image is not None and np.prod(image) != n_channels:
        raise DataError(f"{source}: an image of {image} has other than {n_channels} channels")
    labels = np.asarray(labels)
    if len(labels) and not 0 <= labels.min() <= labels.max() < n_classes:
        raise DataError(
            f"{source}: labels run from {labels.min()} to {labels.max()}, "
            f"but there are {n_classes} classes (0 to {n_classes - 1})"
        )
    if isinstance(blocks, Events):
        at_most_events, blocks = len(blocks.channels), [blocks]
    packer = _Packer(len(labels), n_steps, n_channels, merge, source, at_most_events, on_disk)
    clock = Clock(dt_ms, start, input_ms, n_steps)
    for block in blocks:
        packer.check(block)
        times, unit = clock.read(block)
        for counts, begin, end in _pieces(block.counts, n_steps + n_channels):
            moved = _from_start(times[begin:end], counts, start)
            packer.add(counts, moved, block.channels[begin:end], unit)
    return packer.finish(n_classes, labels, speakers, class_names, image)


class Clock:
    """Tells the times of events; steps of a table of times are found once for all blocks."""

    def __init__(
        self, dt_ms: float | None, start: Start, input_ms: float | None, n_steps: int
    ) -> None:
        self.dt_ms, self.start, self.n_steps = dt_ms, start, n_steps
        self.input_ms = input_ms or n_steps * (dt_ms or 0.0)
        self.table = self.steps = np.zeros(0)

    def read(self, block: Events) -> tuple[np.ndarray, float]:
        """Return the times of a block's events, and the length of a step: in ms, or 1 for steps."""
        if block.steps is not None:
            return block.steps, 1.0
        times = block.values if block.times_ms is None else block.times_ms
        assert times is not None  # Events.__post_init__ lets none through
        if block.which is not None and self.start == 0:
            if self.table is not times:
                self.table, self.steps = times, to_steps(self._ms(block, times), self._step())
            return self.steps.take(block.which), 1.0
        known = self._ms(block, times)
        return known if block.which is None else known.take(block.which), self._step()

    def _ms(self, block: Events, times: np.ndarray) -> np.ndarray:
        return times if block.values is None else latency_ms(times, self.input_ms, self._step())

    def _step(self) -> float:
        if self.dt_ms is None or not self.dt_ms > 0:
            raise DataError(f"times in ms need a step of dt_ms > 0, got {self.dt_ms}")
        return self.dt_ms


def _from_start(times: np.ndarray, counts: np.ndarray, start: Start) -> np.ndarray:
    """Return the times counted from where each example's trial begins."""
    if start == 0 or not len(times):
        return times
    if start == "first":
        ends = np.concatenate([[0], np.cumsum(counts, dtype=np.int64)])
        filled = np.flatnonzero(counts)
        begins = np.minimum.reduceat(times, ends[filled])
        return times - np.repeat(begins, counts[filled])
    if times.dtype.kind in "iu":
        return times.astype(np.int64) - round(start)
    return times - start


def _pieces(counts: np.ndarray, pointers: int) -> Iterator[tuple[np.ndarray, int, int]]:
    """Cut a block into runs of whole examples that keep within both block limits."""
    ends = np.concatenate([[0], np.cumsum(counts, dtype=np.int64)])
    first, most = 0, max(1, BLOCK_POINTERS // pointers)
    while first < len(counts):
        full = int(np.searchsorted(ends, ends[first] + BLOCK_EVENTS, side="right")) - 1
        last = min(max(full, first + 1), first + most, len(counts))
        yield counts[first:last], int(ends[first]), int(ends[last])
        first = last


class _Packer:
    """The arrays of a SpikeData while they grow."""

    def __init__(
        self,
        n: int,
        n_steps: int,
        n_channels: int,
        merge: bool,
        source: str,
        room: int,
        on_disk: Path | None,
    ) -> None:
        self.n_steps, self.n_channels, self.merge, self.source = n_steps, n_channels, merge, source
        self.offsets = np.zeros(n + 1, np.int64)
        self.step_pointers, self.channel_pointers = (
            growing(np.uint32, n * width, on_disk, (width,))
            for width in (n_steps + 1, n_channels + 1)
        )
        self.channel_by_step, self.step_by_channel = (
            growing(np.uint16, room, on_disk) for _ in range(2)
        )
        self.done = self.announced = self.outside = self.merged = 0
        nothing = np.full(n, np.nan)
        self.coverage = Coverage(source=source, steps=n_steps, first=nothing, last=nothing.copy())

    def check(self, block: Events) -> None:
        """Refuse a block whose numbers cannot be right, before any of it is used."""
        n = len(self.offsets) - 1
        self.announced += len(block.counts)
        if self.announced > n:
            raise DataError(f"{self.source}: there are more examples than the {n} labels")
        if len(block.channels):
            lowest, highest = block.channels.min(), block.channels.max()
            if lowest < 0 or highest >= self.n_channels:
                raise ChannelError(
                    f"{self.source}: channels run from {lowest} to {highest}, "
                    f"but there are {self.n_channels} (0 to {self.n_channels - 1})"
                )

    def add(self, counts: np.ndarray, times: np.ndarray, channels: np.ndarray, dt: float) -> None:
        """Append the examples whose events are given one after the other, times in units of dt."""
        k, first = len(counts), self.done
        ends = np.concatenate([[0], np.cumsum(counts, dtype=np.int64)])
        steps = self._steps(times, dt, ends)
        keys = steps.astype(np.uint32)
        np.left_shift(keys, 16, out=keys)
        np.bitwise_or(keys, channels, out=keys, casting="unsafe")
        outside = (steps >= self.n_steps) | (steps < 0)
        all_ends = ends
        keys, ends, gone = _without(keys, ends, outside)
        self.outside += gone
        _sort_each(keys, ends)
        if gone:
            before = int(np.count_nonzero(steps < 0))
            exact = times if dt == 1.0 else times / dt
            self.coverage.add_outside(first, exact, all_ends, before, gone - before)
        else:
            self.coverage.add_inside(first, keys, ends)
        if self.merge and len(keys):
            again = np.empty(len(keys), bool)
            again[0] = False
            np.equal(keys[1:], keys[:-1], out=again[1:])
            again[ends[:-1][ends[:-1] < len(keys)]] = False  # first of an example: another trial
            keys, ends, gone = _without(keys, ends, again)
            self.merged += gone
        self.channel_by_step.append(keys & 0xFFFF)
        self.step_pointers.append(starts_of(keys >> 16, ends, self.n_steps))
        turned = (keys << 16) | (keys >> 16)
        _sort_each(turned, ends)
        self.step_by_channel.append(turned & 0xFFFF)
        self.channel_pointers.append(starts_of(turned >> 16, ends, self.n_channels))
        self.offsets[first + 1 : first + k + 1] = self.offsets[first] + ends[1:]
        self.done += k

    def _steps(self, times: np.ndarray, dt: float, ends: np.ndarray) -> np.ndarray:
        """Return the step of each time; DataError names the example of one that has none."""
        steps = times if times.dtype.kind in "iu" and dt == 1.0 else to_steps(times, dt)
        if steps.dtype == np.int32 and (steps == NOT_A_TIME).any():
            where = np.searchsorted(ends, np.flatnonzero(steps == NOT_A_TIME)[0], side="right") - 1
            raise DataError(
                f"{self.source}: example {self.done + where} has a time that is not a number, or "
                "infinite (16-bit floats hold none above 65,504)"
            )
        return steps

    def finish(
        self,
        n_classes: int,
        labels: np.ndarray,
        speakers: np.ndarray | None,
        class_names: tuple[str, ...],
        image: Image | None,
    ) -> SpikeData:
        """Return the SpikeData; its arrays are read-only from here on."""
        if self.done != len(labels):
            raise DataError(f"{self.source}: {self.done} examples, but {len(labels)} labels")
        labels = labels.astype(np.int32)
        speakers = None if speakers is None else np.asarray(speakers).astype(np.int32)
        for array in (self.offsets, labels, speakers):
            if array is not None:
                array.flags.writeable = False
        return SpikeData(
            n_steps=self.n_steps,
            n_channels=self.n_channels,
            n_classes=n_classes,
            offsets=self.offsets,
            step_pointers=self.step_pointers.finished(),
            channel_by_step=self.channel_by_step.finished(),
            channel_pointers=self.channel_pointers.finished(),
            step_by_channel=self.step_by_channel.finished(),
            labels=labels,
            speakers=speakers,
            class_names=class_names,
            dropped=self.outside + self.merged,
            merged=self.merged,
            image=image,
            coverage=self.coverage,
        )


def _without(
    keys: np.ndarray, ends: np.ndarray, unwanted: np.ndarray
) -> tuple[np.ndarray, np.ndarray, int]:
    """Return keys and example ends without the unwanted ones, and how many those were."""
    places = np.flatnonzero(unwanted)
    if not len(places):
        return keys, ends, 0
    return keys[~unwanted], ends - np.searchsorted(places, ends), len(places)


def _sort_each(keys: np.ndarray, ends: np.ndarray) -> None:
    for start, stop in zip(ends[:-1].tolist(), ends[1:].tolist(), strict=True):
        keys[start:stop].sort()


def starts_of(values: np.ndarray, ends: np.ndarray, m: int) -> np.ndarray:
    """Return where each value, 0 .. m - 1, starts in its example: uint32 [k, m + 1]."""
    k = len(ends) - 1
    index = np.repeat(np.arange(k, dtype=np.int64) * m, np.diff(ends))
    index += values
    counts = np.bincount(index, minlength=k * m).reshape(k, m)
    pointers = np.zeros((k, m + 1), np.uint32)
    np.cumsum(counts, axis=1, out=pointers[:, 1:])
    return pointers
