"""scripts/benchmark: what is compared with the program computes the same."""

from __future__ import annotations

import platform
import shutil
from pathlib import Path

import pytest

SCRIPTS = Path(__file__).parents[1] / "scripts"


@pytest.mark.long
@pytest.mark.skipif(
    platform.machine() != "x86_64" or shutil.which("g++") is None,
    reason="the floor is written for g++ on x86-64",
)
def test_the_floor_of_a_convolutional_layer_has_the_spikes_and_gradients_of_the_program(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(SCRIPTS)
    from benchmark import convolution

    found = convolution.measure(tmp_path, rounds=1, repeats=1)
    assert found["spikes"] == found["floor spikes"] > 10_000
    assert found["difference"] < 1e-5
