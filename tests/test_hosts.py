"""Trainings on several processes of this machine, as on several hosts: numbers of one, whatever ends one of them."""

import dataclasses
import importlib.util
import json
import os
from pathlib import Path
import random
import re
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import time

import jax
from jax.sharding import Mesh, SingleDeviceSharding
import numpy as np
import orbax.checkpoint as ocp
import psutil
import pytest
import yaml

from jsr import main, recipes
from jsr.training import check
from jsr.training.insight import log_rows

TIMEOUT = 600  # seconds; a job takes twenty or so
HOST = socket.gethostname()
# jsr.main in a process that something goes wrong in: the word says what, the number after which time, s, or how often
FAULTY = """
import os, random, signal, sys, threading, time
what, number = sys.argv[1], float(sys.argv[2])

def kill(*_):
    os.kill(os.getpid(), signal.SIGKILL)

def before(owner, name, act):
    function = getattr(owner, name)
    def wrapped(*args, **kwargs):
        act()
        return function(*args, **kwargs)
    setattr(owner, name, wrapped)

def kill_later():
    threading.Timer(number, kill).start()

from jsr import distributed, main
if what == "save":
    from jsr.training.checkpoints import Checkpoints
    before(Checkpoints, "save", kill_later)
elif what == "compile":
    from jsr.training import memory
    before(memory, "build", kill_later)
elif what == "barrier":
    calls = iter(range(int(number)))
    before(distributed, "together", lambda: next(calls, None) is None and kill())
elif what == "anywhere":
    kill_later()
elif what == "sigterm":  # steps are slow from there, so that the run does not end before all have heard of it
    steps = iter(range(int(number)))
    def stop():
        if (left := next(steps, None)) is None:
            time.sleep(1)
        elif left == number - 1:
            os.kill(os.getpid(), signal.SIGTERM)
    before(distributed, "stop_asked", stop)
elif what == "disk":
    import resource
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)  # writes fail then, as on a full disk
    resource.setrlimit(resource.RLIMIT_FSIZE, (int(number), int(number)))
elif what == "report":
    before(main, "_report", lambda: (os.kill(os.getpid(), signal.SIGTERM), time.sleep(60)))
elif what == "clock":
    now = time.time
    time.time = lambda: now() + number
elif what == "python":
    import platform
    platform.python_version = lambda: "3.99.0"
elif what == "code":
    import hashlib
    from pathlib import Path
    read = Path.read_bytes
    Path.read_bytes = lambda self: read(self) + (b"#" if self.name == "loop.py" else b"")
sys.exit(main.main(sys.argv[3:]))
"""


