"""All loggers of a run: what they are given and when, and that none of them ends the run.

They are given an epoch once the run's own files hold it, and write before they say that it is
logged, which is noted in ``loggers.json``. So a kill at any moment leaves no gap: the next process
gives them what is missing. Each takes at most a share of the time, however short epochs are.
"""

from __future__ import annotations

import json
import textwrap
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from functools import partial
from importlib import import_module
from types import TracebackType
from typing import Any

import numpy as np

from snnrun.config import Config
from snnrun.errors import ConfigError, RecordError
from snnrun.files import atomic_file
from snnrun.load import load_object
from snnrun.loggers import LOGGERS, PACKAGES
from snnrun.loggers.base import LoggedRun, Logger, Row
from snnrun.notice import Notice
from snnrun.record.evaluation import final_tests
from snnrun.record.paths import RunPaths, is_of_many
from snnrun.record.writer import RunRecord
from snnrun.terminal.notices import enter

SHARE = 0.01  # of the run's time that a logger may take
KEY = "logger"
_LONGEST = 300  # letters of an error that are shown


def require_loggers(config: Config) -> None:
    """Refuse a logger of one's own that is not there, before anything is built.

    Raises:
        ConfigError: There is no such class, or it is no Logger.
    """
    for name in config.logger or ():
        if name not in LOGGERS:
            _own(name)


class Logs:
    """The loggers of one process; used as a context, which closes those that ``finish`` has not.

    Args:
        config: What runs.
        paths: The run folder.
        record: What is logged.
        warn: Who is told of a logger that fails.
    """

    def __init__(
        self, config: Config, paths: RunPaths, record: RunRecord, warn: Callable[[str], None]
    ) -> None:
        self._config, self._paths, self._record, self._warn = config, paths, record, warn
        self._loggers: dict[str, Logger] = {}
        self._next: dict[str, int] = {}  # name -> the first epoch that it was not given
        self._kept = 0  # epochs that the run's own files hold
        self._not_before: dict[str, float] = {}  # name -> when it is given more, at the earliest

    def __enter__(self) -> Logs:
        """Make all loggers ready."""
        noted = _noted(self._paths)
        for name in self._config.logger or ():
            self._attempt(name, partial(self._begin, name, noted.get(name, {})))
        self._kept = len(self._record.epochs)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> None:
        """Give them what is left, and close them."""
        if not self._loggers:
            return
        self._log(self._loggers)
        self._close("failed" if isinstance(error, Exception) else "stopped")

    def kept(self, epochs: int) -> None:
        """Say that the run's own files hold so many epochs, which may now be logged."""
        self._kept = epochs
        now = time.monotonic()
        self._log([name for name in self._loggers if now >= self._not_before.get(name, now)])

    def finish(self) -> None:
        """Give them the tests and the pictures of a run that has ended, and close them."""
        noticed = len(self._record.notices)
        self._log(self._loggers)
        tests, pictures = self._tests(), sorted(self._paths.plots.glob("*.png"))
        for name, logger in list(self._loggers.items()):
            self._attempt(name, partial(logger.finish, tests, pictures))
        self._close("finished")
        if len(self._record.notices) > noticed:
            self._record.write()

    def _begin(self, name: str, noted: Mapping[str, Any]) -> None:
        logger = _make(name)
        run = LoggedRun(
            folder=self._paths.root,
            name=_name(self._config, self._paths),
            tags=tuple(self._config.TAGS),
            group=_group(self._paths),
            config=_flat(self._config),
            epochs=len(self._record.epochs),
            logged=int(noted.get("epochs", 0)),
            remembered=noted.get("remembered", {}),
        )
        self._loggers[name] = logger
        first = logger.begin(run)
        if not isinstance(first, int):
            raise TypeError(f"begin returned {first!r}, not the first epoch for log")
        self._next[name] = first

    def _log(self, names: Iterable[str]) -> None:
        """Give loggers the epochs that they lack, and note what they have."""
        news = [name for name in names if self._next[name] < self._kept]
        for name in news:
            started, rows = time.monotonic(), self._rows(self._next[name])
            self._attempt(name, partial(self._loggers[name].log, rows))
            self._next[name] = self._kept
            self._not_before[name] = started + (time.monotonic() - started) / SHARE
        if news:
            self._note()

    def _rows(self, first: int) -> list[Row]:
        """Return the rows from an epoch to the last one that is kept."""
        columns = {n: c[first : self._kept] for n, c in self._record.epochs.arrays().items()}
        lists = {
            name: [None if np.isnan(value) else value for value in column.tolist()]
            for name, column in columns.items()
        }
        return [dict(zip(lists, row, strict=True)) for row in zip(*lists.values(), strict=True)]

    def _tests(self) -> dict[str, float]:
        starts = {"last": "test_", "best": "test_best_"}
        return {
            f"{starts[test.weights.kind]}{name}": value
            for test in final_tests(self._record.tests)
            for name, value in test.figures.items()
            if np.isfinite(value)
        }

    def _note(self) -> None:
        """Write what each logger has, and what it remembers."""
        found = {
            name: {"epochs": self._next[name], "remembered": told}
            for name, logger in self._loggers.items()
            if (told := logger.remember()) is not None
        }
        if found:
            noted = _noted(self._paths) | found
            with suppress(RecordError), atomic_file(self._paths.loggers) as file:
                file.write(json.dumps(noted, indent=1).encode())

    def _close(self, state: str) -> None:
        for name, logger in list(self._loggers.items()):
            self._attempt(name, partial(logger.close, state))
        self._loggers.clear()

    def _attempt(self, name: str, call: Callable[[], object]) -> None:
        """Call a logger, which is given up with a warning if it fails."""
        try:
            call()
        except Exception as error:
            logger = self._loggers.pop(name, None)
            epoch = len(self._record.epochs) - 1
            notice = Notice(
                what="logger failed",
                where=name,
                message=_told(name, error),
                epoch=epoch if epoch >= 0 else None,
            )
            for line in enter([notice], self._record.notices):
                self._warn(line)
            with suppress(Exception):  # it has failed already
                if logger is not None:
                    logger.close("failed")


