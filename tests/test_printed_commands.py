"""Every command that the program prints: pasted into a shell, it does what it says."""

from __future__ import annotations

import ast
import re
import shlex
from pathlib import Path

import pytest

import snnrun
from snnrun.commands.names import COMMANDS
from snnrun.config import from_dict
from snnrun.datasets.declaration import find
from snnrun.datasets.fetch import missing_text
from snnrun.errors import RecordError
from snnrun.record.owner import refuse_old_run
from snnrun.record.paths import RunPaths
from snnrun.shell import Line, command, wrapped
from snnrun.stop import Stop
from snnrun.summary import stopped
from snnrun.terminal.format import listing
from snnrun.training.state import State

PACKAGE = Path(snnrun.__file__).parent
LONG = Path("a long folder", *("with (many) parts & more #1",) * 6)
RESUME = ["snnrun", "resume", str(LONG.absolute())]


def test_no_message_puts_a_command_together_by_itself() -> None:
    """A command with a part that is filled in goes through `command`, which quotes it."""
    wrong = []
    start = re.compile(rf"snnrun ({'|'.join(COMMANDS)}) ([^`.;,]*[ =])?$")
    for path in sorted(PACKAGE.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not isinstance(node, ast.JoinedStr):
                continue
            texts = [str(v.value) if isinstance(v, ast.Constant) else "" for v in node.values]
            if any(start.search(text) for text in texts[:-1]):
                wrong.append(f"{path.relative_to(PACKAGE)}:{node.lineno}")
    helps = ("commands/plot.py", "commands/export.py", "commands/report.py", "commands/watch.py")
    allowed = (*helps, "schema/__init__.py")  # help texts; the name of a group
    assert [place for place in wrong if not place.startswith(allowed)] == []


def test_a_run_that_was_stopped_says_how_to_go_on(tmp_path: Path) -> None:
    config = from_dict({"dataset": "yinyang"})
    stop = Stop()
    stop.signal = 15
    state = State.__new__(State)
    object.__setattr__(state, "epoch", 3)
    object.__setattr__(state, "trial", 7)
    text = stopped(config, stop, state, RunPaths(LONG.absolute()))
    assert shlex.split(text.splitlines()[-1]) == RESUME


def test_a_folder_that_holds_a_run_is_refused_with_a_command(tmp_path: Path) -> None:
    paths = RunPaths(tmp_path / "it's (1)")
    paths.root.mkdir()
    paths.run.write_bytes(b"")
    with pytest.raises(RecordError) as refused:
        refuse_old_run(paths)
    [said] = re.findall(r"`([^`]+)`", str(refused.value))
    assert shlex.split(said) == ["snnrun", "resume", str(paths.root)]


@pytest.mark.parametrize("path", ["/data/SHD (1)", "~/it's", '"quoted"', "/data/${x}"])
def test_missing_data_are_fetched_with_the_path_that_was_given(path: str) -> None:
    from snnrun.commands.arguments import parse
    from snnrun.commands.typed import as_typed

    config = from_dict({"dataset": {"name": "shd", "path": path}})
    dataset = find("shd")
    text = missing_text(dataset, Path("nowhere"), dataset.files, config)
    lines = [line.partition(":")[2].strip() for line in text.splitlines() if " snnrun " in line]
    assert len(lines) == 3
    for line in lines[:2]:
        words = shlex.split(line)
        assert words[:4] == ["snnrun", "data", "fetch", "dataset=shd"]
        assert parse([as_typed(words[4])])[0].value().replace("\\${", "${") == path


def test_commands_and_paths_are_never_broken_over_lines() -> None:
    line = command("resume", LONG)
    entries = {
        "further": [line],
        "hint": f"go on, which is what most people would want to do now, with `{line}` or without",
    }
    for width in (20, 60, 80, 200):
        lines = listing(entries, width)
        assert sum(str(line) in text for text in lines) == 2
    text = "words that go on and on"
    assert wrapped(text, 10) == ["words that", "go on and", "on"]
    assert wrapped(Line(text), 10) == [text]
    assert wrapped("", 10, "  label") == ["  label"]
