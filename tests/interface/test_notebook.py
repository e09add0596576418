"""The notebook of the documentation runs from its first cell to its last, as it is."""

from __future__ import annotations

from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

NOTEBOOK = Path(__file__).parents[2] / "docs" / "notebook.ipynb"


@pytest.mark.long
def test_the_notebook_runs_and_shows_what_it_showed(tmp_path: Path) -> None:
    shown = nbformat.read(NOTEBOOK, as_version=4)
    again = nbformat.read(NOTEBOOK, as_version=4)
    NotebookClient(again, timeout=300, resources={"metadata": {"path": tmp_path}}).execute()
    for one, other in zip(shown.cells, again.cells, strict=True):
        if one.cell_type != "code":
            continue
        kinds = [
            {kind for out in cell.outputs for kind in out.get("data", ())} for cell in (one, other)
        ]
        assert kinds[0] <= kinds[1], one.source
        assert bool(one.outputs) == bool(other.outputs), one.source
        assert not any(out.output_type == "error" for out in other.outputs)
