"""Commands that the program prints: whoever pastes one into a shell gets what it says."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

PROGRAM = "snnrun"
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


class Line(str):
    """A line that is there to be copied: whatever lays texts out breaks it nowhere."""

    __slots__ = ()


def command(*words: str | Path) -> Line:
    """Return the command line of this program with these arguments, quoted for the shell.

    A Path is an argument that names a folder or file; where it begins like an option, or would be
    taken for KEY=VALUE or for a home folder, it is written so that it is not.
    """
    texts = (argument(word) if isinstance(word, Path) else str(word) for word in words)
    return Line(" ".join([PROGRAM, *map(quoted, texts)]))


def quoted(word: str) -> str:
    """Return one word as a shell (sh, bash, zsh) reads it back."""
    if not _CONTROL.search(word):
        return shlex.quote(word)
    escaped = word.replace("\\", "\\\\").replace("'", "\\'")  # $'...' keeps it on one line
    return "$'" + _CONTROL.sub(lambda found: f"\\x{ord(found[0]):02x}", escaped) + "'"


def argument(path: Path) -> str:
    """Return ``path`` as an argument that can only be a path."""
    text = str(path)
    misread = text.startswith(("-", "~")) or "=" in text.partition("/")[0]
    return f"./{text}" if misread else text


def setting(name: str, value: object) -> str:
    """Return NAME=VALUE for a text or path, as the command line takes it (one word, unquoted).

    Texts are taken as they are typed, but for those that look quoted and for ``${...}``, which
    Hydra reads first: these come back in Hydra's own quotes.
    """
    text = str(value)
    if "${" in text:
        text = hydra_quoted(literal(text))
    elif text.startswith(("'", '"')):
        text = hydra_quoted(text)
    return f"{name}={text}"


def hydra_quoted(text: str) -> str:
    """Return ``text`` in quotes, as Hydra reads it back."""
    from hydra.core.override_parser.types import Quote, QuotedString

    return QuotedString(text=text, quote=Quote.double).with_quotes()


def literal(text: str) -> str:
    """Return ``text`` so that OmegaConf reads no interpolation in it: ``${`` becomes ``\\${``."""
    return re.sub(r"(\\*)\$\{", lambda found: f"{found[1] * 2}\\${{", text)
