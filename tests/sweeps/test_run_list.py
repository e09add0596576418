from __future__ import annotations

import csv
import io
import json
import os
import tempfile
from pathlib import Path

import pytest
from runs import here

from snnrun.record.evaluation import Evaluation, Weights, now
from snnrun.record.owner import claim
from snnrun.record.paths import RunPaths
from snnrun.record.provenance import provenance
from snnrun.record.writer import RunRecord
from snnrun.sweeps.runs import find_runs, no_runs, show_runs
from snnrun.sweeps.sweep import Job


def make_run(
    root: Path, folder: str, *, day: int, epochs: int = 2, finished: bool = False
) -> RunPaths:
    paths = RunPaths(root / folder)
    paths.root.mkdir(parents=True)
    origin = provenance({}, name="demo", dataset="yinyang", epochs=3, seeds={})
    origin["start_time"] = f"2026-11-{day:02d}T12:00:00+00:00"
    record = RunRecord(paths, origin, n_classes=3)
    for epoch in range(epochs):
        record.epoch({"epoch": epoch, "train_accuracy": 0.5 + epoch / 10})
    if finished:
        record.epoch({"epoch": 2, "train_accuracy": 0.9, "validation_accuracy": 0.8})
        record.add_test(
            Evaluation(
                weights=Weights(kind="last", epochs=3),
                figures={"accuracy": 0.75},
                final=True,
                n_examples=4,
                when=now(),
                origin=origin,
            )
        )
        record.finish()
    record.write()
    return paths


def listed(root: Path) -> str:
    out, jobs = io.StringIO(), find_runs(root)
    if not jobs:
        return no_runs(root)
    show_runs(jobs, root, out)
    return out.getvalue()


def test_runs_are_listed_newest_first_with_state_accuracies_and_size(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Job, "size", 14_130)
    make_run(tmp_path, "outputs/11-19/10-00-00", day=19, finished=True)
    make_run(tmp_path, "multirun/11-20/10-00-00/0", day=20)
    active = make_run(tmp_path, "outputs/11-21/22-33-01", day=21)
    (tmp_path / "outputs" / "11-21" / "notes").mkdir()
    with claim(active):
        text = listed(tmp_path)
    assert text.splitlines() == [
        "run                       name dataset epochs state    train% valid% test% best%    size",
        "outputs/11-21/22-33-01    demo yinyang    2/3 running   60.00      -     -     - 14.1 kB",
        "multirun/11-20/10-00-00/0 demo yinyang    2/3 killed    60.00      -     -     - 14.1 kB",
        "outputs/11-19/10-00-00    demo yinyang    3/3 finished  90.00  80.00 75.00     - 14.1 kB",
    ]


def test_on_a_narrow_terminal_each_folder_has_a_line_of_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_run(tmp_path, "outputs/2026-11-19/10-00-00", day=19, finished=True)
    monkeypatch.setenv("COLUMNS", "60")
    out = io.StringIO()
    monkeypatch.setattr(out, "isatty", lambda: True, raising=False)
    show_runs(find_runs(tmp_path), tmp_path, out)
    assert out.getvalue() == (
        "run\n"
        " name dataset epochs state    train% valid% test% best%\n"
        "outputs/2026-11-19/10-00-00\n"
        " demo yinyang    3/3 finished  90.00  80.00 75.00     -\n"
    )


def test_folders_inside_a_run_are_not_listed(tmp_path: Path) -> None:
    paths = make_run(tmp_path, "outputs/run", day=1)
    make_run(paths.root, "copy", day=2)
    assert [line.folder for line in find_runs(tmp_path)] == [paths.root]


def test_run_that_has_written_nothing_yet_is_listed(tmp_path: Path) -> None:
    paths = RunPaths(tmp_path / "outputs" / "run")
    with claim(paths):
        (line,) = find_runs(tmp_path)
        assert line.state == "running"
        owner_file = paths.pid.read_bytes()
    assert find_runs(tmp_path) == []
    paths.pid.write_bytes(owner_file.replace(b'"started": "', b'"started": "9'))
    (line,) = find_runs(tmp_path)
    assert line.state == "killed"


def test_unreadable_run_is_listed_with_the_reason(tmp_path: Path) -> None:
    make_run(tmp_path, "outputs/good", day=1)
    bad = make_run(tmp_path, "outputs/bad", day=2)
    bad.run.write_bytes(b"damaged")
    text = listed(tmp_path)
    assert "outputs/bad" in text
    assert "unreadable" in text
    assert f"    {bad.run}: damaged or not written by snnrun" in text
    assert "outputs/good demo" in text


def test_no_runs_says_where_they_would_be(tmp_path: Path) -> None:
    text = listed(tmp_path)
    assert str(tmp_path / "outputs") in text
    assert "snnrun train dataset=yinyang" in text
    table = here("runs", str(tmp_path), "--csv").stdout.splitlines()
    assert [line.split(",")[:3] for line in table] == [["name", "dataset", "folder"]]


def test_run_of_somebody_else_is_listed_with_the_reason() -> None:
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        root.chmod(0o755)
        paths = make_run(root, "outputs/run", day=1)
        paths.run.chmod(0)
        me = os.geteuid()
        if me == 0:
            os.seteuid(65534)  # root may read everything
        try:
            assert "you may not read this file" in listed(root)
        finally:
            os.seteuid(me)


def test_a_folder_that_holds_runs_itself_is_listed_with_paths_that_can_be_given(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    make_run(Path(), "outputs/2026-11-19/10-00-00", day=19)
    make_run(Path(), "sweeps/ETA=1", day=20)
    for folder, run in (("outputs", "outputs/2026-11-19/10-00-00"), ("sweeps", "sweeps/ETA=1")):
        assert listed(Path(folder)).splitlines()[1].startswith(f"{run} demo")
    assert listed(tmp_path / "sweeps").splitlines()[1].startswith(f"{tmp_path}/sweeps/ETA=1 demo")
    make_run(Path(), "far/1/2/3/4/5", day=21)
    assert listed(Path("far")).startswith("No runs in far/outputs")


def test_runs_are_found_by_their_tags_and_by_the_settings_that_differ(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for day, words in ((1, "ETA=1e-3 TAGS=[paper,figure3]"), (2, "ETA=0.002"), (3, "ETA=0.01")):
        paths = make_run(Path("outputs"), f"run{day}", day=day, finished=True)
        paths.hydra.mkdir()
        paths.overrides.write_text("".join(f"- {word}\n" for word in words.split()))
    lines = here("runs", "--sort", "ETA").stdout.splitlines()
    assert [line.split()[-1] for line in lines] == [
        "settings", "TAGS=[paper,figure3]", "ETA=0.002", "ETA=0.01",
    ]  # fmt: skip
    found = json.loads(here("runs", "--filter", "TAGS=fig*", "--json").stdout)
    assert [run["overrides"]["ETA"] for run in found] == ["1e-3"]
    rows = list(csv.DictReader(io.StringIO(here("runs", "--sort=-ETA", "--csv").stdout)))
    assert [row["ETA"] for row in rows] == ["0.01", "0.002", "0.001"]
    assert rows[0]["validation"] == "0.8"
    assert here("runs", "--filter", "ETA=3").stdout == "None of 3 runs fits --filter\n"
    assert "Did you mean 'validation'?" in here("runs", "--sort", "valid").stderr
