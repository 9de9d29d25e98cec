"""A SLURM of two nodes on this machine, from Debian's packages (slurmctld, slurmd, slurm-client, munge).

Nodes are called by their addresses, so that processes find them without a setting.

    python benchmarks/slurm.py COMMAND...    # runs a command beside such a cluster, as `srun --nodes=2 hostname`
"""

import contextlib
import os
from pathlib import Path
import shutil
import socket
import subprocess
import sys
import tempfile
import time

SECONDS = 120  # for the cluster to start
PROGRAMS = ("munged", "slurmctld", "slurmd", "srun", "sbatch", "scontrol")
CONF = """
ClusterName=loop
SlurmctldHost={name}(127.0.0.1)
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket
CryptoType=crypto/munge
SlurmUser=root
SlurmdUser=root
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool-%n
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd-%n.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/%n.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SchedulerType=sched/backfill
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
AccountingStorageType=accounting_storage/none
JobAcctGatherType=jobacct_gather/none
MpiDefault=none
ReturnToService=2
KillWait=120
SlurmctldPort={ports[0]}
SlurmdParameters=config_overrides
NodeName=127.0.0.[1-2] NodeHostname={name} NodeAddr=127.0.0.1 Port=[{ports[1]}-{ports[2]}] CPUs=2 State=UNKNOWN
PartitionName=debug Nodes=ALL Default=YES MaxTime=INFINITE State=UP
"""


def missing():
    """Why there can be no cluster here, "" where there can."""
    absent = [name for name in PROGRAMS if not _program(name)]
    if absent:
        return f"needs {', '.join(absent)}: apt-get install slurmd slurmctld slurm-client munge"
    return "" if os.getuid() == 0 else "needs root, as which SLURM's daemons run"


def _program(name):
    return shutil.which(name, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")


@contextlib.contextmanager
def cluster():
    """A cluster while the block runs: the environment in which srun and others find it."""
    with tempfile.TemporaryDirectory(prefix="slurm-") as folder, contextlib.ExitStack() as stack:
        folder = Path(folder)
        folder.chmod(0o755)  # munge looks who could write into its folders
        (folder / "state").mkdir()
        (folder / "munge.key").write_bytes(os.urandom(128))
        (folder / "munge.key").chmod(0o600)
        conf, name = folder / "slurm.conf", socket.gethostname().partition(".")[0]
        conf.write_text(CONF.format(folder=folder, name=name, ports=_free_ports()))
        environment, started = {**os.environ, "SLURM_CONF": str(conf)}, []

        def daemon(program, *words):
            with open(folder / f"{program}.out", "ab") as log:
                process = subprocess.Popen([_program(program), *words], env=environment, stdin=subprocess.DEVNULL,
                                           stdout=log, stderr=log)
            stack.callback(process.wait)
            stack.callback(process.terminate)
            started.append(process)

        def here(condition):
            try:
                wait(condition, SECONDS, started)
            except RuntimeError as e:
                logs = [f"{path.name}: {path.read_text(errors='replace')[-800:]}" for path in folder.glob("*.log")]
                raise RuntimeError("SLURM does not start:\n" + "\n".join(logs)) from e

        daemon("munged", "--foreground", "--force", f"--key-file={folder}/munge.key", f"--socket={folder}/munge.socket",
               f"--pid-file={folder}/munge.pid", f"--log-file={folder}/munge.log", f"--seed-file={folder}/munge.seed")
        here((folder / "munge.socket").exists)
        daemon("slurmctld", "-D", "-f", str(conf))
        for node in ("127.0.0.1", "127.0.0.2"):
            (folder / f"spool-{node}").mkdir()
            daemon("slurmd", "-D", "-N", node, "-f", str(conf))
        here(lambda: subprocess.run(["sinfo", "-h", "-t", "idle", "-o", "%D"], env=environment, capture_output=True,
                                    text=True).stdout.strip() == "2")
        yield environment
        subprocess.run(["scancel", "--full", "--signal=KILL", "--user=root"], env=environment, capture_output=True)


def wait(condition, seconds, processes=()):
    """Waits until a condition holds; RuntimeError where it does not in time, or one of some processes has ended."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline or any(process.poll() is not None for process in processes):
            raise RuntimeError("waited in vain")
        time.sleep(0.2)


def _free_ports():
    """Three ports that follow each other."""
    while True:
        with contextlib.ExitStack() as stack, contextlib.suppress(OSError, OverflowError):
            probes = [stack.enter_context(socket.socket()) for _ in range(3)]
            probes[0].bind(("", 0))
            ports = [probes[0].getsockname()[1] + offset for offset in range(3)]
            for probe, port in zip(probes[1:], ports[1:], strict=True):
                probe.bind(("", port))
            return ports


if __name__ == "__main__":
    with cluster() as found:
        sys.exit(subprocess.run(sys.argv[1:], env=found).returncode)
