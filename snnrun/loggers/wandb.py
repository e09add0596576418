"""``logger=wandb``: a run of Weights & Biases, kept in the run folder until it is synchronised."""

from __future__ import annotations

import os
import secrets
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import wandb

from snnrun.loggers.base import LoggedRun, Logger, Row, epoch_of, figures
from snnrun.record.paths import RunPaths

PROJECT = "snnrun"


class WeightsAndBiases(Logger):
    """Logs to a run of W&B, with which processes that go on go on too.

    WANDB_MODE of the environment is ``offline`` where it is not set. Nothing is sent then: `wandb
    sync` does that, with a folder that holds the whole run. WANDB_PROJECT, WANDB_ENTITY and all
    others act as ever.
    """

    def begin(self, run: LoggedRun) -> int:
        mode = os.environ.get("WANDB_MODE", "offline")
        self._id = str(run.remembered.get("id") or secrets.token_hex(4))
        paths = RunPaths(run.folder)
        before = list(paths.wandb.glob(f"offline-run-*-{self._id}"))
        self._run = _started(run, self._id, mode)
        self._run.define_metric("epoch", hidden=True)
        self._run.define_metric("*", step_metric="epoch")
        if mode != "offline":
            known = self._run.summary.get("epoch")
            return 0 if known is None else min(int(known) + 1, run.epochs)
        if any(list(folder.glob("*.wandb.synced")) for folder in before):
            return min(run.logged, run.epochs)
        for folder in before:  # all of it comes again
            shutil.rmtree(folder, ignore_errors=True)
        return 0

    def log(self, rows: Sequence[Row]) -> None:
        for row in rows:
            self._last = epoch_of(row)
            self._run.log({"epoch": self._last, **figures(row)})

    def finish(self, test: Mapping[str, float], pictures: Sequence[Path]) -> None:
        self._run.summary.update(dict(test))
        shown: dict[str, Any] = {f"plots/{p.stem}": wandb.Image(str(p)) for p in pictures}
        if shown:
            self._run.log({"epoch": self._last, **shown})

    def close(self, state: str) -> None:
        self._run.finish(exit_code=int(state == "failed"))

    def remember(self) -> dict[str, Any]:
        return {"id": self._id}


def _started(run: LoggedRun, number: str, mode: Any) -> Any:
    """Return the run of W&B, begun or taken up."""
    return wandb.init(
        project=os.environ.get("WANDB_PROJECT", PROJECT),
        id=number,
        name=run.name,
        group=run.group or None,
        tags=run.tags,
        config=dict(run.config),
        dir=str(run.folder),
        mode=mode,
        resume="allow",
        settings=wandb.Settings(
            console="off",
            silent=True,
            reinit="create_new",  # a run of the user's own in this process stays its own
            disable_code=True,
            disable_git=True,
            disable_job_creation=True,
            x_disable_stats=True,
            x_save_requirements=False,
        ),
    )
