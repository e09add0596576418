"""The precompiled header of the system: it saves time and never stands in the way of a build."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
import time
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from unittest.mock import patch

import pytest
from oracle import problem
from parity import program_of

from snnrun.backends.native import precompiled
from snnrun.backends.native.build import Build, build, runtime_headers
from snnrun.backends.native.compiler import find_compiler
from snnrun.backends.native.emit import emit
from snnrun.backends.native.precompiled import NAME, system_headers
from snnrun.errors import BuildError

module = import_module("snnrun.backends.native.build")

FLAGS = ("-O0",)
HEADERS = {"small.hpp": "#include <cstdint>\n"}  # those of the runtime take seconds
SOURCE = '#include "small.hpp"\nextern "C" int32_t answer() { return %s; }\n'

pytestmark = pytest.mark.skipif(find_compiler().kind != "gcc", reason="only GCC has it")


def made(
    cache: Path, answer: int | str, compiler: str | None = None, flags: Sequence[str] = FLAGS
) -> Build:
    with patch.object(module, "runtime_headers", lambda: HEADERS):
        return build(
            SOURCE % answer,
            find_compiler(compiler),
            contraction=True,
            extra_flags=tuple(flags),
            cache=cache,
        )


def compiler_that(folder: Path, does: str) -> str:
    """Return the path of a compiler that leaves its words in a file, does something and works."""
    real = shlex.quote(find_compiler().path)
    path = folder / "g++"
    path.write_text(f'#!/bin/sh\necho "$*" >> {folder}/calls\n{does}\nexec {real} "$@"\n')
    path.chmod(0o755)
    return str(path)


def calls(folder: Path) -> list[str]:
    """Return the words of each build so far, and forget them."""
    found = (folder / "calls").read_text().splitlines()
    (folder / "calls").unlink()
    return [line for line in found if line != "--version"]


def kept(cache: Path) -> list[Path]:
    return sorted(cache.glob("headers-*"))


def test_the_first_build_leaves_the_header_that_the_following_ones_take(tmp_path: Path) -> None:
    cache, name = tmp_path / "cache", compiler_that(tmp_path, "")
    made(cache, 1, compiler=name)
    [folder] = kept(cache)
    assert {path.name for path in folder.iterdir()} == {NAME, f"{NAME}.gch"}
    first = calls(tmp_path)
    assert sorted("c++-header" in words for words in first) == [False, True]
    made(cache, 2, compiler=name)
    [words] = calls(tmp_path)
    assert f"-include {folder / NAME}" in words
    assert [path for path in cache.iterdir() if path.name.startswith(".")] == []


@pytest.mark.long
def test_a_program_has_the_same_bits_with_and_without_the_header(tmp_path: Path) -> None:
    source, options = emit(program_of(problem(), 0.2, train=()), "float32"), {"contraction": True}
    found = []
    for _ in range(2):
        built = build(source, find_compiler(), **options, extra_flags=("-O1",), cache=tmp_path)
        assert not built.cached
        assert "-include" not in built.command  # the code in a run folder builds without the cache
        found.append(built.library.read_bytes())
        built.library.unlink()
        assert kept(tmp_path)
    assert found[0] == found[1]


def test_the_header_has_all_that_the_runtime_includes_of_the_system() -> None:
    text = system_headers(runtime_headers())
    for name in ("vector", "thread", "immintrin.h", "sys/mman.h"):
        assert f"#if __has_include(<{name}>)\n#include <{name}>\n#endif\n" in text


def test_programs_with_other_flags_have_a_header_of_their_own(tmp_path: Path) -> None:
    for answer, flags in enumerate((("-O0",), ("-O1",), ("-O0", "-DSNN_LARGE_GRADIENT=1"))):
        made(tmp_path, answer, flags=flags)
    assert len(kept(tmp_path)) == 2


@pytest.mark.parametrize(
    "does",
    [
        'case "$*" in *c++-header*) exit 1;; esac',  # it has none
        'case "$*" in *-include*) exit 1;; esac',  # it does not accept the one that it made
        'case "$*" in *c++-header*) kill -9 $$;; esac',  # no memory
    ],
)
def test_a_compiler_that_cannot_do_it_builds_all_the_same(tmp_path: Path, does: str) -> None:
    cache, name = tmp_path / "cache", compiler_that(tmp_path, does)
    for answer in (1, 2):
        assert made(cache, answer, compiler=name).library.exists()
    assert [path for path in cache.iterdir() if path.name.startswith(".")] == []


def test_a_header_that_is_damaged_is_passed_over(tmp_path: Path) -> None:
    made(tmp_path, 1)
    [folder] = kept(tmp_path)
    (folder / f"{NAME}.gch").write_bytes(b"no header")
    assert made(tmp_path, 2).library.exists()


def test_errors_are_those_of_the_program(tmp_path: Path) -> None:
    made(tmp_path, 1)
    with pytest.raises(BuildError, match="not declared") as error:
        made(tmp_path, "no number")
    assert "-include" not in str(error.value)


KILLED = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[2])
from test_precompiled import made
made(Path(sys.argv[1]), 1, compiler=sys.argv[3])
"""


def test_what_a_killed_build_began_is_left_to_itself_and_removed_later(tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    name = compiler_that(tmp_path, 'case "$*" in *c++-header*) sleep 5; exit 1;; esac')
    process = subprocess.Popen(
        [sys.executable, "-c", KILLED, str(cache), str(Path(__file__).parent), name]
    )
    limit = time.monotonic() + 60
    while not list(cache.glob(".headers-*")):
        assert time.monotonic() < limit
        time.sleep(0.01)
    process.kill()
    process.wait()
    [begun] = cache.glob(".headers-*")
    compiler_that(tmp_path, "")
    made(cache, 2, compiler=name)
    assert begun.exists()  # it may be another process that is at work
    assert kept(cache) == []
    os.utime(begun, (0, 0))
    made(cache, 3, compiler=name)
    assert not begun.exists()
    made(cache, 4, compiler=name)
    assert len(kept(cache)) == 1


def test_ctrl_c_ends_the_compiler_of_the_header_as_well(tmp_path: Path) -> None:
    does = f'case "$*" in *c++-header*) echo $$ > {tmp_path}/pid; sleep 60;; esac'
    compiler = find_compiler(compiler_that(tmp_path, does))

    def interrupted_at_work() -> None:
        with precompiled.precompiled(tmp_path, HEADERS, compiler, FLAGS):
            limit = time.monotonic() + 60
            while not (tmp_path / "pid").exists() or not (tmp_path / "pid").read_text():
                assert time.monotonic() < limit
                time.sleep(0.01)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted_at_work()
    with pytest.raises(ProcessLookupError):
        os.kill(int((tmp_path / "pid").read_text()), 0)
    assert list(tmp_path.glob("*headers-*")) == []


def test_a_disk_that_is_nearly_full_is_left_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(precompiled, "SPACE", 2**62)
    made(tmp_path, 1)
    assert kept(tmp_path) == []
