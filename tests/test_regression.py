"""Target courses: the loss mse, windows of losses, the figures of the task, runs, refusals."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import reference
import reference_discrete
from long import long_but
from oracle import Problem, problem
from parity import TAUS, data_of, gradients_of, load_parameters, load_weights, native, program_of
from test_parity import assert_close

from snnrun import evaluate, load_run, train
from snnrun.backends.base import NO_NOISE, Backend
from snnrun.backends.interpreter.backend import NumpyBackend
from snnrun.config import from_dict
from snnrun.datasets import load
from snnrun.datasets.spikes import Courses
from snnrun.errors import ConfigError, SnnrunError
from snnrun.models.losses import MSE, OF_POTENTIALS
from snnrun.models.surrogates import SpikeDerivative
from snnrun.page.document import as_data
from snnrun.page.run import page_of_run
from snnrun.plots import saved
from snnrun.plots.records import Asked, Records
from snnrun.record.reader import Run
from snnrun.run import built

DT, EXAMPLES = 0.1, 3
WINDOW = (90, 170)  # of 240 steps


def drawn(loss: str = "mse", window: tuple[int, int] | None = None, **more: Any) -> Problem:
    case = problem(loss=loss, **{"seed": 4, "examples": EXAMPLES, "recurrent": True, **more})
    case = replace(case, loss=replace(case.loss, window=window))
    if loss != "mse":
        return case
    shape = (EXAMPLES, case.steps(DT), case.layers[-1].size)
    courses = np.random.default_rng(2).normal(size=shape).astype(np.float32)
    return replace(case, courses=courses)


def loaded(case: Problem, backend: str, surrogate: bool, train: tuple[str, ...] = TAUS) -> Backend:
    program = program_of(case, DT, train=train, spikes=SpikeDerivative() if surrogate else None)
    made = NumpyBackend(program) if backend == "numpy" else native(program)
    load_weights(made, case.weights)
    load_parameters(made, case)
    return made


def wanted(case: Problem, surrogate: bool) -> list[reference.Result]:
    def one(e: int) -> reference.Result:
        if not surrogate:
            return reference.gradient(case, DT, e)
        return reference_discrete.gradient(case, DT, e, reference_discrete.fast_sigmoid)

    return [one(e) for e in range(EXAMPLES)]


def assert_equal(case: Problem, backend: str, surrogate: bool) -> None:
    made, results = loaded(case, backend, surrogate), wanted(case, surrogate)
    assert all(one.counts[0].sum() for one in results)
    found = made.gradient(data_of(case, DT), np.arange(EXAMPLES))
    np.testing.assert_allclose(found.loss, [one.loss for one in results], rtol=1e-12)
    np.testing.assert_array_equal(found.prediction, [one.prediction for one in results])
    assert_close(gradients_of(made), reference.mean_gradients(results), 1e-10)
    assert np.linalg.norm(results[0].gradients["in_to_hid"]) > 0


CASES = [(backend, rule) for backend in ("native", "numpy") for rule in ("surrogate", "eventprop")]


OF_COURSES = [(*case, window) for case in CASES for window in (None, WINDOW)]


@pytest.mark.parametrize(
    ("backend", "rule", "window"),
    long_but(OF_COURSES, [("native", "surrogate", WINDOW), ("numpy", "eventprop", WINDOW)]),
)
def test_the_gradient_of_target_courses_is_that_of_the_reference(
    backend: str, rule: str, window: tuple[int, int] | None
) -> None:
    assert_equal(drawn(window=window), backend, rule == "surrogate")


@pytest.mark.parametrize(("backend", "rule"), long_but(CASES, [CASES[1], CASES[2]]))
def test_the_gradient_of_the_weights_to_the_outputs_is_that_of_finite_differences(
    backend: str, rule: str
) -> None:
    """Outputs do not spike, so that the loss is smooth in these weights."""
    case = drawn()
    made, data, all_ = loaded(case, backend, rule == "surrogate"), data_of(case, DT), np.arange(3)
    made.gradient(data, all_)
    gradient, start = made.get("hid_to_out", "gradient"), made.get("hid_to_out")

    def loss_at(place: tuple[int, ...], change: float) -> float:
        moved = start.copy()
        moved[place] += change
        made.set("hid_to_out", moved)
        return float(made.evaluate(data, all_).loss.mean())

    for place in np.ndindex(start.shape):
        slope = (loss_at(place, 1e-4) - loss_at(place, -1e-4)) / 2e-4
        assert gradient[place] == pytest.approx(slope, rel=1e-8, abs=1e-10)


WINDOWED = [  # all on numpy, and every loss on native with one rule
    (backend, rule, loss)
    for i, loss in enumerate(name for name in OF_POTENTIALS if name != "mse")
    for j, (backend, rule) in enumerate(CASES)
    if backend == "numpy" or (i + j) % 2 == 0
]


@pytest.mark.parametrize(
    ("backend", "rule", "loss"),
    long_but(WINDOWED, [("native", "eventprop", "max"), ("numpy", "surrogate", "avg_xentropy")]),
)
def test_a_loss_reads_only_its_window(backend: str, rule: str, loss: str) -> None:
    """The seed is one for which a maximum lies where a spike arrives."""
    assert_equal(drawn(loss, WINDOW, recurrent=False), backend, rule == "surrogate")


def test_what_the_window_holds_of_a_loss_of_steps_is_that_of_a_shorter_loss() -> None:
    case, shut = drawn("avg_xentropy"), drawn("avg_xentropy", (0, 240))
    whole, same = (
        loaded(x, "native", False).evaluate(data_of(x, DT), np.arange(3)) for x in (case, shut)
    )
    np.testing.assert_allclose(whole.loss, same.loss, rtol=1e-13)
    halves = [
        loaded(x, "native", False).evaluate(data_of(x, DT), np.arange(3)).loss
        for x in (drawn("avg_xentropy", (0, 120)), drawn("avg_xentropy", (120, 240)))
    ]
    np.testing.assert_allclose(np.mean(halves, axis=0), whole.loss, rtol=1e-12)


@pytest.mark.parametrize("backend", ["native", "numpy"])
@pytest.mark.parametrize("window", [None, WINDOW])
def test_the_figure_is_the_squared_error_over_the_variance(
    backend: str, window: tuple[int, int] | None
) -> None:
    case = drawn(window=window)
    made, data = loaded(case, backend, surrogate=True), data_of(case, DT)
    found = made.evaluate(data, np.arange(EXAMPLES))
    counted = slice(*(window or (0, None)))
    assert case.courses is not None
    target = case.courses[:, counted].astype(float)
    V = np.array([made.trial(data, e).states[-1]["V"] for e in range(EXAMPLES)])[:, counted]
    np.testing.assert_allclose(found.loss, ((V - target) ** 2).mean(axis=(1, 2)), rtol=1e-10)
    variance = target.var(axis=(0, 1)).mean()
    np.testing.assert_allclose(found.figures["nmse"], found.loss / variance, rtol=1e-10)
    assert (found.prediction == -1).all()


def test_examples_may_share_a_course() -> None:
    case = drawn()
    data, made = data_of(case, DT), loaded(case, "native", surrogate=True)
    assert data.courses is not None
    shared = replace(data, courses=Courses(values=data.courses.values, rows=np.array([2, 2, 0])))
    again = np.array([data.courses.values[k] for k in (2, 2, 0)])
    plain = replace(data, courses=Courses(values=again, rows=np.arange(3)))
    for one, other in zip(
        *(made.evaluate(x, np.arange(3)).loss for x in (shared, plain)), strict=True
    ):
        assert one == other


OWN = replace(
    MSE, name="soft", cost="(1 + d**2 / DELTA_T**2)**0.5 - 1", weight="t / T", keys=("DELTA_T",)
)


@pytest.mark.parametrize("backend", ["native", "numpy"])
def test_a_cost_of_ones_own_is_differentiated(
    backend: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("parity.BUILT_IN", {"mse": OWN})
    case = drawn()
    made, data = loaded(case, backend, surrogate=True), data_of(case, DT)
    found = made.evaluate(data, np.arange(1))
    assert case.courses is not None
    d = made.trial(data, 0).states[-1]["V"] - case.courses[0]
    weight = np.arange(1, 241)[:, None] / 240
    soft = np.sqrt(1 + d**2 / case.loss.delta_t**2) - 1
    assert found.loss[0] == pytest.approx((weight * soft).mean(), rel=1e-10)
    made.gradient(data, np.arange(1))
    gradient, start = made.get("hid_to_out", "gradient"), made.get("hid_to_out")
    moved = [start.copy(), start.copy()]
    for one, change in zip(moved, (1e-4, -1e-4), strict=True):
        one[1, 2] += change
    losses = []
    for one in moved:
        made.set("hid_to_out", one)
        losses.append(made.evaluate(data, np.arange(1)).loss[0])
    assert gradient[1, 2] == pytest.approx((losses[0] - losses[1]) / 2e-4, rel=1e-7)


def test_training_has_the_same_bits_for_any_number_of_threads() -> None:
    case = drawn()
    found = []
    for threads in (1, 3):
        backend = native(program_of(case, DT, spikes=SpikeDerivative()), threads=threads)
        load_weights(backend, case.weights)
        load_parameters(backend, case)
        examples, rates = np.tile(np.arange(3), 4), np.full(4, 0.01)
        results = backend.train(data_of(case, DT), examples, 3, rates, 0, NO_NOISE)
        found.append([results.loss, results.figures["nmse"], backend.get("in_to_hid")])
    for one, other in zip(*found, strict=True):
        np.testing.assert_array_equal(one, other)


KEYS: dict[str, Any] = {
    "dataset": {"name": "pattern_generation", "channels": 8, "groups": 4, "outputs": 2},
    "rule": {"name": "surrogate", "scale": 3.0},
    "TRIAL_MS": 100.0,
    "NUM_HIDDEN": 30,
    "N_EPOCH": 20,
    "MODEL_SEED": 1,
    "INPUT_HIDDEN_MEAN": 1.0,
    "INPUT_HIDDEN_STD": 3.0,
    "ETA": 0.01,
}


def test_a_pattern_is_learned_and_every_place_tells_the_error(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = train({**KEYS, "preset": "none"}, tmp_path / "run")
    rows = load_run(tmp_path / "run").epochs
    assert rows["nmse"][-1] < 0.5 < rows["nmse"][0]
    np.testing.assert_allclose(rows["train_r2"], 1 - rows["nmse"], rtol=1e-12)
    assert run.test["r2"] == 1 - run.test["nmse"]
    assert run.score["test"] == run.test["r2"]
    assert run.task.name == "regression"
    said = capsys.readouterr().out
    assert f"normalised mean squared error {run.test['nmse']:.4g} with the last weights" in said
    best = int(np.argmax(rows["train_r2"]))
    assert f"{1 - rows['train_r2'][best]:.4g} in epoch {best}, by training" in said


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        ({"LOSS_TYPE": "max"}, "has target courses .* use LOSS_TYPE=mse"),
        ({"rule": "superspike"}, "rule=superspike: learns target spikes"),
        ({"dataset": "shd", "LOSS_TYPE": "mse"}, "dataset shd has no target courses"),
        ({"COLLECT_CONFUSION": True}, "LOSS_TYPE=mse predicts no class"),
        ({"LOSS_WINDOW": [50, 200]}, "ends after the trial, TRIAL_MS=100"),
        ({"LOSS_WINDOW": [50, 50.2]}, "holds no step"),
        ({"LOSS_WINDOW": [50, 20]}, "must be two numbers from 0 on that rise"),
        ({"dataset": {**KEYS["dataset"], "groups": 3}}, "must divide dataset.channels=8"),
        ({"AUGMENTATION": {"ID_jitter": 1.0}}, "AUGMENTATION.* has no effect"),
        (
            {"dataset": "shd", "LOSS_TYPE": "first_spike", "LOSS_WINDOW": [1, 2]},
            "LOSS_WINDOW=.* has no effect",
        ),
    ],
)
def test_what_does_not_go_together_is_refused(keys: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        from_dict({**KEYS, **keys})


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Run:
    own = {"REC_NEURONS": [["output", "V"]], "REC_NEURONS_EPOCH_TRIAL": [[0, 0]], "N_EPOCH": 1}
    keys = {**KEYS, **own, "preset": "none", "backend": "numpy", "N_TRAIN": 2}
    return train(keys, tmp_path_factory.mktemp("regression") / "run", progress=False)


def test_plots_and_pages_show_the_targets_beside_the_outputs(recorded: Run) -> None:
    records = Records(recorded, built)
    [picture] = saved.pictures(records, ["potentials"], Asked())
    dotted = [x for x in picture.figure().axes[0].get_lines() if x.get_linestyle() == ":"]
    data = load(from_dict(recorded.config)).train.data
    assert data.courses is not None
    [wanted] = data.courses.of(np.array([0]))
    np.testing.assert_array_equal([x.get_ydata() for x in dotted[:2]], wanted.T)
    page = str(as_data(page_of_run(recorded)))
    assert "target of neuron 1" in page
    assert "predicted" not in page


def test_arrays_are_evaluated_with_their_courses_and_without(recorded: Run) -> None:
    whole = evaluate(recorded, variables=[("output", "V")])
    data = load(from_dict(recorded.config)).train.data
    steps, channels = data.events(0)
    assert data.courses is not None
    courses = data.courses.of(np.array([0]))
    given = [(steps + 0.5, channels)]
    found = evaluate(recorded, given, courses=courses)
    assert found.losses is not None
    assert found.losses[0] == whole.loss
    assert found.score == whole.score == pytest.approx(1 - whole.figures["nmse"][0])
    error = whole.variables["output", "V"][0] - courses[0]
    assert whole.loss == pytest.approx((error**2).mean(), rel=1e-5)
    unknown = evaluate(recorded, given)
    assert unknown.losses is None
    assert np.isnan(unknown.score)
    for wrong, said in (
        ({"labels": np.zeros(1, int)}, "labels: this network has learned target courses"),
        ({"courses": courses[:, :50]}, "courses: shape"),
        ({"scores": True}, "there are no classes"),
    ):
        with pytest.raises(SnnrunError, match=said):
            evaluate(recorded, given, **wrong)