def _make(name: str) -> Logger:
    if name not in LOGGERS:
        return _own(name)()
    module, _, kind = LOGGERS[name].rpartition(".")
    made: Logger = getattr(import_module(module), kind)()
    return made


def _own(name: str) -> type[Logger]:
    found = load_object(name, KEY)
    if isinstance(found, type) and issubclass(found, Logger):
        return found
    raise ConfigError(f"{KEY}={name}: must be a subclass of snnrun.loggers.Logger, not {found!r}")


def _told(name: str, error: Exception) -> str:
    if isinstance(error, ImportError) and name in PACKAGES:
        return (
            f"{KEY}={name}: nothing is logged with it, as something is not installed ({error}). "
            f"Install it: pip install '.[{name}]' in the folder of snnrun's source, or pip install "
            f"{PACKAGES[name]}"
        )
    said = textwrap.shorten(f"{type(error).__name__}: {error}", _LONGEST, placeholder=" ...")
    return f"{KEY}={name}: failed, and is given nothing more of this run: {said}"


def _noted(paths: RunPaths) -> dict[str, Any]:
    try:
        found = json.loads(paths.loggers.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _flat(config: Config) -> dict[str, Any]:
    """Return key -> value with options under their full names and lists as JSON has them."""
    found: dict[str, Any] = {}
    for name, value in config.to_dict().items():
        of_group = isinstance(value, dict) and name.islower()
        found |= {f"{name}.{k}": v for k, v in value.items()} if of_group else {name: value}
    return found


def _name(config: Config, paths: RunPaths) -> str:
    """Return NAME and the folder, with that of its sweep or all of it below ``outputs``."""
    parts = paths.root.absolute().parts
    below = parts[-2:] if _group(paths) else parts[-1:]
    if "outputs" in parts:
        below = parts[len(parts) - parts[::-1].index("outputs") :]
    return " ".join([config.NAME, "/".join(below)])


def _group(paths: RunPaths) -> str:
    """Return the name of the sweep or the cross-validation that a run is part of, or ""."""
    for folder in list(paths.root.absolute().parents)[:2]:
        if is_of_many(folder):
            return f"{folder.parent.name}/{folder.name}"
    return ""
