"""Serves a page that is made anew as its runs go on, read-only, to who has the token in its link.

An open page asks for news every few seconds and takes over what has changed, so that a zoom, a
choice and the place on the page stay as they are.
"""

from __future__ import annotations

import json
import secrets
import socket
import threading
import time
from collections.abc import Callable
from functools import partial
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

from snnrun.errors import ConfigError, SnnrunError
from snnrun.page.document import as_data, as_html
from snnrun.page.parts import Page

LOCAL = "127.0.0.1"
EVERY_S = 2.0  # between two questions of an open page
SHARE = 0.2  # of the time at most is spent on making it, as a training needs the processor
_EVERYWHERE = ("0.0.0.0", "::", "")


class Live:
    """A page, which is made again when what it shows has changed.

    Args:
        make: Makes it.
        look: Returns in short what it shows; where that has not changed, nor has the page.
    """

    def __init__(self, make: Callable[[], Page], look: Callable[[], str]) -> None:
        self._make, self._look = make, look
        self._lock = threading.Lock()
        self._seen, self._next = look(), 0.0
        self._page, self._made = make(), _clock()

    def now(self) -> tuple[dict[str, Any], Page]:
        """Return what the script of the page needs to ask for news, and the page."""
        with self._lock:
            began = time.monotonic()
            if began >= self._next:
                try:
                    if (seen := self._look()) != self._seen:
                        self._page, self._seen, self._made = self._make(), seen, _clock()
                except (SnnrunError, OSError):  # a file that is just being replaced: next time
                    pass
                took = time.monotonic() - began
                self._next = time.monotonic() + took / SHARE
            told = {"every": EVERY_S, "stamp": self._seen, "said": f"Last change {self._made}"}
            return told, self._page


class Handler(BaseHTTPRequestHandler):
    """Answers for the page and for what is new on it."""

    server_version = "snnrun"
    sys_version = ""

    def __init__(self, live: Live, token: str, *arguments: Any) -> None:
        self._live, self._token = live, token
        super().__init__(*arguments)

    def do_GET(self) -> None:
        """Answer a question, if it comes with the token."""
        asked = urlsplit(self.path)
        given = parse_qs(asked.query)
        token = given.get("token", [""])[0]
        if not secrets.compare_digest(token.encode(), self._token.encode()):
            self._answer(HTTPStatus.FORBIDDEN, "The link that snnrun watch printed has a token.\n")
        elif asked.path == "/":
            watched, page = self._live.now()
            self._answer(HTTPStatus.OK, as_html(page, watched), "text/html")
        elif asked.path == "/news":
            self._news(given.get("seen", [""])[0])
        else:
            self._answer(HTTPStatus.NOT_FOUND, "There is nothing here but the page.\n")

    def _news(self, seen: str) -> None:
        watched, page = self._live.now()
        if watched["stamp"] == seen:
            self._answer(HTTPStatus.NO_CONTENT, "")
            return
        fresh = as_data(page) | {"watched": watched}
        self._answer(HTTPStatus.OK, json.dumps(fresh, allow_nan=False), "application/json")

    def _answer(self, status: HTTPStatus, text: str, kind: str = "text/plain") -> None:
        body = text.encode()
        self.send_response(status)
        self.send_header("Content-Type", f"{kind}; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Cache-Control", "no-store")
        self.send_header("Referrer-Policy", "no-referrer")
        self.send_header("X-Content-Type-Options", "nosniff")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing: each open page asks every two seconds."""


class Server(ThreadingHTTPServer):
    """The server of one page.

    Args:
        live: The page.
        host: Address at which it listens; LOCAL is seen from this machine only.
        port: 0: any free one.

    Raises:
        ConfigError: It cannot listen there.
    """

    daemon_threads = True

    def __init__(self, live: Live, host: str = LOCAL, port: int = 0) -> None:
        self._host, self._token = host, secrets.token_urlsafe(16)
        if ":" in host:
            self.address_family = socket.AF_INET6
        try:
            super().__init__((host, port), partial(Handler, live, self._token))
        except (OSError, OverflowError) as error:
            raise ConfigError(
                f"no page can be served at {host}, port {port}: {error}. Give another "
                "--port, or none for any that is free, and a --host of this machine, or none"
            ) from error

    @property
    def link(self) -> str:
        """What to open in a browser."""
        host = socket.gethostname() if self._host in _EVERYWHERE else self._host
        host = f"[{host}]" if ":" in host else host
        return f"http://{host}:{self.server_address[1]}/?token={self._token}"

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing of a browser that went away before its answer came."""


def _clock() -> str:
    return time.strftime("%H:%M:%S")
