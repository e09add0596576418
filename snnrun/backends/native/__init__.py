"""The native backend: one fused C++ function per network, built with the machine's own compiler."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from snnrun.backends.native.build import Build, build, cache_folder, runtime_headers
from snnrun.backends.native.compiler import find_compiler
from snnrun.backends.native.emit import emit
from snnrun.backends.native.library import NativeBackend
from snnrun.compile.program import Program
from snnrun.config import Config
from snnrun.record.atomic import write_error


@dataclass(frozen=True, kw_only=True)
class Opened:
    """A loaded program and what to say about it."""

    backend: NativeBackend
    description: str
    build: Build
    seconds: float


def usable_cores() -> int:
    """Return how many cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def open_native(
    program: Program, config: Config, code: Path, say: Callable[[str], None] = lambda text: None
) -> Opened:
    """Generate, build and load ``program``; the generated code is kept in the folder ``code``."""
    started = time.monotonic()
    compiler = find_compiler(config.backend.compiler)
    source = emit(program, config.backend.precision)
    save_code(source, code)
    say(f"building {program.network.shape} with {compiler.version}")
    built = build(
        source,
        compiler,
        contraction=config.backend.contraction,
        extra_flags=tuple(config.backend.flags),
        cache=cache_folder(config.backend.cache_dir),
        only_cached=not config.BUILD,
    )
    threads = config.backend.threads or usable_cores()
    backend = NativeBackend(built.library, program, threads)
    seconds = time.monotonic() - started
    how = "from the build cache" if built.cached else f"built in {seconds:.1f} s"
    say(f"program ready: {how}")
    description = (
        f"native, {config.backend.precision}, {threads} thread{'s' if threads > 1 else ''}, "
        f"{backend.lanes} lanes; {compiler.version}; {how}"
    )
    return Opened(backend=backend, description=description, build=built, seconds=seconds)


def save_code(source: str, code: Path) -> None:
    """Write the generated source and the runtime headers that it includes."""
    try:
        code.mkdir(parents=True, exist_ok=True)
        for name, text in {"program.cpp": source, **runtime_headers()}.items():
            (code / name).write_text(text)
    except OSError as error:
        raise write_error(code, error) from error
