"""A run that exists: which one a command line means, its configuration, what may change of it."""

from __future__ import annotations

import logging
import sys
import textwrap
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from snnrun.commands.arguments import of_mapping, parse, path_of, value_text
from snnrun.commands.compose import Origin
from snnrun.commands.typed import as_typed
from snnrun.config import Config, flat, listed, validate, words_in
from snnrun.errors import CheckpointError, ConfigError, SnnrunError
from snnrun.files import atomic_file, is_temporary
from snnrun.presets import NONE, Setting
from snnrun.record.archive import at_home
from snnrun.record.paths import FoldPaths, RunPaths, is_of_sweep, told_of_sweep
from snnrun.record.reader import load_run
from snnrun.record.saved import load_config, save_config
from snnrun.schema import ALIASES, SCHEMA
from snnrun.schema.effect import used_keys
from snnrun.schema.hints import unknown_key
from snnrun.shell import command
from snnrun.training.early import out_of_patience, to_go_on

RUN_FOLDERS = ("*", "*/*", "*/*/*", "multirun/*/*/*")  # below outputs, also by names of one's own
NEEDED: dict[str, Callable[[RunPaths], Path]] = {  # what a run that was refused does not have
    "test": lambda paths: paths.last,
    "export": lambda paths: paths.last,
    "plot": lambda paths: paths.run,
    "report": lambda paths: paths.run,
}
NO_RUNS = ("compile", "crossval", "gradcheck")  # what other commands write there
LOG_FORMAT = "%(asctime)s %(levelname)s %(name)s: %(message)s"
GROUPS = {"backend": "backend.name"}  # choosing another backend changes nothing else


def find_run(arguments: Sequence[str], name: str) -> tuple[Path, list[str]]:
    """Return the run folder that the first argument names, or the newest one, and the overrides.

    Args:
        arguments: ``[RUN] [KEY=VALUE ...]``.
        name: The command that takes them.

    Raises:
        CheckpointError: The folder is no run folder, or there is none.
        ConfigError: A folder stands where KEY=VALUE belongs.
    """
    rest = list(arguments)
    folder = None
    if rest and names_folder(rest[0]):
        word = rest.pop(0)
        folder = run_folder(word, name)
        if _is_setting(word):
            print(f"{word}: taken as the run folder; {_other_reading(word, name)}", file=sys.stderr)
    for word in rest:
        if names_folder(word):
            more = command(name, Path(word), *(w for w in rest if w != word))
            raise ConfigError(
                f"{word}: one run only, and its folder comes first"
                + ("" if folder else f", as in {more}")
            )
    return folder or _newest_run(name), rest


def names_folder(word: str) -> bool:
    """Return whether an argument is a folder rather than KEY=VALUE: by what there is.

    No key has a slash in it, so such a word is a folder whether it exists or not.
    """
    key, equals, _ = word.partition("=")
    return not equals or "/" in key or _is_folder(path_of(word))


def run_folder(word: str, name: str = "resume") -> Path:
    """Return the run folder that an argument of the command ``name`` names.

    Raises:
        CheckpointError: It is no run folder.
    """
    folder = path_of(word)
    paths = RunPaths(folder)
    try:
        there = paths.config.is_file()
    except PermissionError as error:
        raise CheckpointError(
            f"{folder}: may not be looked into (Permission denied). Change its permissions"
        ) from error
    if not there and is_of_sweep(folder):
        every = f", and `{command('sweep', 'resume', folder)}` goes on with all of them"
        raise CheckpointError(told_of_sweep(folder) + (every if name == "resume" else ""))
    if not there:
        what = "is no run folder" if folder.exists() else "does not exist"
        other = f"; {_other_reading(word, name)}" if _is_setting(word) else ""
        raise CheckpointError(f"{folder}: {what}{other}. `snnrun runs` lists the runs")
    if FoldPaths(folder).begun:
        raise CheckpointError(
            f"{folder}: a cross-validation, which `{command('crossval', folder)}` goes on with; "
            "its folders speaker... are runs"
        )
    _take_modules(paths)
    if not paths.overrides.is_file():  # which is written last
        raise CheckpointError(
            f"{folder}: the run ended before its configuration was written whole, so there is "
            "nothing to go on with; start it again"
        )
    return folder


def _take_modules(paths: RunPaths) -> None:
    """Let the modules be found that a run was packed with, before all others of their names."""
    folder = str(paths.modules.absolute())
    if paths.modules.is_dir() and folder not in sys.path:
        sys.path.insert(0, folder)


