"""What a run says while it goes on: in plain lines, and on a terminal."""

from __future__ import annotations

import io
import os
import subprocess
import sys

import pytest
from rich.console import Console
from test_report_format import ROW

from snnrun import __version__
from snnrun.tasks import CLASSIFICATION
from snnrun.terminal.choice import Together, make_reporter
from snnrun.terminal.live import REFRESH_S, LiveReporter, _picture
from snnrun.terminal.plain import PlainReporter
from snnrun.terminal.reporter import Progress, Reporter


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def console() -> Console:
    return Console(
        file=io.StringIO(), record=True, force_terminal=True, width=80, color_system="truecolor"
    )


def progress(done: int) -> Progress:
    return Progress(
        epoch=3,
        epochs=10,
        phase="train",
        done=done,
        total=5000,
        loss=0.41234,
        score=0.5,
        examples_per_second=12_345.0,
        seconds_left=92.0,
    )


def tell_of_a_run(reporter: Reporter) -> None:
    reporter.start({"data": "yinyang, 5,000 examples " * 4, "network": ["5 > 200 > 3", "weights"]})
    reporter.build("compiled in 3.2 s")
    reporter.epoch(ROW, seconds_left=92.0)
    spread = {f"spikes_per_neuron_{name}/hidden": 10.0 for name in ("std", "min", "max")}
    more = {**ROW, **spread, "epoch": 13, "rewired_neurons/hidden": 7}
    reporter.epoch(more, seconds_left=0.0, best=True)
    reporter.warning("12 spikes were lost")
    reporter.interrupted("snnrun resume outputs/a-path-that-is-long/" + "x" * 60)
    reporter.finish({"test": "98.10% accuracy", "look": "snnrun test outputs/run"})
    reporter.close()


def test_a_run_is_told_in_the_same_lines_in_a_file_and_on_a_terminal(console: Console) -> None:
    out = io.StringIO()
    tell_of_a_run(PlainReporter(out))
    assert out.getvalue() == (
        f"snnrun {__version__}\n"
        "  data        yinyang, 5,000 examples yinyang, 5,000 examples yinyang, 5,000\n"
        "              examples yinyang, 5,000 examples\n"
        "  network     5 > 200 > 3\n"
        "              weights\n"
        "  build       compiled in 3.2 s\n"
        "\n"
        "* marks the best epoch so far\n"
        "                 train       validation  spikes silent learning   epoch    time\n"
        "epoch     loss     acc     loss     acc /neuron  neur.     rate    took    left\n"
        "   12   0.0412  98.12%   0.0524  97.90%    1.23     12 5.00e-03   1.23s    1:32\n"
        "*  13   0.0412  98.12%   0.0524  97.90%    1.23     12 5.00e-03   1.23s   0.00s\n"
        "  hidden: 7 silent neurons rewired before this epoch\n"
        "  hidden train       spikes 1.23  sd 10.00  min 10.00  max 10.00  silent 12\n"
        "warning: 12 spikes were lost\n"
        "\n"
        "stopped: snnrun resume outputs/a-path-that-is-long/" + "x" * 60 + "\n"
        "\n"
        "finished\n"
        "  test        98.10% accuracy\n"
        "  look        snnrun test outputs/run\n"
    )
    tell_of_a_run(LiveReporter(console=console))
    assert console.export_text() == out.getvalue()


def test_progress_is_told_every_ten_seconds_at_most() -> None:
    out, clock = io.StringIO(), Clock()
    reporter = PlainReporter(out, clock)
    for second in range(35):
        clock.now = 100.0 + second
        reporter.progress(progress(10 * second))
    lines = out.getvalue().splitlines()
    assert lines[0] == (
        "epoch 3 train 100/5,000  loss 0.4123  acc 50.00%  12.3k examples/s  time left 1:32"
    )
    assert [line.split()[3] for line in lines] == ["100/5,000", "200/5,000", "300/5,000"]


def test_no_progress_is_told_while_epochs_are_short() -> None:
    out, clock = io.StringIO(), Clock()
    reporter = PlainReporter(out, clock)
    for epoch in range(20):
        clock.now += 4.0
        reporter.progress(progress(100))
        clock.now += 4.0
        reporter.epoch({**ROW, "epoch": epoch})
    assert "examples/s" not in out.getvalue()


def test_text_that_the_encoding_lacks_does_not_stop_the_run() -> None:
    raw = io.BytesIO()
    reporter = PlainReporter(io.TextIOWrapper(raw, encoding="ascii"))
    reporter.warning("größer")
    assert raw.getvalue() == b"warning: gr??er\n"


def test_run_goes_on_when_nobody_reads_its_lines() -> None:
    script = (
        "import sys; from snnrun.terminal.plain import PlainReporter\n"
        "reporter = PlainReporter(sys.stdout)\n"
        "input()\n"
        "for _ in range(3): reporter.warning('x' * 100_000)\n"
        "sys.stderr.write('went on')\n"
    )
    pipe = subprocess.PIPE
    process = subprocess.Popen(
        [sys.executable, "-c", script], stdin=pipe, stdout=pipe, stderr=pipe, text=True
    )
    process.stdout.close()
    assert process.communicate("\n")[1] == "went on"
    assert process.returncode == 0


def test_closed_stream_falls_silent() -> None:
    out = io.StringIO()
    reporter = PlainReporter(out)
    out.close()
    reporter.warning("nobody hears this")


@pytest.mark.parametrize(
    ("stream", "variables", "expected"),
    [
        (io.StringIO(), {"TERM": "xterm"}, PlainReporter),
        (Terminal(), {"TERM": "dumb"}, PlainReporter),
        (Terminal(), {"TERM": "xterm", "NO_COLOR": "1"}, PlainReporter),
        (Terminal(), {"TERM": "xterm"}, LiveReporter),
        (Terminal(), {"TERM": "xterm", "NO_COLOR": ""}, LiveReporter),
    ],
)
def test_live_display_needs_a_terminal_that_can_do_it(
    monkeypatch: pytest.MonkeyPatch, stream: io.StringIO, variables: dict, expected: type
) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert type(make_reporter(stream)) is expected


def test_rich_is_not_imported_without_a_terminal() -> None:
    script = (
        "import sys; from snnrun.terminal.choice import make_reporter; make_reporter();"
        "assert 'rich' not in sys.modules"
    )
    environment = {**os.environ, "TERM": "xterm"}
    subprocess.run(
        [sys.executable, "-c", script], check=True, env=environment, stdout=subprocess.PIPE
    )


def test_reporters_together_say_the_same() -> None:
    outs, clock = [io.StringIO(), io.StringIO()], Clock()
    both = Together([PlainReporter(out, clock) for out in outs])
    clock.now += 10
    both.progress(progress(1))
    tell_of_a_run(both)
    assert outs[0].getvalue() == outs[1].getvalue()
    for part in ("examples/s", "data", "build", "*  13", "warning", "stopped", "finished"):
        assert part in outs[0].getvalue()


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


def test_an_interrupted_run_gives_the_terminal_back(console: Console) -> None:
    reporter = LiveReporter(console=console)
    reporter.progress(progress(1))
    reporter.interrupted("go on")
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
