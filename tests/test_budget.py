"""The shape of the project: short files and functions, imports that go one way."""

from __future__ import annotations

import ast
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

TOP = Path(__file__).parents[1]
FILES = sorted(
    path
    for folder in ("snnrun", "tests", "scripts")
    for suffix in ("*.py", "*.hpp", "*.tmpl", "*.sh")
    for path in (TOP / folder).rglob(suffix)
)
MODULES = [path for path in FILES if path.suffix == ".py"]
PACKAGE = [path for path in MODULES if "snnrun" in path.relative_to(TOP).parts[:1]]
LONGEST_FILE, LONGEST_FUNCTION, LONGEST_LINE = 400, 60, 100
MEDIAN_FILE, MEDIAN_FUNCTION = 150, 10

# What each part may import besides itself. Whatever is not listed is at the top: the story of a
# run, the commands, and the checks of users' models may import everything.
ANYWHERE = {
    "errors", "limits", "locks", "notice", "numbers", "places", "shell", "streams", "tasks", "load",
    "__init__",
}  # fmt: skip
CONFIGURED = ANYWHERE | {"config", "keys", "schema"}
MAY_IMPORT = {
    "errors": set(),
    "limits": {"errors"},
    "locks": set(),
    "notice": set(),
    "numbers": set(),
    "tasks": {"numbers"},
    "places": set(),
    "shell": set(),
    "stop": set(),
    "streams": set(),
    "load": {"errors"},
    "keys": {"errors"},
    "schema": {"errors", "keys", "shell"},
    "config": {"errors", "keys", "schema"},
    "models": ANYWHERE,
    "network": CONFIGURED | {"models"},
    "compile": ANYWHERE | {"models", "network"},
    "backends": CONFIGURED | {"models", "network", "compile", "datasets", "record", "stop"},
    "datasets": CONFIGURED,
    "record": ANYWHERE,
    "report": CONFIGURED | {"record"},
    "plots": CONFIGURED | {"backends", "datasets", "models", "network", "record", "training"},
    "training": CONFIGURED
    | {"backends", "compile", "datasets", "record", "report", "models", "stop"},
}


def name_of(path: Path) -> str:
    return str(path.relative_to(TOP))


def lines_of(path: Path) -> list[str]:
    return path.read_text(encoding="utf-8").splitlines()


def functions(path: Path) -> Iterator[tuple[str, int]]:
    """Yield name and length without docstring of every function in a file."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            length = (node.end_lineno or 0) - node.lineno + 1
            first = node.body[0]
            if ast.get_docstring(node, clean=False) is not None:
                length -= (first.end_lineno or 0) - first.lineno + 1
            yield f"{name_of(path)}:{node.lineno} {node.name}", length


def imports(path: Path) -> Iterator[tuple[int, str]]:
    """Yield line and part of the package (``record`` of snnrun.record.paths) of each import."""
    for node in ast.walk(ast.parse(path.read_text())):
        modules = []
        if isinstance(node, ast.Import):
            modules = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{name_of(path)}:{node.lineno} imports relatively"
            modules = [node.module or ""]
        for module in modules:
            first, *rest = module.split(".")
            if first == "snnrun":
                yield node.lineno, rest[0] if rest else "__init__"


def part_of(path: Path) -> str:
    """Return the part of the package to which a file belongs."""
    first, *rest = path.relative_to(TOP / "snnrun").parts
    return first if rest else path.stem


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_files_are_short(path: Path) -> None:
    lines = lines_of(path)
    assert len(lines) <= LONGEST_FILE
    assert [n for n, line in enumerate(lines, 1) if len(line) > LONGEST_LINE] == []


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_functions_are_short(path: Path) -> None:
    assert [f for f in functions(path) if f[1] > LONGEST_FUNCTION] == []


def test_half_of_files_and_functions_are_shorter_still() -> None:
    files = sorted(len(lines_of(path)) for path in PACKAGE if path.name != "__init__.py")
    lengths = sorted(length for path in PACKAGE for _, length in functions(path))
    assert files[len(files) // 2] <= MEDIAN_FILE
    assert lengths[len(lengths) // 2] <= MEDIAN_FUNCTION


@pytest.mark.parametrize("path", PACKAGE, ids=name_of)
def test_imports_go_one_way(path: Path) -> None:
    part = part_of(path)
    if part not in MAY_IMPORT:
        return
    allowed = MAY_IMPORT[part] | {part}
    assert [(line, other) for line, other in imports(path) if other not in allowed] == []


def test_what_may_be_imported_makes_no_circle() -> None:
    seen: list[str] = []

    def visit(part: str, path: tuple[str, ...]) -> None:
        assert part not in path, " -> ".join((*path, part))
        if part not in seen:
            for other in MAY_IMPORT.get(part, set()) - {part}:
                visit(other, (*path, part))
            seen.append(part)

    for part in MAY_IMPORT:
        visit(part, ())


@pytest.mark.parametrize("path", PACKAGE, ids=name_of)
def test_every_file_says_what_it_is(path: Path) -> None:
    tree = ast.parse(path.read_text())
    assert ast.get_docstring(tree) or not tree.body


def test_no_file_names_a_folder_of_one_machine() -> None:
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=TOP, capture_output=True, check=False,
    )  # fmt: skip
    if listed.returncode != 0:
        pytest.skip("this is no git checkout")
    wrong = []
    mine = re.compile(r"/(?:home|Users|root|work|mnt)/\w")
    for name in listed.stdout.decode().split("\0"):
        path = TOP / name
        if not path.is_file() or path == Path(__file__):
            continue
        try:
            text = path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue
        wrong += [f"{name}:{n}" for n, line in enumerate(text.splitlines(), 1) if mine.search(line)]
    assert wrong == []
