"""Small records for the tests of the writer, the reader and the list of runs."""

from __future__ import annotations

from typing import Any

import numpy as np

from snnrun.record import SpikeRecord
from snnrun.record.evaluation import Evaluation, Weights, now
from snnrun.record.outcomes import count_confusion
from snnrun.record.paths import RunPaths
from snnrun.record.provenance import provenance
from snnrun.record.recordings import Recordings
from snnrun.record.writer import RunRecord

OPTIONS = {"n_classes": 3, "confusion": True, "predictions": True}
LABELS = np.array([0, 1, 2, 0])
PREDICTED = np.array([0, 2, -1, 1])  # one right, two wrong, one undecided


def origin(**changes: object) -> dict[str, str | int]:
    arguments = {"name": "sample", "dataset": "yinyang", "epochs": 3, "seeds": {}}
    config = {"ETA": 0.005, "dataset": {"name": "yinyang"}}
    return provenance(config, **(arguments | changes))  # type: ignore[arg-type]


def add_trial(
    record: RunRecord, epoch: int, trial: int, phase: str = "train", **figures: Any
) -> None:
    usual = {"examples": 4, "loss": 1.0 + epoch + trial, "correct": 1, "seconds": 0.25}
    usual |= {"learning_rate": 0.1, "spikes": {"hidden": 10.0 * trial}}
    record.trial(epoch=epoch, trial=trial, phase=phase, **(usual | figures))
    record.predictions(
        epoch=epoch,
        trial=trial,
        phase=phase,
        examples=np.arange(4) + 4 * trial,
        labels=LABELS,
        predictions=PREDICTED,
    )


def add_epoch(record: RunRecord, epoch: int) -> None:
    """Add two batches of training, one of validation, and the row of the epoch."""
    add_trial(record, epoch, 0)
    add_trial(record, epoch, 1)
    add_trial(record, epoch, 2, "validation")
    end_epoch(record, epoch)


def end_epoch(record: RunRecord, epoch: int) -> None:
    row = {"epoch": epoch, "train_loss": record.means(epoch, "train")["loss"]}
    row |= {"train_accuracy": 0.25, "validation_accuracy": 0.5, "seconds": 1.0}
    record.epoch(row, timings={"forward": 0.5})


def sample_test(accuracy: float = 0.25, **changes: object) -> Evaluation:
    """Return a test that the run of ``sample_record`` made itself at its end."""
    arguments: dict[str, object] = {
        "weights": Weights(kind="last", epochs=3),
        "figures": {"accuracy": accuracy, "loss": 1.0},
        "final": True,
        "n_examples": 4,
        "when": now(),
        "origin": origin(),
        "confusion": count_confusion(LABELS, PREDICTED, 3),
        "predictions": {"example": np.arange(4), "label": LABELS, "prediction": PREDICTED},
    }
    return Evaluation(**(arguments | changes))  # type: ignore[arg-type]


def sample_record(paths: RunPaths, epochs: int = 3) -> RunRecord:
    paths.root.mkdir(parents=True, exist_ok=True)
    record = RunRecord(paths, origin(), **OPTIONS)  # type: ignore[arg-type]
    for epoch in range(epochs):
        add_epoch(record, epoch)
    return record


def resumed(paths: RunPaths, **options: object) -> RunRecord:
    """Return the record with which a run goes on."""
    record = RunRecord(paths, origin(), **(OPTIONS | options))  # type: ignore[arg-type]
    record.resume()
    return record


def record_spikes(
    recordings: Recordings, epoch: int, trial: int, phase: str = "train", **spikes: SpikeRecord
) -> None:
    """Record the spikes of populations, which hold the same examples."""
    first = next(iter(spikes.values()))
    sizes = {name: one.n_neurons for name, one in spikes.items()}
    with recordings.spike_writer(epoch, trial, sizes, phase=phase, buffer_steps=1000) as part:
        for k, example in enumerate(first.examples):
            part.add(
                {name: one.example(k) for name, one in spikes.items()},
                example=int(example),
                label=None if first.labels is None else int(first.labels[k]),
                prediction=None if first.predictions is None else int(first.predictions[k]),
            )


def sample_spikes(n_examples: int = 2, n_neurons: int = 5) -> SpikeRecord:
    counts = np.arange(n_examples) + 3
    total = int(counts.sum())
    return SpikeRecord(
        times_ms=np.arange(total, dtype=np.float32),
        ids=np.arange(total, dtype=np.int32) % n_neurons,
        offsets=np.concatenate([[0], np.cumsum(counts)]),
        examples=np.arange(n_examples) + 100,
        n_neurons=n_neurons,
        labels=np.arange(n_examples, dtype=np.int32),
        predictions=-np.ones(n_examples, np.int32),
    )
