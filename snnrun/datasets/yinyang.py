"""The Yin-Yang set (Kriener, Goeltz, Petrovici 2022, doi:10.1145/3517343.3517380), generated.

Points (x, y) in the unit square, uniform within the large circle of radius 1/2 around (1/2, 1/2)
for each class: yin (0), yang (1), and dots (2), the two small circles of radius 0.1 around (1/4,
1/2) and (3/4, 1/2). The class of each example is drawn uniformly, its point by rejection.

Five inputs fire once each, in this order: bias, x, y, 1 - x, 1 - y, at t = v (T - 4 d) + 2 d with
v = 0 for the bias, as in genn_eventprop; T is dataset.input_ms, by default TRIAL_MS.

Streams: TRAIN_DATA_SEED "yinyang train"; TEST_DATA_SEED "yinyang test" and "yinyang validation".
A larger set begins with the smaller one of the same seed.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from snnrun.datasets.declaration import DataSet
from snnrun.datasets.encodings import input_ms, latency_ms
from snnrun.datasets.packing import Events, pack
from snnrun.datasets.spikes import Split, Splits
from snnrun.errors import DataError
from snnrun.streams import stream

R_BIG, R_SMALL = 0.5, 0.1
CLASS_NAMES = ("yin", "yang", "dot")
N_INPUTS = 5
CANDIDATES = 4096  # points drawn at a time for the rejection


def classify(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Return the class of each point of the large circle: 0 yin, 1 yang, 2 dot."""
    to_right = np.hypot(x - 1.5 * R_BIG, y - R_BIG)
    to_left = np.hypot(x - 0.5 * R_BIG, y - R_BIG)
    dot = (to_right < R_SMALL) | (to_left < R_SMALL)
    left_lobe = to_left <= 0.5 * R_BIG
    upper_half = (y > R_BIG) & (to_right > 0.5 * R_BIG)
    return np.where(dot, 2, (left_lobe | upper_half).astype(np.int64))


def points(n: int, seed: int, name: str) -> tuple[np.ndarray, np.ndarray]:
    """Return (xy [n, 2] in the unit square, labels [n]) of the stream ``name`` under ``seed``."""
    labels = stream(seed, name).integers(0, 3, n)
    xy = np.empty((n, 2))
    for label in range(3):
        members = np.flatnonzero(labels == label)
        random, found, accepted = stream(seed, name, 1 + label), 0, []
        while found < len(members):
            candidates = random.random((CANDIDATES, 2)) * 2 * R_BIG
            x, y = candidates.T
            inside = np.hypot(x - R_BIG, y - R_BIG) <= R_BIG
            accepted.append(candidates[inside & (classify(x, y) == label)])
            found += len(accepted[-1])
        if found:
            xy[members] = np.concatenate(accepted)[: len(members)]
    return xy, labels


def input_times_ms(xy: np.ndarray, duration_ms: float, dt_ms: float) -> np.ndarray:
    """Return spike times [n, 5] of the inputs bias, x, y, 1 - x, 1 - y, in ms."""
    values = np.column_stack([np.zeros(len(xy)), xy, 1.0 - xy])
    return latency_ms(values, duration_ms, dt_ms)


def read(config: Any) -> Splits:
    """Generate the splits that N_TRAIN, N_VALIDATE and N_TEST ask for."""
    sizes = {"train": config.N_TRAIN, "validation": config.N_VALIDATE, "test": config.N_TEST}
    for name, n in sizes.items():
        if n is None:
            raise DataError(
                f"the size of the {name} set is null, but yinyang is generated and has none of its "
                "own: N_TRAIN, N_VALIDATE and N_TEST must be numbers of examples"
            )
    splits = {name: _split(name, n, config) for name, n in sizes.items() if n or name == "train"}
    return Splits(
        train=splits["train"],
        validation=splits.get("validation"),
        test=splits.get("test"),
        description="yinyang, generated: "
        + ", ".join(f"{n:,} {name}" for name, n in sizes.items() if n)
        + f"; {N_INPUTS} inputs, {len(CLASS_NAMES)} classes, {config.steps} steps",
    )


def _split(name: str, n: int, config: Any) -> Split:
    seed = config.TRAIN_DATA_SEED if name == "train" else config.TEST_DATA_SEED
    xy, labels = points(n, seed, f"yinyang {name}")
    events = Events(
        counts=np.full(n, N_INPUTS),
        times_ms=input_times_ms(xy, input_ms(config), config.DT_MS).ravel(),
        channels=np.tile(np.arange(N_INPUTS), n),
    )
    data = pack(
        events,
        labels=labels,
        n_steps=config.steps,
        n_channels=N_INPUTS,
        n_classes=len(CLASS_NAMES),
        dt_ms=config.DT_MS,
        merge=config.dataset.merge,
        class_names=CLASS_NAMES,
        source="yinyang",
    )
    return Split(name=name, data=data, examples=np.arange(n, dtype=np.int64))


YINYANG = DataSet(
    name="yinyang",
    title="Yin-Yang, generated (Kriener et al. 2022, doi:10.1145/3517343.3517380)",
    read=read,
)
