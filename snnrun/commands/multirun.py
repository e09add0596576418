"""A multirun as a whole: its folder, what is shown of it, how it is stopped, and how it ended.

The jobs of Hydra's own launcher run one after the other in this process, those of others at the
same time in processes of their own. What is shown is read from their folders, whoever runs them.
Asked to stop, all that are at work write a checkpoint and no further one begins.
"""

from __future__ import annotations

import shutil
import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any, ClassVar

from hydra.core.utils import JobStatus
from hydra.experimental.callback import Callback

import snnrun.commands.compose  # noqa: F401  registers what conf/config.yaml asks for
from snnrun.commands.jobs import asked_of, enter
from snnrun.commands.relay import Relay
from snnrun.commands.result import result_lines, standing
from snnrun.commands.slurm import Left
from snnrun.console import USER_ERROR, wants_traceback
from snnrun.errors import ConfigError, SnnrunError
from snnrun.parallel.world import world
from snnrun.record.paths import ASKED, MULTIRUN
from snnrun.stop import stop_requests
from snnrun.sweeps.asked import AskedJob, adding_jobs, is_sweep, write_asked
from snnrun.sweeps.course import Course, make_screen
from snnrun.sweeps.sweep import DONE, FAILED, RUNNING, read_sweep

HERE = "BasicLauncher"
PROCESSES = ("JoblibLauncher", "LocalLauncher")  # the second is submitit_local
NOT_SHARED = (
    "hydra/launcher starts jobs as processes of their own, which share nothing with the ranks of "
    "this one. Without it the ranks share each job, one after the other; without mpiexec and srun "
    "it starts several at the same time"
)
LAUNCHERS = ("joblib", "submitit", "concurrent")  # whose errors say that a process was killed


class Multirun(Callback):
    """The multirun that this process has started; conf/config.yaml names it, for Hydra to tell it.

    Attributes:
        given: The command and its words.
        failed: Whether jobs that failed are run again.
        latest: The folder, once Hydra has told it.
        refusal: Why no job is to be launched.
        returned: The jobs that were launched, and what Hydra says of them.
    """

    given: ClassVar[tuple[str, tuple[str, ...]]] = ("", ())
    failed: ClassVar[bool] = False
    latest: ClassVar[Path | None] = None
    refusal: ClassVar[SnnrunError | None] = None
    returned: ClassVar[list[tuple[AskedJob, Any]]] = []
    relay: ClassVar[Relay | None] = None
    course: ClassVar[Course | None] = None
    open: ClassVar[ExitStack] = ExitStack()

    def on_multirun_start(self, config: Any, **_: Any) -> None:
        """Write what was asked to the folder, be ready to stop the jobs, and show them."""
        folder = Multirun.latest = Path(config.hydra.sweep.dir).absolute()
        name, words = Multirun.given
        launcher = str(config.hydra.launcher.get("_target_", ""))
        if world() is not None and not launcher.endswith(HERE):
            Multirun.refusal = ConfigError(NOT_SHARED)
            return
        if launcher.endswith(HERE):
            Multirun.open.enter_context(stop_requests())
        elif launcher.endswith(PROCESSES) and hasattr(signal, "pthread_sigmask"):
            relay = Multirun.relay = Relay(folder)
            Multirun.open.callback(relay.close)
        if name != "train" or "sweep" in config or not config.get("WRITE_TO_DISK", True):
            return  # a search shows its trials itself
        try:
            with adding_jobs(folder):
                asked = enter(folder, asked_of(config, name, words))
                if asked is not None:
                    write_asked(folder, asked)
        except SnnrunError as error:  # Hydra would make a warning of it
            Multirun.refusal = error
            return
        course = Multirun.course = Course(folder, make_screen())
        Multirun.open.callback(course.close)


@contextmanager
def whole_sweep(name: str, words: Sequence[str]) -> Iterator[None]:
    """Look after a multirun from its start to its end; of a single run nothing is done.

    Args:
        name: Of the command.
        words: What it was given.

    Raises:
        SystemExit: It was stopped, or a job failed.
    """
    Multirun.latest = Multirun.relay = Multirun.course = Multirun.refusal = None
    Multirun.given, Multirun.returned = (name, tuple(words)), []
    ended: BaseException | None = None
    try:
        with Multirun.open:
            try:
                yield
            except Left:
                raise
            except (SystemExit, KeyboardInterrupt) as error:
                ended = error
            except Exception as error:
                if not _of_a_launcher(error):
                    raise
                ended = error
            _tell_untold()
        relay = Multirun.relay
        if relay is not None and relay.signal is not None:
            ended = SystemExit(128 + relay.signal)
        if Multirun.course is not None and Multirun.latest is not None:
            _end(Multirun.latest, ended)
        elif ended is not None:
            if Multirun.latest is not None and is_sweep(Multirun.latest):  # of a search
                print("\n".join(standing(read_sweep(Multirun.latest), stopped=True)), flush=True)
            raise ended
    finally:
        Multirun.open = ExitStack()
        _remove_empty_sweep(Multirun.latest)


def _of_a_launcher(error: Exception) -> bool:
    """Return whether an error is a launcher's: a process that it has started was ended."""
    stopped = Multirun.relay is not None and Multirun.relay.signal is not None
    module = type(error).__module__.partition(".")[0]
    return stopped or (module in LAUNCHERS and Multirun.course is not None)


def _tell_untold() -> None:
    """Show jobs of which only Hydra knows that they failed: those that would not begin."""
    if Multirun.course is None:
        return
    Multirun.course.end()
    for job, result in Multirun.returned:
        if _failed(result):
            Multirun.course.tell_failed(job.number, str(result._return_value))


def _end(folder: Path, ended: BaseException | None) -> None:
    """Say how a sweep ended, and raise what ends the process if something failed."""
    sweep = read_sweep(folder)
    if isinstance(ended, Exception):
        print(f"snnrun: error: the launcher ended: {_in_a_line(ended)}", file=sys.stderr)
    lines = standing(sweep, stopped=True) if ended is not None else result_lines(sweep)
    print("\n".join(lines), flush=True)
    if ended is not None:
        raise SystemExit(1) if isinstance(ended, Exception) else ended
    able = {job.number for job in sweep.of_state(DONE, RUNNING)}  # perhaps another launcher's
    errors = [
        result._return_value
        for job, result in Multirun.returned
        if _failed(result) and job.number not in able
    ]
    if errors and wants_traceback():
        raise errors[0]
    if errors or sweep.of_state(*FAILED):
        raise SystemExit(USER_ERROR if all(isinstance(e, SnnrunError) for e in errors) else 1)


def _failed(result: Any) -> bool:
    return getattr(result, "status", None) == JobStatus.FAILED


def _in_a_line(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}".splitlines()[0]


def _remove_empty_sweep(folder: Path | None) -> None:
    """Remove the folder of a multirun if in the end it holds nothing but what says what it was.

    So are those around it, up to ``outputs``, that are empty without it.
    """
    if not folder or not folder.is_dir() or {p.name for p in folder.iterdir()} - {MULTIRUN, ASKED}:
        return
    (folder / MULTIRUN).unlink(missing_ok=True)
    shutil.rmtree(folder / ASKED, ignore_errors=True)
    with suppress(OSError):  # not empty: there are other runs
        for place in (folder, *folder.parents):
            if place == Path.cwd() or (place != folder and "outputs" not in place.parts):
                break
            place.rmdir()
