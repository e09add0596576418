"""`snnrun note`, `remove`, `pack`: nothing is lost that was not meant, nothing is half done."""

from __future__ import annotations

import csv
import io
import json
import os
import re
import shutil
import sys
import tarfile
import time
from pathlib import Path
from zipfile import ZipFile

import pytest
from runs import SMALL, assert_same_run, here, overrides, small, snnrun, stopped_at

from snnrun.cli import main
from snnrun.files import is_temporary
from snnrun.record import load_run
from snnrun.record.notes import add_note, read_notes
from snnrun.record.owner import claim
from snnrun.record.paths import RunPaths
from snnrun.record.provenance import provenance
from snnrun.record.writer import RunRecord
from snnrun.sweeps import removal
from snnrun.sweeps.asked import Asked, AskedJob, write_asked
from snnrun.sweeps.runs import find_runs

DAY = "outputs/2026-11-21"
NEURON = '''
from mylab.values import REST
from snnrun.models.declare import Neuron, Parameter
from snnrun.models.neurons import TAU_MEM, TAU_SYN, V_THRESH

mine = Neuron(
    name="mine",
    equations="""
        dV/dt = (v_rest + I - V) / tau_mem
        dI/dt = -I / tau_syn
    """,
    threshold="V >= v_thresh",
    reset="V = 0",
    parameters=(
        TAU_MEM, TAU_SYN, V_THRESH,
        Parameter(name="v_rest", default=REST, unit="1", meaning="resting potential"),
    ),
    meaning="a neuron with a resting potential",
    source="this test",
)
'''


def make_run(folder: Path, *words: str, days_ago: float = 0.0) -> RunPaths:
    """Write a run folder without training."""
    paths = RunPaths(folder)
    paths.hydra.mkdir(parents=True)
    origin = provenance({}, name="demo", dataset="yinyang", epochs=1, seeds={})
    record = RunRecord(paths, origin, n_classes=3)
    record.epoch({"epoch": 0, "train_accuracy": 0.5})
    record.finish()
    record.write()
    paths.config.write_text("NAME: demo\nbackend: {name: native}\n")
    paths.overrides.write_text("".join(f"- {word}\n" for word in words))
    then = time.time() - 86400 * days_ago
    for path in (paths.run, paths.overrides):
        os.utime(path, (then, then))
    return paths


def make_sweep(folder: Path, jobs: int = 3, **options: float) -> Path:
    asked = tuple(AskedJob(number=n, words=(f"ETA={n}",), folder=str(n)) for n in range(jobs))
    write_asked(folder, Asked(jobs=asked))
    (folder / "multirun.yaml").write_text("")
    (folder / "sweep.png").write_bytes(b"a picture")
    for number in range(jobs):
        make_run(folder / str(number), f"ETA={number}", **options)
    return folder


def found() -> list[str]:
    return sorted(str(job.folder) for job in find_runs(Path()))


def test_notes_are_kept_with_their_times_and_shown_with_the_runs() -> None:
    make_run(Path(DAY, "a"))
    for text in ("looks good; figure 3?", "no:  \n rate too high, größer"):
        done = here("note", f"{DAY}/a", text)
        assert done.returncode == 0, done.stderr
    assert [line.split(": ", 1)[1] for line in done.stdout.splitlines()] == [
        "looks good; figure 3?", "no: rate too high, größer",
    ]  # fmt: skip
    assert here("note", f"{DAY}/a").stdout == done.stdout
    lines = here("runs").stdout.splitlines()
    when = lines[2].split("note ")[1][:16]
    assert lines[2] == f"    note {when}: looks good; figure 3?"
    (run,) = json.loads(here("runs", "--json").stdout)
    assert [note["text"] for note in run["notes"]][1] == "no: rate too high, größer"
    (row,) = csv.DictReader(io.StringIO(here("runs", "--csv").stdout))
    assert "looks good; figure 3?" in row["notes"]
    assert (
        int(row["size"])
        == run["size"]
        == sum(path.stat().st_size for path in Path(DAY, "a").rglob("*") if path.is_file())
    )


