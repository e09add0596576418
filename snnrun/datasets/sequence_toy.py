"""Two inputs that fire once each, 10 ms apart; the class is the order (generated).

The sequence detection of Meszaros, Knight & Nowotny 2025, doi:10.1038/s41467-025-65394-8, where the
first one fires at 0 ms; here at a time that is drawn evenly from the first quarter of the trial.
Class 0: input 0 before input 1; class 1: input 1 before input 0. Both have equally many examples.
Outputs with equal weights can tell them apart by delays alone: 10 ms for the input that should be
the first, none for the other, so that both arrive together.

Streams: TRAIN_DATA_SEED "sequence_toy train"; TEST_DATA_SEED "sequence_toy test" and "sequence_toy
validation". A larger set begins with the smaller one of the same seed.
"""

from __future__ import annotations

import numpy as np

from snnrun.datasets.declaration import DataSet, Part, Request
from snnrun.datasets.packing import Events
from snnrun.streams import stream

GAP_MS = 10.0
CLASS_NAMES = ("0 before 1", "1 before 0")


def read(request: Request) -> dict[str, Part]:
    """Generate the parts, of the sizes asked for."""
    return {
        name: _part(request.sizes[name] or 0, request.trial_ms, stream(request.seeds[name], where))
        for name, where in ((name, f"sequence_toy {name}") for name in request.parts)
    }


def _part(n: int, trial_ms: float, random: np.random.Generator) -> Part:
    labels = np.arange(n) % len(CLASS_NAMES)
    first_ms = trial_ms / 4 * random.random(n)
    events = Events(
        counts=np.full(n, 2),
        times_ms=np.column_stack([first_ms, first_ms + GAP_MS]).ravel(),
        channels=np.column_stack([labels, 1 - labels]).ravel(),
    )
    return Part(
        events=events,
        labels=labels,
        n_channels=2,
        n_classes=len(CLASS_NAMES),
        class_names=CLASS_NAMES,
        source="sequence_toy",
    )


SEQUENCE_TOY = DataSet(
    name="sequence_toy",
    title="Order of two inputs, generated (Meszaros et al. 2025, doi:10.1038/s41467-025-65394-8)",
    read=read,
    generated=True,
    made_for_trial=True,
)
