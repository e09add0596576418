"""Which run the commands mean that take a RUN: a folder may look like KEY=VALUE."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import pytest
from cli_tools import Calls, Say, refused

from snnrun.cli import main
from snnrun.commands.plot import read
from snnrun.commands.saved_run import find_run, names_folder, run_folder
from snnrun.errors import CheckpointError, RecordError
from snnrun.record import load_run
from snnrun.record.paths import RunPaths

EQUALS = "sw/ETA=0.001,NAME='a, b'"  # as hydra.job.override_dirname names a run


@pytest.fixture
def runs(calls: Calls) -> Calls:
    """Make three runs, the newest in a usual folder, and return an empty list of calls."""
    for words in (["hydra.run.dir=ETA=0.001", "ETA=1e-3"], [f"hydra.run.dir={EQUALS}"], ["ETA=7"]):
        assert main(["train", "dataset=shd", *words]) == 0
    calls.clear()
    return calls


@pytest.mark.parametrize("command", ["resume", "test"])
def test_a_folder_with_an_equals_sign_is_a_run(runs: Calls, command: str, capsys: Say) -> None:
    assert main([command, EQUALS]) == main([command, str(Path(EQUALS).absolute())]) == 0
    assert [folder.resolve() for _, _, folder, *_ in runs] == [Path(EQUALS).resolve()] * 2
    assert capsys.readouterr().err == ""


def test_what_is_a_run_folder_and_a_setting_is_taken_as_the_folder_and_that_is_said(
    runs: Calls, capsys: Say
) -> None:
    assert main(["resume", "ETA=0.001", "N_EPOCH=9"]) == 0
    [(_, config, folder, _)] = runs
    assert (folder, config.ETA, config.N_EPOCH) == (Path("ETA=0.001"), 0.001, 9)
    said = capsys.readouterr().err
    assert "ETA=0.001: taken as the run folder" in said
    assert "to set ETA, give the folder of the run first: snnrun resume RUN ETA=0.001" in said
    runs.clear()
    assert main(["resume", EQUALS, "ETA=0.002"]) == 0
    assert runs[0][1].ETA == 0.002


def test_a_setting_that_is_no_folder_changes_the_newest_run(runs: Calls) -> None:
    assert main(["resume", "ETA=0.002", "dataset.path=/data/a=b"]) == 0
    [(_, config, folder, _)] = runs
    assert (config.ETA, config.dataset.path) == (0.002, "/data/a=b")
    assert folder.parts[0] == "outputs"


def test_a_folder_that_is_no_run_is_not_taken_for_a_setting(runs: Calls, capsys: Say) -> None:
    Path("N_EPOCH=3").mkdir()
    said = refused(capsys, "resume", "N_EPOCH=3")
    assert "N_EPOCH=3: is no run folder" in said
    assert "snnrun resume RUN N_EPOCH=3" in said
    assert "sw/ETA=5: does not exist" in refused(capsys, "resume", "sw/ETA=5")
    assert runs == []


def test_the_folder_of_a_sweep_is_told_from_that_of_a_run(runs: Calls, capsys: Say) -> None:
    assert main(["train", "-m", "ETA=1,2", "hydra.sweep.dir=etas"]) == 0
    runs.clear()
    capsys.readouterr()
    assert "etas: is the folder of a sweep; its runs are etas/0 to etas/1\n" in refused(
        capsys, "test", "etas"
    )
    assert "and `snnrun sweep resume etas` goes on with all of them" in refused(
        capsys, "resume", "etas"
    )
    with pytest.raises(RecordError, match="its runs are etas/0 to etas/1"):
        load_run("etas")
    assert runs == []


def test_the_folder_comes_first_and_alone(runs: Calls, capsys: Say) -> None:
    said = refused(capsys, "resume", "N_EPOCH=3", "ETA=0.001")
    assert "its folder comes first, as in snnrun resume ./ETA=0.001 N_EPOCH=3" in said
    assert "one run only" in refused(capsys, "test", EQUALS, "outputs")
    assert runs == []


def test_plot_and_runs_take_such_folders(runs: Calls, capsys: Say) -> None:
    assert read(["ETA=0.001", EQUALS]).folders == ["ETA=0.001", EQUALS]
    assert "takes run folders" in refused(capsys, "plot", "ETA=0.5")
    assert find_run([EQUALS], "plot") == (Path(EQUALS), [])
    assert main(["runs", "sw"]) == 0


def test_a_cross_validation_goes_on_in_such_a_folder(runs: Calls, capsys: Say) -> None:
    said = refused(capsys, "crossval", "ETA=0.001")
    assert "holds no cross-validation" in said
    Path("N_EPOCH=2").mkdir()
    said = refused(capsys, "crossval", "N_EPOCH=2")
    assert "To mean the key: snnrun crossval EVALUATION=speaker N_EPOCH=2" in said


def test_an_argument_is_told_by_what_there_is(tmp_path: Path) -> None:
    Path("a=b").mkdir()
    Path("NAME=x").write_text("a file is no run folder")
    assert names_folder("a=b")
    assert names_folder("./c=d")
    assert names_folder("anything")
    assert not names_folder("NAME=x")
    assert not names_folder("ETA=1")
    assert not names_folder(f"NAME={'x' * 5000}")


def test_the_newest_run_may_have_a_name_of_its_own(runs: Calls) -> None:
    for words in (["train", "hydra.run.dir=outputs/mine"], ["compile"]):
        assert main([*words, "dataset=shd"]) == 0
    assert find_run([], "resume") == (Path("outputs/mine"), [])


def test_what_was_refused_is_not_the_newest_run_that_can_be_tested_or_plotted(runs: Calls) -> None:
    whole = find_run([], "test")[0]
    RunPaths(whole).checkpoints.mkdir()
    RunPaths(whole).last.touch()
    RunPaths(whole).run.touch()
    assert main(["train", "hydra.run.dir=outputs/refused"]) == 0
    newest = {name: find_run([], name)[0] for name in ("resume", "test", "plot")}
    assert newest == {"resume": Path("outputs/refused"), "test": whole, "plot": whole}


def test_a_folder_that_may_not_be_looked_into_is_told_of_and_never_the_newest(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    mine, theirs = Path("outputs/mine"), Path("outputs/theirs")
    me = os.geteuid()
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o755)
        monkeypatch.chdir(name)
        for paths in map(RunPaths, (mine, theirs)):
            paths.hydra.mkdir(parents=True)
            paths.config.touch()
            paths.overrides.touch()
        theirs.chmod(0)
        if me == 0:
            os.seteuid(65534)  # root may look into everything
        try:
            assert find_run([], "resume") == (mine, [])
            with pytest.raises(CheckpointError, match="theirs: may not be looked into"):
                run_folder(str(theirs))
        finally:
            os.seteuid(me)
            theirs.chmod(0o755)
