"""Training from Python: the same runs as the command's, returned, and on disk only if wanted."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf
from runs import (
    LONG,
    RECORDS,
    SMALL,
    TABLE,
    TIMEOUT_S,
    assert_same_run,
    here,
    overrides,
    small,
    stopped_at_an_epoch,
    write_shd,
)

import snnrun as package
from snnrun import Run, load_run, train
from snnrun.commands.compose import VERSION
from snnrun.config import conf_dir, from_dict
from snnrun.errors import ConfigError, RecordError
from snnrun.record.paths import RunPaths

pytestmark = pytest.mark.usefixtures("places")

OWN_DATA = """
import numpy as np
from snnrun.datasets import DataSet, Events, Part

def read(request):
    n = 24
    events = Events(
        counts=np.ones(n, int), times_ms=np.linspace(1, 50, n), channels=np.arange(n) % 4
    )
    return {"train": Part(events=events, labels=np.arange(n) % 2, n_channels=4, n_classes=2)}

data = DataSet(name="bars", title="bars", read=read)
"""


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return train(
        {**TABLE, **SMALL, **RECORDS}, tmp_path_factory.mktemp("kept") / "run", progress=False
    )


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
    assert done.stdout == "snnrun.interface.training True\n", done.stderr


def test_what_the_package_does_not_have_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="module 'snnrun' has no attribute 'trian'"):
        _ = package.trian


# what it does


def test_it_is_the_run_of_the_command(kept: Run, tmp_path: Path) -> None:
    words = overrides({**SMALL, **RECORDS, "REC_SPIKES": "[hidden]", "REC_NEURONS": "[[hidden,V]]"})
    done = here("train", *words, f"hydra.run.dir={tmp_path}/command")
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
    keys = {
        **TABLE,
        **SMALL,
        "N_EPOCH": 1,
        "N_VALIDATE": 0,
        "N_TEST": 0,
        "CHECKPOINT_BEST": "neither",
    }
    run = train({**keys, "ETA_FAC": 1, "WRITE_TO_DISK": False}, progress=False)
    assert set(run.accuracy) == set(run.loss) == {"train"}


def test_a_checked_configuration_gives_the_same_run(kept: Run, tmp_path: Path) -> None:
    train(small(**RECORDS), tmp_path / "run", progress=False)
    assert_same_run(kept.paths.root, tmp_path / "run")


def test_without_a_folder_the_run_is_where_the_command_would_put_it(
    capsys: pytest.CaptureFixture[str],
) -> None:
    run = train({**TABLE, **SMALL, "N_EPOCH": 1})
    assert "finished" in capsys.readouterr().out
    [folder] = Path("outputs").glob("[0-9]*-*-*/*-*-*-*")
    assert run.paths.root == folder
    other = train({**TABLE, **SMALL, "N_EPOCH": 1, "OUT_DIR": Path("elsewhere")}, progress=False)
    assert capsys.readouterr().out == ""
    assert other.paths.root.is_relative_to(Path("elsewhere/outputs"))
    assert "finished" in other.paths.log.read_text()


def test_the_command_resumes_and_tests_the_run(tmp_path: Path) -> None:
    keys = {**TABLE, **SMALL, "W_OUTPUT_EPOCH_TRIAL": [[-1, 0]]}
    run = train({**keys, "N_EPOCH": 2}, progress=False)
    done = here("resume", "N_EPOCH=4")
    assert done.returncode == 0, done.stderr
    whole = train({**keys, "N_EPOCH": 4}, tmp_path / "whole", progress=False)
    for column in ("train_loss", "validation_loss", "validation_accuracy"):
        found = load_run(run.paths.root).epochs[column]
        np.testing.assert_array_equal(found, whole.epochs[column])
    # epochs that count from the end do so for the longer run too
    assert load_run(run.paths.root).recorded()["weights"] == [(1, 0), (3, 0)]
    done = here("test", str(run.paths.root), "LOAD_BEST=true")
    assert done.returncode == 0, done.stderr
    assert load_run(run.paths.root).config["MODEL_SEED"] == SMALL["MODEL_SEED"]


def test_a_seed_that_is_drawn_is_kept_with_the_run() -> None:
    run = train({**TABLE, **SMALL, "MODEL_SEED": None, "N_EPOCH": 1}, progress=False)
    saved = OmegaConf.load(run.paths.config)
    assert saved.MODEL_SEED == run.config["MODEL_SEED"] is not None


# what it takes


@pytest.mark.long
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


@pytest.mark.parametrize(
    "named", [pytest.param({"name": "shd"}, marks=pytest.mark.long), {"name": "own_bars.data"}]
)
def test_the_defaults_are_those_of_the_data_set_beside_a_named_network(named: Any) -> None:
    Path("own_bars.py").write_text(OWN_DATA)
    options = {"path": str(write_shd(Path("shd")))} if named["name"] == "shd" else {}
    keys = {
        "TRIAL_MS": 100.0,
        "NUM_HIDDEN": 8,
        "N_TRAIN": 16,
        "N_VALIDATE": 4,
        "N_TEST": 0,
        "N_BATCH": 8,
        "N_EPOCH": 1,
        "MODEL_SEED": 1,
        "WRITE_TO_DISK": False,
    }
    keys["dataset"] = {**named, **options}
    run = train({**TABLE, **keys, "network": "recurrent"}, progress=False)
    wanted = from_dict({**keys, "RECURRENT": True}).to_dict()
    assert run.config == wanted


@pytest.mark.long
def test_choices_of_groups_are_found_from_within_an_application_of_hydras() -> None:
    with initialize_config_dir(str(conf_dir()), **VERSION):
        run = train(
            {**TABLE, **SMALL, "N_EPOCH": 1, "network": "recurrent", "WRITE_TO_DISK": False}
        )
        assert compose("config", ["ETA=0.25"]).ETA == 0.25  # theirs goes on
    assert run.config["RECURRENT"] is True


@pytest.mark.long
def test_numbers_of_numpy_and_paths_are_taken() -> None:
    thresholds = np.linspace(0.9, 1.1, SMALL["NUM_HIDDEN"])
    run = train(
        {
            **SMALL,
            "N_EPOCH": np.int64(1),
            "ETA": np.float32(0.5),
            "WRITE_TO_DISK": np.False_,
            "network": {"hidden_parameters": {"v_thresh": thresholds}},
        },
        progress=False,
    )
    assert run.config["ETA"] == 0.5
    assert run.config["network"]["hidden_parameters"]["v_thresh"] == thresholds.tolist()


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"ETAA": 1}, "ETAA: there is no such key. Did you mean 'ETA'?"),
        (
            {"network": "recurent"},
            "network=recurent: must be one of feedforward, graph, layers, nir, recurrent",
        ),
        ({"preset": "yinyan"}, "preset=yinyan: must be one of"),
        ({"network": "recurrent", "ETAA": 1}, "ETAA: there is no such key"),
    ],
)
def test_what_is_wrong_is_refused_before_there_is_a_folder(keys: Any, message: str) -> None:
    with pytest.raises(ConfigError) as raised:
        train({**TABLE, **SMALL, **keys})
    assert message in str(raised.value)
    assert list(Path().iterdir()) == []


def test_words_of_a_command_line_are_refused_with_what_to_give() -> None:
    with pytest.raises(ConfigError, match=r"ETA=1.*keys and their values are given as in \{"):
        train("ETA=1")  # type: ignore[arg-type]


def test_a_folder_that_holds_a_run_is_refused_and_left_alone(kept: Run) -> None:
    before = kept.paths.config.read_text()
    with pytest.raises(RecordError, match="holds a run already"):
        train({**TABLE, **SMALL, "ETA": 1.0}, kept.paths.root)
    assert kept.paths.config.read_text() == before


SCRIPT = """
import snnrun
try:
    snnrun.train({keys!r}{folder})
except KeyboardInterrupt as stopped:
    print("KeyboardInterrupt:", stopped)
"""


def test_ctrl_c_in_python_leaves_a_checkpoint_and_says_how_to_go_on() -> None:
    script = SCRIPT.format(keys=TABLE | LONG, folder=", 'mine'")
    code, said = stopped_at_an_epoch([sys.executable, "-uc", script])
    assert code == 0, said
    assert "KeyboardInterrupt: stopped by Ctrl-C in epoch " in said
    assert said.endswith("everything is saved. Go on with:\n  snnrun resume mine\n")
    assert RunPaths(Path("mine")).last.exists()
