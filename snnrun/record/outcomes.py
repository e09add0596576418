"""What was predicted for each example: confusion matrices, and the predictions themselves."""

from __future__ import annotations

import h5py
import numpy as np

from snnrun.files import make_folders
from snnrun.record.columns import OUTCOMES
from snnrun.record.hdf5 import atomic_hdf5
from snnrun.record.paths import RunPaths, epoch_name
from snnrun.record.runfile import NOT_HELD, Held, open_recorded

TEST_NAME = "test"
_MATRIX_MEANING = "examples [epoch, predicted class, true class]"
_NOTHING_MEANING = "examples for which no output decided [epoch, true class]"
PREDICTED = ("example", "label", "prediction")
Predicted = tuple[np.ndarray, ...]  # of every example of a split, in the order of PREDICTED


class Confusion:
    """Counts of predicted against true classes, per epoch and split; rows are predictions."""

    def __init__(self, n_classes: int) -> None:
        self._n_classes = n_classes
        # phase -> epoch -> [predicted, true]; the last row counts examples without a prediction
        self._counts: dict[str, dict[int, np.ndarray]] = {}

    def add(self, epoch: int, phase: str, columns: Predicted) -> None:
        """Set the matrix of an epoch and split from all its examples."""
        _, labels, predictions = columns
        self.set(epoch, phase, count_confusion(labels, predictions, self._n_classes))

    def set(self, epoch: int, phase: str, counts: np.ndarray) -> None:
        """Set the matrix of an epoch and split, [predicted (the last row: none), true]."""
        self._counts.setdefault(phase, {})[epoch] = counts

    def latest(self, phase: str) -> np.ndarray | None:
        """Return the matrix of a split's last epoch, [predicted, true]; its last row: none."""
        counts = self._counts.get(phase)
        return counts[max(counts)] if counts else None

    def truncate(self, epoch: int) -> None:
        """Forget ``epoch`` and what follows it, and the test."""
        self._counts.pop("test", None)
        for phase, counts in self._counts.items():
            self._counts[phase] = {e: matrix for e, matrix in counts.items() if e < epoch}

    def write(self, file: h5py.File) -> None:
        """Write SPLIT and no_prediction/SPLIT for every split; epochs without a matrix are zero."""
        group = file.create_group("confusion")
        for phase, counts in self._counts.items():
            stacked = np.zeros(
                (max(counts, default=-1) + 1, self._n_classes + 1, self._n_classes), "i4"
            )
            for epoch, matrix in counts.items():
                stacked[epoch] = matrix
            group[phase] = stacked[:, :-1]
            group[phase].attrs["meaning"] = _MATRIX_MEANING
            group[f"no_prediction/{phase}"] = stacked[:, -1]
            group[f"no_prediction/{phase}"].attrs["meaning"] = _NOTHING_MEANING

    def read(self, file: h5py.File) -> None:
        """Take over what ``write`` has written."""
        group = file.get("confusion", {})
        for phase in group.keys() - {"no_prediction"}:
            matrices = group[phase][()]
            nothing = group["no_prediction"][phase][()]
            stacked = np.concatenate([matrices, nothing[:, None]], axis=1)
            self._counts[phase] = {e: matrix for e, matrix in enumerate(stacked) if matrix.any()}


def count_confusion(labels: np.ndarray, predictions: np.ndarray, n_classes: int) -> np.ndarray:
    """Return the examples as int64 [predicted (the last row: -1, none), true]."""
    rows = np.where(predictions < 0, n_classes, predictions)
    counts = np.bincount(rows * n_classes + labels, minlength=(n_classes + 1) * n_classes)
    return counts.reshape(n_classes + 1, n_classes)


class PredictionParts:
    """One file per epoch with the prediction of each example; ``run.h5`` links to them.

    They lie outside ``run.h5`` because that is written anew after each epoch.
    """

    def __init__(self, paths: RunPaths) -> None:
        self._paths = paths
        self._names: set[str] = set()
        self._pending: dict[str, dict[str, Predicted]] = {}  # name -> phase -> columns

    def add(self, epoch: int, phase: str, columns: Predicted) -> None:
        """Add what was predicted for every example of a split."""
        name = TEST_NAME if phase == "test" else epoch_name(epoch)
        self._pending.setdefault(name, {})[phase] = columns

    def truncate(self, epoch: int) -> None:
        """Forget ``epoch``, what follows it, and the test. Files stay until they are replaced."""
        self._names = {n for n in self._names if n != TEST_NAME and n < epoch_name(epoch)}
        self._pending.clear()

    def write(self, run: h5py.File) -> None:
        """Write the files of the epochs that were added since the last time, and links to all."""
        for name, phases in self._pending.items():
            path = self._paths.prediction_part(name)
            make_folders(self._paths.records, path.parent)
            with atomic_hdf5(path) as file:
                for phase, columns in phases.items():
                    for column, values in zip(PREDICTED, columns, strict=True):
                        data = file.create_dataset(f"{phase}/{column}", data=values, dtype="i4")
                        data.attrs["meaning"] = OUTCOMES[column].meaning
            self._names.add(name)
        self._pending.clear()
        group = run.create_group("predictions")
        for name in sorted(self._names):
            path = self._paths.prediction_part(name).relative_to(self._paths.root)
            group[name] = h5py.ExternalLink(path.as_posix(), "/")

    def read(self, file: h5py.File) -> None:
        """Take over the links that ``write`` has written."""
        self._names = set(file.get("predictions", ()))


def read_predictions(
    paths: RunPaths, name: str, held: Held = NOT_HELD
) -> dict[str, dict[str, np.ndarray]]:
    """Return split -> ``example``, ``label`` and ``prediction``, each int32 [examples]."""
    with open_recorded(paths.prediction_part(name), held) as file:
        return {phase: {column: file[phase][column][()] for column in PREDICTED} for phase in file}
