"""The raster of FANCY_PLOTS with backend=genn: the same spikes and potentials as natively."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from runs import SMALL

from snnrun.config import from_dict
from snnrun.plots.example import OneExample
from snnrun.plots.raster import Example
from snnrun.record.paths import RunPaths
from snnrun.run import train

pytest.importorskip("matplotlib")
pytestmark = pytest.mark.genn

BACKENDS: dict[str, dict[str, Any]] = {
    "genn": {"name": "genn", "device": "single_threaded_cpu", "precision": "float64"},
    "native": {"name": "native", "precision": "float64", "contraction": False},
}


def test_the_raster_shows_what_happens_in_either_backend(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = OneExample.run
    shown: list[Example] = []

    def noted(self: OneExample, of: str, when: str) -> Example:
        shown.append(run(self, "either", when))
        return shown[-1]

    monkeypatch.setattr(OneExample, "run", noted)
    for name, backend in BACKENDS.items():
        keys = {**SMALL, "N_EPOCH": 1, "LOSS_TYPE": "max", "FANCY_PLOTS": True}
        train(from_dict({**keys, "backend": backend}), tmp_path / name)
        assert RunPaths(tmp_path / name).plot("raster").stat().st_size > 1000
    one, two = shown
    assert (one.title, one.label, one.prediction) == (two.title, two.label, two.prediction)
    assert [s.population for s in one.spikes] == ["input", "hidden"]
    assert len(one.spikes[1].ids) > 0
    for mine, theirs in zip(one.spikes, two.spikes, strict=True):
        np.testing.assert_array_equal(mine.times_ms, theirs.times_ms)
        np.testing.assert_array_equal(mine.ids, theirs.ids)
    assert one.potentials is not None
    assert two.potentials is not None
    np.testing.assert_allclose(one.potentials, two.potentials, rtol=1e-6, atol=1e-9)
