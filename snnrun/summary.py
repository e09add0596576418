"""What a run says of itself at its start and at its end."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

from snnrun.backends.base import Opened
from snnrun.config import Config
from snnrun.datasets.spikes import Splits
from snnrun.keys.kinds import shown
from snnrun.network.build import find_regulariser
from snnrun.numbers import duration, percent
from snnrun.presets import Setting, said_of
from snnrun.record.evaluation import Evaluation, final_tests
from snnrun.record.paths import RunPaths
from snnrun.record.writer import RunRecord
from snnrun.shell import Line, command
from snnrun.stop import Stop
from snnrun.tasks import Task
from snnrun.terminal import costs
from snnrun.terminal.notices import counted
from snnrun.terminal.tests import table_of_tests
from snnrun.training.early import to_go_on
from snnrun.training.schedule import eased_in_after
from snnrun.training.state import State

Info = dict[str, str | Sequence[str]]

UNKEPT = "nothing is kept, as WRITE_TO_DISK is false"


def found(
    config: Config, splits: Splits, opened: Opened, paths: RunPaths, state: State, setting: Setting
) -> Info:
    """Return what the run found before its first batch: setting, data, network, backend, plan."""
    program = opened.backend.program
    hidden = "/".join(dict.fromkeys(c.dynamics.neuron.name for c in program.populations[:-1]))
    output = program.populations[-1].dynamics.neuron.name
    plastic = program.plasticity
    optimiser = program.optimiser.optimiser.name
    optimiser += f" (STDP: {plastic.optimiser})" if plastic else ""
    epochs = f"{config.N_EPOCH} epoch" + "s" * (config.N_EPOCH != 1)
    plan = f"{epochs}, batches of {config.N_BATCH}, {optimiser}, ETA {config.ETA:g}"
    plan += _course_of_rate(config)
    if own := program.learning.plan:
        plan = f"{epochs} of {len(splits.train)} trials, {own}"
    rule = f"{program.rule.name} {program.learning.variant}"
    info: Info = {
        **said_of(setting, config.dataset.name, config.rule.name),
        "data": splits.description or _sizes(config, splits),
        **_inputs(config),
        "network": [
            f"{program.network.shape}, {hidden} hidden, {output} output, "
            f"{program.trained_values:,} trained values",
            f"{program.steps} steps of {program.dt:g} ms",
        ],
        "rule": f"{rule.strip()}, loss {program.loss.name}: {program.loss.meaning}",
        **({"hint": hint} if (hint := program.rule.hint(config)) else {}),
        "backend": opened.description,
        "plan": plan + _patience(config),
        **_only_in_training(config),
        **_care_of_silent(config),
        "seeds": f"data {config.TRAIN_DATA_SEED}, test {config.TEST_DATA_SEED}, "
        f"model {config.MODEL_SEED}",
        "folder": _shown(paths.root) if config.WRITE_TO_DISK else UNKEPT,
    }
    if state.epoch or state.batch:
        info["resumed"] = f"from epoch {state.epoch}, trial {state.batch}"
    return info


def outcome(
    config: Config, record: RunRecord, state: State, paths: RunPaths, seconds: float
) -> Info:
    """Return how the run ended: accuracies, where everything is, and how to look further."""
    info: Info = {"ended": record.ended_early} if record.ended_early else {}
    task = record.task
    for name in ("train", "validation"):
        column = record.epochs[task.column(name)]
        if len(column) and not math.isnan(column[-1]):  # there is one of this name
            info[name] = f"{task.says(float(column[-1]))} in the last epoch"
    if state.best_epoch >= 0:
        info["best"] = (
            f"{task.says(state.best_score)} in epoch {state.best_epoch}, by "
            f"{config.CHECKPOINT_BEST} {task.word}"
        )
    if tested := final_tests(record.tests):
        info["test"] = [_tested(config, test, task) for test in tested]
        info |= {"costs": short} if (short := costs.in_short(tested[0].figures)) else {}
    rewired = (
        [_rewired(record, name) for name in config.populations[1:-1]]
        if config.REWIRE_SILENT
        else []
    )
    info |= {"rewired": rewired} if rewired else {}
    noticed = counted(record.notices)
    info |= {"warnings": noticed} if noticed else {}
    info["time"] = duration(seconds)
    if not config.WRITE_TO_DISK:
        return info | {"files": f"{UNKEPT}: neither records nor checkpoints"}
    return info | _written(config, paths, record, tested=bool(tested))


def _tested(config: Config, test: Evaluation, task: Task) -> str:
    """Return what one of the tests at the end found, and with which weights."""
    figures, epoch = test.figures, test.weights.epochs - 1
    which = f"the last weights (epoch {epoch})" if epoch >= 0 else "the weights of the start"
    if test.weights.kind == "best":
        which = f"the best weights (epoch {epoch}, by {config.CHECKPOINT_BEST} {task.word})"
    text = f"{task.says(figures[task.score])} with {which}"
    if "accuracy_known_speakers" in figures:
        text += (
            f"; known speakers {percent(figures['accuracy_known_speakers'])}, "
            f"unseen {percent(figures['accuracy_unseen_speakers'])}"
        )
    return text


def tested_again(tests: Sequence[Evaluation], task: Task, paths: RunPaths) -> Info:
    """Return what the latest of a run's tests found, and beside which others it stands."""
    latest = tests[-1]
    return {
        "weights": str(latest.weights),
        "data": f"{latest.dataset}, {latest.n_examples:,} examples",
        "result": [
            f"{name.replace('_', ' ')}: {_figure(name, value)}"
            for name, value in latest.figures.items()
            if not costs.is_cost(name)
        ],
        **({"costs": told} if (told := costs.told(latest.figures)) else {}),
        "all tests": table_of_tests(tests, task),
        "files": _shown(paths.run),
    }


