"""The native backend: one fused C++ function per network, built with the machine's own compiler."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path

from snnrun.backends.base import Opened
from snnrun.backends.native.build import build, cache_folder, runtime_headers
from snnrun.backends.native.compiler import find_compiler
from snnrun.backends.native.emit import generate
from snnrun.backends.native.emit_online import generate_online
from snnrun.backends.native.library import NativeBackend
from snnrun.backends.native.online import OnlineBackend
from snnrun.compile.program import Program
from snnrun.compile.traces import require_dense
from snnrun.config import Config
from snnrun.datasets.spikes import SpikeData
from snnrun.files import write_error
from snnrun.machine import usable_cores
from snnrun.notice import Notice
from snnrun.rules.learning import Engine
from snnrun.shell import Line


def require_native(config: Config) -> None:
    """Raise BuildError if there is no C++ compiler."""
    find_compiler(config.backend.compiler)


def open_native(
    program: Program,
    config: Config,
    code: Path,
    data: Sequence[SpikeData] = (),
    say: Callable[[str], None] = lambda text: None,
) -> Opened:
    """Generate, build and load ``program``; the generated code is kept in the folder ``code``.

    The data is not needed: calls read it where it is.
    """
    require_dense(program, "numpy")
    started = time.monotonic()
    compiler = find_compiler(config.backend.compiler)
    online = program.engine is Engine.ONLINE
    write = generate_online if online else generate
    generated = write(program, config.backend.precision)
    save_code(generated.source, code)
    built = build(
        generated.source,
        compiler,
        contraction=config.backend.contraction,
        extra_flags=tuple(config.backend.flags),
        cache=cache_folder(config.backend.cache_dir),
        only_cached=not config.BUILD,
        say=lambda: say(f"building {program.network.shape} with {compiler.version}"),
    )
    threads = config.backend.threads or usable_cores()
    make = OnlineBackend if online else NativeBackend
    backend = make(built.library, program, threads, generated.numbers)
    seconds = time.monotonic() - started
    how = "from the build cache" if built.cached else f"built in {seconds:.1f} s"
    say(f"program ready: {how}")
    description = (
        f"native, {config.backend.precision}, {threads} thread{'s' if threads > 1 else ''}, "
        f"{backend.lanes} lanes; {compiler.version}; {how}"
    )
    said = {"code": str(code), "library": str(built.library), "command": built.command}
    files = {label: Line(text) for label, text in said.items()}  # to be copied
    return Opened(
        backend=backend, description=description, files=files, notices=of_threads(threads)
    )


def of_threads(threads: int) -> list[Notice]:
    """Return a notice if there are more threads than cores that this process may use."""
    cores = usable_cores()
    if threads <= cores:
        return []
    usable = "1 core" if cores == 1 else f"{cores} cores"
    return [
        Notice(
            what="threads beyond the cores",
            message=f"backend.threads={threads}, but this process may use {usable}: the threads "
            "wait for each other. backend.threads=null takes one for each core",
        )
    ]


def save_code(source: str, code: Path) -> None:
    """Write the generated source and the runtime headers that it includes."""
    try:
        code.mkdir(parents=True, exist_ok=True)
        for name, text in {"program.cpp": source, **runtime_headers()}.items():
            (code / name).write_text(text)
    except OSError as error:
        raise write_error(code, error) from error
