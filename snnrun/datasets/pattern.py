"""One frozen pattern: input spikes, and the spikes that the outputs should emit.

The pattern is presented again and again; an epoch shows it N_TRAIN times. Its input is Poisson
noise, drawn once, or a file of spikes; its target a file of spikes, a picture, or a generated one:
dataset.target_spikes evenly spaced spikes of each output, later from one output to the next.

Source of the task: Zenke & Ganguli 2018, Neural Computation 30:1514.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from snnrun.datasets.declaration import DataSet
from snnrun.datasets.judgement import judged_target
from snnrun.datasets.packing import Events, pack, steps_of
from snnrun.datasets.raster import read_picture, read_ras, spikes_of_picture
from snnrun.datasets.spikes import Split, Splits, Targets
from snnrun.errors import DataError
from snnrun.streams import stream

# Published targets by the names of their files, which are not ours to hand on: where they are.
PUBLISHED = {
    "oxford-target.ras": "the Oxford target of Zenke & Ganguli 2018, themes/oxford-target.ras of "
    "https://github.com/fzenke/pub2018superspike",
}
Spikes = tuple[np.ndarray, np.ndarray]  # times (ms) and neurons


def read(config: Any) -> Splits:
    """Return the pattern, as often as N_TRAIN, N_VALIDATE and N_TEST ask for it."""
    (times, channels), of_input = _input(config)
    (due, outputs), of_target = _target(config)
    targets, lost = _on_the_grid(config, due, outputs)
    notices = judged_target(config, lost, len(due), of_target)
    packed = pack(
        Events(counts=np.array([len(times)]), times_ms=times, channels=channels),
        labels=np.zeros(1, np.int32),
        n_steps=config.steps,
        n_channels=config.dataset.channels,
        n_classes=config.dataset.outputs,
        dt_ms=config.DT_MS,
        source="pattern",
    )
    if not packed.n_events:
        raise DataError(
            f"dataset pattern: input {of_input}: there is no spike of {config.dataset.channels} "
            f"channels in the {config.TRIAL_MS:g} ms of a trial, so that nothing could be learned; "
            f"give {'TRIAL_MS' if config.dataset.input else 'dataset.rate'} a larger value"
        )
    data = replace(packed, targets=targets)

    def shown(name: str, count: int | None) -> Split | None:
        if not count:
            return None
        return Split(name=name, data=data, examples=np.zeros(count, np.int64))

    train = shown("train", config.N_TRAIN)
    if train is None:
        raise DataError(f"N_TRAIN={config.N_TRAIN}: give a number of trials of at least 1")
    return Splits(
        train=train,
        validation=shown("validation", config.N_VALIDATE),
        test=shown("test", config.N_TEST),
        notices=notices,
        description=f"pattern of {config.TRIAL_MS:g} ms: input {of_input}, {data.n_events} spikes "
        f"of {data.n_channels} channels{_left_out(data.outside)}; target {of_target}, "
        f"{len(targets.steps)} spikes of {data.n_classes} outputs{_left_out(lost)}",
    )


def _left_out(count: int) -> str:
    return f" ({count} after the trial's end are left out)" if count else ""


def _input(config: Any) -> tuple[Spikes, str]:
    """Return the input's spikes and what to say of them."""
    options = config.dataset
    if options.input is not None:
        path = Path(options.input).expanduser()
        times, channels = read_ras(path)
        if channels.max() >= options.channels:
            raise DataError(
                f"dataset.input={path}: there is a channel {channels.max()}, but "
                f"dataset.channels={options.channels} go from 0 to {options.channels - 1}"
            )
        return (times, channels), str(path)
    draw = stream(config.TRAIN_DATA_SEED, "pattern input")
    counts = draw.poisson(options.rate * config.TRIAL_MS / 1000.0, options.channels)
    times = draw.random(counts.sum()) * config.TRIAL_MS
    return (times, np.repeat(np.arange(options.channels), counts)), (
        f"Poisson of {options.rate:g} Hz, seed {config.TRAIN_DATA_SEED}"
    )


def _target(config: Any) -> tuple[Spikes, str]:
    """Return the target's spikes and what to say of them."""
    options = config.dataset
    if options.target is None:
        n, size = options.target_spikes, options.outputs
        phase = (np.arange(size) + 0.5) / size
        times = (np.arange(n)[:, None] + phase) / n * config.TRIAL_MS
        return (times.ravel(), np.tile(np.arange(size), n)), f"{n} evenly spaced spikes each"
    path = Path(options.target).expanduser()
    if path.name in PUBLISHED and not path.exists():
        raise DataError(
            f"dataset.target={path}: there is no such file. It is {PUBLISHED[path.name]}: put it "
            "into the folder you start in, or give its path with dataset.target=FILE"
        )
    if path.suffix.lower() == ".ras":
        times, neurons = read_ras(path)
        first = options.target_offset
        if first is None:  # 1 .. N, as the published target has them
            first = int(neurons.min() > 0 and neurons.max() == options.outputs)
        neurons = neurons - first
        if neurons.min() < 0 or neurons.max() >= options.outputs:
            raise DataError(
                f"dataset.target={path}: its neurons go from {neurons.min() + first} to "
                f"{neurons.max() + first}, which does not fit dataset.outputs={options.outputs} "
                f"neurons from {first} on (dataset.target_offset)"
            )
        return (times, neurons), f"{path}, neurons from {first} on"
    grey = read_picture(path)
    columns = int(config.TRIAL_MS / options.bin_ms)
    if columns < 1:
        raise DataError(f"dataset.bin_ms={options.bin_ms:g}: longer than the trial")
    draw = stream(config.TRAIN_DATA_SEED, "pattern target")
    spikes = spikes_of_picture(
        1.0 - grey if options.invert else grey,
        options.outputs,
        columns,
        options.bin_ms,
        draw,
        options.jitter,
    )
    if not len(spikes[0]):
        raise DataError(
            f"dataset.target={path}: the picture is dark all over, so that there is no spike; is "
            f"dataset.invert={'false' if options.invert else 'true'} meant?"
        )
    return spikes, f"{path}, {columns} columns of {options.bin_ms:g} ms"


def _on_the_grid(config: Any, times: np.ndarray, neurons: np.ndarray) -> tuple[Targets, int]:
    """Return the target on the grid, one spike a step and output at most, and what lies outside."""
    steps = steps_of(times, config.DT_MS).astype(np.int64)
    inside = steps < config.steps
    keys = np.unique(steps[inside] * config.dataset.outputs + neurons[inside])
    if not len(keys):
        raise DataError("the target has no spike within the trial; is TRIAL_MS too short?")
    found = Targets(
        offsets=np.array([0, len(keys)], np.int64),
        steps=(keys // config.dataset.outputs).astype(np.uint16),
        neurons=(keys % config.dataset.outputs).astype(np.uint16),
    )
    return found, int((~inside).sum())


PATTERN = DataSet(
    name="pattern",
    title="One frozen pattern with target spikes (Zenke & Ganguli 2018, Neural Comput 30:1514)",
    read=read,
)
