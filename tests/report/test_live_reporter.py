from __future__ import annotations

import io

import pytest
from rich.console import Console
from test_plain_reporter import Clock, progress
from test_report_format import ROW

from snnrun.report.live import REFRESH_S, LiveReporter, _picture
from snnrun.tasks import CLASSIFICATION


@pytest.fixture
def console() -> Console:
    return Console(
        file=io.StringIO(), record=True, force_terminal=True, width=80, color_system="truecolor"
    )


def test_whole_run_fits_80_columns(console: Console) -> None:
    reporter = LiveReporter(console=console)
    reporter.start({"data": "yinyang, 5,000 training examples " * 4})
    reporter.build("compiled in 3.2 s")
    for epoch in range(3):
        reporter.epoch({**ROW, "epoch": epoch}, seconds_left=92.0, best=epoch == 1)
    spread = {f"spikes_per_neuron_{name}/hidden": 10.0 for name in ("std", "min", "max")}
    reporter.epoch({**ROW, **spread, "rewired_neurons/hidden": 7})
    reporter.warning("12 spikes were lost")
    reporter.finish({"test": "98.10% accuracy"})
    lines = console.export_text().splitlines()
    assert max(len(line) for line in lines) <= 80
    assert (
        "*   1   0.0412  98.12%   0.0524  97.90%    1.23     12 5.00e-03   1.23s    1:32" in lines
    )
    assert "  hidden: 7 silent neurons rewired before this epoch" in lines
    assert "  hidden train       spikes 1.23  sd 10.00  min 10.00  max 10.00  silent 12" in lines
    assert any(line.split()[:1] == ["epoch"] and line.endswith("left") for line in lines)
    assert lines[-2:] == ["finished", "  test        98.10% accuracy"]


@pytest.mark.parametrize("width", [40, 60, 72])
def test_the_table_has_the_columns_that_a_narrow_terminal_has_room_for(width: int) -> None:
    console = Console(file=io.StringIO(), record=True, force_terminal=True, width=width)
    reporter = LiveReporter(console=console)
    reporter.epoch(ROW, seconds_left=92.0, best=True)
    _, _, above, below, row = console.export_text().splitlines()
    assert len(above) == len(below) == len(row) <= width
    assert row.split()[:2] == ["*", "12"]
    assert {"98.12%", "97.90%"} <= set(row.split())
    assert ("loss" in below[:20], "rate" in below) == (width == 72, False)


def test_display_shows_phase_and_whole_run(console: Console) -> None:
    clock = Clock()
    reporter = LiveReporter(console=console, clock=clock)
    reporter.progress(progress(2_500))
    shown = console.export_text().splitlines()
    assert shown[0].split()[:3] == ["epoch", "3", "train"]
    assert "2,500/5,000" in shown[0]
    assert "loss 0.4123" in shown[0]
    assert "12.3k/s" in shown[0]
    assert shown[1].startswith("whole run")
    assert "3/10 epochs" in shown[1]
    assert "1:32 left" in shown[1]
    assert len({line.index("━") for line in shown[:2]}) == 1  # the bars stand below each other
    reporter.close()


def test_epochs_scroll_above_the_display(console: Console) -> None:
    reporter = LiveReporter(console=console)
    reporter.progress(progress(5_000))
    console.export_text()
    reporter.epoch(ROW)
    shown = console.export_text()
    assert shown.index("   12   0.0412") < shown.rindex("epoch 3 train")
    reporter.close()


def test_bar_of_the_run_does_not_go_back_when_validation_begins() -> None:
    filled = []
    for phase, done in (("train", 0), ("train", 5_000), ("validation", 0), ("validation", 5_000)):
        picture = _picture(progress(done)._replace(phase=phase, epoch=4), CLASSIFICATION)
        phase_bar, run_bar = picture.columns[1].cells
        assert phase_bar.completed == done
        filled.append(run_bar.completed)
    assert filled == [4, 5, 5, 5]


def test_display_is_drawn_five_times_a_second_at_most(console: Console) -> None:
    clock = Clock()
    reporter = LiveReporter(console=console, clock=clock)
    pictures = 0
    for call in range(1_000):
        clock.now = 100 + call * 0.002
        before = console.file.tell()
        reporter.progress(progress(call))
        pictures += console.file.tell() > before
    assert pictures == round(2.0 / REFRESH_S)
    reporter.close()


def test_terminal_is_given_back(console: Console) -> None:
    reporter = LiveReporter(console=console)
    reporter.progress(progress(1))
    assert console.file.getvalue().count("\x1b[?25l") == 1  # cursor hidden
    reporter.close()
    reporter.close()
    assert console.file.getvalue().count("\x1b[?25h") == 1


def test_interrupted_run_says_how_to_go_on(console: Console) -> None:
    reporter = LiveReporter(console=console)
    reporter.progress(progress(1))
    reporter.interrupted("snnrun resume outputs/a-path-that-is-long/" + "x" * 60)
    assert "stopped: snnrun resume outputs/a-path-that-is-long/xxx" in console.export_text()
    assert "\x1b[?25h" in console.file.getvalue()


class Gone(io.StringIO):
    """A terminal that has been closed."""

    def write(self, text: str) -> int:
        raise OSError(5, "Input/output error")


def test_run_goes_on_when_the_terminal_is_gone() -> None:
    clock = Clock()
    reporter = LiveReporter(console=Console(file=Gone(), force_terminal=True), clock=clock)
    reporter.start({"data": "d"})
    for _ in range(3):
        clock.now += 1
        reporter.progress(progress(1))
        reporter.epoch(ROW)
    reporter.finish({"test": "t"})
    reporter.close()
