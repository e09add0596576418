"""A run that changes over from native to genn and back ends as one that stayed with native."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from gpu.choice import Choice
from gpu.messages import SMALL
from gpu.outcome import require, snnrun

from snnrun.record.paths import RunPaths
from snnrun.training import checkpoint

TOLERANCE = 1e-7  # of float64, with fast arithmetic
FIRST = ("backend=native", "backend.precision=float64")  # which the run keeps


def check(choice: Choice, folder: Path, place: Path) -> dict[str, Any]:
    """Return the largest relative difference between the tensors of both runs."""
    stayed, changed = place / "stayed", place / "changed"
    snnrun("train", *SMALL, *FIRST, "N_EPOCH=3", f"hydra.run.dir={stayed}")
    snnrun("train", *SMALL, *FIRST, "N_EPOCH=1", f"hydra.run.dir={changed}")
    snnrun("resume", str(changed), *choice.words(), "N_EPOCH=2")
    snnrun("resume", str(changed), "backend=native", "N_EPOCH=3")
    one, other = _tensors(stayed), _tensors(changed)
    require(one.keys() == other.keys(), "the runs have other tensors")
    worst = max(
        float(np.abs(other[name] - array).max() / (np.abs(array).max() or 1.0))
        for name, array in one.items()
    )
    require(worst <= TOLERANCE, f"tensors differ by {worst:.2g} of the largest ({TOLERANCE:g})")
    return {"difference": worst}


def _tensors(run: Path) -> dict[tuple[str, str], np.ndarray]:
    saved = checkpoint.load(RunPaths(run).last)["tensors"]
    return {(name, which): a for name, parts in saved.items() for which, a in parts.items()}
