"""The trials of a search: what they are drawn from, who takes which, what may be asked of them."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from runs import command, small

from snnrun.commands.arguments import parse
from snnrun.errors import ConfigError
from snnrun.tasks import CLASSIFICATION

pytest.importorskip("optuna", reason="no search is tested: Optuna is not installed", minversion="5")

from snnrun.search.methods import pruner_of, sampler_of
from snnrun.search.objective import Objective, objectives_of
from snnrun.search.report import report_of
from snnrun.search.settings import settings_of
from snnrun.search.space import Space, space_of
from snnrun.search.study import Book

LOG_ETA = "ETA=tag(log,interval(1e-4,1e-1))"
TAU = "TAU_MEM=interval(15,40)"


def searched(*words: str, sampler: str = "tpe") -> Space:
    return space_of(parse(words), sampler)


def book(
    folder: Path, space: Space, directions: Sequence[str] = ("maximize",), **given: Any
) -> Book:
    settings = settings_of(given if "sampler" in given else {"startup_trials": 2, **given})
    folder.mkdir(exist_ok=True)
    return Book(
        folder=folder,
        definition={"seed": settings.seed},
        directions=directions,
        distributions=space.distributions(),
        sampler=sampler_of(settings),
        seed=settings.seed,
        pruner=pruner_of(settings, 10),
        n_trials=50,
        grid=space.grid() if settings.sampler == "grid" else [],
    )


def quadratic(parameters: Mapping[str, Any]) -> float:
    return -((parameters["TAU_MEM"] - 20) ** 2)


def suggested(trials: Book, count: int) -> list[dict[str, Any]]:
    found = []
    for _ in range(count):
        with trials.next_trial() as trial:
            if trial is None:
                break
            found.append(trial.params)
            trials.tell(trial.number, "COMPLETE", [quadratic(trial.params)])
    return found


def test_ranges_and_choices_are_drawn_as_their_keys_are(tmp_path: Path) -> None:
    space = searched(
        LOG_ETA, "NUM_HIDDEN=interval(10,30)", "TAU_MEM=range(10,50,5)", "LOSS_TYPE=sum,max",
        "N_EPOCH=3",
    )  # fmt: skip
    eta, hidden, tau, loss = (dimension.distribution for dimension in space.dimensions)
    assert (eta.low, eta.high, eta.log) == (1e-4, 1e-1, True)
    assert type(hidden).__name__ == "IntDistribution"
    assert (tau.low, tau.high, tau.step) == (10, 45, 5)
    assert loss.choices == ("sum", "max")
    assert space.fixed == ("N_EPOCH=3",)
    words = space.overrides({"ETA": 0.001, "NUM_HIDDEN": 12, "TAU_MEM": 15.0, "LOSS_TYPE": "max"})
    assert words == ["ETA=0.001", "NUM_HIDDEN=12", "TAU_MEM=15.0", "LOSS_TYPE=max"]


@pytest.mark.parametrize(
    ("words", "sampler", "says"),
    [
        ([], "tpe", "nothing is to be searched"),
        (["LOSS_TYPE=interval(1,2)"], "tpe", "LOSS_TYPE is one of several choices, not a number"),
        (["NAME=range(1,3)"], "tpe", "NAME is a text, not a number"),
        (["ETA=interval(1e-2,1e-4)"], "tpe", "the first of the two must be less"),
        (["ETA=interval(-1,1)"], "tpe", "ETA=-1.0: must be a number > 0"),
        (["NUM_HIDDEN=20,-3"], "tpe", "NUM_HIDDEN=-3: must be a whole number >= 1"),
        (["ETA=tag(log,interval(0,1))"], "tpe", "must begin above 0"),
        (["ETA=tag(log,range(1,9))"], "tpe", "a range has even steps"),
        (["ETA=tag(lg,interval(1,2))"], "tpe", "lg is no tag"),
        (["MODEL_SEED=1,2,3"], "tpe", "sweep.seeds=3"),
        ([LOG_ETA, "NUM_HIDDEN=10,20"], "cmaes", "NUM_HIDDEN has choices"),
        ([LOG_ETA], "cmaes", "needs two ranges"),
        ([LOG_ETA], "grid", "ETA is any number from 0.0001 to 0.1"),
    ],
)
def test_what_cannot_be_searched_is_refused(words: list[str], sampler: str, says: str) -> None:
    with pytest.raises(ConfigError, match=re.escape(says)):
        searched(*words, sampler=sampler)


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"sampler": "tp"}, "Did you mean 'tpe'"),
        ({"pruner": "medan"}, "Did you mean 'median'"),
        ({"n_trials": 0}, "must be a whole number >= 1"),
        ({"n_trails": 3}, "Did you mean 'sweep.n_trials'"),
        ({"min_epochs": 3}, "has no effect with sweep.sampler=tpe and sweep.pruner=none"),
        ({"sampler": "grid", "startup_trials": 3}, "has no effect with sweep.sampler=grid"),
        ({"pruner": "median", "objective": ["train_loss", "seconds"]}, "several objectives"),
        ({"objective": "test_accuracy"}, "nothing is chosen by the test set"),
        ({"objective": "validation_skill"}, "must be one of validation_accuracy"),
        ({"objective": "time"}, "Did you mean 'seconds'"),
        ({"pruner": "median", "objective": "seconds"}, "needs a score or a loss"),
    ],
)
def test_settings_that_cannot_be_are_refused(given: dict[str, Any], says: str) -> None:
    def read() -> None:
        settings = settings_of(given)
        objectives_of(settings.objective, settings.prunes, small(), CLASSIFICATION)

    with pytest.raises(ConfigError, match=re.escape(says)):
        read()


@pytest.mark.parametrize("sampler", ["tpe", "random", "cmaes"])
def test_suggestions_follow_from_the_seed_and_the_trials_before(
    tmp_path: Path, sampler: str
) -> None:
    space = searched(TAU, LOG_ETA)
    whole = suggested(book(tmp_path / "whole", space, sampler=sampler), 8)
    parts = [suggested(book(tmp_path / "parts", space, sampler=sampler), 4) for _ in range(2)]
    assert whole == [*parts[0], *parts[1]]  # the second part by another sampler object
    other = suggested(book(tmp_path / "other", space, sampler=sampler, seed=1), 1)
    assert other[0] != whole[0]


def test_a_grid_is_tried_once_in_an_order_of_its_seed(tmp_path: Path) -> None:
    space = searched("TAU_MEM=range(10,25,5)", "NUM_HIDDEN=10,20", sampler="grid")
    found = suggested(book(tmp_path / "a", space, sampler="grid"), 20)
    assert len(found) == 6
    assert sorted(map(str, found)) == sorted(map(str, space.grid()))
    assert found == suggested(book(tmp_path / "b", space, sampler="grid"), 20)


def test_a_trial_of_nobody_is_taken_up_and_one_at_work_is_left(tmp_path: Path) -> None:
    space = searched(TAU)
    with book(tmp_path, space).next_trial() as trial:
        first = trial.number, trial.params
        # a claim is of a process: another one sees that the trial is at work
        code = (
            "import sys; sys.path[:0] = sys.argv[2:]; from pathlib import Path;"
            "from test_search_trials import book, searched, TAU;"
            "b = book(Path(sys.argv[1]), searched(TAU)).next_trial();"
            "print(b.__enter__().number); import os; os._exit(9)"
        )
        paths = [str(tmp_path), str(Path(__file__).parent), str(Path(__file__).parents[1])]
        other = subprocess.run(
            [*command()[:1], "-c", code, *paths], capture_output=True, text=True, check=False
        )
        assert (other.stdout.strip(), other.returncode) == ("1", 9), other.stderr
    taken = []
    for _ in range(2):  # that of this process, which was not told of, and that of the dead one
        with book(tmp_path, space).next_trial() as trial:
            taken.append((trial.number, trial.params))
            book(tmp_path, space).tell(trial.number, "COMPLETE", [1.0])
    assert taken[0] == first
    assert taken[1][0] == 1


def test_a_bad_trial_is_ended_where_half_of_the_others_were_better(tmp_path: Path) -> None:
    trials = book(tmp_path, searched(TAU), pruner="median", min_epochs=2)
    for value in (0.5, 0.7):
        with trials.next_trial() as trial:
            assert not any(trials.report(trial.number, step, value) for step in (1, 2, 3))
            trials.tell(trial.number, "COMPLETE", [value])
    with trials.next_trial() as trial:
        assert [trials.report(trial.number, step, 0.1) for step in (1, 2)] == [False, True]
        # taken up again, what was judged before is not judged anew
        assert not trials.report(trial.number, 1, 0.1)


def test_another_search_in_the_same_folder_is_refused(tmp_path: Path) -> None:
    assert book(tmp_path, searched(TAU)).study
    with pytest.raises(ConfigError, match="seed: 0 there, 1 now"):
        _ = book(tmp_path, searched(TAU), seed=1).study


@pytest.mark.parametrize("names", [["validation_accuracy"], ["validation_accuracy", "seconds"]])
def test_the_key_that_decides_is_the_important_one(tmp_path: Path, names: list[str]) -> None:
    space = searched(TAU, "TAU_SYN=interval(1,9)")
    objectives = tuple(Objective(name=name) for name in names)
    trials = book(tmp_path, space, sampler="random", directions=[o.direction for o in objectives])
    for _ in range(40):
        with trials.next_trial() as trial:
            second = (trial.params["TAU_SYN"] - 3) ** 2  # less is better
            trials.tell(trial.number, "COMPLETE", [quadratic(trial.params), second][: len(names)])
    report = replace(report_of(tmp_path, trials.study), objectives=objectives)
    shares = report.importance()
    for share, key in zip(shares, ("TAU_MEM", "TAU_SYN"), strict=False):
        assert max(share, key=share.__getitem__) == key
        assert sum(share.values()) == pytest.approx(1)
    assert len(shares) == len(names)


def test_objectives_know_which_way_is_better() -> None:
    assert Objective(name="validation_accuracy").maximise
    assert Objective(name="train_skill").maximise
    assert not any(
        Objective(name=name).maximise for name in ("validation_loss", "seconds", "hidden_spikes")
    )
