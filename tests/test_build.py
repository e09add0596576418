"""The build cache: what its key depends on, who may share it, and what is left behind."""

from __future__ import annotations

import shlex
import shutil
import subprocess
import sys
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from unittest.mock import patch

import pytest
from oracle import problem
from parity import program_of
from runs import own_cache, small

from snnrun.backends.native import open_native
from snnrun.backends.native.build import Build, build, cache_folder, runtime_headers
from snnrun.backends.native.compiler import Compiler, find_compiler, flags
from snnrun.backends.native.emit import emit
from snnrun.errors import BuildError
from snnrun.run import compile_only
from snnrun.shell import Line

module = import_module("snnrun.backends.native.build")
SOURCE = 'extern "C" int answer() { return 42; }\n'
OTHER = 'extern "C" int answer() { return 43; }\n'

HEADERS = {"small.hpp": "#include <cstdint>\n"}  # what they include is compiled once per cache


def made(
    cache: Path, source: str = SOURCE, headers: Mapping[str, str] = HEADERS, **options: object
) -> Build:
    settings: dict = {"compiler": find_compiler(), "contraction": True, "cache": cache, **options}
    with patch.object(module, "runtime_headers", lambda: dict(headers)):
        return build(source, **settings)


def test_a_program_is_built_once(tmp_path: Path) -> None:
    first, second = made(tmp_path), made(tmp_path)
    assert (first.cached, second.cached) == (False, True)
    assert first.library == second.library
    assert first.command == second.command
    left = {path.name for path in first.library.parent.iterdir()}
    assert left == {"program.so", "program.cpp", *HEADERS}
    assert [path for path in tmp_path.iterdir() if path.name.startswith(".")] == []


def programs(cache: Path) -> list[str]:
    return [path.name for path in cache.iterdir() if not path.name.startswith("headers-")]


def test_flags_of_the_environment_come_before_those_of_the_configuration(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SNNRUN_CXXFLAGS")
    plain = made(tmp_path)
    monkeypatch.setenv("SNNRUN_CXXFLAGS", "-O1 -DNAME='two words'")
    words = shlex.split(made(tmp_path, extra_flags=("-O0",)).command)
    assert [word for word in words if word not in shlex.split(plain.command)] == [
        "-O1",
        "-DNAME=two words",
        "-O0",
    ]
    assert words.index("-O3") < words.index("-O1") < words.index("-O0")
    monkeypatch.setenv("SNNRUN_CXXFLAGS", "-DNAME='two")
    with pytest.raises(BuildError, match=r"^SNNRUN_CXXFLAGS=-DNAME='two: No closing quotation\. "):
        made(tmp_path)


def test_everything_that_a_library_depends_on_is_part_of_its_key(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = [
        made(tmp_path),
        made(tmp_path, OTHER),
        made(tmp_path, contraction=False),
        made(tmp_path, extra_flags=("-DSOMETHING",)),
    ]
    compiler = find_compiler()
    newer = Compiler(command=compiler.command, version="99", kind=compiler.kind)
    found.append(made(tmp_path, compiler=newer))
    monkeypatch.setattr(module, "processor", lambda: "another one")  # a node of the same cluster
    found.append(made(tmp_path))
    found.append(made(tmp_path, headers={"small.hpp": "// changed\n"}))
    assert not any(one.cached for one in found)
    assert len({one.library for one in found}) == len(found)


def test_a_failed_build_leaves_nothing_and_can_be_repeated(tmp_path: Path) -> None:
    for _ in range(2):
        with pytest.raises(BuildError, match="expected"):
            made(tmp_path, "this is no C++\n")
    assert programs(tmp_path) == []


BUILDING = """
import sys
from importlib import import_module
from pathlib import Path
sys.path.insert(0, sys.argv[2])
from test_build import made
built = made(Path(sys.argv[1]))
print(built.cached, built.library)
"""


def test_of_processes_that_want_a_program_at_the_same_time_one_builds_it(tmp_path: Path) -> None:
    folder = str(Path(__file__).parent)
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", BUILDING, str(tmp_path), folder],
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(3)
    ]
    said = [process.communicate(timeout=120)[0].split() for process in processes]
    assert [process.returncode for process in processes] == [0] * 3
    assert sorted(cached for cached, _ in said) == ["False", "True", "True"]
    assert {Path(library).parent.name for _, library in said} == set(programs(tmp_path))
    assert len(programs(tmp_path)) == 1


def test_a_build_that_was_killed_is_no_hindrance(tmp_path: Path) -> None:
    key = made(tmp_path).library.parent
    (key / "program.so").unlink()  # the library comes last
    (tmp_path / ".building-abc").mkdir()
    assert not made(tmp_path).cached
    assert made(tmp_path).cached


def test_the_cache_lies_where_it_is_asked_for(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("SNNRUN_CACHE", raising=False)
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    assert cache_folder(None) == tmp_path / ".cache/snnrun/build"
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    assert cache_folder(None) == tmp_path / "cache/snnrun/build"
    monkeypatch.setenv("SNNRUN_CACHE", "~/own")
    assert cache_folder(None) == tmp_path / "own/build"
    assert cache_folder("~/mine") == tmp_path / "mine"


@pytest.mark.long
def test_the_code_in_a_run_folder_builds_by_itself(tmp_path: Path) -> None:
    program = program_of(problem(), 0.2, train=())
    opened = open_native(program, small(), tmp_path / "code")
    assert (tmp_path / "code" / "program.cpp").read_text() == emit(program, "float32")
    assert isinstance(opened.files["command"], Line)  # which is shown unbroken, to be copied
    command = shlex.split(opened.files["command"])
    subprocess.run(command, cwd=tmp_path / "code", check=True)
    assert (tmp_path / "code" / "program.so").stat().st_size > 0


def test_the_code_compiles_without_warnings(tmp_path: Path) -> None:
    compiler = find_compiler()
    program = program_of(problem("alif", "first_spike", recurrent=True, t_ref=1.0), 0.2)
    options = flags(compiler, contraction=True, extra=("-Wall", "-Wextra", "-Werror"))
    options = [*options, "-Wno-unused-parameter", "-O0", "-fsyntax-only"]
    for name, text in {"program.cpp": emit(program, "float32"), **runtime_headers()}.items():
        (tmp_path / name).write_text(text)
    done = subprocess.run(
        [*compiler.command, *options, "program.cpp"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.long
def test_compile_prints_the_program_and_leaves_its_code(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code = compile_only(small(), tmp_path)
    said = capsys.readouterr().out
    assert (code / "program.cpp").is_file()
    assert "population hidden: 30 x lif" in said
    assert "slope at a spike: (I - v_thresh)/tau_mem" in said
    assert "g++" in said or "clang" in said


@pytest.mark.parametrize("name", ["clang++", "g++"])
def test_other_compilers_build_the_same_program(name: str, tmp_path: Path) -> None:
    if shutil.which(name) is None:
        pytest.skip(f"{name} is not installed")
    program, cache = program_of(problem(), 0.2, train=()), own_cache(tmp_path / "cache")
    config = small(backend={"compiler": name, "cache_dir": str(cache)})
    opened = open_native(program, config, tmp_path / "code")
    assert opened.backend.lanes in (4, 8, 16)
