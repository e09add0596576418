"""``logger=mlflow``: a run of MLflow, in a database below ``outputs`` or where MLflow is told."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mlflow import MlflowClient
from mlflow.entities import Metric, Param
from mlflow.exceptions import MlflowException

from snnrun.files import one_at_a_time
from snnrun.loggers.base import LoggedRun, Logger, Row, ends, epoch_of, figures
from snnrun.version import __version__

EXPERIMENT = "snnrun"
STATES = {"finished": "FINISHED", "stopped": "KILLED", "failed": "FAILED"}
_MOST_METRICS, _MOST_PARAMS, _LONGEST = 1000, 100, 6000  # that MLflow takes at once, letters of one
_PATIENCE = {"MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2", "MLFLOW_HTTP_REQUEST_TIMEOUT": "20"}


class MLflow(Logger):
    """Logs to a run of MLflow, with which processes that go on go on too.

    MLFLOW_TRACKING_URI and MLFLOW_EXPERIMENT_NAME of the environment say where, as ever.
    """

    def begin(self, run: LoggedRun) -> int:
        for name, value in _PATIENCE.items():  # a server that is away holds up the training
            os.environ.setdefault(name, value)
        for name in ("mlflow", "alembic"):  # which report on each table that they make
            logging.getLogger(name).setLevel(logging.WARNING)
        self._local = ""
        uri = os.environ.get("MLFLOW_TRACKING_URI", "")
        if not uri:
            file = _database(run)
            self._local, uri = str(file), f"sqlite:///{file}"
            with one_at_a_time(file.parent / ".mlflow.lock"):  # jobs of a sweep begin together
                self._client = MlflowClient(tracking_uri=uri)
                experiment = self._experiment((file.parent / "mlflow").as_uri())
        else:
            self._client = MlflowClient(tracking_uri=uri)
            experiment = self._experiment(None)
        self._steps: dict[str, set[int]] = {}
        self._last = max(run.epochs - 1, 0)
        self._goes_on = self._take_up(run)
        if not self._goes_on:
            self._start(run, experiment)
        self._run_text(run)
        return min(run.logged, run.epochs) if self._goes_on else 0

    def log(self, rows: Sequence[Row]) -> None:
        metrics = [
            Metric(name, value, int(1000 * when), epoch_of(row))
            for row, when in zip(rows, ends(rows), strict=True)
            for name, value in figures(row).items()
            if not (self._goes_on and epoch_of(row) in self._logged(name))
        ]
        self._last = epoch_of(rows[-1])
        self._send(metrics)

    def finish(self, test: Mapping[str, float], pictures: Sequence[Path]) -> None:
        now = int(1000 * ends([{}])[0])
        self._send([Metric(name, value, now, self._last) for name, value in test.items()])
        for file in pictures:
            self._client.log_artifact(self._id, str(file), "plots")

    def close(self, state: str) -> None:
        self._client.set_terminated(self._id, STATES[state])

    def remember(self) -> dict[str, Any]:
        return {"run_id": self._id, "database": self._local}

    def _experiment(self, artifacts: str | None) -> str:
        name = os.environ.get("MLFLOW_EXPERIMENT_NAME", EXPERIMENT)
        found = self._client.get_experiment_by_name(name)
        if found:
            return str(found.experiment_id)
        return str(self._client.create_experiment(name, artifact_location=artifacts))

    def _take_up(self, run: LoggedRun) -> bool:
        """Go on with the run of the process before; not where it is gone, or holds what is void."""
        self._id = str(run.remembered.get("run_id", ""))
        if not self._id:
            return False
        try:
            if run.logged > run.epochs:
                self._client.delete_run(self._id)
                return False
            self._client.update_run(self._id, status="RUNNING")
        except MlflowException:  # of another database
            return False
        return True

    def _start(self, run: LoggedRun, experiment: str) -> None:
        about = {"folder": str(run.folder.absolute()), "snnrun": __version__}
        about |= {"sweep": run.group} if run.group else {}
        about |= {"tags": ",".join(run.tags)} if run.tags else {}
        started = self._client.create_run(experiment, run_name=run.name, tags=about)
        self._id = started.info.run_id
        params = [Param(key, str(value)[:_LONGEST]) for key, value in run.config.items()]
        for at in range(0, len(params), _MOST_PARAMS):
            self._client.log_batch(self._id, params=params[at : at + _MOST_PARAMS])

    def _run_text(self, run: LoggedRun) -> None:
        """Keep the configuration as it is now: a parameter of MLflow never changes."""
        text = "".join(f"{key}: {value}\n" for key, value in run.config.items())
        self._client.log_text(self._id, text, "config.txt")

    def _logged(self, name: str) -> set[int]:
        """Return the epochs of which a figure is there already."""
        if name not in self._steps:
            history = self._client.get_metric_history(self._id, name)
            self._steps[name] = {metric.step for metric in history}
        return self._steps[name]

    def _send(self, metrics: Sequence[Metric]) -> None:
        for at in range(0, len(metrics), _MOST_METRICS):
            self._client.log_batch(self._id, metrics=metrics[at : at + _MOST_METRICS])


def _database(run: LoggedRun) -> Path:
    """Return the file of the database: that of the process before, or one for all runs."""
    known = Path(str(run.remembered.get("database") or "."))
    if known.is_file():
        return known
    outputs = Path(os.path.expanduser(run.config["OUT_DIR"]), "outputs").absolute()
    outputs.mkdir(parents=True, exist_ok=True)
    return outputs / "mlflow.db"
