"""What the parts of a data set hold, for `snnrun data`: counted and checked from end to end."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from snnrun.datasets import read_parts
from snnrun.datasets.choice import Choice
from snnrun.datasets.declaration import DataSet, Part
from snnrun.datasets.grid import Grid
from snnrun.datasets.packing import Events, latency_ms
from snnrun.errors import DataError

if TYPE_CHECKING:
    from snnrun.config import Config


@dataclass(frozen=True, kw_only=True)
class Contents:
    """What a part holds before events are dropped or merged."""

    part: str
    examples: int
    classes: int  # 0 where outputs have targets instead
    outputs: int  # 0 where there are classes
    channels: int
    events: int
    least_events: int  # of an example
    most_events: int
    last_ms: float  # time of the last event of all
    speakers: tuple[int, ...] = ()


def contents_in(folder: Path, config: Config, dataset: DataSet) -> list[Contents]:
    """Return what all files in ``folder`` hold, or what is generated, after checking it."""
    choice = Choice.of(config) if dataset.generated else Choice.everything(config, dataset)
    parts, grid = read_parts(config, dataset, choice, folder), Grid.of(config)
    return [contents_of(name, part, grid) for name, part in parts.items()]


def contents_of(name: str, part: Part, grid: Grid) -> Contents:
    """Read all events of a part, and return what it holds; DataError where anything is wrong."""
    counts, last_ms = [np.zeros(0, np.int64)], 0.0
    for block in part.blocks():
        counts.append(block.counts)
        if len(block.channels):
            if block.channels.min() < 0:
                raise DataError(f"{part.source}: channels must be 0 or more")
            last_ms = max(last_ms, _last_ms(block, grid, str(part.source)))
    events = np.concatenate(counts)
    size = f" ({part.image[0]} x {part.image[1]} pixels)" if part.image else ""
    speakers = () if part.speakers is None else np.unique(part.speakers).tolist()
    aimed = part.targets is not None or part.courses is not None
    return Contents(
        part=f"{name}{size}",
        examples=len(part.labels),
        classes=0 if aimed else len(np.unique(part.labels)),
        outputs=part.n_classes if aimed else 0,
        channels=part.count_channels() if part.count_channels else part.n_channels,
        events=int(events.sum()),
        least_events=int(events.min(initial=events.max(initial=0))),
        most_events=int(events.max(initial=0)),
        last_ms=last_ms,
        speakers=tuple(speakers),
    )


def _last_ms(block: Events, grid: Grid, source: str) -> float:
    """Return the time of the last event of a block; DataError where one has none."""
    if block.steps is not None:
        return float(block.steps.max()) * grid.dt_ms
    times = block.times_ms
    if block.values is not None:
        times = latency_ms(block.values, grid.input_ms, grid.dt_ms)
    assert times is not None  # Events lets none through
    known = times if block.which is None else times[np.unique(block.which)]
    if not np.isfinite(known).all():
        raise DataError(
            f"{source}: holds times that are not numbers, or infinite (16-bit floats hold none "
            "above 65,504)"
        )
    return float(known.max())
