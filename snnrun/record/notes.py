"""``notes.json`` in a run folder: what people have noted about the run, each with its time."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass

from snnrun.files import atomic_file, one_at_a_time
from snnrun.record.evaluation import now
from snnrun.record.paths import RunPaths


@dataclass(frozen=True, kw_only=True)
class Note:
    """A note: what it says, and when it was written, as ISO 8601."""

    when: str
    text: str

    def __str__(self) -> str:
        return f"{self.when[:16].replace('T', ' ')}: {self.text}"


def read_notes(paths: RunPaths) -> tuple[Note, ...]:
    """Return the notes of a run, oldest first; none where their file cannot be read."""
    try:
        return tuple(Note(**note) for note in json.loads(paths.notes.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return ()


def add_note(paths: RunPaths, text: str) -> None:
    """Add a note, also while the run goes on, and while somebody else adds one.

    Raises:
        RecordError: The folder cannot be written.
    """
    with one_at_a_time(paths.root):
        notes = [asdict(note) for note in (*read_notes(paths), Note(when=now(), text=text))]
        with atomic_file(paths.notes) as file:
            file.write(json.dumps(notes, indent=1).encode("utf-8", "backslashreplace"))
