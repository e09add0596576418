"""The story of a run, from top to bottom: the first file to read.

config -> data -> network -> program (both passes derived) -> backend (compiled) -> training loop ->
records and checkpoints in the run folder.
"""

from __future__ import annotations

import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from snnrun.backends import require_backend
from snnrun.backends.base import Backend, Opened
from snnrun.compile.program import Program, compile_program
from snnrun.config import Config
from snnrun.datasets import load
from snnrun.datasets.fingerprint import Fingerprint, fingerprint, to_text
from snnrun.datasets.spikes import Splits
from snnrun.errors import ConfigError, SnnrunError
from snnrun.files import copy_file, write_error
from snnrun.interruption import preparing, score, stoppable
from snnrun.loggers.logs import Logs, require_loggers
from snnrun.needs import require_memory, require_memory_for_data
from snnrun.network.build import (
    build_network,
    find_learning,
    find_loss,
    find_regulariser,
    find_rule,
    initial_weights,
    window_of,
)
from snnrun.network.network import Network
from snnrun.parallel.open import nodes, open_shared
from snnrun.plots.library import live_plots, require_plots
from snnrun.presets import UNKNOWN, Setting
from snnrun.record.ending import noting_end
from snnrun.record.evaluation import Weights, add_test
from snnrun.record.owner import claim, refuse_old_run
from snnrun.record.paths import RunPaths
from snnrun.record.provenance import SEEDS, provenance
from snnrun.record.reader import load_run
from snnrun.record.recordings import Recordings
from snnrun.record.scratch import scratch
from snnrun.record.writer import RunRecord
from snnrun.stop import stop_requests
from snnrun.summary import found, outcome, tested_again
from snnrun.terminal.choice import Together, make_reporter
from snnrun.terminal.notices import enter
from snnrun.terminal.plain import PlainReporter
from snnrun.terminal.reporter import Reporter
from snnrun.training.checkpoint import load as load_checkpoint
from snnrun.training.early import OnEpoch
from snnrun.training.evaluate import evaluate, make_final_tests, require_test_set
from snnrun.training.keeper import Keeper
from snnrun.training.loop import Trainer
from snnrun.training.schedule import require_rates
from snnrun.training.start import load_earlier_run, require_same_data
from snnrun.training.state import State, from_checkpoint, load_tensors, start_state
from snnrun.training.steps import long_steps

if TYPE_CHECKING:
    from snnrun.plots.live import LivePlots


def train(
    config: Config,
    folder: Path,
    resume: bool = False,
    *,
    setting: Setting = UNKNOWN,
    read: Callable[[Config], Splits] | None = None,
    progress: bool = True,
    on_epoch: OnEpoch | None = None,
) -> float:
    """Train what ``config`` describes, in the run folder ``folder``.

    ``setting`` is where its values are from, which the run says at its start.
    ``read`` gives the data that the configuration asks for; without it, snnrun.datasets.load does.
    ``progress`` and ``on_epoch`` are those of ``train_in``.
    With WRITE_TO_DISK false nothing is written to the folder, but to a temporary one.

    Returns the score that a sweep optimises: of the best epoch's validation, or of training
    where there is no validation set.

    Raises:
        SnnrunError: Anything that the user can put right.
        SystemExit: The run was stopped by a signal; its checkpoint is written.
    """
    if config.WRITE_TO_DISK:
        paths = RunPaths(Path(folder))
        return train_in(
            config, paths, resume, progress=progress, setting=setting, read=read, on_epoch=on_epoch
        )
    with scratch() as paths:
        return train_in(
            config, paths, progress=progress, setting=setting, read=read, on_epoch=on_epoch
        )