def _newest_run(name: str) -> Path:
    top = Path("outputs")
    folders = {folder for pattern in RUN_FOLDERS for folder in top.glob(pattern)}
    made = {
        f: RunPaths(f).config.stat().st_mtime_ns
        for f in folders
        if f.relative_to(top).parts[0] not in NO_RUNS
        and not any(map(is_temporary, f.parts))
        and _is_run(f)
        and not _is_fold(f)
    }
    if not made:
        raise CheckpointError(
            "there is no run in ./outputs; name its folder, or start one with `snnrun train`"
        )
    able = [f for f in made if name not in NEEDED or NEEDED[name](RunPaths(f)).exists()]
    return max(able or made, key=lambda f: (made[f], str(f)))


def _is_run(folder: Path) -> bool:
    with suppress(OSError):  # a folder that may not be looked into
        return RunPaths(folder).overrides.exists() and not FoldPaths(folder).begun
    return False


def _is_fold(folder: Path) -> bool:
    return FoldPaths(folder.parent).begun


def _is_folder(path: Path) -> bool:
    try:
        return path.is_dir()
    except OSError:  # a name that is too long for one, a folder that may not be looked into
        return False


def _is_setting(word: str) -> bool:
    """Return whether a word could be KEY=VALUE of a key that there is."""
    key, equals, _ = word.partition("=")
    return bool(equals) and (key in SCHEMA or key in ALIASES)


def _other_reading(word: str, name: str) -> str:
    """Return how to mean the key where a folder has the name KEY=VALUE."""
    key = word.partition("=")[0]
    return f"to set {key}, give the folder of the run first: {command(name, 'RUN', word)}"


def load(folder: Path, overrides: Sequence[str], command: str, keep: bool) -> Config:
    """Return the configuration of the run in ``folder`` with ``overrides``.

    Args:
        folder: The run folder.
        overrides: KEY=VALUE, only of keys that the schema lets ``command`` change.
        command: resume or test.
        keep: Write the overrides to the run folder, so that a later resume uses them too.

    Raises:
        ConfigError: An override that is not allowed, or a configuration that is wrong.
    """
    earlier_file = RunPaths(folder).resumed
    earlier = words_in(load_config(earlier_file)) if earlier_file.exists() else []
    saved = load_config(RunPaths(folder).config)
    if not (isinstance(saved, DictConfig) and "backend" in saved):
        raise ConfigError(f"{RunPaths(folder).config}: holds no configuration of a run")
    values = at_home(flat(saved), folder)
    if RunPaths(folder).network.is_file():
        values["network.file"] = str(RunPaths(folder).network)
    if command == "test":  # in a training run these say what it started from
        values |= {"LOAD_LAST": False, "LOAD_BEST": False}
    overrides = [as_typed(word) for word in overrides]
    given = read_overrides(overrides, command, values)
    values |= dict(read_overrides(earlier, "resume", values) + given)
    _forget_other_backends(values, {name for name, _ in given})
    config = validate(values)
    if keep and values.get("MODEL_SEED") != config.MODEL_SEED:  # killed before it was written
        saved["MODEL_SEED"] = config.MODEL_SEED
        save_config(saved, RunPaths(folder).config)
    if keep and overrides:
        save_config(OmegaConf.create([*earlier, *overrides]), earlier_file)
    return config


@contextmanager
def going_on(folder: Path, overrides: Sequence[str]) -> Iterator[Config]:
    """Give the configuration with which a run goes on, and keep ``overrides`` in its folder.

    What is refused before the training goes on is not kept, or all later resumes would be too.

    Raises:
        ConfigError: As ``load``.
    """
    file = RunPaths(folder).resumed
    earlier = file.read_bytes() if file.exists() else None
    config = load(folder, overrides, "resume", keep=True)
    try:
        yield config
    except SnnrunError as error:
        if overrides and not error.in_training:
            _put_back(file, earlier)
        raise


def _put_back(file: Path, content: bytes | None) -> None:
    if content is None:
        file.unlink(missing_ok=True)
        return
    with atomic_file(file) as written:
        written.write(content)


def _forget_other_backends(values: dict[str, Any], given: set[str]) -> None:
    """Take out saved keys that only another backend has, unless they were given anew."""
    chosen = {"backend.name": values["backend.name"]}
    for name, key in SCHEMA.items():
        theirs = [c for c in key.active_if if c.key == "backend.name"]
        if theirs and name not in given and not any(c.holds(chosen) for c in theirs):
            values.pop(name, None)


