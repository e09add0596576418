"""Dotted names to objects: how a user's own neurons, losses and data sets are found."""

from __future__ import annotations

import sys
import sysconfig
import traceback
from collections.abc import Iterable, Iterator, Mapping
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any, TypeVar

from snnrun.errors import ConfigError, SnnrunError, did_you_mean

Kind = TypeVar("Kind")

OURS = ("snnrun", "hydra_plugins")


def load_object(name: str, where: str) -> Any:
    """Return the object that the dotted ``name`` stands for, as in ``mylab.neurons.alif2``.

    ``where`` names the config key that holds it, for the message of the ConfigError that is raised
    when the module or the object in it does not exist.
    """
    module_name, _, attribute = name.rpartition(".")
    if not module_name:
        raise ConfigError(
            f"{where}={name}: no built-in name, and no dotted path such as mylab.neurons.{name}"
        )
    try:
        module = import_module(module_name)
    except ModuleNotFoundError as error:
        if error.name is not None and not module_name.startswith(error.name):
            raise ConfigError(f"{where}={name}: importing {module_name} failed: {error}") from error
        raise ConfigError(
            f"{where}={name}: there is no module {module_name!r}. Modules are looked for in the "
            "current folder and in the installed packages"
        ) from error
    except SnnrunError as error:  # a declaration in it is wrong
        raise ConfigError(f"{where}={name}: importing {module_name} failed: {error}") from error
    except Exception as error:  # of the user's module
        raise ConfigError(
            f"{where}={name}: importing {module_name} failed: {where_and_what(error)}"
        ) from error
    try:
        return getattr(module, attribute)
    except AttributeError:
        public = [n for n in vars(module) if not n.startswith("_")]
        raise ConfigError(
            f"{where}={name}: module {module_name!r} ({module.__file__}) has no {attribute!r}."
            + did_you_mean(attribute, public)
        ) from None


def find(name: str, known: Mapping[str, Kind], kind: type[Kind], where: str) -> Kind:
    """Return the built-in ``known[name]``, or the object of a dotted path, which must be a kind."""
    found = known.get(name) or load_object(name, where)
    if not isinstance(found, kind):
        raise ConfigError(
            f"{where}={name}: must be a snnrun {kind.__name__}, but is {described(found)}"
        )
    return found


def described(found: Any) -> str:
    """Return what kind of object was found in place of another."""
    if isinstance(found, type):
        return f"the class {found.__name__}"
    return f"of type {type(found).__name__}"


def users_modules(names: Iterable[str]) -> Iterator[tuple[str, Path]]:
    """Yield the modules behind dotted names that are not installed, and those that lie beside them.

    Each is given by its path below the folder in which Python found it, and its file. Of a package
    all modules are there, of others those that were imported.
    """
    roots = {folder for name in names if (folder := _folder(_imported(name.rpartition(".")[0])))}
    for name, module in sorted(sys.modules.items()):
        folder = None if "." in name or name == "__main__" else _folder(module)
        if folder not in roots or folder is None:
            continue
        file = getattr(module, "__file__", None)
        package = getattr(module, "__path__", None)
        for path in (
            sorted(Path(next(iter(package))).rglob("*.py")) if package else [Path(str(file))]
        ):
            below = path.relative_to(folder)
            if not any(part.startswith(".") for part in below.parts):
                yield below.as_posix(), path


def _imported(module: str) -> ModuleType | None:
    """Return the package or module with which a dotted name begins; None if there is none."""
    top = module.partition(".")[0]
    try:
        import_module(module)
    except ImportError:
        return None
    return sys.modules[top]


def _folder(top: ModuleType | None) -> Path | None:
    """Return the folder in which Python found a module; None of one that is installed."""
    package, file = getattr(top, "__path__", None), getattr(top, "__file__", None)
    place = next(iter(package), None) if package else file
    if place is None or top is None or top.__name__ in OURS:
        return None
    folder = Path(place).absolute().parent
    inside = {"site-packages", "dist-packages"} & {*folder.parts}
    standard = folder.is_relative_to(sysconfig.get_path("stdlib"))
    return None if inside or standard else folder


def where_and_what(error: Exception, file: str = "") -> str:
    """Return an error as the end of its traceback has it: the place, and what it is.

    The place is the innermost one in ``file``, or the innermost of all where there is none.
    """
    what = "".join(traceback.format_exception_only(error)).strip()
    if isinstance(error, SyntaxError):  # has its place within
        return what
    frames = traceback.extract_tb(error.__traceback__)
    frame = ([frame for frame in frames if frame.filename == file] or frames)[-1]
    return f'File "{frame.filename}", line {frame.lineno}: {what}'
