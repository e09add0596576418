"""Spike data on the time grid: what every data set hands over and every backend reads."""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np

from snnrun.datasets.coverage import Coverage
from snnrun.datasets.store import read_ahead
from snnrun.errors import DataError
from snnrun.notice import Notice

Image = tuple[int, int, int]  # rows, columns, channels of a pixel
MAX_INDEX = 65_535  # steps and channels are stored in 16 bits


@dataclass(frozen=True, kw_only=True)
class Targets:
    """Spikes that the outputs should emit, example after example, by step and then by output.

    offsets  int64  [n+1]     example e owns the spikes offsets[e] .. offsets[e+1]
    steps    uint16 [spikes]  step in which each is due
    neurons  uint16 [spikes]  output that it is due from
    """

    offsets: np.ndarray
    steps: np.ndarray
    neurons: np.ndarray

    def of(self, example: int) -> tuple[np.ndarray, np.ndarray]:
        """Return (steps, neurons) of one example."""
        here = slice(self.offsets[example], self.offsets[example + 1])
        return self.steps[here], self.neurons[here]

    def problems(self, examples: int, n_steps: int, n_neurons: int) -> str:
        """Return what does not fit the data that they belong to, or an empty text."""
        if self.offsets.shape != (examples + 1,) or self.offsets.dtype != np.int64:
            return f"offsets must be int64 of shape ({examples + 1},)"
        for name, array, limit in (
            ("steps", self.steps, n_steps),
            ("neurons", self.neurons, n_neurons),
        ):
            if array.shape != (self.offsets[-1],) or array.dtype != np.uint16:
                return f"{name} must be uint16, one for each of {self.offsets[-1]} spikes"
            if len(array) and array.max() >= limit:
                return f"{name} must be 0 .. {limit - 1}, got {array.max()}"
        for example in range(examples):
            if (np.diff(self.steps[slice(*self.offsets[example : example + 2])]) < 0).any():
                return f"steps of example {example} must rise"
        return ""


@dataclass(frozen=True, kw_only=True)
class Courses:
    """Potentials that the outputs should have at the end of every step.

    values  float32 [m, n_steps, outputs]
    rows    int64 [n]: which of them example e has
    """

    values: np.ndarray
    rows: np.ndarray

    def of(self, examples: np.ndarray) -> np.ndarray:
        """Return those of some examples, float32 [len(examples), n_steps, outputs]."""
        return self.values[self.rows[examples]]

    def taken(self, examples: np.ndarray) -> Courses:
        """Return those of data that consist of these examples."""
        return Courses(values=self.values, rows=self.rows[examples])

    def problems(self, examples: int, n_steps: int, outputs: int) -> str:
        """Return what does not fit the data that they belong to, or an empty text."""
        if self.values.shape[1:] != (n_steps, outputs) or self.values.dtype != np.float32:
            return f"values must be float32 of shape [.., {n_steps}, {outputs}]"
        if self.rows.shape != (examples,) or self.rows.dtype != np.int64:
            return f"rows must be int64 of shape ({examples},)"
        if examples and not 0 <= self.rows.min() <= self.rows.max() < len(self.values):
            return f"rows must be 0 .. {len(self.values) - 1}"
        return ""


