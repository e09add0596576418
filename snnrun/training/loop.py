"""The training loop. It knows no backend: it feeds examples, keeps the books, and emits events.

An epoch is a row of trials (mini-batches): training first, then validation. The loop hands the
backend as many trials at once as run in about CHUNK_S, so that nothing in Python happens per step
or example, and looks up in between for requests to stop. Cutting the row elsewhere changes no bit;
where it would, the backend says how long its calls are.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

import numpy as np

from snnrun.backends.base import Adam, Backend, Results
from snnrun.config import Config
from snnrun.datasets.feed import Feed, Served, feed
from snnrun.datasets.spikes import Splits
from snnrun.record.recordings import Recordings
from snnrun.record.writer import RunRecord
from snnrun.report.notices import enter
from snnrun.report.reporter import Progress, Reporter
from snnrun.stop import Stop
from snnrun.streams import stream_key
from snnrun.tasks.task import SPLITS
from snnrun.training.activity import Figures, activity, by_population, of_validation, spread
from snnrun.training.early import ASKED, OnEpoch, Row, asks_to_stop, out_of_patience
from snnrun.training.guard import Guard
from snnrun.training.keeper import Keeper
from snnrun.training.recorder import Recorder
from snnrun.training.rewire import rewire
from snnrun.training.state import State
from snnrun.training.watch import noticed, sizes, watched

CHUNK_S = 0.2


class Stopped(Exception):  # noqa: N818  not an error
    """The run was asked to stop; everything is on disk."""


@dataclass(frozen=True, kw_only=True)
class Phase:
    """One part of an epoch: its examples, and the number of its first trial."""

    name: str  # train or validation
    feed: Feed
    first_trial: int

    @property
    def trials(self) -> int:
        """Number of mini-batches; the last one may be smaller."""
        return self.feed.trials


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
        epoch_ended: Is given each epoch that has ended, the mean spikes per trial in its
            training, [neurons of all layers], and whether it is the last one.
        on_epoch: Is given the figures of each epoch, and may end the training with it.
    """

    def __init__(
        self,
        *,
        config: Config,
        splits: Splits,
        backend: Backend,
        state: State,
        record: RunRecord,
        recordings: Recordings,
        keeper: Keeper,
        reporter: Reporter,
        stop: Stop,
        epoch_ended: Callable[[int, np.ndarray, bool], None] | None = None,
        on_epoch: OnEpoch | None = None,
    ) -> None:
        self._config = config
        self._train_feed = feed(config, splits, splits.train, config.N_EPOCH)
        self._phases = [Phase(name="train", feed=self._train_feed, first_trial=0)]
        if splits.validation is not None:
            validation = feed(config, splits, splits.validation, config.N_EPOCH)
            after = self._train_feed.trials
            self._phases.append(Phase(name="validation", feed=validation, first_trial=after))
        self._backend = backend
        self._task = backend.program.loss.task
        self._state = state
        self._record = record
        self._recordings = recordings
        self._recorder = Recorder(config, backend, recordings)
        self._keeper = keeper
        self._reporter = reporter
        self._stop = stop
        self._epoch_ended = epoch_ended
        self._on_epoch = on_epoch
        self._guard = Guard(config, backend.program, record, keeper)
        self._adam = Adam(beta1=config.ADAM_BETA1, beta2=config.ADAM_BETA2, epsilon=config.ADAM_EPS)
        self._trials_per_chunk = 1
        self._timings: dict[str, float] = {}
        self._began = time.monotonic()
        self._done_here = 0  # examples run by this process
        self._drops = config.backend.on_full_buffer == "report"
        self._watched = watched(config, splits, backend.program)

    def run(self) -> str:
        """Run the epochs that are left, and return why some were left out, if they were.

        Raises:
            Stopped: A stop was asked for; the checkpoint is written.
            NumericalError: Values are no longer finite, or too large.
        """
        self._stop.at_once = False  # from here on there is something to save first
        with ExitStack() as feeds:
            for phase in self._phases:
                feeds.enter_context(phase.feed)
            ended = out_of_patience(self._record.epochs.arrays(), self._config, self._task)
            while self._state.epoch < self._config.N_EPOCH and not ended:
                ended = self._epoch(self._state.epoch)
        return ended if self._state.epoch < self._config.N_EPOCH else ""

    def _epoch(self, epoch: int) -> str:
        """Run an epoch, and return why it is the last one, if it is before its time."""
        started, kernels = time.monotonic(), self._backend.kernel_times()
        self._timings = {}
        for phase in self._phases:
            with self._timed(phase.name):
                self._run_phase(epoch, phase)
        for name, seconds in self._backend.kernel_times().items():
            self._timings[f"kernel_{name}"] = seconds - kernels.get(name, 0.0)
        row = self._row(epoch, time.monotonic() - started)
        scores = {which: row[self._task.column(split)] for which, split in SPLITS.items()}
        state = self._state
        state.schedule.end_epoch(self._config, epoch, scores[self._config.EMA_WHICH])
        watched = scores.get(self._config.CHECKPOINT_BEST, float("nan"))
        best = watched > state.best_score
        if best:
            state.best_score, state.best_epoch = watched, epoch
        state.epoch, state.trial = epoch + 1, 0
        spikes_per_trial = state.neuron_spikes / self._train_feed.examples
        self._record.epoch(row, self._timings if self._config.TIMING else None)
        seen = noticed(self._record.epochs.arrays(), self._watched, sizes(self._backend))
        news = enter(seen, self._record.notices)
        self._recordings.flush()
        ended = self._ends_early(row, best)
        last = bool(ended) or state.epoch == self._config.N_EPOCH
        self._keeper.epoch_ended(state, best=best, last=last)
        self._reporter.epoch(row, seconds_left=self._seconds_left(), best=best)
        for line in news:
            self._reporter.warning(line)
        if self._epoch_ended is not None:
            self._epoch_ended(epoch, spikes_per_trial, last)
        return ended

    def _ends_early(self, row: Row, best: bool) -> str:
        """Return why the training ends with the epoch of ``row``, or nothing."""
        ended = out_of_patience(self._record.epochs.arrays(), self._config, self._task)
        try:
            asked = self._on_epoch is not None and asks_to_stop(self._on_epoch, row)
        except BaseException:  # the user's own; the epoch is done all the same
            self._keeper.epoch_ended(self._state, best=best, last=True)
            raise
        return ended or (ASKED.format(epoch=row["epoch"]) if asked else "")

    def _begin_epoch(self, epoch: int) -> None:
        """Rewire what was silent in the epoch before, and count spikes anew.

        No checkpoint is made between this and the end of the first mini-batches, so what a
        checkpoint holds is either still to be rewired or has learned since.
        """
        state = self._state
        if self._config.REWIRE_SILENT and epoch > 0:
            with self._timed("rewiring"):
                state.rewired[:] = rewire(self._config, self._backend, state.neuron_spikes, epoch)
        for counts in (state.neuron_spikes, state.validation_spikes, state.dropped_spikes):
            counts[:] = 0

    def _run_phase(self, epoch: int, phase: Phase) -> None:
        first = max(0, self._state.trial - phase.first_trial)
        numbers = range(phase.first_trial, phase.first_trial + phase.trials)
        recorded = {t - phase.first_trial for t in self._recorder.wanted(epoch, numbers)}
        while first < phase.trials:
            if self._stop:
                self._interrupt()
            if self._state.trial == 0:
                self._begin_epoch(epoch)
            if first in recorded:
                recorded.discard(first)
                with self._timed("recording"):
                    served = phase.feed.serve(epoch, first, first + 1)
                    self._recorder.record(
                        epoch,
                        phase.first_trial + first,
                        served,
                        phase.name,
                        (*self._dropout(epoch, phase, served), phase.name == "train"),
                    )
            cuts = (phase.trials, self._end_of_chunk(phase, first))
            last = min([*cuts, *(r for r in recorded if r > first)])
            served = self._serve(epoch, phase, first, last)
            started = time.monotonic()
            self._run_trials(epoch, phase, served)
            self._note_speed(served.last - first, time.monotonic() - started)
            first = served.last
            self._state.trial = phase.first_trial + first
            self._done_here += len(served.labels)
            self._show(epoch, phase, min(first * self._config.N_BATCH, phase.feed.examples))

    def _serve(self, epoch: int, phase: Phase, first: int, last: int) -> Served:
        """Return the examples of mini-batches; what it takes is the wait for their preparation."""
        with self._timed("waiting for data"):
            return phase.feed.serve(epoch, first, last)

    def _dropout(self, epoch: int, phase: Phase, served: Served) -> tuple[float, int]:
        """Return the probability with which input spikes are dropped, and the key of the choice."""
        key = stream_key(self._config.TRAIN_DATA_SEED, "input dropout", epoch, *served.key)
        return (self._config.PDROP_INPUT if phase.name == "train" else 0.0, key)

    def _run_trials(self, epoch: int, phase: Phase, served: Served) -> None:
        """Run mini-batches of a phase and enter their figures."""
        started = time.monotonic()
        state, trials = self._state, served.last - served.first
        examples = np.ascontiguousarray(served.examples)
        rates = np.full(trials, np.nan)
        if phase.name == "train":
            rates = state.schedule.rates(self._config, epoch, state.updates, trials)
            results = self._backend.train(
                served.data,
                examples,
                self._config.N_BATCH,
                rates,
                self._adam,
                state.updates,
                *self._dropout(epoch, phase, served),
            )
            self._guard.training(results, epoch, served.first, state.updates, rates)
            state.updates += trials
            state.neuron_spikes += results.neuron_spikes
            if results.dropped_spikes is not None:
                state.dropped_spikes += results.dropped_spikes
        else:
            results = self._backend.evaluate(served.data, examples)
            self._guard.validation(results, epoch)
            state.validation_spikes += results.neuron_spikes
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
        starts = np.arange(0, len(labels), self._config.N_BATCH)
        sizes = np.diff([*starts, len(labels)])
        losses = np.add.reduceat(results.loss, starts) / sizes
        correct = np.add.reduceat((results.prediction == labels).astype(np.int64), starts)
        spikes = np.add.reduceat(results.layer_spikes.astype(np.int64), starts, axis=0)
        names = [c.population.name for c in self._backend.program.populations]
        spiking = [i for i, c in enumerate(self._backend.program.populations) if c.spiking]
        for k, start in enumerate(starts):
            trial = phase.first_trial + served.first + k
            here = slice(start, start + sizes[k])
            self._record.trial(
                epoch=epoch,
                trial=trial,
                phase=phase.name,
                examples=int(sizes[k]),
                loss=float(losses[k]),
                correct=int(correct[k]),
                learning_rate=float(rates[k]),
                spikes={names[i]: int(spikes[k, i]) for i in spiking},
                seconds=seconds / len(starts),
                figures={name: float(values[k]) for name, values in results.figures.items()},
            )
            self._record.predictions(
                epoch=epoch,
                trial=trial,
                phase=phase.name,
                examples=served.numbers[here],
                labels=labels[here],
                predictions=results.prediction[here],
            )

    def _row(self, epoch: int, seconds: float) -> dict[str, float]:
        train = self._record.means(epoch, "train")
        validation = self._record.means(epoch, "validation")
        last_rate = self._state.schedule.rates(self._config, epoch, self._state.updates - 1, 1)
        spent = train["seconds"]
        row: dict[str, float] = {
            "epoch": epoch,
            "train_loss": train["loss"],
            self._task.column("train"): train[self._task.score],
            "validation_loss": validation["loss"],
            self._task.column("validation"): validation[self._task.score],
            "learning_rate": float(last_rate[0]),
            "seconds": seconds,
            "examples_per_second": train["examples"] / spent if spent > 0 else float("nan"),
        }
        row.update(self._activity(epoch))
        row.update({name: train[name] for name in self._task.figures if name in train})
        return row

    def _activity(self, epoch: int) -> Figures:
        """Return the figures of the spikes of an epoch."""
        program, state = self._backend.program, self._state
        seen = program, state.neuron_spikes, self._train_feed.examples
        figures = activity(*seen)
        for layer, compiled, _ in by_population(program, state.neuron_spikes):
            name = compiled.population.name
            if self._drops:
                figures[f"dropped_spikes/{name}"] = int(state.dropped_spikes[layer])
            if self._config.REWIRE_SILENT and compiled is not program.populations[-1]:
                figures[f"rewired_neurons/{name}"] = int(state.rewired[layer])
        if self._config.DEBUG_HIDDEN_N:
            figures |= spread(*seen)
            for phase in self._phases[1:]:
                figures |= of_validation(program, state.validation_spikes, phase.feed.examples)
        return figures

    def _interrupt(self) -> None:
        self._recordings.flush()
        self._keeper.interrupted(self._state)
        raise Stopped

    def _end_of_chunk(self, phase: Phase, first: int) -> int:
        """Return where the call that begins with trial ``first`` ends; some backends decide it."""
        # an online rule's presentations run on from each other, and each call from the training
        if phase.name == "validation" and self._backend.program.online is not None:
            return phase.trials
        fixed = self._backend.batches_per_call
        return (first // fixed + 1) * fixed if fixed else first + self._trials_per_chunk

    def _note_speed(self, trials: int, seconds: float) -> None:
        per_trial = max(seconds / trials, 1e-7)
        wanted = int(CHUNK_S / per_trial)
        self._trials_per_chunk = max(1, min(wanted, 4 * self._trials_per_chunk))

    def _show(self, epoch: int, phase: Phase, done: int) -> None:
        means = self._record.means(epoch, phase.name)
        elapsed = time.monotonic() - self._began
        self._reporter.progress(
            Progress(
                epoch=epoch,
                epochs=self._config.N_EPOCH,
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
        trials = sum(phase.trials for phase in self._phases)
        left = (self._config.N_EPOCH - self._state.epoch) * epoch_examples
        left -= int(self._state.trial / max(trials, 1) * epoch_examples)
        return left * (time.monotonic() - self._began) / self._done_here

    @contextmanager
    def _timed(self, name: str) -> Iterator[None]:
        started = time.monotonic()
        try:
            yield
        finally:
            spent = time.monotonic() - started
            self._timings[name] = self._timings.get(name, 0.0) + spent
