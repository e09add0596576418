"""Spikes and pictures in files: ``.ras`` files of spikes, and pictures that are turned into spikes.

A ``.ras`` file has a line ``seconds neuron`` for each spike, as the simulator Auryn writes them;
empty lines and what follows a # do not count.
"""

from __future__ import annotations

import re
from io import BytesIO
from pathlib import Path

import numpy as np

from snnrun.errors import DataError

PICTURES = (".pgm", ".png")


def read_ras(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Return times (ms) and neurons of a ``.ras`` file; DataError says which line is wrong."""
    try:
        text = _content(path).decode("utf-8")
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: cannot be read: {error}") from error
    times, neurons = [], []
    for number, line in enumerate(text.splitlines(), start=1):
        words = line.partition("#")[0].split()
        if not words:
            continue
        try:
            second, neuron = words
            times.append(float(second) * 1000.0)
            neurons.append(int(neuron))
        except ValueError:
            raise DataError(
                f"{path}, line {number}: {line.strip()!r} is no spike; each line holds a time in "
                "seconds and the number of a neuron, as in 0.0153 163"
            ) from None
        if not (np.isfinite(times[-1]) and times[-1] >= 0 and neurons[-1] >= 0):
            raise DataError(
                f"{path}, line {number}: {line.strip()!r}: times and neurons must be 0 or more"
            )
    if not times:
        raise DataError(f"{path}: there is no spike in it")
    return np.array(times), np.array(neurons, np.int64)


def read_picture(path: Path) -> np.ndarray:
    """Return the grey values of a picture, 0 (dark) to 1 (bright), [rows, columns]."""
    if path.suffix.lower() == ".pgm":
        return _read_pgm(path)
    if path.suffix.lower() != ".png":
        raise DataError(
            f"{path}: a target is a .ras file of spikes or a picture, .pgm or .png; convert it, "
            "for example with ImageMagick: magick picture.jpg target.pgm"
        )
    content = _content(path)
    try:
        from matplotlib.image import imread
    except ImportError:
        raise DataError(
            f"{path}: reading .png needs matplotlib: pip install 'snnrun[plot]', or convert it "
            "to .pgm"
        ) from None
    try:
        pixels = np.asarray(imread(BytesIO(content), format="png"), float)
    except (OSError, SyntaxError, ValueError) as error:
        raise DataError(f"{path}: cannot be read as a picture: {error}") from error
    return pixels if pixels.ndim == 2 else pixels[..., :3].mean(axis=2)


def spikes_of_picture(
    grey: np.ndarray,
    outputs: int,
    columns: int,
    bin_ms: float,
    draw: np.random.Generator,
    jitter: bool,
) -> tuple[np.ndarray, np.ndarray]:
    """Return times (ms) and neurons of a picture: a pixel is a spike with its grey as probability.

    The picture is sampled to ``outputs`` rows, the lowest being output 0, and ``columns`` columns,
    each ``bin_ms`` long. A spike comes at a random time of its column, or in its middle.
    """
    rows = (np.arange(outputs) * grey.shape[0]) // outputs
    places = (np.arange(columns) * grey.shape[1]) // columns
    chance = grey[rows[::-1]][:, places]
    neurons, bins = np.nonzero(draw.random(chance.shape) < chance)
    within = draw.random(len(bins)) if jitter else np.full(len(bins), 0.5)
    return (bins + within) * bin_ms, neurons.astype(np.int64)


def _content(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        raise DataError(
            f"{path}: there is no such file; paths count from the folder you start in"
        ) from None
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error}") from error


def _read_pgm(path: Path) -> np.ndarray:
    """Return the grey values of a PGM picture, plain (P2) or binary (P5)."""
    content = _content(path)
    gap = rb"(?:\s|#[^\n]*\n)+"
    head = re.match(rb"(P[25])" + gap + rb"(\d+)" + gap + rb"(\d+)" + gap + rb"(\d+)\s", content)
    if head is None:
        raise DataError(f"{path}: this is no PGM picture: its header is not P2 or P5 and a size")
    width, height, brightest = (int(head[k]) for k in (2, 3, 4))
    body = content[head.end() :]
    try:
        if head[1] == b"P2":
            values = np.array(re.sub(rb"#[^\n]*", b"", body).split(), dtype=float)
        else:
            kind = np.dtype(">u2" if brightest > 255 else "u1")
            values = np.frombuffer(body, kind, width * height).astype(float)
        grey = values[: width * height].reshape(height, width) / brightest
    except (ValueError, ZeroDivisionError):
        raise DataError(
            f"{path}: its header says {width} x {height} pixels, but they are not there"
        ) from None
    if not grey.size or grey.min() < 0 or grey.max() > 1:
        raise DataError(f"{path}: grey values must be 0 to {brightest}, and at least one")
    return grey
