"""Places of every test's own, and folders with small data sets."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from samples import random_examples, write_mnist, write_shd


@pytest.fixture(autouse=True)
def own_places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep every test out of the real cache, and away from any proxy."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("NO_PROXY", "*")
    monkeypatch.delenv("SNNRUN_DATA", raising=False)


@pytest.fixture
def shd_folder(tmp_path: Path) -> Path:
    """A folder with 40 training and 10 test examples in the layout of SHD."""
    random = np.random.default_rng(1)
    for split, n in (("train", 40), ("test", 10)):
        write_shd(tmp_path / "shd" / f"shd_{split}.h5", random_examples(n, random))
    return tmp_path / "shd"


@pytest.fixture
def ssc_folder(tmp_path: Path) -> Path:
    """A folder with 40 training, 20 validation and 10 test examples in the layout of SSC."""
    random = np.random.default_rng(3)
    for split, n in (("train", 40), ("valid", 20), ("test", 10)):
        write_shd(tmp_path / "ssc" / f"ssc_{split}.h5", random_examples(n, random), classes=35)
    return tmp_path / "ssc"


@pytest.fixture
def mnist_folder(tmp_path: Path) -> Path:
    """A folder with 30 training and 10 test images of 3 x 4 pixels."""
    random = np.random.default_rng(2)
    train = (random.integers(0, 256, (30, 3, 4)), np.arange(30) % 10)
    test = (random.integers(0, 256, (10, 3, 4)), np.arange(10))
    return write_mnist(tmp_path / "mnist", train, test)
