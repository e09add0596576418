"""Backends turn a Program into something that runs; the configuration names the one to take."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from snnrun.backends.base import Opened, require_task
from snnrun.backends.genn import open_genn, require_genn
from snnrun.backends.interpreter import open_numpy
from snnrun.backends.native import open_native, require_native
from snnrun.compile.arrivals import late_steps
from snnrun.compile.program import Program
from snnrun.config import Config
from snnrun.datasets.spikes import Splits

BACKENDS: dict[str, Callable[..., Opened]] = {
    "native": open_native,
    "genn": open_genn,
    "numpy": open_numpy,
}
NEEDS: dict[str, Callable[[Config], object]] = {"native": require_native, "genn": require_genn}


def require_backend(config: Config) -> None:
    """Raise BuildError if what the backend of ``config`` needs is missing: before data are read."""
    if config.backend.name in NEEDS:
        NEEDS[config.backend.name](config)


@contextmanager
def open_backend(
    program: Program, config: Config, code: Path, splits: Splits, say: Callable[[str], None]
) -> Iterator[Opened]:
    """Generate, build and load ``program`` with the backend of ``config``; free it at the end.

    Args:
        code: Folder for the generated code.
        splits: The data that the backend will be given.
        say: Is told each step of the build.

    Raises:
        ConfigError: The data are not of the kind that the loss learns.
        BuildError: What is needed is missing, or a compiler failed.
    """
    data = tuple({id(s.data): s.data for s in splits.all()}.values())
    for each in data:
        require_task(each, program)
    opened = BACKENDS[config.backend.name](program, config, code, data, say)
    if config.OPERATION_COUNTS:
        opened.backend.late_steps = late_steps(program, config.DELAY_WIDTH)
    with closing(opened.backend):
        yield opened
