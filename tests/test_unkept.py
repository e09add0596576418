"""WRITE_TO_DISK=false: results without a trace on disk, from Python and from the command."""

from __future__ import annotations

import pickle
import signal
import sys
from pathlib import Path

import numpy as np
import pytest
from runs import LONG, RECORDS, SMALL, TABLE, numbers, overrides, snnrun, stopped_at_an_epoch

from snnrun import Run, train
from snnrun.cli import main
from snnrun.errors import ConfigError, DataError, NumericalError, RecordError

pytestmark = pytest.mark.usefixtures("places")


SCRIPT = """
import snnrun
try:
    snnrun.train({keys!r}{folder})
except KeyboardInterrupt as stopped:
    print("KeyboardInterrupt:", stopped)
"""


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return train(
        {**TABLE, **SMALL, **RECORDS}, tmp_path_factory.mktemp("kept") / "run", progress=False
    )


@pytest.fixture(scope="module")
def held() -> Run:
    return train({**TABLE, **SMALL, **RECORDS, "WRITE_TO_DISK": False}, progress=False)


def test_nothing_is_left_on_disk(places: Path) -> None:
    run = train({**TABLE, **SMALL, **RECORDS, "WRITE_TO_DISK": False}, progress=False)
    assert list(Path().iterdir()) == list(places.iterdir()) == []
    assert not run.paths.root.exists()
    assert not run.running


def test_what_is_held_is_what_would_have_been_written(kept: Run, held: Run) -> None:
    for table in ("epochs", "trials"):
        one, two = getattr(kept, table), getattr(held, table)
        assert one.keys() == two.keys()
        for name in one.keys() - {"seconds", "examples_per_second", "peak_memory"}:
            np.testing.assert_array_equal(one[name], two[name])
    assert (held.accuracy, held.loss) == (kept.accuracy, kept.loss)
    assert held.recorded() == kept.recorded()
    assert {kind: len(at) for kind, at in held.recorded().items()} == {
        "spikes": 2,
        "variables": 1,
        "weights": 2,
    }
    for run in (held, pickle.loads(pickle.dumps(held))):
        found, wanted = (
            {
                "spikes": r.spikes(2, 9, "hidden").ids,
                "V": r.variables(1, 2, "hidden", "V"),
                "examples": r.variable_examples(1, 2),
                "weights": r.weights(0, 0),
                "taus": r.parameters(2, 0),
                "confusion": r.confusion("validation"),
                "none": r.no_prediction("test"),
                "test": r.predictions("test"),
                "train": r.predictions("train", 1),
            }
            for r in (run, kept)
        )
        assert dict(numbers(found)) == dict(numbers(wanted))
    assert held.config["WRITE_TO_DISK"] is False
    assert "bytes" not in repr(held)
    with pytest.raises(RecordError, match=r"^this run: no spikes recorded at epoch 0, trial 1\. "):
        held.spikes(0, 1, "hidden")


def test_weights_of_an_earlier_run_can_be_its_start(tmp_path: Path) -> None:
    keys = {**TABLE, **SMALL, "W_OUTPUT_EPOCH_TRIAL": [[0, 0]], "N_EPOCH": 1}
    earlier = train(keys, progress=False)
    run = train({**keys, "LOAD_LAST": True, "WRITE_TO_DISK": False}, progress=False)
    assert not np.array_equal(run.weights(0, 0)["in_to_hid"], earlier.weights(0, 0)["in_to_hid"])
    assert len(list(Path("outputs").glob("*/*"))) == 1