def _figure(name: str, value: float) -> str:
    if name.startswith("accuracy"):
        return percent(value)
    counts = ("silent_neurons", "examples_per_second")
    return f"{value:,.0f}" if name.startswith(counts) else f"{value:.4f}"


def stopped(config: Config, stop: Stop, state: State, paths: RunPaths) -> str:
    """Return what stopped a run and where, and how to go on."""
    where = f"by {stop.name} in epoch {state.epoch}, trial {state.batch}"
    if not config.WRITE_TO_DISK:
        return f"{where}; {UNKEPT}, so it cannot be resumed"
    return f"{where}; everything is saved. Go on with:\n  {command('resume', paths.root)}"


def stopped_early(config: Config, stop: Stop, paths: RunPaths) -> str:
    """Return what stopped a run before its first mini-batch, and how to go on."""
    where = f"by {stop.name} before the first mini-batch"
    if not config.WRITE_TO_DISK:
        return f"{where}; {UNKEPT}"
    nothing = "the checkpoint is as it was" if paths.last.exists() else "nothing is lost"
    return f"{where}; {nothing}. Go on with:\n  {command('resume', paths.root)}"


def _written(config: Config, paths: RunPaths, record: RunRecord, tested: bool) -> Info:
    """Return which files there are, and how to look further."""
    info: Info = {}
    written: list[str] = [Line(f"{_shown(paths.run)}: metrics")]
    if paths.metrics.exists():
        written.append(Line(f"{_shown(paths.metrics)}: those of epochs, as a table"))
    written += [
        Line(f"{_shown(paths.index(kind))}: {kind}")
        for kind in ("spikes", "variables", "weights")
        if paths.index(kind).exists()
    ]
    if paths.last.exists() or paths.best.exists():
        written.append(Line(f"{_shown(paths.checkpoints)}: checkpoints"))
    if config.TRAINING_PLOT or config.FANCY_PLOTS:
        written.append(Line(f"{_shown(paths.plots)}: plots"))
    info["files"] = written
    further: list[str] = [
        Line(f"in Python: from snnrun import load_run; run = load_run({_shown(paths.root)!r})")
    ]
    if paths.last.exists():
        further += [command("test", _short(paths.root))] if tested else []
        more = [f"N_EPOCH={2 * config.N_EPOCH or 10}"]
        if record.ended_early:
            more = to_go_on(record.epochs.arrays(), config, record.task)
        further.append(command("resume", _short(paths.root), *more))
    info["further"] = further
    return info


