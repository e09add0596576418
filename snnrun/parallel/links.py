"""Connections between rank 0 and the others: what is to be done, and whether they are there.

A process that ends closes its connections, whatever it died of; a node that is lost no longer
answers the system's own questions. Either is noticed within seconds, also by who waits in MPI for
what will never come.
"""

from __future__ import annotations

import os
import secrets
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from multiprocessing.connection import Client, Connection, Listener, wait
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mpi4py import MPI

LOST = 1  # exit code
LAST_S = 5.0  # to end by itself, once rank 0 has
# seconds without an answer until the system asks, between its questions; and how many
KEEPALIVE = {"TCP_KEEPIDLE": 4, "TCP_KEEPINTVL": 2, "TCP_KEEPCNT": 3}
UNANSWERED_S = 10  # until the system gives up what it has sent
ABORT_S = 2.0  # for MPI to end a run
SIGNALS = ("SIGTERM", "SIGUSR1", "SIGUSR2", "SIGHUP")  # that another rank passes on

Abort = Callable[[int], object]


class First:
    """The connections of rank 0, two with each of the others.

    Args:
        comm: All ranks.
        one_node: Whether they are on one.
    """

    def __init__(self, comm: MPI.Intracomm, one_node: bool) -> None:
        key = secrets.token_bytes(32)
        address = "127.0.0.1" if one_node else ""
        with Listener((address, 0), backlog=2 * comm.size, authkey=key) as door:
            names = [address] if one_node else list(_own_addresses())
            comm.bcast((names, door.address[1], key))
            found: dict[tuple[int, str], Connection] = {}
            while len(found) < 2 * (comm.size - 1):
                link = door.accept()
                _keep_alive(link)
                found[link.recv()] = link
        others = range(1, comm.size)
        self.orders = [found[rank, "orders"] for rank in others]
        self._lives = {found[rank, "life"]: rank for rank in others}
        self._done = False

    def watch(self, names: Sequence[str], farewell: Callable[[], str], abort: Abort | None) -> None:
        """From now on end this process if another rank ends, with a message.

        Args:
            names: Of all ranks.
            farewell: Returns how the run goes on.
            abort: Has MPI end the run, where the launcher would wait for a node that is lost.
        """

        def watch() -> None:
            while self._lives:
                ready = wait(list(self._lives))
                for life, rank in [each for each in self._lives.items() if each[0] in ready]:
                    try:
                        what, said = life.recv()
                    except (EOFError, OSError):
                        del self._lives[life]
                        what, said = "lost", ""
                    if self._done:
                        continue
                    if what == "signal":
                        os.kill(os.getpid(), said)
                        continue
                    why = said or "has ended without a word: it was killed, or its node is lost"
                    self._send("leave")
                    lost = abort if what == "lost" else None
                    _end(f"snnrun: error: {names[rank]} {why}. {farewell()}", lost)

        threading.Thread(target=watch, name="ranks", daemon=True).start()

    def dismiss(self) -> None:
        """Tell the other ranks that nothing comes any more."""
        self._done = True
        self._send("end", *self.orders)

    def _send(self, what: str, *more: Connection) -> None:
        for link in [*self._lives, *more]:
            with suppress(OSError):
                link.send((what, None))


class Other:
    """The connections of another rank with rank 0."""

    def __init__(self, comm: MPI.Intracomm) -> None:
        names, port, key = comm.bcast(None)
        self.orders = _connected(names, port, key)
        self.orders.send((comm.rank, "orders"))
        self._life = _connected(names, port, key)
        self._life.send((comm.rank, "life"))

    def watch(self, name: str, after_s: float | None, abort: Abort | None) -> None:
        """End this process with rank 0, and pass on to it the signals that ask for a stop.

        Args:
            name: Of rank 0.
            after_s: Seconds after which it is this rank that says so; None: it never does.
            abort: As of ``First``.
        """

        def watch() -> None:
            try:
                what, _ = self._life.recv()
                if what == "leave":
                    _end("")
                time.sleep(LAST_S)
                os._exit(LOST)
            except (EOFError, OSError):
                if after_s is None:
                    _end("")
                time.sleep(after_s or 0.0)
                why = "has ended without a word: it was killed, or its node is lost"
                _end(f"snnrun: error: {name} {why}. All ranks end", abort)

        threading.Thread(target=watch, name="ranks", daemon=True).start()
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # rank 0 gets it too
        for number in (getattr(signal, n) for n in SIGNALS if hasattr(signal, n)):
            signal.signal(number, lambda number, _: self._life.send(("signal", int(number))))

    def give_up(self, why: str) -> None:
        """End the run, whatever rank 0 waits for."""
        self._life.send(("failed", why))
        time.sleep(LAST_S)
        os._exit(LOST)


def _own_addresses() -> Iterator[str]:
    yield socket.gethostname()
    yield socket.getfqdn()
    try:
        yield from socket.gethostbyname_ex(socket.gethostname())[2]
    except OSError:
        return


def _connected(names: Sequence[str], port: int, key: bytes) -> Connection:
    problem: OSError | None = None
    for name in names:
        try:
            link = Client((name, port), authkey=key)
        except OSError as error:
            problem = error
        else:
            _keep_alive(link)
            return link
    raise ConnectionError(
        f"no connection to rank 0 at {', '.join(names)}, port {port}: {problem}. The nodes of a "
        "run must reach each other by TCP"
    )


def _keep_alive(link: Connection) -> None:
    with socket.socket(fileno=os.dup(link.fileno())) as own:
        own.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        own.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for name, value in {**KEEPALIVE, "TCP_USER_TIMEOUT": 1000 * UNANSWERED_S}.items():
            if hasattr(socket, name):
                own.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)


def _end(said: str, abort: Abort | None = None) -> None:
    """End this process at once: its main thread may wait for another one that is gone."""
    if said:
        print(said, file=sys.stderr, flush=True)
    sys.stdout.flush()
    if abort is not None:
        if hasattr(signal, "setitimer"):
            signal.setitimer(signal.ITIMER_REAL, ABORT_S)  # it may not return
        abort(LOST)
    os._exit(LOST)
