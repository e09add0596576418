"""Where everything lies in a run folder. No other module spells one of these names."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from snnrun.files import is_temporary

SPIKES, VARIABLES, WEIGHTS, PREDICTIONS = "spikes", "variables", "weights", "predictions"
RECORDING_KINDS = (SPIKES, VARIABLES, WEIGHTS)  # the kinds that have parts per epoch and trial
MULTIRUN = "multirun.yaml"  # what Hydra has composed, beside the folders of a multirun's jobs
ASKED = ".sweep"  # the folder beside it, in which snnrun writes what was asked

_PART = re.compile(r"e(\d{5,})_t(\d{6,})\.h5")


class _At:
    """A file or folder of a run, by the names that lead to it."""

    def __init__(self, *names: str) -> None:
        self._names = names

    @property
    def first(self) -> str:
        """The name of what lies in the run folder itself."""
        return self._names[0]

    def __get__(self, paths: RunPaths, owner: type) -> Path:
        return paths.root.joinpath(*self._names)


@dataclass(frozen=True)
class RunPaths:
    """The names of the files of one run.

    ::

        .hydra/               the composed configuration and the overrides, named as Hydra does
        run.h5                metrics per trial and epoch, confusion, timings, provenance
        spikes.h5             links to the recorded parts, likewise variables.h5 and weights.h5
        records/KIND/         the parts: e00003_t000007.h5 is epoch 3, trial 7
        checkpoints/          last.h5, best.h5
        code/                 generated code
        plots/                pictures
        page.html             what `snnrun report` shows of it
        network.nir           what was exported; network.npz, network.pt likewise
        metrics.csv           the figures of each epoch, with logger=csv
        tensorboard/, wandb/  what these loggers write
        loggers.json          how far each logger is
        notes.json            what people have noted about it
        modules/, inputs/     in a run that was packed: models of one's own, files that it names
        run.log               what was reported
        run.pid               which process works on the run, while there is one
        run.end               how the run ended, if it has not finished
    """

    root: Path

    hydra = _At(".hydra")
    config = _At(".hydra", "config.yaml")
    overrides = _At(".hydra", "overrides.yaml")
    composed = _At(".hydra", "hydra.yaml")
    network = _At(".hydra", "network.nir")  # the file that it began with, of network.file
    resumed = _At(".hydra", "resumed_overrides.yaml")  # what earlier resumes were given, in order
    run = _At("run.h5")
    records = _At("records")
    checkpoints = _At("checkpoints")
    last = _At("checkpoints", "last.h5")
    best = _At("checkpoints", "best.h5")
    code = _At("code")
    plots = _At("plots")
    exported = _At("network")  # with the suffix of a format
    metrics = _At("metrics.csv")
    loggers = _At("loggers.json")
    tensorboard = _At("tensorboard")
    wandb = _At("wandb")
    notes = _At("notes.json")
    modules = _At("modules")
    inputs = _At("inputs")
    log = _At("run.log")
    pid = _At("run.pid")
    end = _At("run.end")
    page = _At("page.html")

    def __post_init__(self) -> None:
        object.__setattr__(self, "root", Path(self.root))

    def index(self, kind: str) -> Path:
        """Return the file that links to all parts of one kind, as in ``spikes.h5``."""
        return self.root / f"{kind}.h5"

    def part_folder(self, kind: str) -> Path:
        return self.records / kind

    def part(self, kind: str, epoch: int, trial: int) -> Path:
        """Return the file of one recording."""
        return self.part_folder(kind) / f"{part_name(epoch, trial)}.h5"

    def prediction_part(self, name: str) -> Path:
        """Return the file of the predictions of an epoch (``e00003``) or the test (``test``)."""
        return self.part_folder(PREDICTIONS) / f"{name}.h5"

    def plot(self, name: str) -> Path:
        """Return the file of one picture."""
        return self.plots / f"{name}.png"

    def parts(self, kind: str, files: Iterable[Path] | None = None) -> dict[tuple[int, int], Path]:
        """Return the parts of a kind by (epoch, trial), in that order: on disk or of ``files``."""
        folder = self.part_folder(kind)
        if files is None:
            files = folder.iterdir() if folder.is_dir() else ()
        found = {}
        for path in files:
            if path.parent == folder and (match := _PART.fullmatch(path.name)):
                found[int(match[1]), int(match[2])] = path
        return dict(sorted(found.items()))

    def strangers(self) -> list[Path]:
        """Return what lies in the folder beside the files of a run."""
        known = {place.first for place in vars(RunPaths).values() if isinstance(place, _At)}
        known |= {self.index(kind).name for kind in RECORDING_KINDS}
        return [
            path
            for path in sorted(self.root.iterdir())
            if path.name not in known
            and path.stem != self.exported.name
            and not is_temporary(path.name)
        ]

    def folders(self) -> tuple[Path, ...]:
        """Return every folder in which a run writes files."""
        kinds = (*RECORDING_KINDS, PREDICTIONS)
        return (
            self.root,
            self.checkpoints,
            self.plots,
            *(self.part_folder(kind) for kind in kinds),
        )


@dataclass(frozen=True)
class FoldPaths:
    """The names of a cross-validation: ``speaker00/`` is a run folder, ``crossval.csv`` a table."""

    root: Path

    @property
    def table(self) -> Path:
        return self.root / "crossval.csv"

    @property
    def begun(self) -> bool:
        """Whether there is a run of a cross-validation in this folder."""
        return any(self.root.glob("speaker[0-9]*"))

    def fold(self, place: int) -> Path:
        """Return the folder of the run that leaves out one speaker, by its place in the list."""
        return self.root / f"speaker{place:02d}"


def is_of_sweep(folder: Path) -> bool:
    """Return whether a folder is that of a multirun, by what is written beside its jobs."""
    return (folder / ASKED).exists() or (folder / MULTIRUN).exists()


def is_of_many(folder: Path) -> bool:
    """Return whether a folder is that of a multirun or of a cross-validation."""
    return is_of_sweep(folder) or FoldPaths(folder).begun


def told_of_sweep(folder: Path) -> str:
    """Return what to say of the folder of a sweep where that of one run belongs."""
    jobs = sorted(
        (p.name for p in folder.iterdir() if RunPaths(p).config.is_file()),
        key=lambda name: (len(name), name),
    )
    runs = f"its runs are {folder / jobs[0]}" if jobs else "it holds no runs"
    to = f" to {folder / jobs[-1]}" if jobs[1:] else ""
    return f"{folder}: is the folder of a sweep; {runs}{to}"


def part_name(epoch: int, trial: int) -> str:
    """Return the name of a recording in its index file and on disk."""
    return f"e{epoch:05d}_t{trial:06d}"


def epoch_name(epoch: int) -> str:
    """Return the name of what is recorded once per epoch."""
    return f"e{epoch:05d}"
