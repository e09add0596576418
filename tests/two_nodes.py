"""Two nodes on one machine: network namespaces with names of their own, joined by a bridge."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from mpi import environment, mpiexec
from runs import command

NODES = ("nodea", "nodeb")  # of ranks 0 and 1; v + name is the node's plug in the bridge
# Everything is in namespaces of the process that this becomes, and gone with it
LAB = """
set -e
mount --make-rprivate /
mkdir -p /run/netns
mount -t tmpfs tmpfs /run/netns
mount --bind "$LAB/hosts" /etc/hosts
ip link set lo up
ip link add bridge0 type bridge
ip address add 10.77.0.1/24 dev bridge0
ip link set bridge0 up
address=2
for node in nodea nodeb; do
  ip netns add $node
  ip link add v$node type veth peer name eth0 netns $node
  ip link set v$node master bridge0 up
  ip -n $node link set lo up
  ip -n $node address add 10.77.0.$address/24 dev eth0
  ip -n $node link set eth0 up
  address=$((address + 1))
done
exec "$@"
"""
HOSTS = "127.0.0.1 localhost\n10.77.0.1 {here}\n10.77.0.2 nodea\n10.77.0.3 nodeb\n"
# In the place of ssh: [options] node words... Nothing is heard of a node that has no link
# On nodeb the folder $HIDDEN is another one
LAUNCHER = r"""#!/bin/sh
while [ "${1#-}" != "$1" ]; do shift; done
node=$1; shift
ip netns exec $node unshare --uts --mount sh -c '
  hostname $0
  mount --bind "$LAB/hosts" /etc/hosts
  [ $0 = nodea ] || [ -z "$HIDDEN" ] || mount -t tmpfs tmpfs "$HIDDEN"
  exec sh -c "$*"' $node "$@" > /dev/null 2>&1
code=$?
ip link show v$node | grep -q "state UP" || sleep 60
exit $code
"""


def missing() -> str:
    """Return why there can be no two nodes here; an empty text if there can."""
    if not all(map(shutil.which, ("ip", "unshare", "nsenter"))):
        return "ip, unshare and nsenter are needed (iproute2, util-linux)"
    tried = ["unshare", "--net", "--mount", "ip", "link", "add", "b0", "type", "bridge"]
    if subprocess.run(tried, capture_output=True, check=False).returncode:
        return "only root, of a machine that has network namespaces and bridges, can make nodes"
    known = subprocess.run(
        [str(mpiexec()), "--version"], capture_output=True, text=True, check=False
    )
    return "" if "HYDRA" in known.stdout else "ranks are started as MPICH does it"


@contextmanager
def on_two_nodes(
    folder: Path, *words: str, hidden: Path | None = None
) -> Iterator[subprocess.Popen]:
    """Start a command on two ranks, each on a node.

    Args:
        folder: For what describes the nodes.
        words: The command.
        hidden: A folder that is another one on nodeb.
    """
    (folder / "hosts").write_text(HOSTS.format(here=socket.gethostname()))
    (folder / "lab.sh").write_text(LAB)
    launcher = folder / "launcher.sh"
    launcher.write_text(LAUNCHER)
    launcher.chmod(0o755)
    hydra = ["-launcher", "ssh", "-launcher-exec", str(launcher), "-hosts", ",".join(NODES)]
    line = [str(mpiexec()), *hydra, "-n", "2", "-ppn", "1", *command(*words)]
    process = subprocess.Popen(
        ["unshare", "--net", "--mount", "sh", str(folder / "lab.sh"), *line],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=environment() | {"LAB": str(folder), "HIDDEN": str(hidden or "")},
        start_new_session=True,
    )
    try:
        yield process
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def cut(process: subprocess.Popen, node: str) -> None:
    """Cut the link of a node."""
    inside = ["nsenter", "--net", f"--target={process.pid}"]
    subprocess.run([*inside, "ip", "link", "set", f"v{node}", "down"], check=True)
