"""dataset=pattern: files of spikes, pictures, generated targets, and the figures of hits."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from snnrun.backends.pattern import distances_ms, figures_of
from snnrun.config import from_dict
from snnrun.datasets import load
from snnrun.datasets.raster import read_picture, read_ras
from snnrun.datasets.spikes import SpikeData, Splits, Targets
from snnrun.errors import DataError


def splits_of(keys: dict[str, Any] | None = None, **options: Any) -> Splits:
    data = {"name": "pattern", "channels": 6, "outputs": 4, **options}
    small = {"TRIAL_MS": 100.0, "DT_MS": 0.5, "MODEL_SEED": 1}
    return load(from_dict({"dataset": data, **small, **(keys or {})}))


def targets_of(data: SpikeData) -> list[tuple[int, int]]:
    return list(zip(*(column.tolist() for column in data.targets.of(0)), strict=True))


def write(path: Path, text: str) -> str:
    path.write_text(text)
    return str(path)


def test_the_generated_target_is_evenly_spaced_and_moves_from_output_to_output() -> None:
    splits = splits_of(target_spikes=2)
    found = targets_of(splits.train.data)
    # spikes at (k + (i + 1/2) / 4) / 2 of 100 ms, in steps of 0.5 ms
    wanted = [(int((k + (i + 0.5) / 4) / 2 * 200), i) for k in range(2) for i in range(4)]
    assert found == sorted(wanted)
    assert len(splits.train) == 10
    assert splits.train.data.n_classes == 4
    assert not splits.train.labels.any()
    assert splits.validation is None
    assert splits.test is None


def test_poisson_input_has_its_rate_and_its_seed() -> None:
    many = splits_of(channels=400, rate=20.0).train.data
    expected = 400 * 20.0 * 0.1
    assert abs(many.n_events - expected) < 5 * expected**0.5
    counts = np.bincount(many.channel_by_step, minlength=400)
    assert counts.var() == pytest.approx(counts.mean(), rel=0.3)
    again = splits_of(channels=400, rate=20.0).train.data
    other = splits_of({"TRAIN_DATA_SEED": 7}, channels=400, rate=20.0).train.data
    assert again.channel_by_step.tolist() == many.channel_by_step.tolist()
    assert other.channel_by_step.tolist() != many.channel_by_step.tolist()


def test_an_input_without_a_spike_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"no spike of 6 channels.* dataset\.rate a larger value"):
        splits_of(rate=1e-6)
    with pytest.raises(DataError, match="give TRIAL_MS a larger value"):
        splits_of(input=write(tmp_path / "late.ras", "0.15 2\n"))


def test_a_file_of_spikes_from_one_on(tmp_path: Path) -> None:
    text = "# Auryn\n0.0011 1\n0.0301 4\n\n0.0303 4  # the same step\n0.2 2\n"
    target = write(tmp_path / "target.ras", text)
    splits = splits_of(target=target)
    assert targets_of(splits.train.data) == [(2, 0), (60, 3)]
    assert "neurons from 1 on" in splits.description
    assert "target: 2 spikes, 1 beyond the trial were dropped" in splits.description
    with pytest.raises(DataError, match=r"from 1 to 4, which does not fit dataset\.outputs=4"):
        splits_of(target=target, target_offset=0)
    shifted = splits_of(target=target, outputs=5)  # no neuron 5: these are 1 to 4 of 0 to 4
    assert targets_of(shifted.train.data) == [(2, 1), (60, 4)]


def test_an_input_file(tmp_path: Path) -> None:
    file = write(tmp_path / "input.ras", "0.05 5\n0.001 0\n")
    steps, channels = splits_of(input=file).train.data.events(0)
    assert (steps.tolist(), channels.tolist()) == ([2, 100], [0, 5])
    with pytest.raises(DataError, match=r"channel 5, but dataset\.channels=5"):
        splits_of(input=file, channels=5)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("0.1 3\n0.2\n", "line 2: '0.2' is no spike"),
        ("0.1 3 4\n", "line 1: '0.1 3 4' is no spike"),
        ("0.1 three\n", "line 1: '0.1 three' is no spike"),
        ("0.1 1\n\n-0.1 3\n", "line 3: '-0.1 3': times and neurons must be 0 or more"),
        ("nan 3\n", "line 1"),
        ("# nothing\n", "there is no spike in it"),
    ],
)
def test_a_bad_line_is_named(text: str, words: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=words):
        read_ras(Path(write(tmp_path / "bad.ras", text)))


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"gone\.ras: there is no such file"):
        splits_of(target=str(tmp_path / "gone.ras"))
    with pytest.raises(DataError, match=r"gone\.pgm: there is no such file"):
        splits_of(target=str(tmp_path / "gone.pgm"))
    where = r"oxford-target\.ras of https://github.com/fzenke/pub2018superspike: .*dataset.target="
    with pytest.raises(DataError, match=where):
        splits_of(target=str(tmp_path / "oxford-target.ras"))
    with pytest.raises(DataError, match=r"a target is a \.ras file of spikes or a picture"):
        splits_of(target=write(tmp_path / "target.jpg", ""))


def picture(path: Path, grey: np.ndarray) -> str:
    head = f"P5\n# by hand\n{grey.shape[1]} {grey.shape[0]}\n255\n".encode()
    path.write_bytes(head + grey.astype(np.uint8).tobytes())
    return str(path)


def test_bright_pixels_of_a_picture_are_spikes(tmp_path: Path) -> None:
    grey = np.zeros((4, 10))
    grey[0, 3], grey[3, 9] = 255, 255  # above is the last output, below the first
    file = picture(tmp_path / "figure.pgm", grey)
    data = splits_of(target=file, jitter=False).train.data  # ten columns of 10 ms
    assert targets_of(data) == [(70, 3), (190, 0)]
    jittered = [
        targets_of(splits_of({"TRAIN_DATA_SEED": s}, target=file).train.data) for s in (1, 1, 2)
    ]
    assert jittered[0] == jittered[1] != jittered[2]
    assert all(60 <= t < 80 for t, neuron in jittered[0] if neuron == 3)
    dark = splits_of(target=file, invert=True, jitter=False).train.data
    assert len(targets_of(dark)) == 38
    plain = write(tmp_path / "plain.pgm", "P2 2 1 4\n# comment\n1 4\n")
    assert read_picture(Path(plain)).tolist() == [[0.25, 1.0]]


def test_brightness_is_the_probability_of_a_spike(tmp_path: Path) -> None:
    file = picture(tmp_path / "grey.pgm", np.full((50, 50), 51))
    data = splits_of({"TRIAL_MS": 500.0}, target=file, outputs=50).train.data
    assert len(targets_of(data)) == pytest.approx(0.2 * 2500, abs=5 * (2500 * 0.16) ** 0.5)


@pytest.mark.parametrize("content", [b"P6\n1 1\n255\n\0", b"P5\n2 2\n255\n\0", b"P2 1 1 3\nx\n"])
def test_a_broken_picture_is_refused(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "broken.pgm"
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"broken\.pgm"):
        read_picture(path)


def test_a_dark_picture_has_no_target(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"dataset\.invert=true meant"):
        splits_of(target=picture(tmp_path / "dark.pgm", np.zeros((2, 2))))


def test_targets_must_fit_the_data() -> None:
    data = splits_of().train.data
    parts = {name: getattr(data, name) for name in data.__dataclass_fields__}
    wrong = Targets(
        offsets=np.array([0, 1]), steps=np.array([200], np.uint16), neurons=np.zeros(1, np.uint16)
    )
    with pytest.raises(DataError, match=r"steps must be 0 \.\. 199, got 200"):
        SpikeData(**{**parts, "targets": wrong})


def test_distances_are_to_the_nearest_spike_of_the_same_neuron() -> None:
    draw = np.random.default_rng(1)
    one, two = ((draw.integers(0, 300, n), draw.integers(0, 5, n)) for n in (80, 60))
    found = distances_ms(one, two, 0.1)
    for step, neuron, distance in zip(*one, found, strict=True):
        others = two[0][two[1] == neuron]
        assert distance == pytest.approx(np.abs(others - step).min() * 0.1)
    nobody = np.zeros(0, int), np.zeros(0, int)
    assert np.isinf(distances_ms(one, nobody, 0.1)).all()
    assert len(distances_ms(nobody, one, 0.1)) == 0


def test_hits_and_spurious_spikes_of_each_trial() -> None:
    targets = Targets(
        offsets=np.array([0, 3]),
        steps=np.array([100, 200, 300], np.uint16),
        neurons=np.array([0, 1, 1], np.uint16),
    )
    population = SimpleNamespace(population=SimpleNamespace(name="output", size=2))
    program: Any = SimpleNamespace(dt=0.1, duration=100.0, populations=[population])
    # first trial: 2 ms late, 5 ms early, and one of a neuron without a target there; second: none
    output = np.array([120, 150, 300]), np.array([0, 1, 0])
    figures = figures_of(
        program,
        targets,
        np.zeros(2, np.int64),
        np.array([0.5, 1.0]),
        np.array([10.0, 20.0]),
        np.array([[3], [0]]),
        output,
    )
    assert figures["hits_2ms"].tolist() == [1 / 3, 0]
    assert figures["hits_5ms"].tolist() == [2 / 3, 0]
    assert figures["spurious_5ms"][0] == pytest.approx(1 / 3)
    assert np.isnan(figures["spurious_5ms"][1])
    assert figures["van_rossum_distance"].tolist() == [0.5, 1.0]
    assert figures["rate_output"].tolist() == [15.0, 0.0]
