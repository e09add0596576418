"""What the other ranks do: build the programs that rank 0 opens, and take part in its calls."""

from __future__ import annotations

import traceback
from contextlib import ExitStack
from pathlib import Path

from snnrun.config import Config
from snnrun.errors import SnnrunError, told
from snnrun.parallel.open import open_part
from snnrun.parallel.world import World
from snnrun.record.scratch import scratch
from snnrun.run import build_program


def follow(world: World) -> int:
    """Do what rank 0 asks for, until it says that it is done."""
    try:
        while (order := world.order())[0] != "end":
            if order[0] == "memory":
                world.reply(world.memory())
            else:
                _work(world, *order[1:])
    except EOFError:  # rank 0 is gone, and with it this process
        return 1
    except Exception as error:
        known = isinstance(error, SnnrunError | OSError | MemoryError)
        world.give_up(f"ended: {error if known else traceback.format_exc()}")
    return 0


def _work(world: World, config: Config) -> None:
    """Take part in the calls of one program, from its build to its end."""
    with scratch() as paths, ExitStack() as stack, told():
        part = stack.enter_context(open_part(world, config, Path(paths.code), build_program))
        while part is not None and (order := world.order())[0] != "close":
            what, *arguments = order
            if what == "end":
                raise EOFError
            result = part.call(what, *arguments)
            if result is not None:
                world.reply(result)
