"""Precompiles the headers of the system that every program includes, once per compiler and flags.

They are a quarter of what a build takes. The first build compiles them on another core while it
compiles its program, and leaves them in the cache for all that follow.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path

from snnrun.backends.native.compiler import Compiler, processor
from snnrun.backends.native.processes import end, start

NAME = "system.hpp"
ABANDONED_S = 600  # after so long, what another process began is what a killed one left
SPACE = 2**30  # bytes that are free, else nothing is precompiled: a header takes 75 MB
INCLUDE = re.compile(r"^#include (<[\w./]+>)", re.MULTILINE)


@contextmanager
def precompiled(
    cache: Path, headers: Mapping[str, str], compiler: Compiler, options: Sequence[str]
) -> Iterator[list[str]]:
    """Give the flags with which a program takes the precompiled header; none if there is none.

    A header that is missing is compiled while the block runs, for the builds that follow. Several
    processes may meet; one that is killed leaves nothing that hinders another. Whatever goes wrong
    costs time only: then the next build tries again. Only GCC finds a header by itself and passes
    over one that does not fit, so other compilers have none.

    Args:
        cache: Folder of built code.
        headers: The runtime's headers by file name.
        compiler: The compiler of the program.
        options: Its flags.
    """
    if compiler.kind != "gcc":
        yield []
        return
    options = [option for option in options if not option.startswith("-DSNN_")]
    text = system_headers(headers)
    parts = [text, *options, compiler.path, compiler.version, processor()]
    kept = cache / f"headers-{sha256(chr(0).join(parts).encode()).hexdigest()[:24]}"
    if (kept / f"{NAME}.gch").exists():
        yield ["-include", str((kept / NAME).resolve())]
        return
    making = _claimed(kept)
    process = _started(making, text, [*compiler.command, *options]) if making else None
    done = False
    try:
        yield []
        if process is not None:
            process.communicate()
            done = process.returncode == 0
    finally:
        if process is not None and process.returncode is None:
            end(process)
        if making is not None:
            _keep(making, kept, done)


def system_headers(headers: Mapping[str, str]) -> str:
    """Return a header that includes what the runtime's headers include of the system."""
    names = sorted({name for text in headers.values() for name in INCLUDE.findall(text)})
    lines = [f"#if __has_include({name})\n#include {name}\n#endif\n" for name in names]
    return "#pragma once\n" + "".join(lines)


def _claimed(kept: Path) -> Path | None:
    """Return an empty folder beside ``kept`` that no other process has; None if one has it."""
    making = kept.with_name(f".{kept.name}")
    try:
        if shutil.disk_usage(kept.parent).free < SPACE:
            return None
        making.mkdir()
    except FileExistsError:
        try:
            if time.time() - making.stat().st_mtime > ABANDONED_S:
                shutil.rmtree(making, ignore_errors=True)
        except OSError:
            pass  # it has just been finished
        return None
    except OSError:
        return None
    return making


def _started(making: Path, text: str, command: list[str]) -> subprocess.Popen[str] | None:
    command = [*command, "-x", "c++-header", NAME, "-o", f"{NAME}.gch"]
    try:
        (making / NAME).write_text(text)
        return start(command, making)
    except OSError:
        return None


def _keep(making: Path, kept: Path, done: bool) -> None:
    try:
        if done:
            os.replace(making, kept)
    except OSError:
        pass
    shutil.rmtree(making, ignore_errors=True)
