"""`snnrun note`: write down something about a run."""

from __future__ import annotations

from collections.abc import Sequence

from snnrun.errors import ConfigError
from snnrun.shell import command

HELP = """\
usage: snnrun note RUN ["TEXT"]

Adds a note to the run in folder RUN, with the time; there may be several, and the run may go on
meanwhile. `snnrun runs` shows them. Without a text, shows those of the run.

examples:
  snnrun note outputs/2026-11-21/18-03-12-123456 "figure 3; learning rate too high?"
  snnrun note outputs/2026-11-21/18-03-12-123456
"""


def run(arguments: Sequence[str]) -> int:
    from snnrun.commands.saved_run import names_folder, run_folder
    from snnrun.record.notes import add_note, read_notes
    from snnrun.record.paths import RunPaths

    if not arguments or not names_folder(arguments[0]):
        raise ConfigError('snnrun note takes a run folder and a text: snnrun note RUN "..."')
    folder, *words = arguments
    if len(words) > 1:
        whole = command("note", folder, " ".join(words))
        raise ConfigError(f"a note is one text; put it in quotes: {whole}")
    paths = RunPaths(run_folder(folder, "note"))
    if words and not words[0].strip():
        raise ConfigError("the note is empty; without a text, `snnrun note RUN` shows all notes")
    for text in words:
        add_note(paths, " ".join(text.split()))
    for note in read_notes(paths):
        print(note)
    return 0
