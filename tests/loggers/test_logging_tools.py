"""What TensorBoard, MLflow and W&B hold of a run, read back with what each of them has for that.

Runs are stopped or killed on the way and resumed.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from runs import LONG, SMALL, here, overrides, small, snnrun, start, stopped_at, wait_for_epochs

from snnrun import load_run
from snnrun.loggers import logs
from snnrun.record.paths import RunPaths
from snnrun.record.reader import Run
from snnrun.run import train

pytestmark = [pytest.mark.long, pytest.mark.peers]

TOOLS = ("tensorboard", "mlflow", "wandb")
NEEDS = {"mlflow": ("mlflow", "sqlalchemy"), "wandb": ("wandb", "PIL")}
LOSS, TEST = "train_loss", "test_accuracy"
BLOCK = 32768  # bytes in the blocks of W&B's files, which are those of LevelDB's logs


@pytest.fixture(autouse=True)
def own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    of_tools = ("WANDB_MODE", "MLFLOW_TRACKING_URI", "MLFLOW_EXPERIMENT_NAME")
    for name in (*of_tools, "WANDB_SERVICE"):  # W&B's process of an earlier test
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(params=TOOLS)
def tool(request: pytest.FixtureRequest) -> str:
    return installed(request.param)


def installed(tool: str) -> str:
    """Skip the test, in words, where a tool is not installed."""
    for module in NEEDS.get(tool, (tool,)):
        pytest.importorskip(module, reason=f"logger={tool} was NOT tested: pip install {module}")
    return tool


def events(folder: Path) -> Any:
    from tensorboard.backend.event_processing import event_accumulator

    found = event_accumulator.EventAccumulator(
        str(RunPaths(folder).tensorboard),
        size_guidance=dict.fromkeys(event_accumulator.DEFAULT_SIZE_GUIDANCE, 0),
    )
    return found.Reload()


def remembered(folder: Path, tool: str) -> dict[str, str]:
    return json.loads(RunPaths(folder).loggers.read_text())[tool]["remembered"]


def client(folder: Path) -> tuple[Any, str]:
    """Return a client of the database of a run, and its number in it."""
    from mlflow import MlflowClient

    noted = remembered(folder, "mlflow")
    return MlflowClient(tracking_uri=f"sqlite:///{noted['database']}"), noted["run_id"]


def sent(folder: Path) -> Iterator[Any]:
    """Yield the records of the one file that `wandb sync` would send of a run."""
    from wandb.proto import wandb_internal_pb2

    (path,) = RunPaths(folder).wandb.glob("offline-run-*/*.wandb")
    data, at, content = path.read_bytes(), 7, b""
    while at + 7 <= len(data):
        if BLOCK - at % BLOCK < 7:
            at += BLOCK - at % BLOCK
            continue
        _, length, kind = struct.unpack_from("<IHB", data, at)
        content += data[at + 7 : at + 7 + length]
        at += 7 + length
        if kind in (1, 4):  # whole, or the last part
            record = wandb_internal_pb2.Record()
            record.ParseFromString(content)
            yield record
            content = b""


def rows(folder: Path) -> Iterator[dict[str, Any]]:
    """Yield what W&B's history holds, row by row."""
    for record in sent(folder):
        if record.HasField("history"):
            items = record.history.item
            yield {i.key or "/".join(i.nested_key): json.loads(i.value_json) for i in items}


def logged(folder: Path, tool: str, name: str) -> list[tuple[int, float]]:
    """Return (step, value) of a figure, as often and in the order in which a tool has it."""
    if tool == "tensorboard":
        return [(event.step, event.value) for event in events(folder).Scalars(name)]
    if tool == "mlflow":
        found, number = client(folder)
        return [(one.step, one.value) for one in found.get_metric_history(number, name)]
    return [(row["epoch"], row[name]) for row in rows(folder) if name in row]


def assert_logged(run: Run, tool: str) -> None:
    """Compare what a tool has of the losses with the record, each epoch once."""
    expected = run.epochs[LOSS]
    steps, values = zip(*logged(run.paths.root, tool, LOSS), strict=True)
    assert list(steps) == list(range(len(expected)))
    exact = tool != "tensorboard"  # which holds 32 bits
    np.testing.assert_array_equal(values, expected if exact else expected.astype(np.float32))


def test_each_tool_goes_on_with_a_stopped_run_and_has_every_epoch_once(
    tool: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logs, "SHARE", 1e9)  # each epoch by itself
    config = small(logger=[tool], N_EPOCH=4, FANCY_PLOTS=True, TAGS=["paper"], NAME="mine")
    folder = tmp_path / "outputs" / "run"
    assert stopped_at(6, config, folder, monkeypatch)
    noted = remembered(folder, tool)
    half = logged(folder, tool, LOSS)
    train(config, folder, resume=True)
    run = load_run(folder)
    assert 0 < len(half) < 4
    assert remembered(folder, tool) == noted
    assert list(run.warnings["message"]) == []
    assert_logged(run, tool)
    {"tensorboard": tensorboard_holds, "mlflow": mlflow_holds, "wandb": wandb_holds}[tool](run)