def test_a_folder_for_a_run_that_is_not_kept_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="WRITE_TO_DISK=false: the run would leave the folder"):
        train({**TABLE, **SMALL, "WRITE_TO_DISK": False}, tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_after_an_error_nothing_is_left_either(places: Path) -> None:
    with pytest.raises(NumericalError, match="Nothing was kept, as WRITE_TO_DISK is false"):
        train({**TABLE, **SMALL, "WRITE_TO_DISK": False, "ETA": 1e9}, progress=False)
    with pytest.raises(DataError):
        train({"dataset": {"name": "shd", "path": "nowhere"}, "WRITE_TO_DISK": False})
    assert list(places.iterdir()) == list(Path().iterdir()) == []


@pytest.mark.long
def test_ctrl_c_in_python_says_where_nothing_can_be_resumed(places: Path) -> None:
    script = SCRIPT.format(keys={**LONG, "WRITE_TO_DISK": False}, folder="")
    code, said = stopped_at_an_epoch([sys.executable, "-uc", script])
    assert code == 0, said
    assert said.endswith("nothing is kept, as WRITE_TO_DISK is false, so it cannot be resumed\n")
    assert list(places.iterdir()) == list(Path().iterdir()) == []


@pytest.mark.long
def test_a_command_that_is_stopped_says_that_nothing_can_be_resumed(places: Path) -> None:
    command = [sys.executable, "-um", "snnrun", "train", *overrides(LONG), "WRITE_TO_DISK=false"]
    code, said = stopped_at_an_epoch(command, signal.SIGTERM)
    assert code == 143, said
    assert "so it cannot be resumed" in said
    assert "snnrun resume" not in said
    assert list(places.iterdir()) == list(Path().iterdir()) == []


def test_the_command_prints_its_summary_and_says_that_nothing_is_kept(places: Path) -> None:
    done = snnrun("train", *overrides(SMALL), "WRITE_TO_DISK=false")
    assert done.returncode == 0, done.stderr
    assert "  test   " in done.stdout
    assert "nothing is kept, as WRITE_TO_DISK is false: neither records nor" in done.stdout
    assert "run.h5" not in done.stdout
    assert list(places.iterdir()) == list(Path().iterdir()) == []


@pytest.mark.long
def test_a_sweep_that_is_not_kept_leaves_nothing(places: Path) -> None:
    words = [*overrides({**SMALL, "N_EPOCH": 1}), "WRITE_TO_DISK=false", "ETA=1e-3,1e-2"]
    done = snnrun("train", "--multirun", *words)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("finished") == 2
    assert list(places.iterdir()) == list(Path().iterdir()) == []


def test_a_run_folder_that_hydra_has_made_is_removed_unless_it_holds_more() -> None:
    Path("my_conf/preset").mkdir(parents=True)
    Path("my_conf/preset/mine.yaml").write_text("# @package _global_\nWRITE_TO_DISK: false\n")
    words = [*overrides({**SMALL, "N_EPOCH": 1}), "--config-dir", "my_conf", "preset=mine"]
    assert main(["train", *words]) == 0
    assert [path.name for path in Path().iterdir()] == ["my_conf"]
    Path("more").mkdir()
    Path("more/notes.txt").write_text("keep")
    assert main(["train", *words, "hydra.run.dir=more"]) == 0
    assert Path("more/notes.txt").read_text() == "keep"
    assert not (Path("more") / "run.h5").exists()


@pytest.fixture
def unkept() -> list[str]:
    """Words of a command whose preset says that nothing is kept."""
    Path("my_conf/preset").mkdir(parents=True)
    Path("my_conf/preset/mine.yaml").write_text("# @package _global_\nWRITE_TO_DISK: false\n")
    keys = overrides({**SMALL, "N_EPOCH": 1})
    return ["train", "--multirun", *keys, "--config-dir", "my_conf", "preset=mine"]


@pytest.mark.long
def test_a_sweep_that_a_file_says_not_to_keep_leaves_nothing(
    unkept: list[str], places: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*unkept, "ETA=1e-3,1e-2"]) == 0
    assert capsys.readouterr().out.count("finished") == 2
    assert [path.name for path in Path().iterdir()] == ["my_conf"]
    assert main([*unkept, "ETA=1e9,1e-2"]) == 2  # nor one that fails
    assert main([*unkept, "ETA=1e-3,1e-2", "hydra.sweep.dir=sweep"]) == 0
    assert [path.name for path in Path().iterdir()] == ["my_conf"]
    assert list(places.iterdir()) == []


@pytest.mark.long
def test_a_sweep_of_which_a_run_is_kept_keeps_its_own_file_too(unkept: list[str]) -> None:
    assert main([*unkept, "preset=mine,none", "hydra.sweep.dir=sweep"]) == 0
    assert sorted(path.name for path in Path("sweep").iterdir()) == ["1", "multirun.yaml"]
    assert (Path("sweep") / "1" / "run.h5").exists()
    Path("other").mkdir()
    Path("other/notes.txt").write_text("keep")
    assert main([*unkept, "ETA=1e-3,1e-2", "hydra.sweep.dir=other"]) == 0
    assert Path("other/notes.txt").read_text() == "keep"


@pytest.mark.parametrize("command", ["compile", "crossval"])
def test_commands_that_live_by_their_files_refuse(
    command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([command, "dataset=shd", "dataset.path=nowhere", "WRITE_TO_DISK=false"]) == 2
    assert "snnrun: error: WRITE_TO_DISK=false: " in capsys.readouterr().err
    assert list(Path().iterdir()) == []