@dataclass(frozen=True, kw_only=True)
class SpikeData:
    """Input spikes of n examples, binned to steps and kept in both orders that a backend needs.

    Forward passes walk the events by step, gradients of input weights by channel. An event costs
    four bytes (two in each order). Within a step channels ascend, within a channel steps ascend; an
    entry stands twice where two events of one channel in one step were not merged.

    n_steps          steps of a trial; an event of step s arrives in step s, 0 <= s < n_steps
    n_channels       input channels
    n_classes        classes; labels are 0 .. n_classes - 1
    offsets          int64  [n+1]              example e owns the events offsets[e] .. offsets[e+1]
    step_pointers    uint32 [n, n_steps+1]     from offsets[e]: where each step starts
    channel_by_step  uint16 [events]           channels, sorted by (step, channel)
    channel_pointers uint32 [n, n_channels+1]  from offsets[e]: where each channel starts
    step_by_channel  uint16 [events]           steps, sorted by (channel, step)
    labels           int32  [n]
    speakers         int32  [n], or None where the data set knows none
    class_names      one name per class, or empty
    dropped          events of the source that are not here: outside the trial, or merged
    merged           those of them that fell on a step in which their channel had an event already
    coverage         where the events of the source lie in time, or None where that is not known
    image            (rows, columns, channels of a pixel) where the channels are those of an image,
                     pixel by pixel along its rows, or None
    targets          spikes wanted of the outputs, where the task is a pattern: then labels are 0
                     and n_classes is the number of outputs
    courses          potentials wanted of the outputs, where the task is a regression: the same

    Raises DataError where shapes or types do not fit together.
    """

    n_steps: int
    n_channels: int
    n_classes: int
    offsets: np.ndarray
    step_pointers: np.ndarray
    channel_by_step: np.ndarray
    channel_pointers: np.ndarray
    step_by_channel: np.ndarray
    labels: np.ndarray
    speakers: np.ndarray | None = None
    class_names: tuple[str, ...] = ()
    dropped: int = 0
    merged: int = 0
    image: Image | None = None
    coverage: Coverage | None = None
    targets: Targets | None = None
    courses: Courses | None = None

    def __post_init__(self) -> None:
        check_limits(self.n_steps, self.n_channels, self.n_classes)
        n, events = len(self.labels), len(self.channel_by_step)
        shapes = {
            "offsets": ((n + 1,), np.int64),
            "step_pointers": ((n, self.n_steps + 1), np.uint32),
            "channel_by_step": ((events,), np.uint16),
            "channel_pointers": ((n, self.n_channels + 1), np.uint32),
            "step_by_channel": ((events,), np.uint16),
            "labels": ((n,), np.int32),
            "speakers": ((n,), np.int32),
        }
        for name, (shape, dtype) in shapes.items():
            array = getattr(self, name)
            if name == "speakers" and array is None:
                continue
            if array.shape != shape or array.dtype != dtype:
                raise DataError(
                    f"SpikeData.{name} must be {np.dtype(dtype)} of shape {shape}, "
                    f"got {array.dtype} of shape {array.shape}"
                )
        self._check_contents(events)
        for name, wanted in (("targets", self.targets), ("courses", self.courses)):
            if wanted and (problem := wanted.problems(n, self.n_steps, self.n_classes)):
                raise DataError(f"SpikeData.{name}: {problem}")

    def _check_contents(self, events: int) -> None:
        counts = np.diff(self.offsets)
        if self.offsets[0] != 0 or self.offsets[-1] != events or (counts < 0).any():
            raise DataError(f"SpikeData.offsets must rise from 0 to the {events} events")
        for name in ("step_pointers", "channel_pointers"):
            pointers = getattr(self, name)
            if (pointers[:, 0] != 0).any() or (pointers[:, -1] != counts).any():
                raise DataError(f"SpikeData.{name} must run from 0 to the events of each example")
        if len(self.labels) and not 0 <= self.labels.min() <= self.labels.max() < self.n_classes:
            raise DataError(
                f"SpikeData.labels must be 0 .. {self.n_classes - 1}, "
                f"got {self.labels.min()} .. {self.labels.max()}"
            )
        if self.class_names and len(self.class_names) != self.n_classes:
            raise DataError(
                f"SpikeData.class_names has {len(self.class_names)} names for {self.n_classes} "
                f"classes"
            )
        if not 0 <= self.merged <= self.dropped:
            raise DataError(f"SpikeData: merged={self.merged} must be 0 .. dropped={self.dropped}")

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the channels: that of an image, or else those of one line."""
        return self.image or (self.n_channels, 1)

    @property
    def n_events(self) -> int:
        """Events of all examples together."""
        return len(self.channel_by_step)

    @property
    def outside(self) -> int:
        """Events of the source that were dropped because they lie outside the trial."""
        return self.dropped - self.merged

    @property
    def n_bytes(self) -> int:
        """Memory that the arrays take, in bytes."""
        arrays = [getattr(self, field.name) for field in fields(self)]
        if self.courses is not None:
            arrays += [self.courses.values, self.courses.rows]
        return sum(array.nbytes for array in arrays if isinstance(array, np.ndarray))

    @property
    def on_disk(self) -> bool:
        """Whether the events, and where they start, are on a disk and not in memory."""
        return isinstance(self.step_pointers, np.memmap)

    def read_ahead(
        self, examples: np.ndarray, by_step: bool = True, by_channel: bool = True
    ) -> None:
        """Have the system read examples that are on a disk, in the orders in which they are used.

        It does so while this process goes on. Without it each page is waited for.
        """
        first, last = self.offsets[examples], self.offsets[examples + 1]
        if by_step:
            read_ahead(self.step_pointers, examples, examples + 1)
            read_ahead(self.channel_by_step, first, last)
        if by_channel:
            read_ahead(self.channel_pointers, examples, examples + 1)
            read_ahead(self.step_by_channel, first, last)

    def events(self, example: int) -> tuple[np.ndarray, np.ndarray]:
        """Return (steps, channels) of one example, sorted by (step, channel)."""
        start, stop = self.offsets[example], self.offsets[example + 1]
        per_step = np.diff(self.step_pointers[example].astype(np.int64))
        steps = np.repeat(np.arange(self.n_steps, dtype=np.uint16), per_step)
        return steps, self.channel_by_step[start:stop]


@dataclass(frozen=True, kw_only=True)
class Split:
    """A named part of a SpikeData: ``examples`` are int64 indices into ``data``."""

    name: str
    data: SpikeData
    examples: np.ndarray  # int64 [len(self)]

    def __post_init__(self) -> None:
        examples = self.examples
        if examples.dtype != np.int64 or examples.ndim != 1:
            raise DataError(f"Split {self.name}: examples must be a vector of int64 indices")
        if len(examples) and not 0 <= examples.min() <= examples.max() < len(self.data):
            raise DataError(
                f"Split {self.name}: examples must be 0 .. {len(self.data) - 1}, "
                f"got {examples.min()} .. {examples.max()}"
            )

    def __len__(self) -> int:
        return len(self.examples)

    @property
    def labels(self) -> np.ndarray:
        """Labels of the split, int32 [len(self)]."""
        return self.data.labels[self.examples]


@dataclass(frozen=True, kw_only=True)
class Splits:
    """What a run needs of a data set. Validation and test are None where there are none."""

    train: Split
    validation: Split | None = None
    test: Split | None = None
    description: str = ""
    notices: tuple[Notice, ...] = ()  # what its user should know of the data

    def __post_init__(self) -> None:
        if not len(self.train):
            raise DataError("the training split is empty: N_TRAIN must leave at least one example")
        for split in self.all():
            for size in ("n_steps", "n_channels", "n_classes"):
                got, expected = getattr(split.data, size), getattr(self.train.data, size)
                if got != expected:
                    raise DataError(
                        f"the splits do not fit together: {size} is {expected} in train "
                        f"and {got} in {split.name}"
                    )

    def all(self) -> tuple[Split, ...]:
        """Return the splits that there are: train, then validation, then test."""
        return tuple(s for s in (self.train, self.validation, self.test) if s is not None)

    @property
    def in_memory(self) -> int:
        """Memory that the data take which are not on a disk, in bytes."""
        data = {id(split.data): split.data for split in self.all()}.values()
        return sum(each.n_bytes for each in data if not each.on_disk)


def left_out(*files: SpikeData) -> str:
    """Return what became of the events that are not used, as it goes on after those that are."""
    outside, merged = (sum(getattr(d, name) for d in files) for name in ("outside", "merged"))
    text = f", {outside:,} beyond the trial were dropped" if outside else ""
    return text + (f", {merged:,} merged (same channel and step)" if merged else "")


def check_limits(n_steps: int, n_channels: int, n_classes: int) -> None:
    """Raise DataError unless steps and channels fit into 16 bits and there is a class."""
    if not 1 <= n_steps <= MAX_INDEX:
        raise DataError(
            f"a trial of {n_steps} steps cannot be stored: 1 to {MAX_INDEX} are allowed. "
            "Choose a shorter TRIAL_MS or a larger DT_MS"
        )
    if not 1 <= n_channels <= MAX_INDEX:
        raise DataError(
            f"{n_channels} input channels cannot be stored: 1 to {MAX_INDEX} are allowed"
        )
    if n_classes < 1:
        raise DataError(f"a data set needs at least one class, got {n_classes}")
