"""The project as a whole: what lies at its top, and that it declares what it imports."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

from snnrun.commands.doctor import PACKAGES, PYTHONS

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

TOP = Path(__file__).parents[1]
FOLDERS = {"conf", "docs", "hydra_plugins", "outputs", "scripts", "snnrun", "tests"}
FILES = {"CHANGELOG.md", "LICENSE", "README.md", "pyproject.toml"}
# what needs them says how to install them
OPTIONAL = {"pygenn", "tensorboard", "mlflow", "wandb", "mpi4py"}
DRAWING = (  # what may import matplotlib and Plotly
    "snnrun/plots/",
    "snnrun/page/",
    "snnrun/datasets/raster.py",
    "snnrun/interface/saved.py",
)


def git(*words: str) -> list[str]:
    """Return the paths that git prints, or skip the test where there is no checkout."""
    done = subprocess.run(["git", *words], cwd=TOP, capture_output=True, check=False)
    if done.returncode != 0:
        pytest.skip("this is no git checkout")
    return [path for path in re.split("[\0\n]", done.stdout.decode()) if path]


def test_the_top_level_is_what_it_is_meant_to_be() -> None:
    tracked = git("ls-files", "-z")
    top = {path.partition("/")[0] for path in tracked}
    assert {name for name in top if not name.startswith(".")} == FOLDERS | FILES
    assert [path for path in tracked if path.startswith("outputs/")] == ["outputs/.gitignore"]


def test_runs_in_a_clone_leave_nothing_untracked() -> None:
    made = ["outputs/2026-11-21/18-03-12-123456/run.h5", "outputs/multirun/a.yaml", "outputs/x.py"]
    assert sorted(git("check-ignore", "--no-index", *made)) == sorted(made)


def imported(folder: str) -> Iterator[tuple[str, str]]:
    """Yield file and module of every import below a folder of the project."""
    for path in sorted((TOP / folder).rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = []
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom) and node.module:
                names = [node.module]
            yield from ((str(path.relative_to(TOP)), name.partition(".")[0]) for name in names)


def declared() -> tuple[set[str], set[str]]:
    """Return the names of the packages that training needs, and of those that pictures need."""
    project = tomllib.loads((TOP / "pyproject.toml").read_text(encoding="utf-8"))["project"]

    def names(requirements: list[str]) -> set[str]:
        return {normal(re.split(r"[\s\[<>=!~;]", text)[0]) for text in requirements}

    extras = project["optional-dependencies"]
    return names(project["dependencies"]), names([*extras["plot"], *extras["page"]])


def normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def test_every_package_that_is_imported_is_declared() -> None:
    needed, for_pictures = declared()
    distributions = packages_distributions()
    wrong = set()
    for file, module in imported("snnrun"):
        if module in sys.stdlib_module_names or module in {"snnrun", *OPTIONAL}:
            continue
        sources = {normal(name) for name in distributions.get(module, [module])}
        if not sources & (needed | (for_pictures if file.startswith(DRAWING) else set())):
            wrong.add(f"{file}: {module}")
    assert sorted(wrong) == []


def test_doctor_looks_for_what_is_declared() -> None:
    needed, _ = declared()
    assert set(PACKAGES) == needed


def test_modules_load_where_the_system_has_no_fcntl(tmp_path: Path) -> None:
    code = (
        "import sys; sys.modules['fcntl'] = None\n"
        "import snnrun.datasets.fetch, snnrun.record.owner\n"
        "from pathlib import Path\n"
        "from snnrun.files import one_at_a_time\n"
        "with one_at_a_time(Path()): print('in')\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert (done.stdout, done.stderr) == ("in\n", "")


def test_one_process_at_a_time_is_in_a_folder(tmp_path: Path) -> None:
    code = (
        "import sys, time; from pathlib import Path; from snnrun.files import one_at_a_time\n"
        "with one_at_a_time(Path(sys.argv[1])):\n"
        "    with open(sys.argv[1] + '/log', 'a') as log:\n"
        "        log.write('in '); log.flush(); time.sleep(0.2); log.write('out ')\n"
    )
    started = [subprocess.Popen([sys.executable, "-c", code, str(tmp_path)]) for _ in range(3)]
    assert [process.wait(60) for process in started] == [0, 0, 0]
    assert (tmp_path / "log").read_text() == "in out " * 3


def test_the_command_line_works_without_a_warning_of_pythons_or_hydras(tmp_path: Path) -> None:
    words = ["train", "--multirun", "NAME=a,b", "N_BATCH=0"]  # refused, once it is composed
    done = subprocess.run(
        [sys.executable, "-W", "error", "-m", "snnrun", *words],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert "Warning" not in done.stderr
    assert "job 1  refused  N_BATCH=0: must be" in done.stdout
    assert done.returncode == 2


def test_doctor_asks_for_the_python_that_is_declared() -> None:
    project = tomllib.loads((TOP / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    (low, low_minor), (high, high_minor) = PYTHONS
    assert project["requires-python"] == f">={low}.{low_minor},<{high}.{high_minor}"
