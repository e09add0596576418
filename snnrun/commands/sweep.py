"""The folder of a multirun, which goes where no job has left anything in it (WRITE_TO_DISK)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ClassVar

from hydra.experimental.callback import Callback

import snnrun.commands.hydra_setup  # noqa: F401  registers what conf/config.yaml asks for
from snnrun.record.paths import MULTIRUN, remove_empty


class SweepFolder(Callback):
    """Notes the folder of a multirun; conf/config.yaml names it, as Hydra tells nobody else."""

    latest: ClassVar[Path | None] = None

    def on_multirun_start(self, config: Any, **_: Any) -> None:
        """Note the folder, which Hydra makes next."""
        SweepFolder.latest = Path(config.hydra.sweep.dir).absolute()


@contextmanager
def leaving_no_empty_sweep() -> Iterator[None]:
    """Remove the folder of a multirun if in the end it holds nothing but Hydra's own file."""
    SweepFolder.latest = None
    try:
        yield
    finally:
        folder = SweepFolder.latest
        names = [path.name for path in folder.iterdir()] if folder and folder.is_dir() else []
        if folder and names == [MULTIRUN]:
            (folder / MULTIRUN).unlink()
            remove_empty(folder)
