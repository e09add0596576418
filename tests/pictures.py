"""A data set of small pictures with two polarities, for networks whose populations have shapes."""

from __future__ import annotations

from typing import Any

import numpy as np

from snnrun.config import Config, from_dict
from snnrun.datasets import DataSet, Events, Part
from snnrun.datasets.declaration import Request

SHAPE = (6, 5, 2)
CLASSES = 3
SPIKES = 40  # of an example


def read(request: Request) -> dict[str, Part]:
    return {name: _part(request, request.seeds[name]) for name in request.parts}


def _part(request: Request, seed: int) -> Part:
    """Return pictures in which a stripe of columns is brighter; which one, is the class."""
    n, random = 60, np.random.default_rng(seed)
    labels = np.arange(n) % CLASSES
    rows = random.integers(0, SHAPE[0], (n, SPIKES))
    columns = random.integers(0, SHAPE[1], (n, SPIKES))
    columns[:, ::2] = labels[:, None]
    polarity = random.integers(0, 2, (n, SPIKES))
    return Part(
        events=Events(
            counts=np.full(n, SPIKES),
            times_ms=random.uniform(0, 0.6 * request.trial_ms, n * SPIKES),
            channels=np.ravel_multi_index((rows, columns, polarity), SHAPE).ravel(),
        ),
        labels=labels,
        n_channels=int(np.prod(SHAPE)),
        n_classes=CLASSES,
        image=SHAPE,
    )


PICTURES = DataSet(name="pictures", title="bright stripes", read=read)


KEYS: dict[str, Any] = {
    "dataset.name": "pictures.PICTURES",
    "backend": "numpy",
    "LOSS_TYPE": "max",
    "TRIAL_MS": 20.0,
    "DT_MS": 1.0,
    "N_BATCH": 10,
    "N_TRAIN": 40,
    "N_VALIDATE": 10,
    "N_TEST": 10,
    "N_EPOCH": 2,
    "MODEL_SEED": 3,
}


def configured(layers: list[dict[str, Any]], **keys: Any) -> Config:
    """Return the configuration of a network with these layers that learns the pictures."""
    return from_dict({**KEYS, "network.layers": layers, **keys})
