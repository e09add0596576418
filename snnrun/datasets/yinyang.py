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

import numpy as np

from snnrun.datasets.declaration import DataSet, Part, Request
from snnrun.datasets.packing import Events
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


def input_values(xy: np.ndarray) -> np.ndarray:
    """Return the values [n, 5] of the inputs bias, x, y, 1 - x, 1 - y."""
    return np.column_stack([np.zeros(len(xy)), xy, 1.0 - xy])


def read(request: Request) -> dict[str, Part]:
    """Generate the parts, of the sizes asked for."""
    return {
        name: part_of(*points(request.sizes[name] or 0, request.seeds[name], f"yinyang {name}"))
        for name in request.parts
    }


def part_of(xy: np.ndarray, labels: np.ndarray) -> Part:
    """Return points [n, 2] of the unit square as examples, with their labels [n]."""
    events = Events(
        counts=np.full(len(xy), N_INPUTS),
        values=input_values(xy).ravel(),
        channels=np.tile(np.arange(N_INPUTS), len(xy)),
    )
    return Part(
        events=events,
        labels=labels,
        n_channels=N_INPUTS,
        n_classes=len(CLASS_NAMES),
        class_names=CLASS_NAMES,
        source="yinyang",
    )


YINYANG = DataSet(
    name="yinyang",
    title="Yin-Yang, generated (Kriener et al. 2022, doi:10.1145/3517343.3517380)",
    read=read,
    generated=True,
    made_for_trial=True,
)
