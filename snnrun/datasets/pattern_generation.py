"""One frozen input, and target courses of the outputs' potentials, sums of sinusoids (generated).

The input is a clock: dataset.groups groups of channels are active one after the other, with spikes
at equal intervals or Poisson noise; with one group all channels are active all the time. The target
of each output is a sum of sinusoids with dataset.cycles whole cycles in a trial, amplitudes that
are drawn evenly from 0.5 to 2 and phases from 0 to 2 pi, moved to start from 0 and scaled to a
largest absolute value of 1.

Source of the task: Bellec et al. 2020, doi:10.1038/s41467-020-17236-y, and the authors' code,
tutorial_pattern_generation.py, with Poisson noise (dataset.groups=1 dataset.regular=false
dataset.channels=100 dataset.rate=50 dataset.outputs=1).

Streams of TRAIN_DATA_SEED: "pattern_generation input", "pattern_generation target".
"""

from __future__ import annotations

import numpy as np

from snnrun.datasets.declaration import DataSet, Part, Request
from snnrun.datasets.packing import Events
from snnrun.errors import DataError
from snnrun.streams import stream


def read(request: Request) -> dict[str, Part]:
    """Return the pattern, the same for every part."""
    options, seed = request.options, request.seeds["train"]
    times, channels = _input(request)
    if not len(times):
        raise DataError(
            f"dataset pattern_generation: dataset.rate={options.rate:g} makes no spike in the "
            f"{request.trial_ms:g} ms of a trial; give it a larger value"
        )
    part = Part(
        events=Events(counts=np.array([len(times)]), times_ms=times, channels=channels),
        labels=np.zeros(1, np.int32),
        n_channels=options.channels,
        n_classes=options.outputs,
        source="pattern_generation",
        courses=_target(request)[None],
        about=f"target of {len(options.cycles)} sinusoids per output, seed {seed}",
    )
    return dict.fromkeys(request.parts, part)


def _input(request: Request) -> tuple[np.ndarray, np.ndarray]:
    """Return the times (ms) and channels of the input's spikes."""
    options = request.options
    size, active_ms = options.channels // options.groups, request.trial_ms / options.groups
    interval_ms = 1000.0 / options.rate
    random = stream(request.seeds["train"], "pattern_generation input")
    times, channels = [], []
    for group in range(options.groups):
        if options.regular:
            counts = np.full(size, int(np.ceil(active_ms / interval_ms - 1e-9)))
            within = np.tile(np.arange(counts[0]) * interval_ms, size)
        else:
            counts = random.poisson(active_ms / interval_ms, size)
            within = random.random(counts.sum()) * active_ms
        times.append(group * active_ms + within)
        channels.append(np.repeat(group * size + np.arange(size), counts))
    return np.concatenate(times), np.concatenate(channels)


def _target(request: Request) -> np.ndarray:
    """Return the target courses [steps, outputs]."""
    cycles, outputs = np.array(request.options.cycles), request.options.outputs
    random = stream(request.seeds["train"], "pattern_generation target")
    drawn = random.random((outputs, 2, len(cycles)))
    amplitudes, phases = 0.5 + 1.5 * drawn[:, 0], 2 * np.pi * drawn[:, 1]
    turns = 2 * np.pi * np.arange(request.steps) / request.steps
    waves = np.sin(turns[:, None, None] * cycles + phases)  # [steps, outputs, sinusoids]
    course = (waves * amplitudes).sum(axis=2)
    course -= course[0]
    return course / np.maximum(np.abs(course).max(axis=0), 1e-6)


PATTERN_GENERATION = DataSet(
    name="pattern_generation",
    title="One frozen input with target courses (Bellec et al. 2020, Nat Commun 11:3625)",
    read=read,
    generated=True,
    made_for_trial=True,
)