def read_overrides(
    overrides: Sequence[str], command: str, run: Mapping[str, Any]
) -> list[tuple[str, Any]]:
    """Return (key, value) of each override of the saved configuration ``run``.

    Raises:
        ConfigError: With a line for each that is not KEY=VALUE, or whose key may not change.
    """
    wrong, pairs = [], []
    for text, override in zip(overrides, parse(overrides), strict=True):
        name = override.key_or_group
        name = GROUPS.get(name, ALIASES.get(name, name))
        problem = _why_not(override, name, command, run)
        if problem:
            known = name in SCHEMA or of_mapping(name)
            wrong.append(f"{text}: {problem}" if known else problem)
        else:
            pairs.append((name, override.value()))
    if wrong:
        raise ConfigError(listed(wrong, "on the command line"))
    return pairs


def setting_of(folder: Path, config: Config) -> Setting:
    """Return where the values of a run are from, as far as its folder says it.

    Hydra notes what it composed; `snnrun.train` writes what it took as an override.
    """
    noted = RunPaths(folder).composed
    if noted.is_file():
        origin = Origin.of(load_config(noted).hydra)
        suits = origin.suits(config.rule.name)
        return Setting(preset=origin.preset if suits else NONE, by_default=origin.by_default)
    for word in words_in(load_config(RunPaths(folder).overrides)):
        group, _, name = word.partition("=")
        if group in ("preset", "dataset"):
            return Setting(preset=name, by_default=group == "dataset")
    return Setting(preset=None)


def log_to(folder: Path) -> None:
    """Append Python's log messages to run.log of the run, as Hydra does in `snnrun train`."""
    handler = logging.FileHandler(RunPaths(folder).log, delay=True)
    handler.setFormatter(logging.Formatter(LOG_FORMAT))
    root = logging.getLogger()
    root.setLevel(logging.INFO)
    root.addHandler(handler)


def changeable(command: str) -> list[str]:
    """Return the keys that ``command`` may change of a run."""
    return [name for name, key in SCHEMA.items() if command in key.changeable]


def describe_changeable(command: str) -> str:
    """Return these keys as a paragraph for help texts."""
    names = ", ".join(changeable(command))
    return textwrap.fill(names, 96, initial_indent="  ", subsequent_indent="  ")


def _used(names: Sequence[str], run: Mapping[str, Any]) -> list[str]:
    """Return those of the keys ``names`` that have an effect in the run."""
    try:
        config = validate(run)
    except ConfigError:  # what is wrong with it is told once its overrides are right
        return list(names)
    used = used_keys(config.by_key())
    return [name for name in names if name in used]


def _why_not(override: Any, name: str, command: str, run: Mapping[str, Any]) -> str:
    if override.is_sweep_override():
        return "one run is one configuration; give one value"
    if override.is_add() or override.is_delete() or override.package is not None:
        return f"{command} takes KEY=VALUE only"
    if name in SCHEMA and command in SCHEMA[name].changeable:
        return ""
    if name in SCHEMA or of_mapping(name):
        return (
            f"cannot be changed by `snnrun {command}`, since the run would no longer be the same; "
            f"it can change: {', '.join(_used(changeable(command), run))}"
        )
    if name.split(".")[0] in ("hydra", "preset") or f"{name}.name" in SCHEMA:
        return f"{name}: `snnrun {command}` takes single keys, not groups"
    return unknown_key(name, value_text(override))


def nothing_left(config: Config, folder: Path) -> str:
    """Return that the run has finished and how to go on, or "" if epochs or its test are left.

    Args:
        config: The configuration that the run would go on with.
        folder: The run folder.
    """
    if not RunPaths(folder).run.exists():
        return ""
    run = load_run(folder)
    done = len(run.epochs.get("epoch", ()))
    ended, more = f"all of its {done} epochs are done", [f"N_EPOCH={2 * done}"]
    if done < config.N_EPOCH:  # by a setting, unless somebody wanted it to end where it did
        about = run.epochs, config, run.task
        ended, more = out_of_patience(*about), to_go_on(*about)
    if not run.finished or done > config.N_EPOCH or not ended:
        return ""
    return (
        f"{folder}: finished, {ended}; nothing was changed. To train it for longer:\n"
        f"  {command('resume', folder, *more)}"
    )
