"""The command `snnrun`: finds the subcommand and shows what went wrong in one message.

Nothing heavy is imported here or before a subcommand needs it: help and completion answer at once.
"""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Sequence
from types import ModuleType
from typing import Any

from snnrun import shell
from snnrun.commands.names import COMMANDS
from snnrun.console import (
    BROKEN_PIPE,
    INTERRUPTED,
    USER_ERROR,
    find_users_modules,
    give_up_output,
    make_usable,
    output_is_lost,
    show,
    wants_traceback,
)
from snnrun.errors import ConfigError, SnnrunError, did_you_mean, told
from snnrun.parallel import launched
from snnrun.version import __version__

HELP = """\
snnrun {version}: learning in spiking networks, from equations to records.

usage: snnrun COMMAND [KEY=VALUE ...] [options]

commands:
{commands}

examples:
  snnrun train                                    Yin-Yang, nothing to download
  snnrun train preset=yinyang_wp2021              a published result
  snnrun train dataset=mnist LOSS_TYPE=max ETA=1e-3
  snnrun train dataset=shd network=recurrent --multirun MODEL_SEED=1,2,3
  snnrun resume                                   go on with the newest run
  snnrun keys ETA                                 what a key means

snnrun COMMAND --help says more. Completion: eval "$(snnrun train -sc install=bash)"
"""

HELP_FLAGS = ("--help", "-h")
COMPLETION_FLAGS = ("--shell-completion", "-sc")


def main(arguments: Sequence[str] | None = None) -> int:
    """Carry out a command line (without the program's name) and return its exit code.

    Where several processes were launched as one, all of them do.
    """
    words = list(sys.argv[1:] if arguments is None else arguments)
    make_usable()
    # NumPy's library would start a thread per core that nothing here uses, and end the process
    # with a signal where the system gives none
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    launch = launched()
    if launch is None:
        return _main(words)
    world = importlib.import_module("snnrun.parallel.world")
    return int(world.carry_out(launch, words, _main, _follow))


def _main(words: Sequence[str]) -> int:
    try:
        with told():
            find_users_modules(_current_folder())
            code = dispatch(words)
        sys.stdout.flush()
    except SnnrunError as error:
        if wants_traceback():
            raise
        show(error)
        return USER_ERROR
    except KeyboardInterrupt:
        return INTERRUPTED
    except SystemExit as end:  # of a run that was stopped, or of Hydra
        if isinstance(end.code, str):
            raise
        return end.code or 0
    except BrokenPipeError:  # `snnrun keys | head`
        give_up_output()
        return BROKEN_PIPE
    except OSError as error:
        if not output_is_lost():
            raise
        give_up_output()
        show(ConfigError(f"standard output cannot be written to: {error.strerror}"))
        return USER_ERROR
    return code


def _follow(world: Any) -> int:
    """Be another rank than the first."""
    find_users_modules(_current_folder())
    return int(_module("rank").follow(world))


def dispatch(words: Sequence[str]) -> int:
    """Find the subcommand and run it."""
    command, *rest = words or HELP_FLAGS[:1]
    if command in HELP_FLAGS:
        width = max(map(len, COMMANDS))
        lines = [f"  {name:<{width}}  {about}" for name, about in COMMANDS.items()]
        print(HELP.format(version=__version__, commands="\n".join(lines)), end="")
        return 0
    if command == "--version":
        print(f"snnrun {__version__}")
        return 0
    if command in COMPLETION_FLAGS:
        if any(word.startswith("query=") for word in rest):
            suggestions = _module("completion").suggestions(os.environ.get("COMP_LINE", ""))
            print(" ".join(suggestions))
            return 0
        command, rest = "train", list(words)
    if command not in COMMANDS:
        raise ConfigError(_unknown_command(command))
    module = _module(command)
    if any(word in HELP_FLAGS for word in rest):
        print(module.help_text() if hasattr(module, "help_text") else module.HELP, end="")
        return 0
    return int(module.run(rest))


def _module(name: str) -> ModuleType:
    return importlib.import_module(f"snnrun.commands.{name}")


def _current_folder() -> str:
    try:
        return os.getcwd()
    except OSError as error:
        raise ConfigError(
            f"the current folder is gone or may not be entered ({error.strerror}): go to another "
            "one with cd"
        ) from error


def _unknown_command(command: str) -> str:
    if "=" in command:
        return f"{command}: a command comes first, as in `{shell.command('train', command)}`"
    hint = did_you_mean(command, COMMANDS)
    return f"{command}: there is no such command.{hint} Commands: {', '.join(COMMANDS)}"
