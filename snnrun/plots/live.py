"""The pictures of a run that trains: TRAINING_PLOT and FANCY_PLOTS."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from snnrun.backends.base import Backend
from snnrun.config import Config
from snnrun.datasets.spikes import Splits
from snnrun.errors import RecordError
from snnrun.plots import activity, confusion, raster
from snnrun.plots.example import OneExample
from snnrun.plots.learned import learned, size_of, write_learned
from snnrun.plots.style import write
from snnrun.plots.training import SIZE, draw_training
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
        name = f"snnrun {config.NAME} {paths.root.name}"
        self._window = Window(name, SIZE, warn) if config.TRAINING_PLOT else None

    def epoch_ended(self, epoch: int, spikes_per_trial: np.ndarray, last: bool) -> None:
        """Make the pictures if it is their turn.

        Args:
            epoch: The epoch that has ended.
            spikes_per_trial: Mean spikes in its training, [neurons of all layers].
            last: Whether it is the last one.
        """
        if last or (epoch + 1) % self._config.TRAINING_PLOT_INTERVAL == 0:
            self._training()
            if self._config.FANCY_PLOTS:
                self._fancy(epoch, spikes_per_trial)
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
        columns, test = self._record.epochs.arrays(), self._record.test
        task = self._record.task
        title = f"{self._config.NAME}, {self._config.dataset.name}"
        if self._window is not None:
            self._window.show(lambda figure: draw_training(figure, columns, task, test, title))
        self._attempt(
            "course of the training",
            lambda: write(
                lambda figure: draw_training(figure, columns, task, test, title),
                self._paths.plot("training"),
                SIZE,
            ),
        )

    def _fancy(self, epoch: int, spikes_per_trial: np.ndarray) -> None:
        after = f"after epoch {epoch}"
        self._attempt("raster", lambda: self._raster(after))
        self._attempt("weights", lambda: self._learned(after))
        self._attempt("activity", lambda: self._activity(epoch, spikes_per_trial))
        self._attempt("confusion matrix", self._confusion)

    def _raster(self, after: str) -> None:
        assert self._example is not None
        example = self._example.run(after)
        write(
            lambda f: raster.draw_raster(f, example),
            self._paths.plot("raster"),
            raster.size_of(example),
        )

    def _learned(self, after: str) -> None:

        program = self._backend.program
        tensors = {tensor.name: self._backend.get(tensor.name) for tensor in program.tensors}
        name = self._config.dataset.name
        write_learned(self._paths, *learned(program.network, tensors), after, name)

    def _activity(self, epoch: int, spikes_per_trial: np.ndarray) -> None:

        program = self._backend.program
        found = {
            compiled.population.name: spikes
            for _, compiled, spikes in by_population(program, spikes_per_trial)
            if compiled is not program.populations[-1]
        }
        title = f"Spikes of hidden neurons, training of epoch {epoch}"
        size = size_of(len(found))
        write(lambda f: activity.draw_activity(f, found, title), self._paths.plot("activity"), size)

    def _confusion(self) -> None:

        shown = "validation" if self._splits.validation is not None else "train"
        latest = {split: self._record.latest_confusion(split) for split in (shown, "test")}
        found = {split: counts for split, counts in latest.items() if counts is not None}
        names = self._splits.train.data.class_names
        if found:
            write(
                lambda f: confusion.draw_confusion(f, found, names, "Confusion, last epoch so far"),
                self._paths.plot("confusion"),
                confusion.size_of(len(found)),
            )

    def _attempt(self, what: str, draw: Callable[[], None]) -> None:
        """Draw; training must not end because a picture fails, so say so once and go on."""
        if what in self._given_up:
            return
        try:
            draw()
        except RecordError:
            raise
        except Exception as error:
            self._given_up.add(what)
            self._warn(f"no more plots of the {what}: {type(error).__name__}: {error}")
