"""Training from Python: the same runs as the command's, returned, and on disk only if wanted."""

from __future__ import annotations

import pickle
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf
from runs import (
    SMALL,
    TIMEOUT_S,
    assert_same_run,
    end,
    numbers,
    overrides,
    small,
    snnrun,
    write_shd,
)

import snnrun as package
from snnrun import Run, load_run, train
from snnrun.cli import main
from snnrun.config import conf_dir, from_dict
from snnrun.errors import ConfigError, DataError, NumericalError
from snnrun.record.atomic import RecordError
from snnrun.record.paths import RunPaths

RECORDS: Mapping[str, Any] = {
    "REC_SPIKES": ["hidden"],
    "REC_SPIKES_EPOCH_TRIAL": [[0, 0], [-1, 9]],
    "REC_NEURONS": [["hidden", "V"]],
    "REC_NEURONS_EPOCH_TRIAL": [[1, 2]],
    "W_OUTPUT_EPOCH_TRIAL": [[0, 0]],
    "TAU_OUTPUT_EPOCH_TRIAL": [[-1, 0]],
    "TRAIN_TAU": True,
    "COLLECT_CONFUSION": True,
    "REC_PREDICTIONS": True,
}


OWN_DATA = """
import numpy as np
from snnrun.datasets import DataSet, Events, Split, Splits, pack

def read(config):
    n = 24
    data = pack(
        Events(counts=np.ones(n, int), times_ms=np.linspace(1, 50, n), channels=np.arange(n) % 4),
        labels=np.arange(n) % 2, n_steps=config.steps, dt_ms=config.DT_MS, n_channels=4,
        n_classes=2, merge=config.dataset.merge, source="bars",
    )
    everything = np.arange(n)
    return Splits(
        train=Split(name="train", data=data, examples=everything[8:]),
        validation=Split(name="validation", data=data, examples=everything[:8]),
    )

data = DataSet(name="bars", title="bars", read=read)
"""