def train_in(
    config: Config,
    paths: RunPaths,
    resume: bool = False,
    *,
    progress: bool = True,
    setting: Setting = UNKNOWN,
    read: Callable[[Config], Splits] | None = None,
    on_epoch: OnEpoch | None = None,
) -> float:
    """Do what ``train`` says, and write to ``paths`` whatever WRITE_TO_DISK is.

    Without ``progress`` only the log of the run is told how it goes on. ``on_epoch`` is given the
    figures of each epoch that has ended (the columns of snnrun.record.columns.EPOCHS); where it
    returns True the training ends with it, and the run is tested and finished. What it raises ends
    the run, with a checkpoint.
    """
    if not resume:
        refuse_old_run(paths)
    with (
        stop_requests() as stop,
        claim(paths),
        noting_end(paths) as ending,
        reporting(paths, progress) as reporter,
        preparing(config, stop, paths, reporter),
        ExitStack() as stack,
    ):
        started = time.monotonic()
        stop.limit(config.TIME_LIMIT)
        require_backend(config)
        require_plots(config)
        require_loggers(config)
        splits, data = _read(config, paths, resume, read or load)
        opened = _open(config, splits, paths, reporter, stack)
        backend = opened.backend
        record = _record(config, paths, splits, data, opened, resume)
        recordings = Recordings(paths, dt_ms=config.DT_MS, trial_ms=config.TRIAL_MS)
        resumed = _resumed(config, paths, opened) if resume else None
        state = resumed or _start(config, paths, opened)
        _cut_back(record, recordings, state)
        reporter.start(found(config, splits, opened, paths, state, setting), record.task)
        noticed = [*splits.notices, *opened.notices, *long_steps(config, backend.program)]
        for line in enter(noticed, record.notices):
            reporter.warning(line)
        ending.training()
        logs = stack.enter_context(Logs(config, paths, record, reporter.warning))
        keeper = _keeper(config, paths, backend, record, state, resumed, logs.kept)
        plots = live_plots(stack, config, paths, splits, backend, record, reporter.warning)
        trainer = Trainer(
            config=config,
            splits=splits,
            backend=backend,
            state=state,
            record=record,
            recordings=recordings,
            keeper=keeper,
            reporter=reporter,
            stop=stop,
            epoch_ended=plots.epoch_ended if plots else None,
            on_epoch=on_epoch,
        )
        with stoppable(config, stop, state, record, paths, reporter, plots):
            ended_early = trainer.run()
        make_final_tests(config, backend, splits, record, state, keeper)
        _end(record, ended_early, plots, logs)
        reporter.finish(outcome(config, record, state, paths, time.monotonic() - started))
    return score(state, record)


def test(config: Config, folder: Path) -> dict[str, float]:
    """Evaluate the last checkpoint of a run (the best one with LOAD_BEST) on its test set.

    The result is added to those that the run has; nothing else of it changes.
    """
    paths = RunPaths(Path(folder))
    with claim(paths), reporting(paths) as reporter, ExitStack() as stack:
        require_backend(config)
        splits = load(config)
        require_test_set(config, splits)
        opened = _open(config, splits, paths, reporter, stack)
        checkpoint = paths.best if config.LOAD_BEST else paths.last
        saved = load_checkpoint(checkpoint)
        load_tensors(saved, opened.backend, states=False, where=str(checkpoint))
        weights = Weights(
            kind="best" if config.LOAD_BEST else "last",
            epochs=saved["epoch"],
            trials=saved["trial"],
        )
        origin = _origin(config, fingerprint(splits, config.N_TEST), opened)
        tested = evaluate(
            config, opened.backend, splits, weights=weights, origin=origin, final=False
        )
        add_test(paths, tested)
        earlier = load_run(paths.root)
        reporter.finish(tested_again([*earlier.tests[:-1], tested], earlier.task, paths))
    return tested.figures


def compile_only(config: Config, folder: Path) -> Path:
    """Derive, generate and build the program of ``config``; return the folder of its code."""
    paths = RunPaths(Path(folder))
    with reporting(paths) as reporter, ExitStack() as stack:
        require_backend(config)
        splits = load(config)
        opened = _open(config, splits, paths, reporter, stack)
        print(opened.backend.program.describe())
        reporter.finish(dict(opened.files))
    return paths.code


def _open(
    config: Config, splits: Splits, paths: RunPaths, reporter: Reporter, stack: ExitStack
) -> Opened:
    """Return the backend with the built program, which is closed with ``stack``."""
    network = network_of(config, splits)
    require_memory(config, network, nodes(), splits.in_memory)
    program = program_of(config, network)
    return stack.enter_context(open_shared(program, config, paths.code, splits, reporter.build))


@contextmanager
def built(config: Config, splits: Splits) -> Iterator[Backend]:
    """Give the built program of a configuration, without weights; no run folder is made."""
    with scratch() as scrap, ExitStack() as stack:
        require_backend(config)
        program = build_program(config, splits)
        opened = open_shared(program, config, scrap.code, splits, lambda _: None)
        yield stack.enter_context(opened).backend


def build_program(config: Config, splits: Splits) -> Program:
    """Return the program of the network that ``config`` describes, for this data."""
    return program_of(config, network_of(config, splits))


def network_of(config: Config, splits: Splits) -> Network:
    """Return the network that ``config`` describes, for this data."""
    data = splits.train.data
    n_inputs = data.n_channels * (1 + config.N_INPUT_DELAY)
    shape = () if config.N_INPUT_DELAY else data.shape
    return build_network(config, n_inputs, data.n_classes, shape)