def test_a_run_that_goes_on_takes_notes() -> None:
    paths = make_run(Path(DAY, "a"))
    with claim(paths):
        add_note(paths, "so far")
    assert [note.text for note in read_notes(paths)] == ["so far"]


def test_runs_are_sorted_by_size() -> None:
    for number, name in enumerate("bca"):
        paths = make_run(Path(DAY, name))
        paths.log.write_bytes(bytes(10**6 * number))
    lines = here("runs", "--sort", "size").stdout.splitlines()[1:]
    assert [line.split()[0][-1] for line in lines] == ["a", "c", "b"]
    assert re.fullmatch(r"2\.0\d MB", " ".join(lines[0].split()[-2:]))


def test_removing_asks_says_what_and_how_much_and_leaves_no_empty_day(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    make_run(Path(DAY, "a")).log.write_bytes(bytes(10**6))
    done = here("remove", f"{DAY}/a")
    assert done.returncode == 2
    assert "nobody can be asked here; nothing was removed. --yes removes" in done.stderr
    for answer, left in (("n", [f"{DAY}/a"]), ("y", [])):
        said = io.StringIO(f"{answer}\n")
        monkeypatch.setattr(said, "isatty", lambda: True, raising=False)
        monkeypatch.setattr(sys, "stdin", said)
        done = here("remove", f"{DAY}/a")
        assert (done.returncode, found()) == (0, left)
        size = r"1\.0\d MB"
        assert re.match(rf"{DAY}/a +{size}\nDelete 1 run, {size}, for good\? \[y/N\]", done.stdout)
    assert not Path(DAY).exists()
    assert Path("outputs").is_dir()


def test_runs_are_chosen_by_age_and_by_keys() -> None:
    for name, days, words in (("old", 40, ("ETA=1",)), ("new", 1, ("ETA=1",)), ("other", 40, ())):
        make_run(Path(DAY, name), *words, days_ago=days)
    assert here("remove", "--older", "50d").stdout == "no run fits; nothing was removed\n"
    here("remove", "--older", "30d", "--filter", "ETA=1", "--yes")
    assert found() == [f"{DAY}/new", f"{DAY}/other"]
    here("remove", "outputs", "--filter", "state=finished", "--yes")
    assert found() == []


def test_a_sweep_is_removed_whole_or_job_by_job() -> None:
    make_sweep(Path("outputs/multirun/2026-11-21/a"))
    sweep = make_sweep(Path("outputs/multirun/2026-11-21/b"), days_ago=40)
    done = here("remove", "outputs/multirun/2026-11-21/a/1", "--yes")
    assert "removed: 1 run, " in done.stdout
    assert (
        "2 finished, 1 waiting" in here("sweep", "status", "outputs/multirun/2026-11-21/a").stdout
    )
    done = here("remove", "--older", "30d", "--yes")  # all jobs of one: the sweep itself
    assert f"{sweep}  3 runs" in done.stdout
    assert (sweep.exists(), len(found())) == (False, 2)
    here("remove", "outputs/multirun/2026-11-21/a", "--yes")
    assert list(Path("outputs").rglob("*")) == [Path("outputs/multirun")]


def test_a_cross_validation_is_removed_with_all_its_runs() -> None:
    folder = Path("outputs/crossval/2026-11-21/a")
    make_run(folder / "speaker00")
    make_run(folder / "speaker01")
    shutil.move(folder / "speaker01" / ".hydra", folder)
    Path(folder, "crossval.csv").write_text("speaker,accuracy\n")
    done = here("remove", str(folder), "--yes")
    assert (done.returncode, "removed: 2 runs" in done.stdout) == (0, True), done.stderr
    assert not folder.exists()


def test_what_is_at_work_is_not_removed_nor_packed() -> None:
    busy, _ = make_run(Path(DAY, "busy")), make_run(Path(DAY, "idle"))
    sweep = make_sweep(Path("outputs/multirun/x/y"))
    with claim(busy), claim(RunPaths(sweep / "1")):
        for words in ([f"{DAY}/busy", f"{DAY}/idle"], [str(sweep)]):
            done = here("remove", *words, "--yes")
            assert (done.returncode, len(found())) == (2, 5)
            assert "a process is at work on" in done.stderr
            assert "nothing was removed" in done.stderr
        done = here("pack", f"{DAY}/busy")
        assert done.returncode == 2
        assert "is working on this run" in done.stderr
        assert list(Path().glob("*.tar.gz")) == []
        done = here("remove", "--filter", "NAME=*", "--yes")  # the others go
        assert "left alone: " in done.stderr
        assert found() == [f"{DAY}/busy", f"{sweep}/1"]


def test_a_folder_that_holds_something_else_is_not_removed() -> None:
    run, sweep = make_run(Path(DAY, "a")), make_sweep(Path("outputs/multirun/x/y"))
    for file in (run.root / "paper.tex", sweep / "data" / "mine.csv", sweep / "2" / "fig.pdf"):
        file.parent.mkdir(exist_ok=True)
        file.write_text("mine")
        folder = str(sweep if sweep in file.parents else run.root)
        done = here("remove", folder, "--yes")
        assert done.returncode == 2
        assert f"{folder}: holds what is not of a run: {file.name}" in done.stderr
        assert file.exists()
        file.unlink()
    done = here("remove", ".", "--yes")
    assert "neither the folder of a run nor that of a sweep; nothing was removed" in done.stderr


def test_an_interrupted_removal_leaves_no_run_and_is_finished_by_the_next(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    sweep = make_sweep(Path("outputs/multirun/x/y"))
    make_run(Path("outputs/multirun/x/z"))

    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as changed:
        changed.setattr(removal.shutil, "rmtree", interrupted)
        assert main(["remove", str(sweep), "--yes"]) == 130
    (left,) = [path for path in sweep.parent.iterdir() if is_temporary(path.name)]
    assert RunPaths(left / "0").run.exists()
    assert found() == ["outputs/multirun/x/z"]
    assert "x/y" not in here("sweep", "status").stderr
    here("remove", "outputs/multirun/x/z", "--yes")
    assert list(sweep.parent.iterdir()) == []


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        (["note"], "snnrun note takes a run folder and a text"),
        (["note", "a", "two", "words"], "snnrun note a 'two words'"),
        (["note", "nowhere", "x"], "nowhere: does not exist"),
        (["note", "outputs", "x"], "outputs: is no run folder"),
        (["note", f"{DAY}/a", "  "], "the note is empty"),
        (["remove"], "snnrun remove needs the folders of runs or sweeps"),
        (["remove", "nowhere"], "nowhere: there is no such folder"),
        (["remove", "--older", "30"], "--older 30: must be a number with h, d or w"),
        (["remove", "--old", "3d"], "--old: there is no such option. Did you mean '--older'?"),
        (["remove", "--filter", "ETTA=1"], "ETTA: there is no such key. Did you mean 'ETA'?"),
        (["remove", "a", "b", "--older", "3d"], "takes one folder, got: a b"),
        (["pack", "nowhere"], "nowhere: does not exist"),
        (["pack", f"{DAY}/a", "--output", "a.rar"], "must end in one of .tar.gz, .tgz, .tar, .zip"),
        (["pack", f"{DAY}/a", "--output", "x/a.zip"], "there is no folder x"),
        (["pack", f"{DAY}/a", "ETA=1"], "snnrun pack changes no keys of a run"),
    ],
)
def test_mistakes_are_told_in_one_message(words: list[str], problem: str) -> None:
    make_run(Path(DAY, "a"))
    done = here(*words)
    assert (done.returncode, problem in done.stderr) == (2, True), done.stderr
    assert "Traceback" not in done.stderr
    assert found() == [f"{DAY}/a"]


