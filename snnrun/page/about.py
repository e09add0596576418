"""What a run is and what it gave: its head, its tests, what it noticed, and its files."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from urllib.parse import quote

import numpy as np

from snnrun.needs import size_in_words
from snnrun.numbers import duration, number
from snnrun.page.parts import (
    Cell,
    Markup,
    Page,
    Part,
    Section,
    Table,
    Text,
    element,
    missing,
    paragraph,
)
from snnrun.record.ending import read_end
from snnrun.record.evaluation import Evaluation
from snnrun.record.notes import read_notes
from snnrun.record.notices import BEFORE
from snnrun.record.paths import PREDICTIONS, RECORDING_KINDS, RunPaths
from snnrun.record.provenance import DATA, SEEDS
from snnrun.record.reader import Run
from snnrun.record.shown import lines_of
from snnrun.tasks import Task
from snnrun.terminal.costs import is_cost

_LINES = ("name", "data set", "network", "loss", "best epoch")  # of lines_of; tiles have others
_VERSIONS = ("snnrun", "python", "numpy", "h5py", "hdf5")


def head(run: Run) -> Section:
    """Return what ran, on what, how long, and what came of it."""
    about = run.provenance
    seeds = ", ".join(f"{key} {about[f'seed_{key}']}" for key in SEEDS if f"seed_{key}" in about)
    machine = [str(about[name]) for name in ("hostname", "cpu", "platform") if about.get(name)]
    cores = f"{about['cores_usable']} of {about['cores']} cores" if "cores_usable" in about else ""
    told = [
        *((label, text) for label, text in lines_of(run) if label in _LINES),
        ("tags", ", ".join(map(str, run.config.get("TAGS") or ()))),
        *(("note", str(note)) for note in read_notes(run.paths)),
        ("data", _data(about.get(DATA))),
        ("state", _state(run)),
        ("began", str(about["created"] if "created" in about else run.sessions[0]["start_time"])),
        ("seeds", seeds),
        ("machine", ", ".join([*machine, cores]).rstrip(", ")),
        ("versions", ", ".join(f"{name} {about[name]}" for name in _VERSIONS if name in about)),
        ("snnrun's commit", str(about.get("snnrun_commit", ""))),
        ("backend", str(about.get("backend", ""))),
        ("compiled by", str(about.get("compiled", ""))),
        ("git commit", str(about.get("git_commit", ""))),
        ("in folder", str(about.get("folder", ""))),
        ("processes", f"{len(run.sessions)}, as it was resumed" if run.sessions[1:] else ""),
    ]
    command = element("dt", "command"), element("dd", element("code", str(about["command"])))
    rows = [part for label, text in told if text for part in _row(label, text)]
    parts = [Text(_tiles(run)), Text(element("dl", *rows, *command))]
    return Section("Run", [*parts, *([_reason(run)] if run.reason else [])])


def _data(fingerprint: str | int | None) -> str:
    """Return how large each split is; nothing of a run of an older version."""
    of = json.loads(str(fingerprint)) if fingerprint else {}
    names = ("examples", "channels", "classes", "events")
    return "; ".join(
        f"{split} {_chosen(of[split])}{', '.join(f'{of[split][name]:,} {name}' for name in names)}"
        for split in ("train", "validation", "test")
        if split in of
    )


def _chosen(of: Mapping[str, int]) -> str:
    """Return how many examples of its data a split has, where these are not all."""
    chosen = of.get("chosen", of["examples"])
    return f"{chosen:,} of " if chosen != of["examples"] else ""


def _row(label: str, text: str) -> tuple[str, str]:
    return element("dt", label), element("dd", text)


def _reason(run: Run) -> Part:
    return Text(element("pre", run.reason))


def _tiles(run: Run) -> Markup:
    task, scores = run.task, run.score
    words = {"train": "training", "validation": "validation", "test": "test"}
    done, seconds = len(run.epochs.get("epoch", ())), float(np.nansum(run.epochs.get("seconds", 0)))
    tiles = [(run.state, f"{done} of {run.provenance['n_epochs']} epochs")]
    for split, score in scores.items():
        where = "last weights" if split == "test" else "last epoch"
        tiles.append((task.cell(score).strip(), f"{words[split]} {task.word}, {where}"))
    best = run.test_best.get(task.score, math.nan)
    if not math.isnan(best):
        tiles.append((task.cell(best).strip(), f"test {task.word}, best weights"))
    tiles.append((duration(seconds), "time of all epochs"))
    return element(
        "div",
        *(
            element("div", element("b", value), element("span", label), class_="tile")
            for value, label in tiles
        ),
        class_="tiles",
    )


def _state(run: Run) -> str:
    if run.finished:
        early = f" early: {run.ended_early}" if run.ended_early else ""
        return f"finished{early}, {run.finished}"
    return run.state


def results(run: Run) -> Section:
    """Return every test of a run, and its figures."""
    if not run.tests:
        return Section(
            "Results",
            [
                paragraph(
                    "No test was made. A run tests itself when it ends, unless N_TEST is 0; "
                    "otherwise: ",
                    element("code", "snnrun test"),
                    ".",
                )
            ],
        )
    named = list(
        dict.fromkeys(name for test in run.tests for name in test.figures if not is_cost(name))
    )
    heading = ["weights", "epochs", "data", "examples", "seed", "made by", "when"]
    columns = [name.replace("_", " ").replace("/", ", ") for name in named]
    rows = [list(_test(test, named, run.task)) for test in run.tests]
    return Section("Results", [Table([*heading, *columns], rows, left=(0, 2, 5, 6))])


def _test(test: Evaluation, named: Sequence[str], task: Task) -> Iterator[str | Cell]:
    """Yield the cells of a test: what was tested, and its figures."""
    within = f"+{test.weights.trials}" if test.weights.trials else ""
    yield from (
        test.weights.kind,
        f"{test.weights.epochs}{within}",
        test.dataset,
        str(test.n_examples or "-"),
        "-" if test.seed is None else str(test.seed),
        "the run" if test.final else "snnrun test",
        test.when[:16].replace("T", " "),
    )
    for name in named:
        value = test.figures.get(name, math.nan)
        text = number(value)
        if name == task.score or name.startswith("accuracy"):
            text = task.cell(value).strip()
        elif value >= 1000 or value == round(value):
            text = f"{value:,.0f}"
        yield Cell(text, None if math.isnan(value) else value)


def noticed(run: Run) -> Section:
    """Return what a run warned of, once for each kind."""
    rows, columns = [], run.warnings
    kinds = dict.fromkeys(zip(columns["what"], columns["where"], strict=True))
    for what, where in kinds:
        these = (columns["what"] == what) & (columns["where"] == where)
        epochs = columns["epoch"][these]
        when = "before the first epoch"
        if epochs.max() > BEFORE:
            when = f"{len(epochs)} epochs, {epochs.min()} to {epochs.max()}"
            when = f"epoch {epochs[0]}" if len(epochs) == 1 else when
        rows.append([str(what), str(where), when, str(columns["message"][these][-1])])
    if not rows:
        return Section("Warnings", [paragraph("Nothing was noticed that needs care.")])
    return Section("Warnings", [Table(["what", "where", "when", "the latest"], rows, range(4))])


def files(run: Run, beside: Path | None) -> Section:
    """Return the files of a run, with links.

    Args:
        run: Of which they are.
        beside: The folder of the page, from which the links lead; None: a page without links.
    """
    paths = run.paths
    rows: list[list[str | Cell]] = [
        [_link(path, paths.root, beside), Cell(size_in_words(size), size), what]
        for path, what, size in _files(paths)
    ]
    table = Table(["file", "size", "what it holds"], rows, left=(0, 2))
    return Section("Files", [paragraph("Folder: ", element("code", str(paths.root))), table])


def _files(paths: RunPaths) -> Iterator[tuple[Path, str, int]]:
    known = {
        paths.run: "metrics of trials and epochs, tests, warnings, provenance",
        **{paths.index(kind): f"links to the recorded {kind}" for kind in RECORDING_KINDS},
        **{paths.part_folder(k): f"recorded {k}" for k in (*RECORDING_KINDS, PREDICTIONS)},
        paths.last: "checkpoint with which the run goes on",
        paths.best: "checkpoint of the best epoch",
        paths.config: "the configuration",
        paths.overrides: "what was given on the command line",
        paths.code: "generated code",
        paths.plots: "pictures",
        paths.log: "what was reported",
        paths.notes: "what people have noted about it",
        paths.page: "a page like this one",
    }
    known |= {path: "" for path in sorted(paths.root.glob("[!.]*")) if not _holds(path, known)}
    for path, what in known.items():
        if path.is_dir():
            inside = [file for file in path.rglob("*") if file.is_file()]
            if inside:
                yield path, what, sum(file.stat().st_size for file in inside)
        elif path.is_file():
            yield path, what, path.stat().st_size


def _holds(path: Path, known: Iterable[Path]) -> bool:
    """Return whether one of some files is this one, or in this folder."""
    return any(path == one or path in one.parents for one in known)


def _link(path: Path, root: Path, beside: Path | None) -> str:
    name = f"{path.relative_to(root)}{'/' * path.is_dir()}"
    if beside is None:
        return name
    way = Path(os.path.relpath(path.resolve(), beside.resolve())).as_posix()
    return element("a", name, href=quote(way))


def not_recorded(run: Run, kind: str, what: str, key: str) -> list[Part]:
    """Return the sentence for what was not recorded, as a list of none or one."""
    return [] if run.recorded()[kind] else [missing(f"{what} were not recorded.", key)]


def not_begun(paths: RunPaths) -> Page:
    """Return the page of a run that has recorded nothing yet."""
    end = read_end(paths, finished=False)
    told = element("p", f"Nothing is recorded yet: the run is {end.state}.")
    reason = [element("pre", end.reason)] if end.reason else []
    parts = [Text(element("div", told, *reason))]
    return Page(paths.root.resolve().name, [Section("Run", parts)])
