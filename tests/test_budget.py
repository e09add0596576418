"""The shape of the project: short files and functions, imports that go one way."""

from __future__ import annotations

import ast
import re
import subprocess
from collections.abc import Iterable, Iterator, Mapping
from graphlib import CycleError, TopologicalSorter
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

# What each package and each module at the top may import besides itself. The ground is of this
# project alone: it imports nothing but the ground.
ERRORS = {"errors"}
GROUND = ERRORS | {"console", "files", "graphs", "load", "machine", "notice", "numbers"}
GROUND |= {"shell", "slurm", "stop", "streams", "tasks", "version"}
CONFIGURED = GROUND | {"config", "keys", "optimisers", "rules", "schema"}
STORY = CONFIGURED | {
    "backends",
    "compile",
    "costs",
    "datasets",
    "models",
    "network",
    "presets",
    "record",
}
STORY |= {"terminal", "training"}
TOLD = STORY | {"interruption", "plots", "run"}
MAY_IMPORT: dict[str, set[str]] = {
    **{part: set() for part in GROUND - {"console", "files", "load", "slurm", "tasks"}},
    "console": {"errors", "shell"},
    "files": ERRORS,
    "load": ERRORS,
    "slurm": ERRORS | {"files"},
    "tasks": {"numbers"},
    "keys": ERRORS,
    "connectivity": {"errors", "keys", "load"},
    "optimisers": {"errors", "keys", "load", "models"},
    "rules": {"errors", "keys", "load", "models", "optimisers"},
    "exchange": {"connectivity", "errors", "graphs", "models"},
    "schema": {"connectivity", "errors", "exchange", "graphs", "keys", "models", "rules", "shell"}
    | {"optimisers"},
    "config": {"errors", "keys", "optimisers", "rules", "schema"},
    "presets": {"errors", "config"},
    "models": GROUND | {"keys"},
    "network": CONFIGURED | {"connectivity", "models"},
    "compile": GROUND | {"connectivity", "models", "network", "optimisers", "rules"},
    "costs": GROUND | {"compile", "network"},
    "datasets": CONFIGURED,
    "backends": CONFIGURED | {"models", "network", "compile", "datasets"},
    "record": GROUND,
    "parallel": CONFIGURED | {"backends", "compile", "datasets", "__init__"},
    "terminal": CONFIGURED | {"record"},
    "sweeps": CONFIGURED | {"record", "terminal"},
    "search": CONFIGURED | {"record", "sweeps", "training"},
    "training": CONFIGURED
    | {"backends", "compile", "costs", "datasets", "record", "terminal", "models"},
    "plots": CONFIGURED
    | {"backends", "datasets", "models", "network", "presets", "record", "search", "sweeps"}
    | {"training"},
    "testing": STORY - {"presets", "record", "terminal", "training"},
    "gradcheck": STORY | {"connectivity", "testing"},
    "needs": STORY,
    "loggers": CONFIGURED | {"record", "terminal"},
    "summary": STORY,
    "interruption": STORY | {"plots", "summary"},
    "run": STORY | {"interruption", "loggers", "needs", "parallel", "plots", "summary"},
    "page": TOLD | {"needs", "search", "sweeps"},
    "crossval": STORY | {"run"},
    "commands": TOLD
    | {"connectivity", "crossval", "exchange", "gradcheck", "page", "parallel", "search"}
    | {"sweeps"},
    "cli": GROUND | {"commands", "parallel"},
    "interface": TOLD | {"commands", "parallel", "sweeps"},
    "__init__": {"version"},
    "__main__": {"cli"},
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


def module_of(path: Path) -> str:
    """Return the dotted name of a file of the package."""
    names = path.relative_to(TOP).with_suffix("").parts
    return ".".join(names[:-1] if names[-1] == "__init__" else names)


OF_MODULE = {module_of(path): path for path in PACKAGE}


def imports(path: Path) -> Iterator[tuple[int, str]]:
    """Yield line and module of each import of the package: in functions too, not for types only."""
    tree = ast.parse(path.read_text())
    for_types = {
        id(node)
        for block in ast.walk(tree)
        if isinstance(block, ast.If) and ast.unparse(block.test) == "TYPE_CHECKING"
        for node in ast.walk(block)
    }
    for node in ast.walk(tree):
        if id(node) in for_types:
            continue
        names: list[str] = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{name_of(path)}:{node.lineno} imports relatively"
            inner = [f"{node.module}.{alias.name}" for alias in node.names]
            names = [name if name in OF_MODULE else str(node.module) for name in inner]
        yield from ((node.lineno, name) for name in names if name.split(".")[0] == "snnrun")


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


def test_every_part_says_what_it_may_import() -> None:
    assert {part_of(path) for path in PACKAGE} == MAY_IMPORT.keys()


@pytest.mark.parametrize("path", PACKAGE, ids=name_of)
def test_imports_go_one_way(path: Path) -> None:
    part = part_of(path)
    allowed = MAY_IMPORT[part] | {part}
    found = [(line, [*name.split("."), "__init__"][1]) for line, name in imports(path)]
    assert [(line, other) for line, other in found if other not in allowed] == []


def cycles(graph: Mapping[str, Iterable[str]]) -> str:
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        return " <- ".join(error.args[1])
    return ""


def test_neither_what_may_be_imported_nor_what_is_makes_a_circle() -> None:
    assert cycles(MAY_IMPORT) == ""
    assert (
        cycles(
            {
                name: {other for _, other in imports(path)} - {name}
                for name, path in OF_MODULE.items()
            }
        )
        == ""
    )


@pytest.mark.parametrize("path", PACKAGE, ids=name_of)
def test_every_file_says_what_it_is(path: Path) -> None:
    tree = ast.parse(path.read_text())
    assert ast.get_docstring(tree) or not tree.body


def test_no_file_names_a_folder_of_one_machine() -> None:
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=TOP,
        capture_output=True,
        check=False,
    )
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