@pytest.fixture(scope="module", autouse=True)
def compiled_once(tmp_path_factory):
    """Processes here keep what they compile for the next ones: compiling is most of a small run's time."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("JAX_COMPILATION_CACHE_DIR", str(tmp_path_factory.mktemp("compiled")))
        patch.setenv("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0")
        yield


def _slurm():
    """benchmarks/slurm.py"""
    spec = importlib.util.spec_from_file_location("slurm", Path(__file__).parent.parent / "benchmarks" / "slurm.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


slurm = _slurm()


def run(arguments):
    """jsr.main in a process of its own, alone."""
    return subprocess.run([sys.executable, "-m", "jsr.main", *arguments], capture_output=True, text=True,
                          timeout=TIMEOUT)


def start(arguments, count, faults=None, own=None, places=None, more=None):
    """Starts the processes of a job.

    Args:
      arguments: of jsr.main.
      count: processes.
      faults: {number: (what, number)} of those that something goes wrong in, see `FAULTY`.
      own: {number: arguments that this process has besides}.
      places: their current folders.
      more: {number: environment that this process has besides}.
    """
    with socket.socket() as probe:
        probe.bind(("", 0))
        address = f"127.0.0.1:{probe.getsockname()[1]}"
    programs = [["-c", FAULTY, *map(str, faults[n])] if n in (faults or {}) else ["-m", "jsr.main"]
                for n in range(count)]
    return [subprocess.Popen([sys.executable, *program, *arguments, *(own or {}).get(n, ()),
                              f"--hosts={address},{count},{n}"], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                             text=True, cwd=places and places[n], env={**os.environ, **(more or {}).get(n, {})})
            for n, program in enumerate(programs)]


def ends(started):
    """[(exit status, stdout, stderr)] of processes."""
    try:
        outputs = [process.communicate(timeout=TIMEOUT) for process in started]
    finally:
        for process in started:
            process.kill()
    return [(process.returncode, *output) for process, output in zip(started, outputs, strict=True)]


def last_lines(found):
    """The last line on stderr of each, without "jsr: " in front."""
    return [errors.strip().splitlines()[-1].removeprefix("jsr: ") if errors.strip() else "" for _, _, errors in found]


def checkpoint(workdir):
    """The newest step, 0 before the first is saved."""
    return max((int(path.name) for path in workdir.glob("checkpoints/*") if path.name.isdigit()), default=0)


def final_state(workdir):
    """Everything that the last checkpoint holds, as {path: array}, whatever devices of whichever processes saved it."""
    folder, here = workdir / "checkpoints" / str(checkpoint(workdir)) / "state", SingleDeviceSharding(jax.devices()[0])
    with ocp.StandardCheckpointer() as reader:
        state = reader.restore(folder, jax.tree.map(
            lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=here),
            reader.metadata(folder).item_metadata.tree))
    return {jax.tree_util.keystr(path): np.asarray(leaf) for path, leaf in jax.tree_util.tree_leaves_with_path(state)}


def assert_alike(one, other, tolerance):
    a, b = final_state(one), final_state(other)
    assert a.keys() == b.keys() and len(a) > 20
    worst = max(np.abs(a[key].astype(float) - b[key].astype(float)).max(initial=0) for key in a)
    assert worst <= tolerance, worst


def assert_nothing_left(workdir):
    """Of a run that is over there are no half-written files."""
    rests = [path for path in workdir.rglob("*") if "tmp" in path.name or path.name == ".lock"]
    assert not rests, rests


@pytest.fixture(scope="module")
def alone(tmp_path_factory):
    """The undisturbed run of one process: a function from arguments to its workdir."""
    made = {}

    def get(arguments):
        key = tuple(a for a in arguments if not a.startswith("--workdir"))
        if key not in made:
            made[key] = tmp_path_factory.mktemp("alone")
            done = run([*key, f"--workdir={made[key]}"])
            assert done.returncode == 0, done.stderr
        return made[key]

    return get


@pytest.fixture
def small(tiny_run):
    """`tiny_run` of 60 steps, smaller crops, and a loss without signs: one that rounding turns shows in all."""
    def arguments(workdir, **more):
        return tiny_run(workdir, **{"stages[0]__steps": 60, "stages[0]__crop": 16, "log_every": 1, "eval_every": 20,
                                    "stages[0]__players[0]__losses[0]__fn": "mse", **more})

    return arguments


def stopped_by_one(arguments, workdir, steps, count=2):
    """Processes train until SIGTERM comes to the second; returns the step that all stop after."""
    found = ends(start(arguments, count, {1: ("sigterm", 6)}))
    assert [status for status, *_ in found] == [143] * count, found
    stopped = checkpoint(workdir)
    assert f"stopped at step {stopped}; the same command resumes" in found[0][2] and 0 < stopped < steps
    assert not found[1][1] and "step" not in found[1][2], found[1]  # one process speaks for all
    assert_nothing_left(workdir)
    return stopped


def losses(workdir, steps):
    return [row["loss"] for row in log_rows(workdir) if "loss" in row][:steps]


@pytest.mark.slow  # Gloo gives a late process 30 s, and one run on an overloaded machine stood still after SIGTERM
def test_two_train_as_one_and_stop_together(small, alone, tmp_path):
    stopped = stopped_by_one(small(tmp_path / "run"), tmp_path / "run", 60)
    one, other = losses(tmp_path / "run", stopped), losses(alone(small(tmp_path / "run")), stopped)
    assert len(one) == stopped
    np.testing.assert_allclose(one, other, rtol=1e-4)  # another sample changes it by hundredths


@pytest.mark.slow
@pytest.mark.parametrize("before, count, state", [
    (2, 1, "replicated"), (2, 2, "replicated"), (2, 4, "replicated"), (2, 2, "sharded"), (4, 2, "sharded")])
def test_another_number_goes_on_where_some_stopped(small, alone, tmp_path, before, count, state):
    """A state of each layout, in the first run; in the second all have a copy of it, or part of it is with each."""
    workdir, more = tmp_path / "run", {"stages[0]__steps": 20}
    stopped = stopped_by_one([*small(workdir, **more), "--config.state=sharded"], workdir, 20, before)
    if count == 1:
        done = run(small(workdir, **more))
        found = [(done.returncode, done.stdout, done.stderr)]
    else:
        found = ends(start([*small(workdir, **more), f"--config.state={state}"], count))
    assert [status for status, *_ in found] == [0] * count, found
    assert f"resuming from step {stopped} of 20" in found[0][2], found
    assert_alike(workdir, alone(small(workdir, **more)), 1e-6)
    one, other = losses(workdir, 20), losses(alone(small(workdir, **more)), 20)
    assert len(one) == 20  # of the same samples: another one changes it by hundredths
    np.testing.assert_allclose(one, other, rtol=1e-5)
    one, other = (json.loads((folder / "report.json").read_text())["mean"]["ours"]
                  for folder in (workdir, alone(small(workdir, **more))))
    np.testing.assert_allclose(list(one.values()), list(other.values()), rtol=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize("victim", [0, 1])
def test_sigterm_while_one_reports_ends_all_after_the_last_step(small, tmp_path, victim):
    workdir = tmp_path / "run"
    arguments = small(workdir, **{"stages[0]__steps": 8})
    found = ends(start(arguments, 2, {victim: ("report", 0)}))
    assert [status for status, *_ in found] == [143, 143], found
    assert last_lines(found) == [f"stopped: SIGTERM came to process {victim} on {HOST}; the same command goes on"] * 2
    assert checkpoint(workdir) == 8 and not (workdir / "report.json").exists()
    found = ends(start(arguments, 2))
    assert [status for status, *_ in found] == [0, 0] and (workdir / "report.json").exists(), found
    assert_nothing_left(workdir)


@pytest.mark.slow
@pytest.mark.parametrize("count", [2, 4])
def test_validation_and_report_are_those_of_one_process(small, alone, tmp_path, count):
    arguments = small(tmp_path / "run", **{"stages[0]__steps": 20, "eval_every": 8})
    found = ends(start(arguments, count))
    assert [status for status, *_ in found] == [0] * count, found
    assert all(not out for _, out, _ in found[1:]) and "PSNR[rgb]" in found[0][1]
    one, other = alone(arguments), tmp_path / "run"
    assert_alike(one, other, 1e-6)
    reports = [json.loads((folder / "report.json").read_text()) for folder in (one, other)]
    assert [row["name"] for row in reports[0]["images"]] == [row["name"] for row in reports[1]["images"]]
    logs = [[(row["step"], row.get("loss"), row.get("psnr[rgb]"), row.get("gain")) for row in log_rows(folder)]
            for folder in (one, other)]
    np.testing.assert_allclose(np.array(logs[0], float), np.array(logs[1], float), rtol=1e-4)
    assert {p.name for p in (one / "pictures").iterdir()} == {p.name for p in (other / "pictures").iterdir()}
    assert_nothing_left(other)


OTHER = {  # on process 1: what is said
    "recipe": f"process 1 on {HOST} has seed 1, process 0 on {HOST} 0; give all processes the same command",
    "data": f"process 1 on {HOST} has the data of the recipe ",
    "workdir": f"run: process 1 on {HOST} cannot see what process 0 on {HOST} writes there; give all processes a "
               "--workdir on a disk that they share",
    "python": f"process 1 on {HOST} has Python '3.99.0', process 0 on {HOST} ",
    "code": f"process 1 on {HOST} has code of jsr ",
    "jax": f"process 1 on {HOST} has jax '0.0.1', process 0 on {HOST} "}


@pytest.mark.slow
@pytest.mark.parametrize("what", OTHER)
def test_what_is_other_on_one_host_is_said_by_all(small, tmp_path, shared_photos, what):
    hosts = [tmp_path / "a", tmp_path / "b"]  # each with its own disk, which for a process is the current folder
    for host in hosts:
        shutil.copytree(shared_photos, host / "photos")
    arguments = small("run" if what == "workdir" else tmp_path / "run", **{
        "data__train[0]__dataset": "./photos", "data__eval__dataset": "./photos"})
    faults, own, more = {}, {}, {}
    if what == "recipe":
        own = {1: ["--config.seed=1"]}
    elif what == "data":
        (hosts[1] / "photos" / "0003.png").unlink()
    elif what == "jax":
        place = tmp_path / "other" / "jax-0.0.1.dist-info"
        place.mkdir(parents=True)
        (place / "METADATA").write_text("Metadata-Version: 2.1\nName: jax\nVersion: 0.0.1\n")
        more = {1: {"PYTHONPATH": f"{place.parent}:{os.environ.get('PYTHONPATH', '')}"}}
    elif what != "workdir":
        faults = {1: (what, 0)}
    found = ends(start(arguments, 2, faults, own, hosts, more))
    assert [status for status, *_ in found] == [1, 1] and all(OTHER[what] in line for line in last_lines(found)), found
    assert not any("Traceback" in errors for *_, errors in found)
    assert not (tmp_path / "run" / "checkpoints").exists()


def kill_and_go_on(arguments, workdir, victim, fault):
    """Has one of two processes killed somewhere; the other ends soon after, with a line, and nothing stays behind.

    Returns:
      Steps that were lost: from the last that is in the log to the checkpoint that the run goes on from; None where
      the job was over before.
    """
    def segments():
        return {name for name in os.listdir("/dev/shm") if name.startswith("psm_")}

    before = segments()
    started = start(arguments, 2, {victim: fault})
    children = []
    while started[victim].poll() is None:
        for process in started:
            with_children = psutil.Process(process.pid) if process.poll() is None else None
            children = with_children.children(recursive=True) + children if with_children else children
        time.sleep(0.2)
    died = time.monotonic()
    found = ends(started)
    if found[victim][0] == 0:
        assert found[1 - victim][0] == 0, found
        return None
    assert time.monotonic() - died < 30, "the other stayed"
    assert found[victim][0] == -signal.SIGKILL and found[1 - victim][0] not in (0, -signal.SIGKILL), found
    line = last_lines(found)[1 - victim]
    assert f"process {victim}" in line and "is gone" in line or "connection to another process broke" in line, found
    assert "Traceback" not in found[1 - victim][2] and "@ 0x" not in found[1 - victim][2], found
    _, alive = psutil.wait_procs(set(children), timeout=30)
    assert not alive, "orphans"
    assert not segments() - before
    logged = [row["step"] for row in log_rows(workdir)] if (workdir / "metrics.jsonl").exists() else []
    return max(logged, default=0) - checkpoint(workdir)


@pytest.mark.slow
def test_random_kills_of_one_of_two_lose_an_interval_at_most(small, tmp_path):
    """In a save, in a compile, in a barrier, anywhere: then the job goes on, to the bits of an undisturbed one."""
    rng = random.Random(int(os.environ.get("JSR_KILLS_SEED", "0")))
    more = {"stages[0]__steps": 200, "checkpoint_every": 5, "eval_every": 50, "data__num_workers": 1}
    arguments, undisturbed = small(tmp_path / "run", **more), small(tmp_path / "other", **more)
    assert [status for status, *_ in ends(start(undisturbed, 2))] == [0, 0]
    for number in range(int(os.environ.get("JSR_KILLS", "12"))):
        fault = [("save", rng.uniform(0, 0.3)), ("compile", rng.uniform(0, 1)), ("barrier", rng.randrange(40)),
                 ("anywhere", rng.uniform(2, 15))][number % 4]
        victim = rng.randrange(2)
        lost = kill_and_go_on(arguments, tmp_path / "run", victim, fault)
        print(f"kill {number}: process {victim} {fault}: {'over before' if lost is None else f'{lost} steps lost'}")
        assert lost is None or lost <= 5 + 1
        if lost is None:
            shutil.rmtree(tmp_path / "run")
    assert [status for status, *_ in ends(start(arguments, 2))] == [0, 0]
    assert_alike(tmp_path / "run", tmp_path / "other", 0)
    assert_nothing_left(tmp_path / "run")


@pytest.mark.slow
@pytest.mark.parametrize("victim", [0, 1])
def test_a_full_disk_on_one_ends_all_with_a_line(small, tmp_path, victim):
    """The state is split, so that both write; steps go on until the writing in the background has failed."""
    workdir = tmp_path / "run"
    arguments = [*small(workdir, networks__sr__fields="{'num_feat': 16, 'num_block': 1}"), "--config.state=sharded"]
    found = ends(start(arguments, 2, {victim: ("disk", 15_000)}))
    assert time.time() - (workdir / "metrics.jsonl").stat().st_mtime < 30
    assert [status for status, *_ in found] == [1, 1], found
    assert all(f"{workdir}/checkpoints: a checkpoint cannot be written" in line for line in last_lines(found)), found
    assert not any("Traceback" in errors for *_, errors in found), found
    found = ends(start(arguments, 2))
    assert [status for status, *_ in found] == [0, 0], found
    assert_nothing_left(workdir)


@pytest.mark.slow
def test_clocks_that_differ_change_nothing(small, alone, tmp_path):
    arguments = small(tmp_path / "run")
    found = ends(start(arguments, 2, {0: ("clock", -86_400), 1: ("clock", 7_200)}))
    assert [status for status, *_ in found] == [0, 0], found
    assert_alike(tmp_path / "run", alone(arguments), 1e-6)


@pytest.mark.slow
def test_a_file_that_is_damaged_on_the_way_is_left_out_by_all_and_ends_all_where_it_may_not(small, photo_folder,
                                                                                            tmp_path):
    for number in range(4, 12):
        shutil.copy(photo_folder / "0000.png", photo_folder / f"{number:04d}.png")
    (photo_folder / "0007.png").write_bytes((photo_folder / "0007.png").read_bytes()[:2000])
    more = {"data__train[0]__dataset": photo_folder, "stages[0]__batch": 2, "stages[0]__steps": 20,
            "checkpoint_every": 1}
    found = ends(start([*small(tmp_path / "run", **more), "--config.data.max_damaged=0"], 2))
    assert [status for status, *_ in found] == [1, 1], found
    assert all("0007.png (hr): damaged or truncated" in line for line in last_lines(found)), found
    found = ends(start(small(tmp_path / "run", **more), 2))
    assert [status for status, *_ in found] == [0, 0] and "left out as damaged: 1 image (" in found[0][2], found


JOB = """#!/bin/bash
#SBATCH --nodes=2 --ntasks-per-node=1
#SBATCH --requeue --open-mode=append --output={output}
cd {folder}
srun --kill-on-bad-exit=0 {command}
if [ $? -eq 143 ]; then scontrol requeue "$SLURM_JOB_ID"; fi
"""


@pytest.mark.slow
def test_a_job_of_slurms_on_two_nodes_stops_is_requeued_and_goes_on(small, alone, tmp_path):
    if slurm.missing():
        pytest.skip(slurm.missing())
    arguments, workdir, output = small(tmp_path / "run"), tmp_path / "run", tmp_path / "job.out"
    words = shlex.join([sys.executable, "-m", "jsr.main", *arguments])
    (tmp_path / "job.sh").write_text(JOB.format(output=output, folder=os.getcwd(), command=words))
    with slurm.cluster() as environment:
        job = subprocess.run(["sbatch", "--parsable", tmp_path / "job.sh"], env=environment, check=True, text=True,
                             capture_output=True).stdout.strip()
        log = workdir / "metrics.jsonl"
        slurm.wait(lambda: log.exists() and len(log.read_text().splitlines()) >= 6, 600)
        subprocess.run(["scancel", "--signal=TERM", job], env=environment, check=True)
        slurm.wait(lambda: "stopped at step" in output.read_text(), 120)
        slurm.wait((workdir / "report.json").exists, 600)
        slurm.wait(lambda: "last.safetensors" in output.read_text(), 60)
    assert "2 processes, 2 devices" in output.read_text() and "resuming from step" in output.read_text()
    assert_alike(workdir, alone(arguments), 1e-6)


def test_commands_and_manifests_of_the_documentation_are_as_the_programs_take_them():
    text = (Path(__file__).parent.parent / "docs" / "many-devices.md").read_text()
    commands = re.findall(r"python -m jsr\.main ([^\n'&.]*\S+=[^\n'&]*)", text)
    assert len(commands) >= 4
    for words in commands:
        args, overrides = main.parse(shlex.split(words))
        assert recipes.find(args.config.partition(":")[0]) and not overrides
    manifest, = (yaml.safe_load(block) for block in re.findall(r"```yaml\n(.*?)```", text, re.S))
    job = manifest["spec"]["replicatedJobs"][0]
    spec = job["template"]["spec"]
    container, = spec["template"]["spec"]["containers"]
    args, _ = main.parse([word.replace("$(JOB_COMPLETION_INDEX)", "3") for word in container["args"]])
    address, processes, number = args.hosts
    host, port = address.split(":")
    assert host == f"{manifest['metadata']['name']}-{job['name']}-0-0.{manifest['metadata']['name']}"
    assert spec["parallelism"] == spec["completions"] == processes and number == 3
    assert int(port) == container["ports"][0]["containerPort"]


@pytest.mark.parametrize("batch, accumulate, devices, wanted", [
    (16, 1, 4, 1), (16, 8, 4, 4), (48, 3, 6, 4), (64, 4, 4, 4), (12, 2, 2, 2), (8, 1, 3, None), (12, 5, 2, 6)])
def test_accumulate_fits_the_devices(batch, accumulate, devices, wanted):
    recipe = recipes.load("aim22_t1", [("stages[0].batch", str(batch))])
    stage, = recipe.stages
    stage = dataclasses.replace(stage, accumulate=accumulate)
    mesh = Mesh(np.full(devices, None), ("data",))
    assert check._parts(stage, mesh) == wanted
    if wanted:
        recipe = check.fitted(dataclasses.replace(recipe, stages=(stage,)), mesh)
        assert recipe.stages[0].accumulate == wanted and recipe.stages[0].batch == batch
