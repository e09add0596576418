"""`snnrun presets`: the settings of published results, with the results and where they are from."""

from __future__ import annotations

from collections.abc import Sequence
from fnmatch import fnmatchcase

from snnrun.errors import ConfigError, did_you_mean
from snnrun.presets import Preset, presets
from snnrun.shell import Line, command, text_width, wrapped

TAKEN = (
    "Recommended ones are taken where none is given, as in `snnrun train dataset=shd`; with\n"
    "preset=none all keys have the values of the data set's table."
)
HELP = """\
usage: snnrun presets [PATTERN ...]

Lists the presets: of each data set first the recommended one, which has its name and is taken where
no preset is given, and then those of published results. With a name, a part of one or a pattern
with * and ?: of those that match also the source, what they gave here, and the run time.

examples:
  snnrun presets
  snnrun presets mnist
  snnrun presets yinyang_wp2021
"""


def run(arguments: Sequence[str]) -> int:
    if arguments:
        chosen = {preset.name: preset for word in arguments for preset in matching(word)}
        print("\n\n".join(describe(preset) for preset in chosen.values()))
        return 0
    width = max(len(preset.name) for preset in presets())
    for preset in presets():
        print(f"  {preset.name:<{width}}  {_result(preset)}".rstrip())
    print(
        f"\n{TAKEN}\nStart another with: snnrun train preset=NAME. `snnrun presets NAME` says more."
    )
    return 0


def _result(preset: Preset) -> str:
    """Return what the list says of a preset beside its name."""
    if preset.recommended:
        here = f", test {preset.figure_here} here" if preset.figure_here else ""
        return f"recommended{here}"
    return f"test {preset.figure} published" if preset.figure else ""


def matching(pattern: str) -> list[Preset]:
    """Return the presets that ``pattern`` names: one by its full name, else all that contain it.

    The name of a data set is contained in those of its presets.

    Raises:
        ConfigError: There is none.
    """
    names = {preset.name: preset for preset in presets()}
    if pattern in names and not names[pattern].recommended:
        return [names[pattern]]
    glob = pattern if any(c in pattern for c in "*?[") else f"*{pattern}*"
    found = [preset for name, preset in names.items() if fnmatchcase(name, glob)]
    if not found:
        raise ConfigError(
            f"{pattern}: there is no such preset.{did_you_mean(pattern, names)} "
            "`snnrun presets` lists them all"
        )
    return found


def describe(preset: Preset) -> str:
    """Return all that is known of a preset."""
    texts = {
        "published": preset.published,
        "here": preset.here,
        "chosen": preset.chosen,
        "run time": preset.run_time,
        "source": preset.source,
        "rules": ", ".join(preset.rules),
        "needs": preset.needs,
        "start": command("train", f"preset={preset.name}"),
    }
    lines = [preset.name]
    for label, text in texts.items():
        if text:
            line = f"{label}: {text}"
            line = Line(line) if isinstance(text, Line) else line
            lines += wrapped(line, text_width(), "    ", "      ")
    return "\n".join(lines)