def tensorboard_holds(run: Run) -> None:
    found = events(run.paths.root)
    assert found.Scalars(TEST)[-1].value == np.float32(run.test["accuracy"])
    assert b"    ETA: " in found.Tensors("config")[-1].tensor_proto.string_val[0]
    (picture,) = found.Images("raster")
    assert picture.encoded_image_string == run.paths.plot("raster").read_bytes()
    assert "ETA" in str(found.PluginTagToContent("hparams"))


def mlflow_holds(run: Run) -> None:
    found, number = client(run.paths.root)
    told = found.get_run(number)
    assert (told.info.status, told.info.run_name) == ("FINISHED", "mine run")
    assert told.data.tags["tags"] == "paper"
    assert float(told.data.params["ETA"]) == run.config["ETA"]
    assert told.data.metrics[TEST] == run.test["accuracy"]
    pictures = [Path(one.path).name for one in found.list_artifacts(number, "plots")]
    assert sorted(pictures) == sorted(path.name for path in run.paths.plots.glob("*.png"))
    assert len(found.search_runs(["1"])) == 1


def wandb_holds(run: Run) -> None:
    records = list(sent(run.paths.root))
    (told,) = (record.run for record in records if record.HasField("run"))
    assert (told.display_name, list(told.tags)) == ("mine run", ["paper"])
    config = {item.key: json.loads(item.value_json) for item in told.config.update}
    assert config["ETA"] == run.config["ETA"]
    summary = {
        item.key or "/".join(item.nested_key): json.loads(item.value_json)
        for record in records
        for item in record.summary.update
    }
    assert summary[TEST] == run.test["accuracy"]
    assert [row["epoch"] for row in rows(run.paths.root) if any("plots" in key for key in row)]


def test_after_a_kill_all_of_them_have_every_epoch_once(tmp_path: Path) -> None:
    tools = ",".join(map(installed, TOOLS))
    words = overrides({**LONG, "N_TRAIN": 1000, "N_EPOCH": 15, "logger": tools})
    process = start("train", *words, "hydra.run.dir=run")
    wait_for_epochs(Path("run"), 4, process)
    process.kill()
    process.wait()
    done = snnrun("resume", "run")
    assert done.returncode == 0, done.stderr
    run = load_run("run")
    assert len(run.epochs[LOSS]) == 15
    assert "logger failed" not in run.warnings["what"]
    for tool in TOOLS:
        assert_logged(run, tool)


def test_what_a_half_written_event_file_holds_comes_again(tmp_path: Path) -> None:
    installed("tensorboard")
    config = small(logger=["tensorboard"], N_EPOCH=2)
    train(config, tmp_path)
    (file,) = RunPaths(tmp_path).tensorboard.iterdir()
    file.write_bytes(file.read_bytes()[:-400])  # as a kill or a full disk leaves it
    noted = {"tensorboard": {"epochs": 1, "remembered": {}}}
    RunPaths(tmp_path).loggers.write_text(json.dumps(noted))
    train(small(logger=["tensorboard"], N_EPOCH=3), tmp_path, resume=True)
    assert_logged(load_run(tmp_path), "tensorboard")


def test_a_run_without_its_database_is_logged_anew_and_whole(tmp_path: Path) -> None:
    installed("mlflow")
    words = overrides(SMALL | {"logger": "mlflow", "N_EPOCH": 2})
    assert snnrun("train", *words, "hydra.run.dir=run").returncode == 0
    Path("outputs/mlflow.db").rename("elsewhere.db")
    train(small(logger=["mlflow"], N_EPOCH=3), tmp_path / "run", resume=True)
    assert_logged(load_run(tmp_path / "run"), "mlflow")


def test_jobs_of_a_sweep_are_runs_of_their_own_in_one_group(tmp_path: Path) -> None:
    tools = ",".join(map(installed, TOOLS))
    words = overrides({"logger": tools, "MODEL_SEED": "1,2"} | {"N_EPOCH": 2, "N_TRAIN": 100})
    done = here("train", "-m", *words, "hydra.sweep.dir=sweep")
    assert done.returncode == 0, done.stderr
    groups, numbers = set(), set()
    for job in ("0", "1"):
        folder = Path("sweep") / job
        for tool in TOOLS:
            assert_logged(load_run(folder), tool)
        (told,) = (record.run for record in sent(folder) if record.HasField("run"))
        found, number = client(folder)
        groups |= {told.run_group, found.get_run(number).data.tags["sweep"]}
        numbers |= {told.run_id, number}
    assert (groups, len(numbers)) == ({f"{tmp_path.name}/sweep"}, 4)


def test_a_server_that_is_away_costs_a_warning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    installed("mlflow")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    train(small(logger=["mlflow", "csv"]), tmp_path / "run")
    run = load_run(tmp_path / "run")
    (message,) = run.warnings["message"]
    assert "logger=mlflow: failed, and is given nothing more of this run" in message
    assert run.finished


def test_what_was_logged_of_epochs_that_are_void_is_taken_back(tool: str, tmp_path: Path) -> None:
    train(small(logger=[tool], CHECKPOINT=False, ETA=1e-2), tmp_path)
    train(small(logger=[tool], CHECKPOINT=False), tmp_path, resume=True)  # from its first epoch
    assert_logged(load_run(tmp_path), tool)