@pytest.fixture(autouse=True)
def places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Work in an empty folder with temporary files of its own; return the folder of those."""
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    monkeypatch.setenv("TMPDIR", str(temporary))
    monkeypatch.setattr("tempfile.tempdir", None)
    monkeypatch.setattr(sys, "path", list(sys.path))
    return temporary


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return train({**SMALL, **RECORDS}, tmp_path_factory.mktemp("kept") / "run", progress=False)


@pytest.fixture(scope="module")
def held() -> Run:
    return train({**SMALL, **RECORDS, "WRITE_TO_DISK": False}, progress=False)


def python(code: str) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=TIMEOUT_S, check=False
    )


# the package


def test_importing_the_package_imports_nothing_else() -> None:
    code = (
        "import sys, snnrun, snnrun.cli\n"
        "heavy = {'numpy', 'h5py', 'hydra', 'omegaconf', 'sympy', 'rich', 'snnrun.run'}\n"
        "print(sorted(heavy & set(sys.modules)), 'train' in dir(snnrun))\n"
        "assert callable(snnrun.train) and heavy - {'hydra', 'rich'} <= set(sys.modules)"
    )
    done = python(code)
    assert (done.stdout, done.stderr) == ("[] True\n", "")


def test_train_stays_the_function_whatever_else_is_imported() -> None:
    done = python(
        "import snnrun.run, snnrun.training.loop\n"
        "from snnrun import train\n"
        "from snnrun import train as again\n"
        "print(train.__module__, again is train)"
    )
    assert done.stdout == "snnrun.interface True\n", done.stderr


def test_what_the_package_does_not_have_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="module 'snnrun' has no attribute 'trian'"):
        _ = package.trian


# what it does


def test_it_is_the_run_of_the_command(kept: Run, tmp_path: Path) -> None:
    words = overrides({**SMALL, **RECORDS, "REC_SPIKES": "[hidden]", "REC_NEURONS": "[[hidden,V]]"})
    done = snnrun("train", *words, f"hydra.run.dir={tmp_path}/command")
    assert done.returncode == 0, done.stderr
    assert_same_run(kept.paths.root, tmp_path / "command")


def test_the_results_are_those_of_load_run(kept: Run) -> None:
    loaded = load_run(kept.paths.root)
    assert kept.finished == loaded.finished != ""
    assert kept.accuracy == loaded.accuracy
    assert kept.accuracy == {
        "train": kept.epochs["train_accuracy"][-1],
        "validation": kept.epochs["validation_accuracy"][-1],
        "test": kept.test["accuracy"],
    }
    assert set(kept.loss) == set(kept.accuracy)
    assert kept.loss["train"] == kept.epochs["train_loss"][-1]
    assert len(kept.epochs["epoch"]) == SMALL["N_EPOCH"]


def test_figures_of_splits_that_are_not_there_are_left_out() -> None:
    keys = {**SMALL, "N_EPOCH": 1, "N_VALIDATE": 0, "N_TEST": 0, "CHECKPOINT_BEST": "neither"}
    run = train({**keys, "ETA_FAC": 1, "WRITE_TO_DISK": False}, progress=False)
    assert set(run.accuracy) == set(run.loss) == {"train"}


def test_a_checked_configuration_gives_the_same_run(kept: Run, tmp_path: Path) -> None:
    train(small(**RECORDS), tmp_path / "run", progress=False)
    assert_same_run(kept.paths.root, tmp_path / "run")


def test_without_a_folder_the_run_is_where_the_command_would_put_it(
    capsys: pytest.CaptureFixture[str],
) -> None:
    run = train({**SMALL, "N_EPOCH": 1})
    assert "finished" in capsys.readouterr().out
    [folder] = Path("outputs").glob("[0-9]*-*-*/*-*-*-*")
    assert run.paths.root == folder
    other = train({**SMALL, "N_EPOCH": 1, "OUT_DIR": Path("elsewhere")}, progress=False)
    assert capsys.readouterr().out == ""
    assert other.paths.root.is_relative_to(Path("elsewhere/outputs"))
    assert "finished" in other.paths.log.read_text()


def test_the_command_resumes_and_tests_the_run(tmp_path: Path) -> None:
    keys = {**SMALL, "W_OUTPUT_EPOCH_TRIAL": [[-1, 0]]}
    run = train({**keys, "N_EPOCH": 2}, progress=False)
    done = snnrun("resume", "N_EPOCH=4")
    assert done.returncode == 0, done.stderr
    whole = train({**keys, "N_EPOCH": 4}, tmp_path / "whole", progress=False)
    for column in ("train_loss", "validation_loss", "validation_accuracy"):
        found = load_run(run.paths.root).epochs[column]
        np.testing.assert_array_equal(found, whole.epochs[column])
    # epochs that count from the end do so for the longer run too
    assert load_run(run.paths.root).recorded()["weights"] == [(1, 0), (3, 0)]
    done = snnrun("test", str(run.paths.root), "LOAD_BEST=true")
    assert done.returncode == 0, done.stderr
    assert load_run(run.paths.root).config["MODEL_SEED"] == SMALL["MODEL_SEED"]


def test_a_seed_that_is_drawn_is_kept_with_the_run() -> None:
    run = train({**SMALL, "MODEL_SEED": None, "N_EPOCH": 1}, progress=False)
    saved = OmegaConf.load(run.paths.config)
    assert saved.MODEL_SEED == run.config["MODEL_SEED"] is not None


# what it takes


def test_choices_of_groups_bring_what_their_files_say() -> None:
    keys = {name: value for name, value in SMALL.items() if name != "dataset"}
    keys |= {"N_EPOCHS": 1, "WRITE_TO_DISK": False, "backend": {"threads": 1}}
    del keys["N_EPOCH"]
    keys |= {"preset": "yinyang_wp2021", "network": "recurrent", "record": "everything"}
    run = train(keys, progress=False)
    config = run.config
    assert (config["LOSS_TYPE"], config["N_EPOCH"]) == ("first_spike_wp", 1)
    assert (config["RECURRENT"], config["network"]["name"]) == (True, "recurrent")
    assert config["backend"]["threads"] == 1
    assert run.recorded()["spikes"] == [(0, 0)]
    assert "hid_to_hid" in run.weights(0, 0)


@pytest.mark.parametrize("named", [{"name": "shd"}, {"name": "own_bars.data"}])
def test_the_defaults_are_those_of_the_data_set_beside_a_named_network(named: Any) -> None:
    Path("own_bars.py").write_text(OWN_DATA)
    options = {"path": str(write_shd(Path("shd")))} if named["name"] == "shd" else {}
    keys = {"TRIAL_MS": 100.0, "NUM_HIDDEN": 8, "N_TRAIN": 16, "N_VALIDATE": 4, "N_TEST": 0,
            "N_BATCH": 8, "N_EPOCH": 1, "MODEL_SEED": 1, "WRITE_TO_DISK": False}  # fmt: skip
    keys["dataset"] = {**named, **options}
    run = train({**keys, "network": "recurrent"}, progress=False)
    wanted = from_dict({**keys, "RECURRENT": True}).to_dict()
    assert run.config == wanted


def test_choices_of_groups_are_found_from_within_an_application_of_hydras() -> None:
    with initialize_config_dir(str(conf_dir()), version_base="1.3"):
        run = train({**SMALL, "N_EPOCH": 1, "network": "recurrent", "WRITE_TO_DISK": False})
        assert compose("config", ["ETA=0.25"]).ETA == 0.25  # theirs goes on
    assert run.config["RECURRENT"] is True


def test_numbers_of_numpy_and_paths_are_taken() -> None:
    thresholds = np.linspace(0.9, 1.1, SMALL["NUM_HIDDEN"])
    run = train(
        {
            **SMALL, "N_EPOCH": np.int64(1), "ETA": np.float32(0.5), "WRITE_TO_DISK": np.False_,
            "network": {"hidden_parameters": {"v_thresh": thresholds}},
        },
        progress=False,
    )  # fmt: skip
    assert run.config["ETA"] == 0.5
    assert run.config["network"]["hidden_parameters"]["v_thresh"] == thresholds.tolist()


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"ETAA": 1}, "ETAA: there is no such key. Did you mean 'ETA'?"),
        ({"network": "recurent"}, "network=recurent: must be one of feedforward, recurrent"),
        ({"preset": "yinyang"}, "preset=yinyang: must be one of"),
        ({"network": "recurrent", "ETAA": 1}, "ETAA: there is no such key"),
    ],
)
def test_what_is_wrong_is_refused_before_there_is_a_folder(keys: Any, message: str) -> None:
    with pytest.raises(ConfigError) as raised:
        train({**SMALL, **keys})
    assert message in str(raised.value)
    assert list(Path().iterdir()) == []


def test_a_folder_that_holds_a_run_is_refused_and_left_alone(kept: Run) -> None:
    before = kept.paths.config.read_text()
    with pytest.raises(RecordError, match="holds a run already"):
        train({**SMALL, "ETA": 1.0}, kept.paths.root)
    assert kept.paths.config.read_text() == before


# WRITE_TO_DISK=false


def test_nothing_is_left_on_disk(places: Path) -> None:
    run = train({**SMALL, **RECORDS, "WRITE_TO_DISK": False}, progress=False)
    assert list(Path().iterdir()) == list(places.iterdir()) == []
    assert not run.paths.root.exists()
    assert not run.running


def test_what_is_held_is_what_would_have_been_written(kept: Run, held: Run) -> None:
    for table in ("epochs", "trials"):
        one, two = getattr(kept, table), getattr(held, table)
        assert one.keys() == two.keys()
        for name in one.keys() - {"seconds", "examples_per_second"}:
            np.testing.assert_array_equal(one[name], two[name])
    assert (held.accuracy, held.loss) == (kept.accuracy, kept.loss)
    assert held.recorded() == kept.recorded()
    assert {kind: len(at) for kind, at in held.recorded().items()} == {
        "spikes": 2, "variables": 1, "weights": 2,
    }  # fmt: skip
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
    keys = {**SMALL, "W_OUTPUT_EPOCH_TRIAL": [[0, 0]], "N_EPOCH": 1}
    earlier = train(keys, progress=False)
    run = train({**keys, "LOAD_LAST": True, "WRITE_TO_DISK": False}, progress=False)
    assert not np.array_equal(run.weights(0, 0)["in_to_hid"], earlier.weights(0, 0)["in_to_hid"])
    assert len(list(Path("outputs").glob("*/*"))) == 1


def test_a_folder_for_a_run_that_is_not_kept_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="WRITE_TO_DISK=false: the run would leave the folder"):
        train({**SMALL, "WRITE_TO_DISK": False}, tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_after_an_error_nothing_is_left_either(places: Path) -> None:
    with pytest.raises(NumericalError, match="Nothing was kept, as WRITE_TO_DISK is false"):
        train({**SMALL, "WRITE_TO_DISK": False, "ETA": 1e9}, progress=False)
    with pytest.raises(DataError):
        train({"dataset": {"name": "shd", "path": "nowhere"}, "WRITE_TO_DISK": False})
    assert list(places.iterdir()) == list(Path().iterdir()) == []


LONG = {**SMALL, "N_TRAIN": 10000, "N_EPOCH": 1000}
SCRIPT = """
import snnrun
try:
    snnrun.train({keys!r}{folder})
