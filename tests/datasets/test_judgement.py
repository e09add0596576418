"""Data whose events do not fit the trial: refused with what fits, or noticed."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from samples import Examples, make_config, write_mnist, write_shd

from snnrun.cli import main
from snnrun.config import from_dict
from snnrun.datasets import DataSet, Events, Part, Splits, commands, load, load_chosen
from snnrun.datasets.choice import Choice
from snnrun.errors import ConfigError, DataError

TRIAL_MS = 1000.0
Change = Callable[[np.ndarray, int], np.ndarray]


def recordings(n: int = 30) -> Examples:
    """Return examples in s, whose first event is at 0 and whose last is before 0.9 s."""
    random = np.random.default_rng(4)
    times = [np.sort(random.integers(0, 900, 40)) / 1000 + 1e-5 for _ in range(n)]
    return [(((t - t[0]) + 1e-5).tolist(), random.integers(0, 700, 40).tolist()) for t in times]


def written(folder: Path, change: Change) -> Path:
    """Write the recordings with changed times (s, number of the example), and return the folder."""
    examples = [
        (change(np.array(times), number).tolist(), channels)
        for number, (times, channels) in enumerate(recordings())
    ]
    for name in ("shd_train.h5", "shd_test.h5"):
        write_shd(folder / name, examples, dtype=np.float64)
    return folder


def read(folder: Path, *settings: str, **keys: Any) -> Splits:
    """Read with settings as a command line gives them."""
    options: dict[str, Any] = {}
    for setting in settings:
        name, _, value = setting.partition("=")
        number = value if value == "first" else float(value)
        group, _, option = name.rpartition(".")
        (options if group else keys)[option] = number
    dataset = {"name": "shd", "path": str(folder), **options}
    return load(make_config(dataset=dataset, **{"TRIAL_MS": TRIAL_MS, **keys}))


def settings_in(message: str) -> list[str]:
    """Return the settings that a message ends with."""
    match = re.search(r"(?:they fit with|shown with) ((?:[\w.]+=[^ ]+ ?)+)$", message)
    assert match, message
    return match[1].split()


UNFIT: dict[str, tuple[Change, list[str]]] = {
    "ms": (lambda t, n: t * 1e3, ["RESCALE_T=0.001"]),
    "us": (lambda t, n: t * 1e6, ["RESCALE_T=1e-06"]),
    "one clock": (lambda t, n: t + 5 * n + 100, ["dataset.start=first"]),
    "date": (lambda t, n: t + 1.7e9 + n, ["dataset.start=first"]),
    "same offset": (lambda t, n: t + 60.0, ["dataset.start=60000"]),
    "negative": (lambda t, n: t - 2.0, ["dataset.start=-2000"]),
    "ms of one clock": (
        lambda t, n: (t + 3 * n + 50) * 1e3,
        ["RESCALE_T=0.001", "dataset.start=first"],
    ),
}


@pytest.mark.parametrize("case", UNFIT)
def test_times_that_do_not_fit_are_refused_with_settings_that_do(case: str, tmp_path: Path) -> None:
    change, expected = UNFIT[case]
    right = read(written(tmp_path, lambda t, n: t)).train.data
    folder = written(tmp_path, change)
    with pytest.raises(DataError, match=r"shd_train.h5: .* of the events lie outside") as caught:
        read(folder)
    assert settings_in(str(caught.value)) == expected
    mended = read(folder, *expected)
    assert mended.notices == ()
    assert mended.train.data.outside == 0
    for example in range(len(right)):
        steps, channels = (mended.train.data.events(example)[k].tolist() for k in (0, 1))
        known = right.events(example)
        near = np.abs(np.sort(steps).astype(int) - np.sort(known[0]).astype(int))
        assert near.max() <= 1  # a time at the border of a step may round otherwise
        assert sorted(channels) == sorted(known[1].tolist())


def test_the_unit_is_found_where_the_trial_is_shorter_than_the_recordings(tmp_path: Path) -> None:
    folder = written(tmp_path, lambda t, n: t * 1e3)
    with pytest.raises(DataError, match=r"they fit with RESCALE_T=0.001$"):
        read(folder, TRIAL_MS=400.0)
    assert {n.what for n in read(folder, "RESCALE_T=0.001", TRIAL_MS=400.0).notices} == {
        "dropped events"
    }


def test_the_settings_work_in_the_words_of_a_command_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = written(tmp_path, lambda t, n: (t + 3 * n + 50) * 1e3)
    monkeypatch.chdir(folder)
    words = ["dataset=shd", "preset=none", f"dataset.path={folder}", "N_TRAIN=20", "N_VALIDATE=5"]
    assert main(["train", *words]) == 2
    fitting = settings_in(" ".join(capsys.readouterr().err.split()))
    assert main(["data", "verify", *words]) == 2
    assert "of the events lie outside the trial" in capsys.readouterr().err
    assert main(["data", "verify", *words, *fitting]) == 0
    out = capsys.readouterr().out
    assert "events fit the trial of 1400 ms: 2,400 of 2,400 are used\n" in out
    assert main(["data", "info", *words]) == 0
    assert "refused by `snnrun train`: dataset shd" in capsys.readouterr().out


@pytest.mark.parametrize("merge", [True, False])
def test_verify_says_what_becomes_of_the_events_that_a_run_does_not_use(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], merge: bool
) -> None:
    folder = written(tmp_path, lambda t, n: t)
    config = ["dataset=shd", "preset=none", f"dataset.path={folder}", f"dataset.merge={merge}"]
    assert main(["data", "verify", *config, "TRIAL_MS=870", "RESCALE_X=0.01"]) == 0
    out = capsys.readouterr().out
    found = re.search(
        r"ms: ([\d,]+) of 2,400 are used, ([\d,]+) beyond the trial were dropped(.*)", out
    )
    used, beyond = (int(number.replace(",", "")) for number in found.groups()[:2])
    merged = re.findall(r", (\d+) merged \(same channel and step\)$", found[3])
    assert bool(merged) == merge
    assert beyond > 0
    assert used + beyond + sum(map(int, merged)) == 2400


def test_a_trial_that_is_shorter_than_the_recordings_is_noticed(tmp_path: Path) -> None:
    folder = written(tmp_path, lambda t, n: t)
    splits = read(folder, TRIAL_MS=100.0)
    train, test = splits.notices
    assert (train.what, train.where, test.where) == ("dropped events", "train", "test")
    data = splits.train.data
    assert train.share == data.outside / (30 * 40)
    assert train.share > 0.8
    assert train.epoch is None
    assert read(folder, *settings_in(train.message)).notices == ()
    assert read(folder, TRIAL_MS=870.0).notices == ()  # a tail of few events


def test_events_before_the_trial_are_noticed_however_few(tmp_path: Path) -> None:
    folder = written(tmp_path, lambda t, n: np.where((t < 0.003) & (n == 3), -0.02, t))
    [notice, _] = read(folder).notices
    assert notice.what == "dropped events"
    assert "before its start" in notice.message
    mended = read(folder, *settings_in(notice.message))
    assert mended.train.data.outside == 0


def nothing(times: np.ndarray, number: int) -> np.ndarray:
    return times[:0]


@pytest.mark.parametrize(
    ("silent", "outcome"), [(30, "refused"), (29, "refused"), (6, "noticed"), (2, "nothing")]
)
def test_examples_without_events_are_counted(tmp_path: Path, silent: int, outcome: str) -> None:
    examples = [([], []) if n < silent else e for n, e in enumerate(recordings())]
    write_shd(tmp_path / "shd_train.h5", examples, dtype=np.float64)
    if outcome == "refused":
        count = "all 30" if silent == 30 else "29 of 30"
        with pytest.raises(DataError, match=f"{count} examples hold no event at all"):
            read(tmp_path, N_TEST=0)
        return
    found = [(n.what, n.share, n.message) for n in read(tmp_path, N_TEST=0).notices]
    text = f"train data: {silent} of 30 examples have no event in the trial"
    assert found == ([("silent examples", silent / 30, text)] if outcome == "noticed" else [])


@pytest.mark.parametrize("odd", [np.inf, -np.inf, np.nan])
def test_infinite_times_are_refused(tmp_path: Path, odd: float) -> None:
    folder = written(tmp_path, lambda t, n: np.where(t == t[7], odd, t) if n == 4 else t)
    with pytest.raises(DataError, match="example 4 has a time that is not a number, or infinite"):
        read(folder)
    with pytest.raises(DataError, match="times that are not numbers, or infinite"):
        commands.verify(from_dict({"dataset": {"name": "shd", "path": str(folder)}}))


def own_set(times_ms: np.ndarray, counts: np.ndarray) -> DataSet:
    """Return a data set of a user's own, whose events are of one channel each."""
    part = Part(
        events=Events(counts=counts, times_ms=times_ms, channels=np.arange(len(times_ms)) % 3),
        labels=np.arange(len(counts)) % 2,
        n_channels=3,
        n_classes=2,
        source="my file",
    )
    return DataSet(name="own", title="my set", read=lambda request: {"train": part})


