"""From what a data set holds to the steps and channels of a trial.

RESCALE_T and dataset.start say when events arrive, RESCALE_X on which channel.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from math import ceil
from pathlib import Path
from typing import Any

import numpy as np

from snnrun.datasets.block import take
from snnrun.datasets.declaration import Part
from snnrun.datasets.packing import ChannelError, Events, Start, pack, to_steps
from snnrun.datasets.spikes import Courses, SpikeData, Splits, Targets
from snnrun.datasets.store import growing
from snnrun.errors import DataError

# A small set in the layout of a public one may leave its last channels silent. With fewer than this
# share of its channels in use, the set has another number of them.
LEAST_USED = 0.75
EXAMPLES_AT_A_TIME = 512
CHANNEL_TOLERANCE = 1e-6  # 700 x 0.1 channels are 70, though the product is 70.00000000000001


@dataclass(frozen=True, kw_only=True)
class Grid:
    """The steps of a trial, by the clock of the data, which RESCALE_T makes slower or faster.

    Times that are binned by such steps are those of the data times RESCALE_T, rounded once. Inputs
    that are made by a latency code take RESCALE_T of their part of the trial.

    n_steps   steps of a trial
    dt_ms     length of a step
    start     time at which trials begin (ms), or "first": at the first event of each example
    input_ms  part of the trial that a latency code takes
    merge     several events of a channel in a step count as one
    on_disk   folder that holds the events, or None: they are in memory
    """

    n_steps: int
    dt_ms: float
    start: Start
    input_ms: float
    merge: bool
    on_disk: Path | None = None

    @classmethod
    def of(cls, config: Any) -> Grid:
        """Return the grid of a configuration."""
        options, input_ms = config.dataset, config.dataset.input_ms
        folder = config.DATA_ON_DISK
        if input_ms is not None and input_ms > config.TRIAL_MS:
            raise DataError(
                f"dataset.input_ms={input_ms:g} is longer than the trial, "
                f"TRIAL_MS={config.TRIAL_MS:g}"
            )
        start: Start = options.start
        return cls(
            n_steps=config.steps,
            dt_ms=config.DT_MS / config.RESCALE_T,
            start=start if isinstance(start, str) else start / config.RESCALE_T,
            input_ms=float(config.TRIAL_MS if input_ms is None else input_ms),
            merge=options.merge,
            on_disk=None if folder is None else Path(folder).expanduser(),
        )

    def put(self, part: Part) -> SpikeData:
        """Return the data of a part, with its number of channels counted where that is needed."""
        count = part.count_channels
        try:
            data = self._put(part, part.n_channels)
        except ChannelError:
            if count is None:
                raise
        else:
            few = count is not None and not _uses_most_channels(data)
            return self._with_channels(data, count()) if few else data  # type: ignore[misc]
        return self._put(part, count())

    def _put(self, part: Part, n_channels: int) -> SpikeData:
        return pack(
            part.blocks(),
            labels=part.labels,
            n_steps=self.n_steps,
            n_channels=n_channels,
            n_classes=part.n_classes,
            dt_ms=self.dt_ms,
            merge=self.merge,
            start=self.start,
            input_ms=self.input_ms,
            speakers=part.speakers,
            class_names=part.class_names,
            source=str(part.source),
            at_most_events=part.at_most_events,
            image=part.image,
            on_disk=self.on_disk,
        )

    def _with_channels(self, data: SpikeData, n_channels: int) -> SpikeData:
        """Return the data with as many channels; those that are left out have no events."""
        if n_channels >= data.n_channels:
            return data
        width = n_channels + 1
        pointers = growing(np.uint32, len(data) * width, self.on_disk, (width,))
        for first in range(0, len(data), EXAMPLES_AT_A_TIME):
            pointers.append(data.channel_pointers[first : first + EXAMPLES_AT_A_TIME, :width])
        return replace(data, n_channels=n_channels, channel_pointers=pointers.finished())

    def with_channels_rescaled(self, splits: Splits, factor: float) -> Splits:
        """Return the splits with channel floor(c RESCALE_X) for channel c."""
        if factor == 1.0:
            return splits
        done: dict[int, SpikeData] = {}
        parts: dict[str, Any] = {}
        for split in splits.all():
            key = id(split.data)
            if key not in done:
                done[key] = self._rescaled(split.data, factor)
            parts[split.name] = replace(split, data=done[key])
        before, after = splits.train.data.n_channels, parts["train"].data.n_channels
        description = f"{splits.description}; RESCALE_X: {before} channels to {after}"
        return replace(splits, **parts, description=description)

    def _rescaled(self, data: SpikeData, factor: float) -> SpikeData:
        n_channels = max(1, ceil(data.n_channels * factor - CHANNEL_TOLERANCE))
        exact = np.floor(np.arange(data.n_channels) * factor + CHANNEL_TOLERANCE).astype(np.int32)
        table = np.minimum(exact, n_channels - 1)

        def blocks() -> Iterator[Events]:
            for first in range(0, len(data), EXAMPLES_AT_A_TIME):
                block = take(data, np.arange(first, min(first + EXAMPLES_AT_A_TIME, len(data))))
                yield Events(counts=block.counts, steps=block.steps, channels=table[block.channels])

        moved = pack(
            blocks(),
            labels=data.labels,
            n_steps=data.n_steps,
            n_channels=n_channels,
            n_classes=data.n_classes,
            merge=self.merge,
            speakers=data.speakers,
            class_names=data.class_names,
            at_most_events=data.n_events,
            on_disk=self.on_disk,
        )
        return replace(
            moved,
            dropped=data.dropped + moved.merged,
            merged=data.merged + moved.merged,
            coverage=data.coverage,
            targets=data.targets,
            courses=data.courses,
        )

    def targets_of(self, part: Part) -> tuple[Targets | None, int]:
        """Return the targets, one spike a step and output at most, and how many lie outside."""
        if part.targets is None:
            return None, 0
        times, neurons = part.targets
        steps = to_steps(times, self.dt_ms).astype(np.int64)
        inside = steps < self.n_steps
        keys = np.unique(steps[inside] * part.n_classes + neurons[inside])
        if not len(keys):
            raise DataError("the target has no spike within the trial; is TRIAL_MS too short?")
        found = Targets(
            offsets=np.array([0, len(keys)], np.int64),
            steps=(keys // part.n_classes).astype(np.uint16),
            neurons=(keys % part.n_classes).astype(np.uint16),
        )
        return found, int((~inside).sum())

    def courses_of(self, part: Part) -> Courses | None:
        """Return the target courses of a part; DataError where they do not fit the trial."""
        if part.courses is None:
            return None
        courses, n = np.ascontiguousarray(part.courses, np.float32), len(part.labels)
        if courses.shape != (n, self.n_steps, part.n_classes):
            raise DataError(
                f"{part.source}: courses have the shape {courses.shape}, and must have "
                f"{(n, self.n_steps, part.n_classes)}: examples, steps of a trial (TRIAL_MS / "
                "DT_MS; a read() finds their number in request.steps), and outputs (n_classes)"
            )
        if not np.isfinite(courses).all():
            raise DataError(f"{part.source}: courses must be finite numbers")
        return Courses(values=courses, rows=np.arange(n))


def _uses_most_channels(data: SpikeData) -> bool:
    """Return whether any example has events beyond the channels that a smaller set would have."""
    pointers = data.channel_pointers
    return bool((pointers[:, -1] != pointers[:, int(LEAST_USED * data.n_channels) - 1]).any())
