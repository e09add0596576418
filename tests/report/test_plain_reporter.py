from __future__ import annotations

import io
import os
import subprocess
import sys

import pytest
from test_report_format import ROW

from snnrun import __version__
from snnrun.report.live import LiveReporter
from snnrun.report.plain import PlainReporter
from snnrun.report.reporter import Progress
from snnrun.report.terminal import Together, make_reporter


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


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


def test_lines_of_a_whole_run() -> None:
    out = io.StringIO()
    reporter = PlainReporter(out)
    reporter.start({"data": "yinyang, 5,000 examples", "network": ["5 > 200 > 3", "1,600 weights"]})
    reporter.build("compiled in 3.2 s")
    reporter.epoch(ROW, seconds_left=92.0)
    reporter.epoch({**ROW, "epoch": 13}, seconds_left=0.0, best=True)
    reporter.warning("12 spikes were lost")
    reporter.finish({"test": "98.10% accuracy", "look": "snnrun test outputs/run"})
    reporter.close()
    assert out.getvalue() == (
        f"snnrun {__version__}\n"
        "  data        yinyang, 5,000 examples\n"
        "  network     5 > 200 > 3\n"
        "              1,600 weights\n"
        "  build       compiled in 3.2 s\n"
        "\n"
        "* marks the best epoch so far\n"
        "                 train       validation  spikes silent learning   epoch    time\n"
        "epoch     loss     acc     loss     acc /neuron  neur.     rate    took    left\n"
        "   12   0.0412  98.12%   0.0524  97.90%    1.23     12 5.00e-03   1.23s    1:32\n"
        "*  13   0.0412  98.12%   0.0524  97.90%    1.23     12 5.00e-03   1.23s   0.00s\n"
        "warning: 12 spikes were lost\n"
        "\n"
        "finished\n"
        "  test        98.10% accuracy\n"
        "  look        snnrun test outputs/run\n"
    )


def test_interrupted_run_says_how_to_go_on() -> None:
    out = io.StringIO()
    PlainReporter(out).interrupted("snnrun resume outputs/run")
    assert out.getvalue() == "\nstopped: snnrun resume outputs/run\n"


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
        "import sys; from snnrun.report.plain import PlainReporter\n"
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
        "import sys; from snnrun.report.terminal import make_reporter; make_reporter();"
        "assert 'rich' not in sys.modules"
    )
    environment = {**os.environ, "TERM": "xterm"}
    subprocess.run(
        [sys.executable, "-c", script], check=True, env=environment, stdout=subprocess.PIPE
    )


def test_reporters_together_say_the_same() -> None:
    outs = [io.StringIO(), io.StringIO()]
    clock = Clock()
    both = Together([PlainReporter(out, clock) for out in outs])
    both.start({"data": "d"})
    both.build("b")
    clock.now += 10
    both.progress(progress(1))
    both.epoch(ROW, seconds_left=1.0, best=True)
    both.warning("w")
    both.interrupted("go on")
    both.finish({"test": "t"})
    both.close()
    assert outs[0].getvalue() == outs[1].getvalue()
    for part in ("data", "build", "examples/s", "*  12", "warning", "go on", "finished"):
        assert part in outs[0].getvalue()