def test_times_that_are_too_small_are_refused_where_they_fall_together(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    seconds = np.tile(np.linspace(0, 0.9, 400), 5)
    own = own_set(seconds, np.full(5, 400))
    monkeypatch.setattr("snnrun.datasets.find", lambda name: own)
    with pytest.raises(DataError, match=r"fell together .* they fit with RESCALE_T=1000$"):
        load(make_config(TRIAL_MS=1000.0))
    assert load(make_config(TRIAL_MS=1000.0, RESCALE_T=1000.0)).notices == ()
    few = own_set(np.array([0.1, 0.5]), np.array([2]))
    monkeypatch.setattr("snnrun.datasets.find", lambda name: few)
    for dt_ms in (1.0, 5.0):  # with any step, of which all events fill one
        [notice] = load(make_config(TRIAL_MS=1000.0, DT_MS=dt_ms)).notices  # which may be meant
        assert notice.what == "time unit"


def test_a_data_set_of_ones_own_is_judged_and_begins_where_it_is_told(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    late = np.tile(np.linspace(0, 900, 40), 5) + np.repeat(np.arange(5) * 4e3 + 9e3, 40)
    monkeypatch.setattr("snnrun.datasets.find", lambda name: own_set(late, np.full(5, 40)))
    with pytest.raises(DataError, match=r"dataset own: my file: 100 % .*start=first$"):
        load(make_config(TRIAL_MS=1000.0))
    fitting = make_config(TRIAL_MS=1000.0, dataset={"start": "first"})
    assert load(fitting).train.data.n_events == 200


def test_black_images_are_refused(tmp_path: Path) -> None:
    black = (np.zeros((20, 3, 4)), np.arange(20) % 10)
    folder = write_mnist(tmp_path / "black", black, black)
    for name, options in (
        ("mnist", {}),
        ("smnist", {"thresholds": 9, "pixel_ms": 1, "repeats": 1}),
    ):
        dataset = {"name": name, "path": str(folder), **options}
        with pytest.raises(DataError, match="all 20 examples hold no event at all"):
            load(make_config(dataset=dataset))


def pattern(**options: Any) -> Any:
    dataset = {"name": "pattern", "channels": 4, "outputs": 4, **options}
    return from_dict({"dataset": dataset, "TRIAL_MS": 100.0, "rule": {"name": "superspike"}})


@pytest.mark.parametrize("option", ["input", "target"])
def test_a_ras_file_in_ms_is_refused_with_a_command_that_mends_it(
    tmp_path: Path, option: str
) -> None:
    path = tmp_path / "OLD.ras"
    path.write_text("".join(f"{0.09 + 4.5 * k} {k % 4}\n" for k in range(22)))
    with pytest.raises(
        (DataError, ConfigError), match=r"Times in a .ras file are in sec"
    ) as caught:
        load(pattern(**{option: str(path)}))
    command = re.search(r"awk .*ras", str(caught.value))
    assert command
    subprocess.run(command[0], shell=True, check=True, cwd=tmp_path)
    splits = load(pattern(**{option: str(tmp_path / "NEW.ras")}))
    assert splits.notices == ()


def labelled(name: str, train: list[int], test: list[int]) -> Splits:
    """Return data with these labels, every example of one event."""

    def part(labels: list[int]) -> Part:
        one = np.ones(len(labels))
        events = Events(times_ms=one, channels=one.astype(int), counts=one.astype(int))
        return Part(events=events, labels=np.array(labels), n_channels=2, n_classes=9)

    made = DataSet(name=name, title="t", read=lambda _: {"train": part(train), "test": part(test)})
    return load_chosen(
        make_config(dataset={"name": "shd"}, TRIAL_MS=10.0), made, Choice(n_train=2, n_validate=2)
    )


def test_classes_that_the_training_data_do_not_have_are_noticed() -> None:
    assert labelled("all", [0, 1, 1, 2], [2, 1, 0]).notices == ()
    (notice,) = labelled("new", [0, 1, 1, 2], [2, 7, 8, 7]).notices
    assert (notice.what, notice.where, notice.share) == ("unknown classes", "test", 0.75)
    assert "3 of 4 examples are of classes that the training data do not have, such as 7, 8" in (
        notice.message
    )


def test_one_class_alone_is_noticed() -> None:
    (notice,) = labelled("one", [3, 3, 3, 3], [3]).notices
    assert (notice.what, notice.where) == ("one class", "train")
    assert "all examples are of class 3" in notice.message