def program_of(config: Config, network: Network) -> Program:
    """Return the program of a network."""
    loss = find_loss(config)
    regulariser, strengths = find_regulariser(config)
    program = compile_program(
        network,
        loss,
        {key: float(getattr(config, key)) for key in loss.keys},
        steps=config.steps,
        dt=config.DT_MS,
        integrator=config.network.integrator,
        window=window_of(config),
        regulariser=regulariser,
        regulariser_values=strengths,
        average_spikes=config.AVG_SNSUM,
        rule=find_rule(config),
        learning=find_learning(config),
        keys=config.by_key(),
    )
    require_rates(config, program)
    return program


@contextmanager
def reporting(paths: RunPaths, show: bool = True) -> Iterator[Reporter]:
    """Give a reporter for the terminal and the run's log, and the terminal back afterwards."""
    try:
        paths.root.mkdir(parents=True, exist_ok=True)
        log = paths.log.open("a", encoding="utf-8")
    except OSError as error:
        raise write_error(paths.log, error) from error
    with log:
        shown = [make_reporter()] if show else []
        written = PlainReporter(log)
        reporter = Together([*shown, written])
        try:
            yield reporter
        except Exception as error:
            told = str(error) if isinstance(error, SnnrunError) else traceback.format_exc()
            written.failed(told)
            raise
        finally:
            reporter.close()


def _read(
    config: Config, paths: RunPaths, resume: bool, read: Callable[[Config], Splits]
) -> tuple[Splits, Fingerprint]:
    """Return the data and what tells them apart from others, which a run must not go on with."""
    require_memory_for_data(config, nodes())
    splits = read(config)
    data = fingerprint(splits, config.N_TEST)
    if not resume:
        return splits, data
    changed = require_same_data(config, paths, data)
    return replace(splits, notices=(*splits.notices, *changed)), data


def _record(
    config: Config, paths: RunPaths, splits: Splits, data: Fingerprint, opened: Opened, resume: bool
) -> RunRecord:
    record = RunRecord(
        paths,
        _origin(config, data, opened),
        task=opened.backend.program.task,
        n_classes=splits.train.data.n_classes,
        class_names=splits.train.data.class_names,
        confusion=config.COLLECT_CONFUSION,
        predictions=config.REC_PREDICTIONS,
    )
    if resume and paths.run.exists():
        record.resume()
    return record


def _origin(config: Config, data: Fingerprint, opened: Opened) -> dict[str, str | int]:
    return provenance(
        config.to_dict(),
        name=config.NAME,
        dataset=config.dataset.name,
        epochs=config.N_EPOCH,
        seeds={key: getattr(config, key) for key in SEEDS},
        data=to_text(data),
        backend=opened.description,
        compiled=str(opened.files.get("command", "")),
    )


def _cut_back(record: RunRecord, recordings: Recordings, state: State) -> None:
    """Drop what was recorded after ``state``, with which the run begins."""
    record.truncate(state.epoch, state.batch)
    recordings.discard_after(state.epoch, state.batch)
    record.write()


def _keeper(
    config: Config,
    paths: RunPaths,
    backend: Backend,
    record: RunRecord,
    state: State,
    resumed: State | None,
    kept: Callable[[int], None],
) -> Keeper:
    """Return what writes checkpoints, which knows of weights that were loaded."""
    keeper = Keeper(config, paths, backend, record, resumed, kept)
    if resumed is None and (config.LOAD_LAST or config.LOAD_BEST or not config.N_EPOCH):
        keeper.loaded(state)
    return keeper


def _end(record: RunRecord, ended_early: str, plots: LivePlots | None, logs: Logs) -> None:
    """Write that the run has ended, and make and log what is made at the end."""
    record.finish(ended_early)
    record.write()
    if plots:
        plots.ended()
    logs.finish()


def _resumed(config: Config, paths: RunPaths, opened: Opened) -> State | None:
    """Return the state of the last checkpoint, loaded; None if the run was stopped before one."""
    if not paths.last.exists():
        return None
    state = from_checkpoint(load_checkpoint(paths.last), opened.backend, str(paths.last))
    begun = state.epoch + (state.batch > 0)
    if begun > config.N_EPOCH:
        raise ConfigError(
            f"N_EPOCH={config.N_EPOCH}: the run has begun {begun} epochs already; give at least "
            f"N_EPOCH={begun}, or start another run"
        )
    return state


def _start(config: Config, paths: RunPaths, opened: Opened) -> State:
    """Return the state of a new run, and give the backend its weights.

    A file that describes the network is copied, so that the run can go on without it.
    """
    backend = opened.backend
    if file := config.network.get("file"):
        copy_file(Path(file).expanduser(), paths.network)
    for name, weights in initial_weights(backend.program.network, config.MODEL_SEED).items():
        backend.set(name, weights)
    if config.LOAD_LAST or config.LOAD_BEST:
        load_earlier_run(config, paths, backend)
    return start_state(backend)
