"""Errors that their user can mend, without the frames of the package."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import ParamSpec, TypeVar

from snnrun.console import wants_traceback
from snnrun.errors import SnnrunError

P = ParamSpec("P")
R = TypeVar("R")


def brief(function: Callable[P, R]) -> Callable[P, R]:
    """Let a function raise its SnnrunErrors without what led to them, unless SNNRUN_TRACEBACK=1.

    A script then shows the caller's line and the message; a notebook only the message
    (snnrun.errors.SnnrunError).
    """

    @functools.wraps(function)
    def called(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return function(*args, **kwargs)
        except SnnrunError as error:
            if wants_traceback():
                raise
            raise error.with_traceback(None) from None

    return called
