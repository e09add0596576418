"""fields.png: the weights from the pixels into each neuron, as images."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from runs import write_mnist

from snnrun.config import from_dict
from snnrun.plots.records import Records
from snnrun.plots.saved import write_all
from snnrun.record.paths import RunPaths
from snnrun.record.reader import load_run
from snnrun.run import train

matplotlib = pytest.importorskip("matplotlib")


def test_each_neurons_weights_are_an_image_in_rows() -> None:
    from snnrun.plots.learned import FIELD_COLUMNS as COLUMNS
    from snnrun.plots.learned import fields

    weights = np.arange(9 * 23, dtype=float).reshape(9, 23)
    figure = fields(weights, "fields").figure()
    sheet = np.ma.filled(figure.axes[0].images[0].get_array(), np.nan)
    assert sheet.shape == (2 * 4, COLUMNS * 4)
    for k in (0, 19, 20, 22):
        top, left = k // COLUMNS * 4, k % COLUMNS * 4
        np.testing.assert_array_equal(
            sheet[top : top + 3, left : left + 3], weights[:, k].reshape(3, 3)
        )
    assert np.isnan(sheet[4:, 12:]).all()
    assert "fields: all 23 neurons" in figure._suptitle.get_text()
    figure = fields(np.zeros((9, 200)), "fields").figure()
    assert "fields: the first 100 of 200 neurons" in figure._suptitle.get_text()


@pytest.mark.long
def test_runs_on_images_get_the_picture(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv("DISPLAY", raising=False)
    path = str(write_mnist(tmp_path / "mnist"))
    config = from_dict(
        {
            "dataset": {"name": "mnist", "path": path},
            "N_TRAIN": 4,
            "N_VALIDATE": 4,
            "N_TEST": 0,
            "N_EPOCH": 1,
            "NUM_HIDDEN": 5,
            "MODEL_SEED": 1,
            "FANCY_PLOTS": True,
            "backend": {"cache_dir": None},
        }
    )
    train(config, tmp_path / "run")
    file = RunPaths(tmp_path / "run").plot("fields")
    first = file.read_bytes()
    file.unlink()
    write_all(Records(load_run(tmp_path / "run")), ["fields"])
    assert first[:4] == file.read_bytes()[:4] == b"\x89PNG"
