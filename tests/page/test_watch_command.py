"""`snnrun watch`: who may see the page, and what an open page is told."""

from __future__ import annotations

import json
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator

import pytest
from runs import here

from snnrun.errors import ConfigError, RecordError
from snnrun.page.parts import Page, Section, paragraph
from snnrun.page.server import Live, Server

pytest.importorskip("plotly")


class Run:
    """Stands for a run: what is to be seen of it."""

    def __init__(self) -> None:
        self.epoch, self.broken = 0, False

    def page(self) -> Page:
        if self.broken:
            raise RecordError("is just being written")
        return Page("run", [Section("Run", [paragraph(f"epoch {self.epoch}")])])

    def look(self) -> str:
        return str(self.epoch)


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.setattr("snnrun.page.server.SHARE", 1e9)
    return Run()


@pytest.fixture
def server(run: Run) -> Iterator[Server]:
    with Server(Live(run.page, run.look)) as server:
        threading.Thread(target=server.serve_forever, args=(0.02,)).start()
        yield server
        server.shutdown()


def get(link: str, method: str = "GET") -> tuple[int, str]:
    try:
        with urllib.request.urlopen(
            urllib.request.Request(link, method=method), timeout=20
        ) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def test_nothing_is_served_without_the_token(server: Server) -> None:
    base, _, token = server.link.partition("?token=")
    assert base.startswith("http://127.0.0.1:")
    for link in (base, f"{base}news", f"{base}?token=", f"{base}?token={token[:-1]}"):
        assert get(link)[0] == 403
    assert get(server.link)[0] == 200


def test_it_serves_nothing_but_the_page_and_takes_nothing(server: Server) -> None:
    base, _, token = server.link.partition("?")
    assert get(f"{base}run.h5?{token}")[0] == 404
    assert get(f"{base}../../etc/passwd?{token}")[0] == 404
    for method in ("POST", "PUT", "DELETE"):
        assert get(server.link, method)[0] == 501


def test_an_open_page_is_told_what_has_changed_and_nothing_else(run: Run, server: Server) -> None:
    news = server.link.replace("/?", "/news?")
    status, text = get(news)
    first = json.loads(text)
    assert (status, "epoch 0" in text) == (200, True)
    seen = f"{news}&seen={first['watched']['stamp']}"
    assert get(seen) == (204, "")
    run.epoch = 1
    status, text = get(seen)
    assert (status, "epoch 1" in text) == (200, True)


def test_while_a_file_is_being_replaced_the_page_stays_as_it_was(run: Run, server: Server) -> None:
    run.epoch, run.broken = 1, True
    assert "epoch 0" in get(server.link)[1]
    run.broken = False
    assert "epoch 1" in get(server.link)[1]


def test_a_port_that_is_taken_is_told(run: Run, server: Server) -> None:
    port = server.server_address[1]
    with pytest.raises(
        ConfigError, match=f"no page can be served at 127.0.0.1, port {port}: .*--port"
    ):
        Server(Live(run.page, run.look), port=int(port))


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--port", "x"], "--port x: must be a whole number from 1 to 65535"),
        (["--port", "65536"], "--port 65536: must be"),
        (["a", "b"], "takes one run or sweep"),
        (["nowhere"], "nowhere: does not exist"),
        (["."], "is no run folder"),
        (["ETA=1"], "takes folders of runs, no keys"),
    ],
)
def test_mistakes_are_told(
    words: list[str], said: str, monkeypatch: pytest.MonkeyPatch, tmp_path: object
) -> None:
    monkeypatch.chdir(str(tmp_path))
    if words[0] == "--port":
        words = [str(tmp_path), *words]
    done = here("watch", *words)
    assert (done.returncode, done.stdout) == (2, "")
    assert said in done.stderr