def _course_of_rate(config: Config) -> str:
    """Return what changes the learning rate: the ease-in, the schedule, its warm-up."""
    factor, schedule = config.LR_EASE_IN_FACTOR, config.schedule
    batches = math.ceil(eased_in_after(factor))
    eased = f" from batch {batches} on (LR_EASE_IN_FACTOR {factor:g})" if batches else ""
    named = f", {schedule.name}" if schedule.name != "constant" else ""
    length = f"{schedule.warmup:g} epoch{'s' if schedule.warmup != 1 else ''}"
    return eased + named + (f", warm-up of {length}" if schedule.warmup else "")


def _patience(config: Config) -> str:
    """Return when the training may end before its last epoch, as the plan goes on."""
    early = ""
    if config.PATIENCE is not None:
        early = f"; ends after {config.PATIENCE} without a better {config.PATIENCE_WHICH} accuracy"
    limit = config.TIME_LIMIT
    return early + (f"; stops after {limit:g} min" if limit is not None else "")


def _only_in_training(config: Config) -> dict[str, str]:
    """Return the noise, dropout and regulariser that act in training and not in evaluation."""
    regulariser, strengths = find_regulariser(config)
    acting = [
        f"{name} {getattr(config, name):g}"
        for name in ("HIDDEN_NOISE", "PDROP_INPUT", "PDROP_HIDDEN")
        if getattr(config, name)
    ]
    if regulariser:
        values = ", ".join(f"{name} {strengths[name]:g}" for name in regulariser.keys)
        of = ", of mini-batch means" if config.AVG_SNSUM else ""
        acting.append(f"regulariser {regulariser.name} ({values}{of})")
    return {"in training": ", ".join(acting)} if acting else {}


def _care_of_silent(config: Config) -> dict[str, str]:
    """Return what is done to neurons that were silent for an epoch."""
    if not config.REWIRE_SILENT:
        return {}
    how = f"raised by {config.REWIRE_LIFT:g}" if config.REWIRE_LIFT else "drawn anew"
    return {"rewiring": f"after an epoch's silence, a neuron's feed-forward weights are {how}"}


def _rewired(record: RunRecord, layer: str) -> str:
    """Return how often neurons of a layer were rewired, and whether it helped."""
    times = record.epochs[f"rewired_neurons/{layer}"]
    silent = record.epochs[f"silent_neurons/{layer}"]
    epochs = int((times > 0).sum())
    return (
        f"{layer}: {times.sum():,.0f} silent neurons, in {epochs} of {len(times)} epochs; "
        f"{silent[-1]:.0f} silent in the last epoch"
    )


def _inputs(config: Config) -> dict[str, str]:
    """Return what is done to the data before the network sees them."""
    found = {}
    if config.AUGMENTATION:
        entries = [f"{name} {shown(value)}" for name, value in config.AUGMENTATION.items()]
        found["augmented"] = ", ".join(entries)
    if config.N_INPUT_DELAY:
        found["delay line"] = (
            f"{config.N_INPUT_DELAY} copies of the inputs, {config.INPUT_DELAY:g} ms apart"
        )
    return found


def _sizes(config: Config, splits: Splits) -> str:
    sizes = ", ".join(f"{len(split)} {split.name}" for split in splits.all())
    return f"{config.dataset.name}: {sizes} examples"


def _short(path: Path) -> Path:
    """Return a path as short as it can be typed in the current folder."""
    here = Path.cwd()
    return path.relative_to(here) if path.is_relative_to(here) else path


def _shown(path: Path) -> Line:
    return Line(_short(path))
