"""Whatever CXX names: a compiler is taken, anything else is refused in one message."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from snnrun.backends.native import compiler
from snnrun.backends.native.build import build
from snnrun.backends.native.compiler import find_compiler
from snnrun.backends.native.interface import load_library
from snnrun.errors import BuildError

CPP = '#include <iostream>\nextern "C" void go() { std::cout << std::string("x"); }\n'


def script(path: Path, text: str) -> Path:
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return path


@pytest.mark.parametrize("value", ["", " ", "\t"])
def test_a_blank_cxx_is_none(value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CXX", raising=False)
    usual = find_compiler()
    monkeypatch.setenv("CXX", value)
    assert find_compiler() == usual


def test_a_command_with_blanks_and_arguments_is_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("CXX", raising=False)
    there = find_compiler().command[0]
    odd = script(tmp_path / "my c++ (1)", f'exec {there} "$@"')
    monkeypatch.setenv("CXX", f"'{odd}' -DODD=1")
    assert find_compiler().command == (str(odd), "-DODD=1")


@pytest.mark.parametrize(
    "value", ["/tmp", "no-such-compiler", "'unclosed", "false", "/dev/null", "FAILS", "HANGS"]
)
def test_what_is_no_compiler_is_refused(
    value: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(compiler, "ANSWER_S", 1)
    if value == "HANGS":
        value = str(script(tmp_path / "hangs", "exec sleep 60"))
    if value == "FAILS":
        value = str(script(tmp_path / "fails", "echo gcc 12; exit 3"))
    monkeypatch.setenv("CXX", value)
    with pytest.raises(BuildError, match="CXX="):
        find_compiler()


def test_a_program_that_makes_nothing_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CXX", str(script(tmp_path / "cc", "echo cc 1.0; cat")))
    with pytest.raises(BuildError, match="made nothing, though it reports no error"):
        build(CPP, find_compiler(), contraction=True, cache=tmp_path / "cache")


@pytest.mark.skipif(shutil.which("gcc") is None, reason="there is no gcc")
def test_a_c_compiler_is_refused_with_the_name_of_one_for_cpp(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CXX", "gcc")
    built = build(CPP, find_compiler(), contraction=True, cache=tmp_path / "cache")
    with pytest.raises(BuildError, match=r"name a C\+\+ compiler .*g\+\+ for gcc"):
        load_library(built.library)


@pytest.mark.long
def test_nothing_says_building_that_is_in_the_cache(tmp_path: Path) -> None:
    said: list[str] = []
    for _ in range(2):
        build(
            CPP,
            find_compiler(),
            contraction=True,
            cache=tmp_path,
            say=lambda: said.append("building"),
        )
    assert said == ["building"]
