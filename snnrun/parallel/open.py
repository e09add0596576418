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
from snnrun.machine import Node
from snnrun.parallel.backend import SPLITS, Part, SharedBackend
from snnrun.parallel.chain import Chain
from snnrun.parallel.copies import Copies
from snnrun.parallel.world import World, world


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
        require_parts(config, opened.backend.parts(config.N_BATCH), ranks.size)
        ranks.folder, ranks.busy = code.parent, True
        ranks.tell("open", config)
        copies = Copies(ranks.comm)
        copies.hand_out(SPLITS, splits)
        problem = _difference(ranks, _built(opened))
        ranks.busy = False
        if problem is not None:
            copies.close()
            raise problem
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


def nodes() -> list[Node]:
    """Return the nodes of the ranks, first that of rank 0; none where a process is alone."""
    ranks = world()
    return ranks.nodes() if ranks is not None else []


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
    if not program.engine.has_gradient:
        raise ConfigError(
            f"rule={config.rule.name} changes weights while examples run, one after the other, so "
            "that ranks have nothing to share. Start it without mpiexec and srun; a multirun makes "
            "several runs at the same time"
        )
    if program.update_steps:
        raise ConfigError(
            f"rule.update_steps={program.update_steps}: weights change while the examples of a "
            "mini-batch run, and ranks sum their gradients only when those have ended. Use "
            "rule.update_steps=null, or start it without mpiexec and srun"
        )
    if config.backend.name == "genn" and config.PIPELINE:
        raise ConfigError(
            "PIPELINE=true: how many examples run with older weights would depend on the number of "
            "ranks; use PIPELINE=false with several"
        )
    require_parts(config, config.N_BATCH, ranks)


def require_parts(config: Config, parts: int, ranks: int) -> None:
    """Raise ConfigError where a mini-batch has fewer ``parts`` than there are ranks."""
    if ranks > parts:
        raise ConfigError(
            f"{ranks} ranks, but a mini-batch of N_BATCH={config.N_BATCH} has parts for {parts} "
            f"at most: start {parts} ranks or fewer, with more threads each (backend.threads)"
        )


def _built(opened: Opened) -> str:
    """Return what tells one built program from another: code, compiler, options, processor."""
    return Path(str(opened.files.get("library", "/"))).parent.name


def _difference(ranks: World, own: str) -> SnnrunError | None:
    """Return what keeps a rank from having built the same as rank 0; all are told if nothing."""
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
    return problem
