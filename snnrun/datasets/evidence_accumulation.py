"""Cues on the left and on the right, and after a delay the question of which there were more.

A quarter of the channels each is active for cues on the left, for cues on the right, for the recall
at the end of the trial, and as noise throughout. Each trial has a side with cues more likely than
on the other (dataset.minority); the class is the side that had more cues, left (0) or right (1),
and left where both had as many. Spikes are Poisson.

Source of the task: Bellec et al. 2020, doi:10.1038/s41467-020-17236-y, Fig. 3, and the authors'
code, generate_click_task_data.

Streams, one for each example: TRAIN_DATA_SEED "evidence_accumulation train"; TEST_DATA_SEED
"evidence_accumulation test" and "evidence_accumulation validation". A larger set begins with the
smaller one of the same seed.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from snnrun.datasets.declaration import DataSet, Part, Request
from snnrun.datasets.packing import Events
from snnrun.streams import stream

CLASS_NAMES = ("left", "right")
RECALL, NOISE = 2, 3  # quarters of the channels; before them those of the classes


def read(request: Request) -> dict[str, Part]:
    """Generate the parts, of the sizes asked for."""
    return {
        name: _part(request.sizes[name] or 0, request, request.seeds[name], name)
        for name in request.parts
    }


def _part(n: int, request: Request, seed: int, name: str) -> Part:
    made = [
        _example(request, stream(seed, f"evidence_accumulation {name}", number))
        for number in range(n)
    ]
    times, channels, labels = zip(*made, strict=True) if made else ((), (), ())
    events = Events(
        counts=np.array([len(each) for each in times], np.int64),
        times_ms=np.concatenate([np.empty(0), *times]),
        channels=np.concatenate([np.empty(0, np.int64), *channels]),
    )
    return Part(
        events=events,
        labels=np.array(labels, np.int64),
        n_channels=request.options.channels,
        n_classes=len(CLASS_NAMES),
        class_names=CLASS_NAMES,
        source="evidence_accumulation",
    )


def _example(request: Request, random: np.random.Generator) -> tuple[np.ndarray, np.ndarray, int]:
    """Return times (ms) and channels of the spikes of a trial, and its class."""
    options: Any = request.options
    right = random.choice((options.minority, 1 - options.minority))
    sides = (random.random(options.cues) < right).astype(int)
    begins = options.gap_ms + np.arange(options.cues) * (options.cue_ms + options.gap_ms)
    quarters = np.array([*sides, RECALL, NOISE])
    starts = np.array([*begins, request.trial_ms - options.recall_ms, 0.0])
    lengths = np.array([*[options.cue_ms] * options.cues, options.recall_ms, request.trial_ms])
    rates = np.array([*[options.rate] * (options.cues + 1), options.background])
    size = options.channels // len({*range(len(CLASS_NAMES)), RECALL, NOISE})
    counts = random.poisson((rates * lengths / 1000.0)[:, None], (len(rates), size))
    period = np.repeat(np.arange(len(rates)), counts.sum(axis=1))
    channels = np.repeat((quarters[:, None] * size + np.arange(size)).ravel(), counts.ravel())
    times = starts[period] + random.random(len(period)) * lengths[period]
    return times, channels, int(2 * sides.sum() > options.cues)


EVIDENCE_ACCUMULATION = DataSet(
    name="evidence_accumulation",
    title="Cues left or right, of which were more? (Bellec et al. 2020, Nat Commun 11:3625)",
    read=read,
    generated=True,
    made_for_trial=True,
)
