"""The pictures of a run that trains: TRAINING_PLOT and FANCY_PLOTS."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

import numpy as np

from snnrun.backends.base import Backend
from snnrun.config import Config
from snnrun.datasets.spikes import Splits
from snnrun.errors import RecordError
from snnrun.plots.activity import activity
from snnrun.plots.confusion import confusion
from snnrun.plots.example import OneExample
from snnrun.plots.groups import title_of
from snnrun.plots.learned import learned, pictures_of
from snnrun.plots.raster import raster
from snnrun.plots.records import after
from snnrun.plots.style import Picture
from snnrun.plots.training import SIZE, course
from snnrun.plots.window import Window
from snnrun.record.paths import RunPaths
from snnrun.record.writer import RunRecord
from snnrun.training.activity import by_population


class LivePlots:
    """Writes the pictures of a run to its folder ``plots``, and shows its course in a window.

    They only read: the weights and all random numbers are the same with and without them. A picture
    that cannot be drawn is given up with a warning; only a disk that fails ends the run, as it does
    for records.

    Args:
        config: What runs.
        paths: The run folder.
        splits: The data, of which one example is shown.
        backend: The network.
        record: Figures of the epochs so far, those before a resume included.
        warn: Who is told of what cannot be drawn.
    """

    def __init__(
        self,
        config: Config,
        paths: RunPaths,
        splits: Splits,
        backend: Backend,
        record: RunRecord,
        warn: Callable[[str], None],
    ) -> None:
        self._config = config
        self._paths = paths
        self._splits = splits
        self._backend = backend
        self._record = record
        self._warn = warn
        self._given_up: set[str] = set()
        self._example = OneExample(config, splits, backend) if config.FANCY_PLOTS else None
        self._title = title_of(config.NAME, config.dataset.name, paths)
        self._window = Window(f"snnrun {self._title}", SIZE, warn) if config.TRAINING_PLOT else None

    def epoch_ended(self, epoch: int, spikes_per_example: np.ndarray, last: bool) -> None:
        """Make the pictures if it is their turn.

        Args:
            epoch: The epoch that has ended.
            spikes_per_example: Mean spikes in its training, [neurons of all layers].
            last: Whether it is the last one.
        """
        if last or (epoch + 1) % self._config.TRAINING_PLOT_INTERVAL == 0:
            self._training()
            if self._config.FANCY_PLOTS:
                self._fancy(epoch, spikes_per_example)
        if self._window is not None:
            self._window.refresh()

    def ended(self) -> None:
        """Make the last picture of the course, with the test if there was one."""
        self._training()
        if self._config.FANCY_PLOTS and self._record.test:
            self._attempt("confusion matrix", self._confusion)

    def close(self) -> None:
        """Close the window."""
        if self._window is not None:
            self._window.close()

    def _training(self) -> None:
        """Draw the course so far, unless no epoch has ended yet."""
        if not self._config.TRAINING_PLOT or not len(self._record.epochs):
            return
        record = self._record
        picture = course(record.epochs.arrays(), record.task, record.test, self._title)
        if self._window is not None:
            self._window.show(picture.draw)
        self._attempt("course of the training", lambda: [picture])

    def _fancy(self, epoch: int, spikes_per_example: np.ndarray) -> None:
        when = after(epoch + 1)
        self._attempt("raster", lambda: self._raster(when))
        self._attempt("weights", lambda: self._learned(when))
        self._attempt("activity", lambda: self._activity(epoch, spikes_per_example))
        self._attempt("confusion matrix", self._confusion)

    def _raster(self, when: str) -> Iterator[Picture]:
        assert self._example is not None
        yield raster(self._example.run(self._title, when))

    def _learned(self, when: str) -> Iterator[Picture]:
        program = self._backend.program
        tensors = {tensor.name: self._backend.get(tensor.name) for tensor in program.tensors}
        found = learned(program.network, tensors)
        return pictures_of(found, self._title, when, self._config.dataset.name)

    def _activity(self, epoch: int, spikes_per_example: np.ndarray) -> Iterator[Picture]:
        program = self._backend.program
        found = {
            compiled.population.name: spikes
            for _, compiled, spikes in by_population(program, spikes_per_example)
            if compiled is not program.populations[-1]
        }
        yield activity(
            found, f"{self._title}: spikes of hidden neurons in the training of epoch {epoch}"
        )

    def _confusion(self) -> Iterator[Picture]:
        shown = "validation" if self._splits.validation is not None else "train"
        latest = {split: self._record.latest_confusion(split) for split in (shown, "test")}
        found = {split: counts for split, counts in latest.items() if counts is not None}
        if found:
            names = self._splits.train.data.class_names
            when = after(len(self._record.epochs))
            yield confusion(found, names, f"{self._title}: confusion {when}")

    def _attempt(self, what: str, pictures: Callable[[], Iterable[Picture]]) -> None:
        """Draw; training must not end because a picture fails, so say so once and go on."""
        if what in self._given_up:
            return
        try:
            for picture in pictures():
                picture.write(self._paths)
        except RecordError:
            raise
        except Exception as error:
            self._given_up.add(what)
            self._warn(f"no more plots of the {what}: {type(error).__name__}: {error}")
