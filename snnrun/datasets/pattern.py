"""One frozen pattern: input spikes, and the spikes that the outputs should emit.

The pattern is presented again and again; an epoch shows it N_TRAIN times. Its input is Poisson
noise, drawn once, or a file of spikes; its target a file of spikes, a picture, or a generated one:
dataset.target_spikes evenly spaced spikes of each output, later from one output to the next.

Source of the task: Zenke & Ganguli 2018, Neural Computation 30:1514.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from snnrun.datasets.declaration import DataSet, Part, Request
from snnrun.datasets.packing import Events
from snnrun.datasets.raster import read_picture, read_ras, spikes_of_picture
from snnrun.errors import DataError
from snnrun.streams import stream

# Published targets by the names of their files, which are not ours to hand on: where they are.
PUBLISHED = {
    "oxford-target.ras": "the Oxford target of Zenke & Ganguli 2018, themes/oxford-target.ras of "
    "https://github.com/fzenke/pub2018superspike"
}
Spikes = tuple[np.ndarray, np.ndarray]  # times (ms) and neurons


def read(request: Request) -> dict[str, Part]:
    """Return the pattern, the same for every part."""
    options = request.options
    (times, channels), of_input = _input(request)
    if not (times < request.trial_ms).any():
        raise DataError(
            f"dataset pattern: input {of_input}: there is no spike of {options.channels} "
            f"channels in the {request.trial_ms:g} ms of a trial, so that nothing could be "
            f"learned; give {'TRIAL_MS' if options.input else 'dataset.rate'} a larger value"
        )
    targets, of_target = _target(request)
    part = Part(
        events=Events(counts=np.array([len(times)]), times_ms=times, channels=channels),
        labels=np.zeros(1, np.int32),
        n_channels=options.channels,
        n_classes=options.outputs,
        source="pattern",
        targets=targets,
        about=f"input {of_input}; target {of_target}",
    )
    return dict.fromkeys(request.parts, part)


def _input(request: Request) -> tuple[Spikes, str]:
    """Return the input's spikes and what to say of them."""
    options = request.options
    if options.input is not None:
        path = Path(options.input).expanduser()
        times, channels = read_ras(path)
        if channels.max() >= options.channels:
            raise DataError(
                f"dataset.input={path}: there is a channel {channels.max()}, but "
                f"dataset.channels={options.channels} go from 0 to {options.channels - 1}"
            )
        return (times, channels), str(path)
    seed = request.seeds["train"]
    draw = stream(seed, "pattern input")
    counts = draw.poisson(options.rate * request.trial_ms / 1000.0, options.channels)
    times = draw.random(counts.sum()) * request.trial_ms
    return (times, np.repeat(np.arange(options.channels), counts)), (
        f"Poisson of {options.rate:g} Hz, seed {seed}"
    )


def _target(request: Request) -> tuple[Spikes, str]:
    """Return the target's spikes and what to say of them."""
    options = request.options
    if options.target is None:
        n, size = options.target_spikes, options.outputs
        phase = (np.arange(size) + 0.5) / size
        times = (np.arange(n)[:, None] + phase) / n * request.trial_ms
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
    columns = int(request.trial_ms / options.bin_ms)
    if columns < 1:
        raise DataError(f"dataset.bin_ms={options.bin_ms:g}: longer than the trial")
    draw = stream(request.seeds["train"], "pattern target")
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


PATTERN = DataSet(
    name="pattern",
    title="One frozen pattern with target spikes (Zenke & Ganguli 2018, Neural Comput 30:1514)",
    read=read,
    generated=True,
    made_for_trial=True,
    advice="Times in a .ras file are in seconds. If they are in ms: "
    "awk '{print $1 / 1000, $2}' OLD.ras > NEW.ras",
)
