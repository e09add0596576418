"""Functions in a script that mpiexec or srun has started several times: rank 0 goes on with it.

The other ranks reach the script's first call of such a function, and from there on only take part
in what rank 0 does, as with the command.
"""

from __future__ import annotations

import atexit
import functools
import os
import re
import sys
from collections.abc import Callable
from typing import ParamSpec, TypeVar

from snnrun.commands.rank import follow
from snnrun.console import USER_ERROR, find_users_modules
from snnrun.errors import SnnrunError
from snnrun.parallel import launched
from snnrun.parallel.world import World, join

P = ParamSpec("P")
R = TypeVar("R")

ADDRESS = re.compile(r" at 0x[0-9a-f]+")


def shared(function: Callable[P, R]) -> Callable[P, R]:
    """Let all ranks take part in a function that rank 0 calls; alone it is as it was."""

    @functools.wraps(function)
    def called(*args: P.args, **kwargs: P.kwargs) -> R:
        launch = launched()
        if launch is not None:
            _take_part(launch, _call(function.__name__, args, kwargs))
        return function(*args, **kwargs)

    return called


def _take_part(launch: tuple[int, int, str], call: str) -> None:
    """Return in rank 0, with the others behind it; the others end here, with rank 0."""
    try:
        ranks = join(launch, {"script": os.path.abspath(sys.argv[0]), "call": call}, patient=False)
    except SnnrunError:
        if launch[0] == 0:  # for all
            raise
        sys.exit(USER_ERROR)
    if ranks.rank:
        find_users_modules(os.getcwd())
        sys.exit(follow(ranks))
    atexit.register(_end, ranks)


def _end(ranks: World) -> None:
    """Let the other ranks end, once the script has."""
    ranks.dismiss()
    if ranks.busy:  # they would not come to the end of MPI, for which all wait
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(1)


def _call(name: str, args: tuple[object, ...], kwargs: dict[str, object]) -> str:
    """Return a call as text that is the same in all processes that make it."""
    given = [*map(repr, args), *(f"{key}={value!r}" for key, value in kwargs.items())]
    return ADDRESS.sub("", f"snnrun.{name}({', '.join(given)})")