except KeyboardInterrupt as stopped:
    print("KeyboardInterrupt:", stopped)
"""


def stopped_at_an_epoch(command: list[str], number: int = signal.SIGINT) -> tuple[int, str]:
    """Send a signal to a command once its first epoch has ended; return how it ended."""
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, bufsize=1
    )
    assert process.stdout is not None
    said = ""
    for line in process.stdout:
        said += line
        if line.startswith(("*   0 ", "    0 ")):
            process.send_signal(number)
            break
    code, rest = end(process)
    return code, said + rest


def test_ctrl_c_in_python_leaves_a_checkpoint_and_says_how_to_go_on() -> None:
    script = SCRIPT.format(keys=LONG, folder=", 'mine'")
    code, said = stopped_at_an_epoch([sys.executable, "-uc", script])
    assert code == 0, said
    assert "KeyboardInterrupt: stopped by Ctrl-C in epoch " in said
    assert said.endswith("everything is saved. Go on with:\n  snnrun resume mine\n")
    assert RunPaths(Path("mine")).last.exists()


def test_ctrl_c_in_python_says_where_nothing_can_be_resumed(places: Path) -> None:
    script = SCRIPT.format(keys={**LONG, "WRITE_TO_DISK": False}, folder="")
    code, said = stopped_at_an_epoch([sys.executable, "-uc", script])
    assert code == 0, said
    assert said.endswith("nothing is kept, as WRITE_TO_DISK is false, so it cannot be resumed\n")
    assert list(places.iterdir()) == list(Path().iterdir()) == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_command_that_is_stopped_says_that_nothing_can_be_resumed(
    places: Path, number: int
) -> None:
    command = [sys.executable, "-um", "snnrun", "train", *overrides(LONG), "WRITE_TO_DISK=false"]
    code, said = stopped_at_an_epoch(command, number)
    assert code == 128 + number, said
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
    assert snnrun("train", *words).returncode == 0
    assert [path.name for path in Path().iterdir()] == ["my_conf"]
    Path("more").mkdir()
    Path("more/notes.txt").write_text("keep")
    assert snnrun("train", *words, "hydra.run.dir=more").returncode == 0
    assert Path("more/notes.txt").read_text() == "keep"
    assert not (Path("more") / "run.h5").exists()


@pytest.mark.parametrize("command", ["compile", "crossval"])
def test_commands_that_live_by_their_files_refuse(
    command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([command, "dataset=shd", "dataset.path=nowhere", "WRITE_TO_DISK=false"]) == 2
    assert "snnrun: error: WRITE_TO_DISK=false: " in capsys.readouterr().err
    assert list(Path().iterdir()) == []
