"""Commands that the program prints: whoever pastes one into a shell gets what it says."""

from __future__ import annotations

import math
import re
import shlex
import shutil
import sys
import textwrap
from pathlib import Path

PROGRAM = "snnrun"
LONGEST = 92
_QUOTE = re.compile(r"`[^`]+`")
_BLANK = "\ue000"  # of the private letters of Unicode, so that no text has it
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


def text_width() -> int:
    """Return how wide texts are laid out: LONGEST, or less on a terminal that is narrower."""
    return int(min(LONGEST, terminal_width()))


def terminal_width() -> float:
    """Return how many characters a line of the terminal has; of a file or pipe without end."""
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else math.inf


def wrapped(text: str, width: int, first: str = "", rest: str = "") -> list[str]:
    """Return a text as lines of ``width``, broken between words.

    A Line stays whole, and so does what stands in backquotes, as commands in messages do.

    Args:
        text: What to lay out.
        width: Of a line, in characters; a longer word gets a line of its own.
        first: What the first line begins with.
        rest: What the further lines begin with.
    """
    if isinstance(text, Line):
        return [f"{first}{text}"]
    kept = _QUOTE.sub(lambda found: found[0].replace(" ", _BLANK), text)
    lines = textwrap.wrap(
        kept,
        max(width, len(first) + 1, len(rest) + 1),
        initial_indent=first,
        subsequent_indent=rest,
        break_long_words=False,
        break_on_hyphens=False,
    )
    return [line.replace(_BLANK, " ") for line in lines] or [first.rstrip()]


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
