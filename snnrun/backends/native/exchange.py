"""What a program asks of the other processes that share its mini-batches: runtime/ranks.hpp."""

from __future__ import annotations

import ctypes as c
from types import TracebackType

import numpy as np

from snnrun.backends.base import Exchange

COUNTS, BEFORE, AFTER, TOTAL = range(4)
FUNCTION = c.CFUNCTYPE(c.c_int32, c.c_int32, c.c_void_p, c.c_void_p, c.c_int64)


class Answering:
    """A function for one call of a program, at ``address``, and what went wrong in it.

    At the end of the block it raises what the exchange has raised, in place of what the program
    made of it.
    """

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange
        self._function = FUNCTION(self._answer)  # kept as long as it may be called
        self._failure: BaseException | None = None

    @property
    def address(self) -> int | None:
        """Where the function is."""
        return c.cast(self._function, c.c_void_p).value

    def __enter__(self) -> Answering:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._failure is not None:
            raise self._failure

    def _answer(self, what: int, numbers: int, total: int, size: int) -> int:
        try:
            if what == COUNTS:
                self._exchange.counts(_bytes(numbers, size).view(np.int64))
            elif what == BEFORE:
                self._exchange.before(_bytes(numbers, size))
            elif what == AFTER:
                self._exchange.after(_bytes(numbers, size), _bytes(total, size))
            else:
                self._exchange.finish()
        except BaseException as error:  # it cannot pass through the program
            self._failure = error
            return 1
        return 0


def _bytes(address: int, size: int) -> np.ndarray:
    return np.frombuffer(memoryview((c.c_uint8 * size).from_address(address)), np.uint8)
