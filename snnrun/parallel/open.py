"""Opening a program on all ranks: each builds it for itself, and what they built must be alike."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from snnrun.backends import open_backend
from snnrun.backends.base import Opened
from snnrun.compile.program import Program
from snnrun.config import Config
from snnrun.datasets.spikes import Splits
from snnrun.errors import BuildError, ConfigError, SnnrunError
from snnrun.parallel.backend import SPLITS, Part, SharedBackend
from snnrun.parallel.chain import Chain
from snnrun.parallel.copies import Copies
from snnrun.parallel.world import World, world

MOST_RANKS = 16  # into so many parts a mini-batch is divided
RUNNING = ("native", "numpy")


@contextmanager
def open_shared(
    program: Program, config: Config, code: Path, splits: Splits, say: Callable[[str], None]
) -> Iterator[Opened]:
    """Open a program as ``open_backend`` does, on all ranks where there are several.

    Raises:
        ConfigError: It cannot be shared, or by fewer ranks only.
        BuildError: Another rank cannot build it, or builds another one.
    """
    ranks = world()
    if ranks is not None:
        require_shareable(config, program, ranks.size)
    with open_backend(program, config, code, splits, say) as opened:
        if ranks is None:
            yield opened
            return
        ranks.folder = code.parent
        ranks.tell("open", config)
        copies = Copies(ranks.comm)
        copies.hand_out(SPLITS, splits)
        _require_alike(ranks, _built(opened))
        part = Part(opened.backend, Chain(ranks.comm), copies)
        backend = SharedBackend(part, ranks, splits)
        try:
            yield replace(
                opened,
                backend=backend,
                description=f"{ranks.size} ranks, each {opened.description}",
            )
        finally:
            backend.close()
            ranks.folder = None


@contextmanager
def open_part(
    ranks: World, config: Config, code: Path, build: Callable[[Config, Splits], Program]
) -> Iterator[Part | None]:
    """Open the program of ``config`` on another rank; None where rank 0 does not go on with it.

    Args:
        code: Folder for the generated code.
        build: Returns the program for some data.
    """
    copies = Copies(ranks.comm)
    copies.hand_out(SPLITS)
    splits = copies[SPLITS]
    try:
        opening = open_backend(build(config, splits), config, code, splits, lambda _: None)
        with opening as opened:
            ranks.reply(_built(opened))
            if not ranks.order()[1]:
                yield None
            else:
                yield Part(opened.backend, Chain(ranks.comm), copies)
    except SnnrunError as error:
        ranks.reply(error)
        ranks.order()
        yield None
    finally:
        copies.close()


def require_shareable(config: Config, program: Program, ranks: int) -> None:
    """Raise ConfigError where several ranks cannot share the mini-batches of a program."""
    if not program.engine.has_gradient or program.update_steps:
        raise ConfigError(
            f"rule={config.rule.name} changes weights while examples run, so that ranks have "
            "nothing to share. Start it without mpiexec and srun; a multirun makes several runs at "
            "the same time"
        )
    if config.backend.name not in RUNNING:
        raise ConfigError(
            f"backend={config.backend.name} does not share mini-batches between ranks; "
            f"{', '.join(RUNNING)} does. Start it without mpiexec and srun"
        )
    most = min(MOST_RANKS, config.N_BATCH)
    if ranks > most:
        raise ConfigError(
            f"{ranks} ranks, but a mini-batch of N_BATCH={config.N_BATCH} has parts for {most} "
            f"at most (N_BATCH, and not more than {MOST_RANKS}): start {most} ranks or fewer, "
            "with more threads each (backend.threads)"
        )


def _built(opened: Opened) -> str:
    """Return what tells one built program from another: code, compiler, options, processor."""
    return Path(str(opened.files.get("library", "/"))).parent.name


def _require_alike(ranks: World, own: str) -> None:
    """Go on if all ranks have built the same, and raise what keeps one from it."""
    problem: SnnrunError | None = None
    for name, reply in zip(ranks.names[1:], ranks.replies(), strict=True):
        if isinstance(reply, SnnrunError):
            problem = problem or BuildError(f"{name}: {reply}")
        elif reply != own:
            problem = problem or BuildError(
                f"{name} has built another program than {ranks.names[0]} ({reply}, not {own}): "
                "they have other compilers or other processors, and would round differently. Use "
                "nodes of one kind"
            )
    ranks.tell("go on", problem is None)
    if problem is not None:
        raise problem
