"""Pictures from the records of runs that exist."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from snnrun.config import flat, validate
from snnrun.datasets import load as load_data
from snnrun.errors import DataError, RecordError
from snnrun.keys.kinds import shown
from snnrun.network.build import build_network
from snnrun.plots import training
from snnrun.plots.comparison import SIZE as COMPARISON_SIZE
from snnrun.plots.comparison import Group, draw_comparison
from snnrun.plots.confusion import confusion
from snnrun.plots.learned import learned, pictures_of
from snnrun.plots.pattern import Shown, chosen, patterns
from snnrun.plots.raster import Spikes, target_spikes
from snnrun.plots.style import Picture, new_figure
from snnrun.record.provenance import SEEDS
from snnrun.record.reader import Run, load_run
from snnrun.schema import SCHEMA
from snnrun.schema.effect import used_keys
from snnrun.training.checkpoint import load
from snnrun.training.state import saved_ends

NO_DIFFERENCE = (  # of what is learned
    *SEEDS,
    "NAME",
    "TAGS",
    "OUT_DIR",
    "N_EPOCH",
    "DEBUG_HIDDEN_N",
    "TIMING",
    "BUILD",
    "backend.threads",
    "backend.cache_dir",
)
LOADED = ("LOAD_LAST", "LOAD_BEST")


def plot_run(folder: Path) -> Path:
    """Make the pictures of one run in its folder ``plots``, and return that folder.

    Raises:
        SnnrunError: No epoch has ended yet, or a record or checkpoint cannot be read.
    """
    run = with_epochs(folder)
    found = [_training(run), *_confusion(run), *_patterns(run)]
    if run.paths.last.exists():
        saved = load(run.paths.last)
        tensors = {name: kept["value"] for name, kept in saved["tensors"].items()}
        epochs = "1 epoch" if saved["epoch"] == 1 else f"{saved['epoch']} epochs"
        after = f"after {epochs} (last checkpoint)"
        name = run.config["dataset"]["name"]
        network = build_network(validate(run.config), *saved_ends(saved))
        found += pictures_of(learned(network, tensors, _recorded_delays(run)), after, name)
    for picture in found:
        picture.write(run.paths)
    return run.paths.plots


def course(run: Run | Path) -> Figure:
    """Return the picture of the course of a run, or of the one in a folder."""
    return _training(with_epochs(run)).figure()


def comparison(runs: Sequence[Run | Path], left_out: list[str] | None = None) -> Figure:
    """Return a picture with the courses of several runs.

    Args:
        runs: To compare.
        left_out: Is given why a run is not shown, where no epoch of it has ended.

    Raises:
        RecordError: That is so of all runs, or of one without ``left_out``.
    """
    shown = []
    for run in runs:
        try:
            shown.append(with_epochs(run))
        except RecordError as error:
            if left_out is None:
                raise
            left_out.append(str(error))
    if not shown:
        raise RecordError("\n".join(left_out or ["there is no run to plot"]))
    figure = new_figure(*COMPARISON_SIZE)
    draw_comparison(figure, group(shown))
    return figure


def with_epochs(run: Run | Path) -> Run:
    """Return a run, or that of a folder, in which an epoch has ended.

    Raises:
        RecordError: There is none.
    """
    if isinstance(run, Path):
        run = load_run(run)
    folder = run.paths.root
    if not len(run.epochs.get("epoch", ())):
        state = "is in its first epoch" if run.running else "ended before its first epoch did"
        raise RecordError(f"{folder}: there is nothing to plot yet, since the run {state}")
    return run


def group(runs: Sequence[Run]) -> list[Group]:
    """Put runs together that differ by seeds only, and name each group by what tells it apart."""
    groups: list[tuple[dict[str, Any], list[Run]]] = []
    for run in runs:
        key = _settings(run.config)
        for settings, members in groups:
            if settings == key:
                members.append(run)
                break
        else:
            groups.append((key, [run]))
    names = sorted({name for settings, _ in groups for name in settings})
    differing = [n for n in names if any(s.get(n) != groups[0][0].get(n) for s, _ in groups)]
    found = []
    for settings, members in groups:
        told = ", ".join(f"{n}={shown(settings[n])}" for n in differing if n in settings)
        label = told or str(members[0].config.get("NAME", "run"))
        found.append(Group(label=label, task=members[0].task, runs=[run.epochs for run in members]))
    return found


def _settings(config: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings that make a difference, those of groups as GROUP.OPTION."""
    given = flat(config)
    defaults = {name: key.default_of(given["dataset.name"]) for name, key in SCHEMA.items()}
    used = set(used_keys(defaults | given))  # a run of an older version lacks the newest keys
    return {
        name: value
        for name, value in given.items()
        if not _only_kept(name) and (name in used or name not in SCHEMA)
    }


def _only_kept(name: str) -> bool:
    """Return whether a key changes nothing that is learned, as those of what is recorded."""
    recording = name in SCHEMA and SCHEMA[name].section == "recording controls"
    return name in NO_DIFFERENCE or name == "record.name" or (recording and name not in LOADED)


def _training(run: Run) -> Picture:
    title = f"{run.config['NAME']}, {run.config['dataset']['name']} ({run.paths.root.name})"
    return training.course(run.epochs, run.task, run.test, title)


def _confusion(run: Run) -> Iterator[Picture]:
    """Yield the confusion matrices of the last epoch and the test, where they were collected."""
    found: dict[str, np.ndarray] = {}
    for split in ("train", "validation", "test"):
        with suppress(RecordError):  # not collected
            counts, none = run.confusion(split)[-1], run.no_prediction(split)[-1]
            found[split] = np.concatenate([counts, none[None]])
    if "validation" in found:
        found.pop("train", None)
    if found:
        yield confusion(found, run.class_names, "Confusion, last epoch")


def _recorded_delays(run: Run) -> dict[str, dict[str, np.ndarray]]:
    """Return the delays that were recorded later than at the start, by the time in words."""
    found = {}
    for epoch, trial in run.recorded()["weights"]:
        if (epoch, trial) > (0, 0) and (delays := run.delays(epoch, trial)):
            found[f"epoch {epoch}" + (f", trial {trial}" if trial else "")] = delays
    return found


def _patterns(run: Run) -> Iterator[Picture]:
    """Yield the recorded trials of a task with target spikes beside these, if there are any."""
    recorded = run.recorded()["spikes"]
    if not (run.task.targets and recorded):
        return
    config = validate(run.config)
    targets = None
    with suppress(DataError):  # its file is gone
        targets = load_data(config).train.data.targets
    columns = []
    for epoch, trial in (recorded[k] for k in chosen(len(recorded))):
        found = {name: run.spikes(epoch, trial, name) for name in config.REC_SPIKES}
        columns.append(
            Shown(
                title=f"trial {epoch * config.N_TRAIN + trial} (epoch {epoch})",
                spikes=[
                    Spikes(population=name, size=s.n_neurons, times_ms=s.times_ms, ids=s.ids)
                    for name, s in found.items()
                ],
            )
        )
    target = target_spikes(targets, 0, config.dataset.outputs, config.DT_MS)
    title = f"{run.config['NAME']} ({run.paths.root.name}): recorded trials"
    yield patterns(columns, config.TRIAL_MS, target, title)
