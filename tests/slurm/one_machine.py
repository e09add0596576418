"""A Slurm of one machine in a folder of its own: three nodes, which are this machine, and GPUs.

Nothing of the system's own Slurm is touched, and none need be there but the programs. Usable by
hand as well: ``python tests/slurm/one_machine.py FOLDER`` runs one until Ctrl-C.
"""

from __future__ import annotations

import getpass
import os
import secrets
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

PROGRAMS = ("munged", "slurmctld", "slurmd", "srun", "sbatch", "scontrol", "scancel", "squeue")
BAD = "bad"
NODES = ("good1", "good2", BAD)
START_S = 30.0
# Nodes have more processors than the machine: what is tried is who gets which, not the speed.
# Jobs have numbers that none had before: MPICH names memory by them, which those that are killed
# leave behind, and the next of that number would find.
# A job that is put back into the queue waits cred_expire seconds, of which 5 are the fewest.
# Partition urgent may take the nodes of partition work away from its jobs, which are requeued.
CONFIGURATION = """\
ClusterName=test
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={ports[0]}
SlurmUser={user}
SlurmdUser={user}
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket,cred_expire=5
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool.%n
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.%n.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.%n.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
SchedulerParameters=sched_interval=1,batch_sched_delay=1,bf_interval=1,requeue_delay=1
SlurmdParameters=config_overrides
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
AccountingStorageType=accounting_storage/none
JobAcctGatherType=jobacct_gather/none
MpiDefault=none
ReturnToService=2
KillWait=10
MinJobAge=300
FirstJobId={first}
GresTypes=gpu
{nodes}
PartitionName=work Nodes={all} Default=YES MaxTime=INFINITE State=UP PriorityTier=1 GraceTime=10
PartitionName=urgent Nodes={all} MaxTime=INFINITE State=UP PriorityTier=10
"""


class Slurm:
    """Daemons that run between ``start`` and ``stop``.

    ``environment`` is what clients need; ``missing`` says why there can be none here.
    """

    def __init__(self, folder: Path, nodes: tuple[str, ...] = NODES) -> None:
        self.folder = folder
        self.nodes = nodes
        self.environment = {"SLURM_CONF": str(folder / "slurm.conf")}
        self._daemons: dict[str, subprocess.Popen] = {}

    @staticmethod
    def missing() -> str:
        """Return what keeps a Slurm from running here; an empty string if nothing does."""
        absent = [name for name in PROGRAMS if _program(name) is None]
        if absent:
            return f"not found: {', '.join(absent)} (Debian: slurm-wlm and munge)"
        return ""

    def start(self) -> None:
        """Start all daemons, and wait until every node is idle.

        Raises:
            RuntimeError: They do not get so far; with the ends of their logs.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        self._configure()
        socket_file = self.folder / "munge.socket"
        self._begin(
            "munged",
            "--foreground",
            "--force",
            f"--key-file={self.folder}/munge.key",
            f"--socket={socket_file}",
            f"--pid-file={self.folder}/munged.pid",
            f"--log-file={self.folder}/munged.log",
            f"--seed-file={self.folder}/munged.seed",
        )
        self._wait(socket_file.exists, "munged")
        self._begin("slurmctld", "-D", "-f", self.environment["SLURM_CONF"])
        for node in self.nodes:
            self._begin("slurmd", "-D", "-N", node, "-f", self.environment["SLURM_CONF"], name=node)
        self._wait(
            lambda: (
                self.ask("sinfo", "-h", "-N", "-p", "work", "-o", "%T").split()
                == ["idle"] * len(self.nodes)
            ),
            "slurmctld",
        )

    def stop(self) -> None:
        """End all jobs and daemons."""
        if "slurmctld" in self._daemons:
            self.ask("scancel", "--full", "--signal=KILL", "-u", getpass.getuser())
            self.ask("scancel", "-u", getpass.getuser())
            limit = time.monotonic() + START_S
            while self.ask("squeue", "-h").strip() and time.monotonic() < limit:
                time.sleep(0.2)
        for daemon in reversed(self._daemons.values()):
            daemon.terminate()
        for daemon in reversed(self._daemons.values()):
            try:
                daemon.wait(10)
            except subprocess.TimeoutExpired:
                daemon.kill()
                daemon.wait()
        self._daemons.clear()

    def ask(self, *words: str) -> str:
        """Return what a command of Slurm's prints, whatever its exit code."""
        return subprocess.run(
            words, env=os.environ | self.environment, capture_output=True, text=True, check=False
        ).stdout

    def _configure(self) -> None:
        for name in ("state", *(f"spool.{node}" for node in self.nodes)):
            (self.folder / name).mkdir(exist_ok=True)
        key = self.folder / "munge.key"
        if not key.exists():
            key.touch(mode=0o600)
            key.write_bytes(secrets.token_bytes(128))
        ports = _free_ports(1 + len(self.nodes))
        lines = [
            f"NodeName={node} NodeHostname={socket.gethostname()} NodeAddr=127.0.0.1 Port={port} "
            "CPUs=4 Sockets=1 CoresPerSocket=4 ThreadsPerCore=1 RealMemory=4000 Gres=gpu:2 "
            f"Weight={1 if node == BAD else 2}"  # the bad one is taken first
            for node, port in zip(self.nodes, ports[1:], strict=True)
        ]
        values: dict[str, Any] = {
            "host": socket.gethostname(),
            "ports": ports,
            "first": 1000 + secrets.randbelow(60_000_000),
            "user": getpass.getuser(),
            "folder": self.folder,
            "nodes": "\n".join(lines),
            "all": ",".join(self.nodes),
        }
        (self.folder / "slurm.conf").write_text(CONFIGURATION.format(**values))
        # any two devices will do as GPUs: who gets which is what there is to see
        gpus = "Name=gpu File=/dev/null\nName=gpu File=/dev/zero\n"
        (self.folder / "gres.conf").write_text(gpus)

    def _begin(self, program: str, *words: str, name: str = "") -> None:
        with (self.folder / f"{name or program}.out").open("w") as out:
            self._daemons[name or program] = subprocess.Popen(
                [str(_program(program)), *words],
                stdout=out,
                stderr=out,
                stdin=subprocess.DEVNULL,
                env=os.environ | self.environment,
                start_new_session=True,
            )

    def _wait(self, condition: Any, name: str) -> None:
        limit = time.monotonic() + START_S
        while not condition():
            ended = [n for n, daemon in self._daemons.items() if daemon.poll() is not None]
            if ended or time.monotonic() > limit:
                logs = [*self.folder.glob("*.log"), *self.folder.glob("*.out")]
                tails = "\n".join(f"{log.name}: {log.read_text()[-1500:]}" for log in logs)
                self.stop()
                raise RuntimeError(f"{', '.join(ended) or name}: does not start\n{tails}")
            time.sleep(0.1)


def _program(name: str) -> str | None:
    return shutil.which(name, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")


def _free_ports(count: int) -> list[int]:
    sockets = [socket.socket() for _ in range(count)]
    for each in sockets:
        each.bind(("127.0.0.1", 0))
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports


if __name__ == "__main__":
    slurm = Slurm(Path(sys.argv[1]).absolute())
    signal.signal(signal.SIGTERM, lambda *_: sys.exit())
    slurm.start()
    try:
        print(f"export SLURM_CONF={shlex.quote(slurm.environment['SLURM_CONF'])}", flush=True)
        while True:
            time.sleep(3600)
    finally:
        slurm.stop()
