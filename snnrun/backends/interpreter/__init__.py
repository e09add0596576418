"""The numpy backend: a program without a compiler, for reading and for small networks."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from snnrun.backends.base import Opened
from snnrun.backends.interpreter.backend import NumpyBackend
from snnrun.compile.program import Program
from snnrun.config import Config
from snnrun.datasets.spikes import SpikeData


def open_numpy(
    program: Program,
    config: Config,
    code: Path,
    data: Sequence[SpikeData] = (),
    say: Callable[[str], None] = lambda text: None,
) -> Opened:
    """Return ``program`` ready to run; nothing is generated or built."""
    return Opened(
        backend=NumpyBackend(program),
        description=f"numpy {np.__version__}, float64, without a compiler",
        files={},
    )
