"""The training loop. It knows no backend: it feeds examples, keeps the books, and emits events.

An epoch is a row of mini-batches: training first, then validation. The loop hands the backend as
many of them at once as run in about CHUNK_S, so that nothing in Python happens per step or example,
and looks up in between for requests to stop. Cutting the row elsewhere changes no bit; where it
would, the backend says how long its calls are.

Tables and recordings call the number of a mini-batch in its epoch ``trial``.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np

from snnrun.backends.base import Backend, Noise, Results
from snnrun.config import Config
from snnrun.datasets.feed import Feed, Served, feed
from snnrun.datasets.spikes import Splits
from snnrun.machine import forget_peak_memory, peak_memory
from snnrun.record.recordings import Recordings
from snnrun.record.writer import RunRecord
from snnrun.rules.learning import Engine
from snnrun.stop import Stop
from snnrun.streams import stream_key
from snnrun.tasks.task import SPLITS
from snnrun.terminal.notices import enter
from snnrun.terminal.reporter import Progress, Reporter
from snnrun.training.activity import Figures, activity, by_population, of_validation, spread
from snnrun.training.costs import CostsOfEpochs
from snnrun.training.early import ASKED, OnEpoch, Row, asks_to_stop, out_of_patience
from snnrun.training.guard import Guard
from snnrun.training.keeper import Keeper
from snnrun.training.recorder import Recorder
from snnrun.training.rewire import rewire
from snnrun.training.schedule import delay_width
from snnrun.training.state import State
from snnrun.training.watch import noticed, strides, watched

CHUNK_S = 0.2


class Stopped(Exception):  # noqa: N818  not an error
    """The run was asked to stop; everything is on disk."""


@dataclass(frozen=True, kw_only=True)
class Phase:
    """One part of an epoch: its examples, and the number of its first mini-batch."""

    name: str  # train or validation
    feed: Feed
    first_batch: int

    @property
    def batches(self) -> int:
        """Number of mini-batches; the last one may be smaller."""
        return self.feed.trials

    @property
    def learns(self) -> bool:
        """Whether weights change, and what acts in training acts."""
        return self.name == "train"


@dataclass(kw_only=True)
class Trainer:
    """Runs the epochs of a configuration from a state to the end.

    Args:
        config: What to run.
        splits: The data.
        backend: The compiled network with its weights.
        state: Where to begin.
        record: Metrics; ``recordings`` spikes, variables and weights.
        keeper: Checkpoints.
        reporter: Who is told.
        stop: Requests to stop.
        epoch_ended: Is given each epoch that has ended, the mean spikes per example in its
            training, [neurons of all layers], and whether it is the last one.
        on_epoch: Is given the figures of each epoch, and may end the training with it.
    """

    config: Config
    splits: Splits
    backend: Backend
    state: State
    record: RunRecord
    recordings: Recordings
    keeper: Keeper
    reporter: Reporter
    stop: Stop
    epoch_ended: Callable[[int, np.ndarray, bool], None] | None = None
    on_epoch: OnEpoch | None = None

    def __post_init__(self) -> None:
        config, program = self.config, self.backend.program
        self._phases: list[Phase] = []
        for split in filter(None, (self.splits.train, self.splits.validation)):
            first = sum(phase.batches for phase in self._phases)
            examples = feed(config, self.splits, split, config.N_EPOCH)
            name = "validation" if self._phases else "train"
            self._phases.append(Phase(name=name, feed=examples, first_batch=first))
        self._train_examples = self._phases[0].feed.examples
        self._task = program.task
        self._recorder = Recorder(config, self.backend, self.recordings)
        self._guard = Guard(config, program, self.record, self.keeper)
        self._watched = watched(config, self.splits, program)
        counted = self._phases[-1]
        self._costs = CostsOfEpochs(config, self.backend, counted.feed, counted.name)
        self._batches_per_chunk = 1
        self._timings: dict[str, float] = {}
        self._began = time.monotonic()
        forget_peak_memory()  # of another run in this process
        self._done_here = 0  # examples run by this process

    def run(self) -> str:
        """Run the epochs that are left, and return why some were left out, if they were.

        Raises:
            Stopped: A stop was asked for; the checkpoint is written.
            NumericalError: Values are no longer finite, or too large.
        """
        self.stop.at_once = False  # from here on there is something to save first
        with ExitStack() as feeds:
            for phase in self._phases:
                feeds.enter_context(phase.feed)
            ended = out_of_patience(self.record.epochs.arrays(), self.config, self._task)
            while self.state.epoch < self.config.N_EPOCH and not ended:
                ended = self._epoch(self.state.epoch)
        return ended if self.state.epoch < self.config.N_EPOCH else ""

    def _epoch(self, epoch: int) -> str:
        """Run an epoch, and return why it is the last one, if it is before its time."""
        started, kernels = time.monotonic(), self.backend.kernel_times()
        self._timings = {}
        for phase in self._phases:
            with self._timed(phase.name):
                self._run_phase(epoch, phase)
        for name, seconds in self.backend.kernel_times().items():
            self._timings[f"kernel_{name}"] = seconds - kernels.get(name, 0.0)
        row = self._row(epoch, time.monotonic() - started)
        trained = strides(self.backend, self._last_rates(epoch)[1])
        scores = {which: row[self._task.column(split)] for which, split in SPLITS.items()}
        state = self.state
        state.schedule.end_epoch(self.config, epoch, row, self._task)
        watched = scores.get(self.config.CHECKPOINT_BEST, float("nan"))
        best = watched > state.best_score
        if best:
            state.best_score, state.best_epoch = watched, epoch
        state.epoch, state.batch = epoch + 1, 0
        spikes_per_example = state.neuron_spikes / self._train_examples
        self.record.epoch(row, self._timings if self.config.TIMING else None)
        seen = noticed(self.record.epochs.arrays(), self._watched, trained)
        news = enter(seen, self.record.notices)
        self.recordings.flush()
        ended = self._ends_early(row, best)
        last = bool(ended) or state.epoch == self.config.N_EPOCH
        self.keeper.epoch_ended(state, best=best, last=last)
        self.reporter.epoch(row, seconds_left=self._seconds_left(), best=best)
        for line in news:
            self.reporter.warning(line)
        if self.epoch_ended is not None:
            self.epoch_ended(epoch, spikes_per_example, last)
        return ended

    def _ends_early(self, row: Row, best: bool) -> str:
        """Return why the training ends with the epoch of ``row``, or nothing."""
        ended = out_of_patience(self.record.epochs.arrays(), self.config, self._task)
        try:
            asked = self.on_epoch is not None and asks_to_stop(self.on_epoch, row)
        except BaseException:  # the user's own; the epoch is done all the same
            self.keeper.epoch_ended(self.state, best=best, last=True)
            raise
        return ended or (ASKED.format(epoch=row["epoch"]) if asked else "")

    def _begin_epoch(self, epoch: int) -> None:
        """Rewire what was silent in the epoch before, and count spikes anew.

        No checkpoint is made between this and the end of the first mini-batches, so what a
        checkpoint holds is either still to be rewired or has learned since.
        """
        state = self.state
        if self.config.REWIRE_SILENT and epoch > 0:
            with self._timed("rewiring"):
                state.rewired[:] = rewire(self.config, self.backend, state.neuron_spikes, epoch)
        for counts in (state.neuron_spikes, state.validation_spikes, state.dropped_spikes):
            counts[:] = 0
        state.activations = None

    def _run_phase(self, epoch: int, phase: Phase) -> None:
        first = max(0, self.state.batch - phase.first_batch)
        numbers = range(phase.first_batch, phase.first_batch + phase.batches)
        self._costs.begin(phase.name)
        recorded = {n - phase.first_batch for n in self._recorder.wanted(epoch, numbers)}
        while first < phase.batches:
            if self.stop:
                self._interrupt()
            if self.state.batch == 0:
                self._begin_epoch(epoch)
            if first == 0:
                self.state.activations = self.backend.no_activations()
            if first in recorded:
                recorded.discard(first)
                with self._timed("recording"):
                    served = phase.feed.serve(epoch, first, first + 1)
                    number, noise = phase.first_batch + first, self._noise(epoch, phase, served)
                    self._recorder.record(epoch, number, served, phase.name, noise)
            cuts = (phase.batches, self._end_of_chunk(phase, first))
            last = min([*cuts, *(r for r in recorded if r > first)])
            with self._timed("waiting for data"):
                served = phase.feed.serve(epoch, first, last)
            started = time.monotonic()
            self._run_batches(epoch, phase, served)
            self._note_speed(served.last - first, time.monotonic() - started)
            first = served.last
            self.state.batch = phase.first_batch + first
            self._done_here += len(served.labels)
            self._show(epoch, phase, min(first * self.config.N_BATCH, phase.feed.examples))

    def _noise(self, epoch: int, phase: Phase, served: Served) -> Noise:
        """Return what acts on these examples."""
        key = stream_key(self.config.TRAIN_DATA_SEED, "input dropout", epoch, *served.key)
        dropout = self.config.PDROP_INPUT if phase.learns else 0.0
        width = delay_width(self.config, epoch) if phase.learns else 0.0
        return Noise(dropout=dropout, key=key, in_network=phase.learns, delay_width=width)

    def _run_batches(self, epoch: int, phase: Phase, served: Served) -> None:
        """Run mini-batches of a phase and enter their figures."""
        started = time.monotonic()
        state, batches = self.state, served.last - served.first
        examples = np.ascontiguousarray(served.examples)
        rates = np.full(batches, np.nan)
        if phase.learns:
            program, first = self.backend.program, state.updates
            given = self.config, program.learning, epoch, first, batches, phase.batches
            rates = state.schedule.rates(*given)
            of_all = state.schedule.of_tensors(
                self.config, program, epoch, first, rates, phase.batches
            )
            data, size, noise = served.data, self.config.N_BATCH, self._noise(epoch, phase, served)
            results = self.backend.train(data, examples, size, of_all, first, noise)
            self._guard.training(results, epoch, served.first, state.updates, of_all)
            state.updates += batches
            state.neuron_spikes += results.neuron_spikes
            if results.dropped_spikes is not None:
                state.dropped_spikes += results.dropped_spikes
        else:
            results = self.backend.evaluate(served.data, examples)
            self._guard.validation(results, epoch)
            state.validation_spikes += results.neuron_spikes
        if state.activations is not None and results.activations is not None:
            state.activations += results.activations
        self._enter(epoch, phase, served, results, rates, time.monotonic() - started)

    def _enter(
        self,
        epoch: int,
        phase: Phase,
        served: Served,
        results: Results,
        rates: np.ndarray,
        seconds: float,
    ) -> None:
        labels = served.labels
        starts = np.arange(0, len(labels), self.config.N_BATCH)
        sizes = np.diff([*starts, len(labels)])
        losses = np.add.reduceat(results.loss, starts) / sizes
        figures = {n: np.add.reduceat(v, starts) / sizes for n, v in results.figures.items()}
        correct = np.add.reduceat((results.prediction == labels).astype(np.int64), starts)
        spikes = np.add.reduceat(results.layer_spikes.astype(np.int64), starts, axis=0)
        layers = list(enumerate(self.backend.program.populations))
        for k, start in enumerate(starts):
            here = slice(start, start + sizes[k])
            batch: dict[str, Any] = {
                "epoch": epoch,
                "trial": phase.first_batch + served.first + k,
                "phase": phase.name,
            }
            self.record.trial(
                **batch,
                examples=int(sizes[k]),
                loss=float(losses[k]),
                correct=int(correct[k]),
                learning_rate=float(rates[k]),
                spikes={c.population.name: int(spikes[k, i]) for i, c in layers if c.spiking},
                seconds=seconds / len(starts),
                figures={name: float(values[k]) for name, values in figures.items()},
            )
            self.record.predictions(
                **batch,
                examples=served.numbers[here],
                labels=labels[here],
                predictions=results.prediction[here],
            )

    def _row(self, epoch: int, seconds: float) -> dict[str, float]:
        train = self.record.means(epoch, "train")
        validation = self.record.means(epoch, "validation")
        spent = train["seconds"]
        row: dict[str, float] = {
            "epoch": epoch,
            "train_loss": train["loss"],
            self._task.column("train"): train[self._task.score],
            "validation_loss": validation["loss"],
            self._task.column("validation"): validation[self._task.score],
            "learning_rate": self._last_rates(epoch)[0],
            "seconds": seconds,
            "examples_per_second": train["examples"] / spent if spent > 0 else float("nan"),
            "peak_memory": float(peak_memory() or "nan"),
        }
        row.update(self._activity(epoch))
        row.update({name: train[name] for name in self._task.figures if name in train})
        row |= self._costs.of_epoch(self.state.activations, epoch)
        return row

    def _last_rates(self, epoch: int) -> tuple[float, np.ndarray]:
        """Return the rate of ETA in the last update, and those of all tensors."""
        last, batches = self.state.updates - 1, self._phases[0].batches
        program = self.backend.program
        return self.state.schedule.at_update(self.config, program, epoch, last, batches)

    def _activity(self, epoch: int) -> Figures:
        """Return the figures of the spikes of an epoch."""
        program, state = self.backend.program, self.state
        seen = program, state.neuron_spikes, self._train_examples
        figures = activity(*seen)
        for layer, compiled, _ in by_population(program, state.neuron_spikes):
            name = compiled.population.name
            if self.config.backend.on_full_buffer == "report":
                figures[f"dropped_spikes/{name}"] = int(state.dropped_spikes[layer])
            if self.config.REWIRE_SILENT and compiled is not program.populations[-1]:
                figures[f"rewired_neurons/{name}"] = int(state.rewired[layer])
        if self.config.DEBUG_HIDDEN_N:
            figures |= spread(*seen)
            for phase in self._phases[1:]:
                figures |= of_validation(program, state.validation_spikes, phase.feed.examples)
        return figures

    def _interrupt(self) -> None:
        self.recordings.flush()
        self.keeper.interrupted(self.state)
        raise Stopped

    def _end_of_chunk(self, phase: Phase, first: int) -> int:
        """Return where the call from mini-batch ``first`` on ends; some backends decide it."""
        # what is presented online runs on from one to the next, and each call from the training
        if phase.name == "validation" and self.backend.program.engine is Engine.ONLINE:
            return phase.batches
        fixed = self.backend.batches_per_call
        return (first // fixed + 1) * fixed if fixed else first + self._batches_per_chunk

    def _note_speed(self, batches: int, seconds: float) -> None:
        wanted = int(CHUNK_S / max(seconds / batches, 1e-7))
        self._batches_per_chunk = max(1, min(wanted, 4 * self._batches_per_chunk))

    def _show(self, epoch: int, phase: Phase, done: int) -> None:
        means = self.record.means(epoch, phase.name)
        elapsed = time.monotonic() - self._began
        self.reporter.progress(
            Progress(
                epoch=epoch,
                epochs=self.config.N_EPOCH,
                phase=phase.name,
                done=done,
                total=phase.feed.examples,
                loss=means["loss"],
                score=means[self._task.score],
                examples_per_second=self._done_here / elapsed if elapsed > 0 else 0.0,
                seconds_left=self._seconds_left(),
            )
        )

    def _seconds_left(self) -> float | None:
        """Return the seconds that are left at the speed so far."""
        if self._done_here == 0:
            return None
        epoch_examples = sum(phase.feed.examples for phase in self._phases)
        batches = sum(phase.batches for phase in self._phases)
        left = (self.config.N_EPOCH - self.state.epoch) * epoch_examples
        left -= int(self.state.batch / max(batches, 1) * epoch_examples)
        return left * (time.monotonic() - self._began) / self._done_here

    @contextmanager
    def _timed(self, name: str) -> Iterator[None]:
        started = time.monotonic()
        try:
            yield
        finally:
            spent = time.monotonic() - started
            self._timings[name] = self._timings.get(name, 0.0) + spent