@pytest.mark.long
@pytest.mark.parametrize("kind", ["tar.gz", "zip"])
def test_a_packed_run_goes_on_elsewhere_to_the_same_bits(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = overrides(SMALL | {"REC_SPIKES": "[hidden]", "REC_SPIKES_EPOCH_TRIAL": "[[0,0],[1,1]]"})
    assert snnrun("train", *words, "hydra.run.dir=whole").returncode == 0
    assert snnrun("train", *words, "N_EPOCH=2", "hydra.run.dir=outputs/1/run").returncode == 0
    done = here("pack", "outputs/1/run", "--output", f"mine.{kind}")
    assert done.returncode == 0, done.stderr
    how = done.stdout.splitlines()[-1].strip()
    assert how.endswith("&& snnrun resume mine")
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    shutil.rmtree("outputs")
    shutil.move(f"mine.{kind}", elsewhere)
    monkeypatch.chdir(elsewhere)
    shutil.unpack_archive(f"mine.{kind}")
    assert sorted(path.name for path in Path().iterdir()) == ["mine", f"mine.{kind}"]
    done = snnrun("resume", "mine", "N_EPOCH=3")
    assert done.returncode == 0, done.stderr
    assert_same_run(Path("mine"), tmp_path / "whole")
    assert load_run("mine").spikes(epoch=0, trial=0, population="hidden").n_neurons == 30


@pytest.mark.long
def test_models_and_files_of_ones_own_are_packed_and_found_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, text in (("neurons", NEURON), ("values", "REST = 0.1\n"), ("late", "x = 1\n")):
        Path("mylab").mkdir(exist_ok=True)
        Path("mylab", f"{name}.py").write_text(text)
    data = tmp_path / "secret" / "place"
    data.mkdir(parents=True)
    Path(data, "pairs.csv").write_text("pre,post\n" + "".join(f"{n % 5},{n}\n" for n in range(30)))
    layers = f"[{{forward:{{connectivity:{{kind:list,file:{data}/pairs.csv}}}}}}]"
    words = [
        *overrides(SMALL | {"HIDDEN_NEURON_TYPE": "mylab.neurons.mine"}),
        f"network.layers={layers}",
        f"OUT_DIR={tmp_path}",
    ]
    done = snnrun("train", *words, "hydra.run.dir=whole")
    assert done.returncode == 0, done.stderr
    assert snnrun("train", *words, "N_EPOCH=1", "hydra.run.dir=run").returncode == 0
    done = snnrun("pack", "run")
    assert done.returncode == 0, done.stderr
    assert f"OUT_DIR={tmp_path} holds here alone; in the archive it is ." in done.stdout
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    with tarfile.open("run.tar.gz") as archive:
        archive.extractall(elsewhere, filter="data")
    whole = Path("whole").absolute()
    for gone in (data, Path("mylab"), Path("run")):
        shutil.rmtree(gone)
    monkeypatch.chdir(elsewhere)
    assert sorted(p.name for p in RunPaths(Path("run")).modules.rglob("*.py")) == [
        "late.py", "neurons.py", "values.py",
    ]  # fmt: skip
    for place in ("config.yaml", "resumed_overrides.yaml"):
        text = Path("run/.hydra", place)
        assert not text.exists() or "secret" not in text.read_text()
    done = snnrun("resume", "run", "N_EPOCH=3")
    assert done.returncode == 0, done.stderr
    assert_same_run(Path("run"), whole)
    assert snnrun("pack", "run", "--output", "again.zip").returncode == 0  # what was unpacked, too
    with ZipFile("again.zip") as packed:
        names = packed.namelist()
    assert len(names) == len({*names})
    assert {"again/inputs/pairs.csv", "again/modules/mylab/neurons.py"} <= {*names}


@pytest.mark.long
def test_a_run_stopped_within_an_epoch_is_packed_and_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = small()
    from snnrun.run import train

    train(config, tmp_path / "whole")
    words = overrides(SMALL)
    assert snnrun("train", *words, "N_EPOCH=1", "hydra.run.dir=run").returncode == 0
    assert stopped_at(3, small(), tmp_path / "half", monkeypatch)
    shutil.copytree(tmp_path / "half" / "checkpoints", "run/checkpoints", dirs_exist_ok=True)
    shutil.copy(tmp_path / "half" / "run.h5", "run/run.h5")
    assert here("pack", "run", "--output", "x.tar").returncode == 0
    shutil.unpack_archive("x.tar", "there")
    assert snnrun("resume", "there/x", "N_EPOCH=3").returncode == 0
    assert_same_run(Path("there/x"), tmp_path / "whole")
