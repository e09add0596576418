from __future__ import annotations

from pathlib import Path

from snnrun.record.paths import SPIKES, WEIGHTS, RunPaths, epoch_name, part_name


def test_names_are_those_of_the_documentation() -> None:
    paths = RunPaths("outputs/run")
    assert paths.run == Path("outputs/run/run.h5")
    assert paths.last == Path("outputs/run/checkpoints/last.h5")
    assert paths.best == Path("outputs/run/checkpoints/best.h5")
    assert paths.config == Path("outputs/run/.hydra/config.yaml")
    assert paths.index(SPIKES) == Path("outputs/run/spikes.h5")
    assert paths.part(SPIKES, 3, 7) == Path("outputs/run/records/spikes/e00003_t000007.h5")
    assert epoch_name(12) == "e00012"


def test_parts_are_found_in_the_order_in_which_they_were_recorded(tmp_path: Path) -> None:
    paths = RunPaths(tmp_path)
    cursors = [(0, 0), (0, 10), (2, 3), (10, 1), (123_456, 1_234_567)]
    assert paths.parts(WEIGHTS) == {}
    paths.part_folder(WEIGHTS).mkdir(parents=True)
    for cursor in reversed(cursors):
        paths.part(WEIGHTS, *cursor).touch()
    (paths.part_folder(WEIGHTS) / f".{part_name(1, 1)}.h5.0123abcd.tmp").touch()
    assert list(paths.parts(WEIGHTS)) == cursors
    assert paths.parts(WEIGHTS)[2, 3] == paths.part(WEIGHTS, 2, 3)
