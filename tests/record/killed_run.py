"""A small run that records and checkpoints like a real one, in a process of its own, to be killed.

Usage: python killed_run.py FOLDER EPOCHS [TRIALS SECONDS]

With TRIALS and SECONDS it is killed so long after so many trials of this process. The system's
timer does it: another process might get its turn too late, when this one has ended, or, if it
counted from the start, too early, when this one has not had its turn yet. The timer's signal, which
nothing handles, ends a process as SIGKILL does: where it is, and without a last word.
"""

from __future__ import annotations

import signal
import sys
from pathlib import Path

import numpy as np
from record_samples import record_spikes

from snnrun.record import SpikeRecord
from snnrun.record.owner import claim
from snnrun.record.paths import RunPaths
from snnrun.record.provenance import provenance
from snnrun.record.recordings import Recordings
from snnrun.record.writer import RunRecord
from snnrun.streams import stream
from snnrun.training import checkpoint

TRIALS = 4  # of each epoch; the last one is the validation
EXAMPLES = 5
CLASSES = 3


def run(folder: Path, epochs: int, trials: int = -1, seconds: float = 0.0) -> None:
    """Run to the end, from the last checkpoint if there is one; or be killed before."""
    paths = RunPaths(folder)
    with claim(paths):
        origin = provenance({"NAME": "kill"}, name="kill", dataset="none", epochs=epochs, seeds={})
        recordings = Recordings(paths, dt_ms=1.0, trial_ms=10.0)
        options = {"n_classes": CLASSES, "confusion": True, "predictions": True}
        if paths.last.exists():
            state = checkpoint.load(paths.last)
            epoch, trial, weights = state["epoch"], state["trial"], state["weights"]
            record = RunRecord(paths, origin, **options)
            record.resume()
            record.truncate(epoch, trial)
            recordings.discard_after(epoch, trial)
        else:
            epoch, trial, weights = 0, 0, np.zeros((6, 7), np.float32)
            record = RunRecord(paths, origin, **options)
            record.write()
        done = 0
        while epoch < epochs:
            while trial < TRIALS:
                if done == trials:
                    signal.setitimer(signal.ITIMER_REAL, seconds)
                weights = _trial(record, recordings, epoch, trial, weights)
                trial, done = trial + 1, done + 1
                if trial == 2 and epoch % 3 == 0:
                    _checkpoint(paths, record, epoch, trial, weights)
            _end_epoch(record, epoch)
            epoch, trial = epoch + 1, 0
            _checkpoint(paths, record, epoch, trial, weights)
        recordings.flush()
        record.finish()
        record.write()


def _trial(
    record: RunRecord, recordings: Recordings, epoch: int, trial: int, weights: np.ndarray
) -> np.ndarray:
    rng = stream(1, "kill", epoch, trial)
    phase = "validation" if trial == TRIALS - 1 else "train"
    weights = weights + rng.standard_normal(weights.shape, np.float32)
    labels = rng.integers(CLASSES, size=EXAMPLES)
    predictions = rng.integers(-1, CLASSES, size=EXAMPLES)
    examples = np.arange(EXAMPLES) + EXAMPLES * trial
    record.trial(
        epoch=epoch,
        trial=trial,
        phase=phase,
        examples=EXAMPLES,
        loss=float(weights[0, 0]),
        correct=int((labels == predictions).sum()),
        learning_rate=0.1,
        spikes={"hidden": 3.0},
        seconds=0.0,
    )
    record.predictions(
        epoch=epoch,
        trial=trial,
        phase=phase,
        examples=examples,
        labels=labels,
        predictions=predictions,
    )
    if trial == 1:
        spikes = SpikeRecord(
            times_ms=rng.random(50, np.float32),
            ids=rng.integers(7, size=50),
            offsets=10 * np.arange(EXAMPLES + 1),
            examples=examples,
            n_neurons=7,
        )
        record_spikes(recordings, epoch, trial, phase, hidden=spikes)
        recordings.weights(epoch, trial, {"in_to_hid": weights}, phase=phase)
    return weights


def _end_epoch(record: RunRecord, epoch: int) -> None:
    means = record.means(epoch, "train")
    record.epoch({"epoch": epoch, "train_loss": means["loss"], "seconds": 0.1})


def _checkpoint(
    paths: RunPaths, record: RunRecord, epoch: int, trial: int, weights: np.ndarray
) -> None:
    record.write()
    checkpoint.save(paths.last, {"epoch": epoch, "trial": trial, "weights": weights})
    record.checkpointed(epoch)


if __name__ == "__main__":
    moment = (int(sys.argv[3]), float(sys.argv[4])) if len(sys.argv) > 3 else ()
    run(Path(sys.argv[1]), int(sys.argv[2]), *moment)
