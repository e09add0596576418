"""What real runs notice is in the terminal, in run.log, in run.h5, and counted at the end."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from runs import small

from snnrun.config import Config
from snnrun.datasets import load
from snnrun.datasets.spikes import Splits
from snnrun.notice import Notice
from snnrun.record import load_run
from snnrun.run import train


def test_what_is_noticed_in_the_data_is_shown_logged_and_kept(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    odd = Notice(what="odd data", message="a third of the spikes are odd", share=1 / 3)

    def read(config: Config) -> Splits:
        return replace(load(config), notices=(odd,))

    for resume in (False, True):
        train(small(N_EPOCH=1 + resume), tmp_path, resume, read=read)
        said = capsys.readouterr().out
        log = (tmp_path / "run.log").read_text()
        assert log.count(f"warning: {odd.message}\n") == 1 + resume
        assert said.count(f"\nwarning: {odd.message}\n") == 1
        assert said.index("odd") < said.index("\nepoch ")
        assert "  warnings    odd data: before the first epoch\n" in said
    found = load_run(tmp_path).warnings
    assert found["what"].tolist() == ["odd data"]
    assert found["share"].tolist() == [1 / 3]
