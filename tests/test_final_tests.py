"""The tests at the end of a run: of its last weights and of its best ones, each said to be so."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from runs import OPTIMISED, SMALL, here, small

from snnrun import Run
from snnrun import run as story
from snnrun import train as train_from_python
from snnrun.backends.base import Backend
from snnrun.record import load_run
from snnrun.record.paths import RunPaths
from snnrun.run import test as evaluate_run
from snnrun.run import train
from snnrun.training.evaluate import make_final_tests

# by seed 1 the best epoch is neither the first nor the last
KEYS: dict[str, Any] = {
    **OPTIMISED,
    "N_TRAIN": 1000,
    "N_VALIDATE": 60,
    "N_TEST": 200,
    "ETA": 0.02,
    "ETA_DECAY": 1.0,
    "N_EPOCH": 8,
}


@pytest.fixture(scope="module")
def tested(tmp_path_factory: pytest.TempPathFactory) -> Run:
    folder = tmp_path_factory.mktemp("tested") / "outputs" / "run"
    train(small(**KEYS), folder)
    run = load_run(folder)
    assert 0 < np.argmax(run.epochs["validation_accuracy"]) < KEYS["N_EPOCH"] - 1
    return run


def test_a_run_tests_its_last_weights_and_its_best_ones(tested: Run) -> None:
    best_epoch = int(np.argmax(tested.epochs["validation_accuracy"]))
    last, best = tested.tests
    assert (last.weights.kind, last.weights.epochs) == ("last", KEYS["N_EPOCH"])
    assert (best.weights.kind, best.weights.epochs) == ("best", best_epoch + 1)
    assert last.final
    assert best.final
    assert tested.test == last.figures
    assert tested.test_best == best.figures
    assert tested.test["loss"] != tested.test_best["loss"]
    for load_best, expected in ((False, last), (True, best)):
        figures = evaluate_run(small(**KEYS, LOAD_BEST=load_best), tested.paths.root)
        clocks = {"seconds", "examples_per_second"}
        for name in figures.keys() - clocks:
            assert figures[name] == expected.figures[name], name
    again = load_run(tested.paths.root)  # with the tests that were made just now
    assert len(again.tests) == 4
    assert (again.test, again.test_best) == (tested.test, tested.test_best)


def test_both_figures_are_shown_and_said_what_they_are(tested: Run) -> None:
    said = " ".join((tested.paths.root / "run.log").read_text().split())
    best_epoch = int(np.argmax(tested.epochs["validation_accuracy"]))
    last, best = tested.test["accuracy"], tested.test_best["accuracy"]
    assert f"test {100 * last:.2f}% with the last weights (epoch {KEYS['N_EPOCH'] - 1})" in said
    assert (
        f"{100 * best:.2f}% with the best weights (epoch {best_epoch}, by validation accuracy)"
        in said
    )
    heading, line = here("runs", str(tested.paths.root.parents[1])).stdout.splitlines()
    assert heading.split()[-3:-1] == ["test%", "best%"]
    assert line.split()[-4:-2] == [f"{100 * last:.2f}", f"{100 * best:.2f}"]


def test_the_last_weights_are_there_after_the_test_of_the_best(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks: list[dict[str, bytes]] = []

    def look(backend: Backend) -> dict[str, bytes]:
        return {
            f"{tensor.name}/{which}": backend.get(tensor.name, which).tobytes()
            for tensor in backend.program.tensors
            for which in ("value", *tensor.states)
        }

    def tests(config: Any, backend: Backend, *others: Any) -> None:
        looks.append(look(backend))
        make_final_tests(config, backend, *others)
        looks.append(look(backend))

    monkeypatch.setattr(story, "make_final_tests", tests)
    train(small(**KEYS), tmp_path)
    assert [test.weights.kind for test in load_run(tmp_path).tests] == ["last", "best"]
    assert looks[0] == looks[1]


@pytest.mark.long
def test_a_run_that_keeps_nothing_tests_its_best_weights_too(tested: Run) -> None:
    run = train_from_python(
        {**SMALL, **KEYS, "preset": "none", "WRITE_TO_DISK": False}, progress=False
    )
    for figure in ("accuracy", "loss"):
        assert run.test[figure] == tested.test[figure]
        assert run.test_best[figure] == tested.test_best[figure]


def test_where_the_last_epoch_is_the_best_it_is_tested_once(tmp_path: Path) -> None:
    train(small(N_EPOCH=1), tmp_path / "one")
    run = load_run(tmp_path / "one")
    assert len(run.tests) == 1
    assert run.test_best == run.test != {}
    train(small(**KEYS | {"CHECKPOINT_BEST": "neither"}), tmp_path / "none")
    assert len(load_run(tmp_path / "none").tests) == 1
    assert load_run(tmp_path / "none").test_best == {}
    assert "best weights" not in (tmp_path / "none" / "run.log").read_text()


def test_a_resumed_run_speaks_of_its_latest_tests(tmp_path: Path) -> None:
    train(small(**KEYS | {"N_EPOCH": 3, "PATIENCE": None}), tmp_path)
    train(small(**KEYS), tmp_path, True)
    run = load_run(tmp_path)
    finals = [test.weights.epochs for test in run.tests if test.weights.kind == "last"]
    assert finals == [3, KEYS["N_EPOCH"]]
    log = (tmp_path / "run.log").read_text()
    assert log.count(f"with the last weights (epoch {KEYS['N_EPOCH'] - 1})") == 1


def test_a_best_checkpoint_that_was_removed_is_not_tested(tmp_path: Path) -> None:
    config = small(**KEYS)
    train(config, tmp_path)
    best = int(np.argmax(load_run(tmp_path).epochs["validation_accuracy"]))
    RunPaths(tmp_path).best.unlink()
    train(small(**KEYS | {"N_EPOCH": KEYS["N_EPOCH"] + 1}), tmp_path, True)
    run = load_run(tmp_path)
    if int(np.argmax(run.epochs["validation_accuracy"])) == best:
        assert run.tests[-1].weights.kind == "last"
        assert run.test_best == {}
