"""jsr.main as its users run it: to the end, interrupted, killed, resumed, and with mistakes in the command."""

import json
import os
from pathlib import Path
import random
import shutil
import signal
import subprocess
import sys
import time

import jax
import numpy as np
import orbax.checkpoint as ocp
import psutil
import pytest
from rich.console import Console

import jsr
from jsr import degradations, main, metrics, model_file, recipes, results
from jsr.data import validation
from jsr.data.sources import open_source
from jsr.degradations import _video, hevc
from jsr.errors import UserError
from jsr.images import read_rgb
from jsr.training import blackbox, members, run_folder
from jsr.training.checkpoints import Checkpoints

TIMEOUT = 300  # seconds; a run takes ten or so
ANEW = {"JAX_ENABLE_COMPILATION_CACHE": "false"}  # a process that compiles all its programs itself: see compiled_once
# python -m jsr.main, which prints at its end those libraries that it imported and should not have
WATCHED = """
import atexit, runpy, sys
atexit.register(lambda: print([name for name in ("tensorflow", "torch") if name in sys.modules]))
runpy.run_module("jsr.main", run_name="__main__", alter_sys=True)
"""
# Reads many command lines and prints (exit status, stderr) of each: one process, since starting one takes seconds
ONE_BY_ONE = """
import contextlib, io, json, sys
from jsr import cli, main
found = []
for program, *words in json.load(sys.stdin):
    with contextlib.redirect_stderr(io.StringIO()) as stderr:
        status = {"jsr": cli.main, "jsr.main": main.main}[program](words)
    found.append((status, stderr.getvalue()))
print(json.dumps(found))
"""


def command(arguments, program=("jsr.main",)):
    return [sys.executable, "-m", *program, *arguments]


def run(arguments, program=("jsr.main",), **options):
    return subprocess.run(command(arguments, program), capture_output=True, text=True, timeout=TIMEOUT, **options)


def wait_for(condition, process=None):
    deadline = time.monotonic() + TIMEOUT
    while not condition():
        if process is not None and process.poll() is not None:
            raise AssertionError(f"ended early: {process.communicate()[1]}")
        assert time.monotonic() < deadline
        time.sleep(0.02)


def log_rows(workdir):
    return [json.loads(line) for line in (workdir / "metrics.jsonl").read_text().splitlines()]


def final_state(workdir):
    """Everything that the last checkpoint holds, as {path: array}."""
    checkpoints = Checkpoints(workdir / "checkpoints", keep=3)
    try:
        newest = checkpoints.folder / str(max(int(p.name) for p in checkpoints.folder.iterdir() if p.name.isdigit()))
        with ocp.StandardCheckpointer() as reader:
            state = reader.restore(newest / "state")
    finally:
        checkpoints.close()
    return {jax.tree_util.keystr(path): np.asarray(leaf) for path, leaf in jax.tree_util.tree_leaves_with_path(state)}


def assert_same_run(one, other):
    """Bit-identical: all training state, both model files' tensors, and every score."""
    a, b = final_state(one), final_state(other)
    assert a.keys() == b.keys() and len(a) > 20
    for key in a:
        np.testing.assert_array_equal(a[key], b[key], err_msg=key)
    for name in ("last.safetensors", "best.safetensors"):
        found = [jax.tree.leaves(model_file.load(workdir / name)[2]) for workdir in (one, other)]
        assert all(np.array_equal(x, y) for x, y in zip(*found, strict=True))
    reports = [json.loads((workdir / "report.json").read_text()) for workdir in (one, other)]
    assert all(reports[0][key] == reports[1][key] for key in ("steps", "protocol", "scale", "images", "mean"))
    logs = [[(row["step"], row.get("loss"), row.get("psnr[rgb]")) for row in log_rows(w)]
            for w in (one, other)]
    assert logs[0] == logs[1]


@pytest.fixture(scope="module", autouse=True)
def compiled_once(tmp_path_factory):
    """What one process compiles the next ones need not: compiling is most of a small run's time."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("JAX_COMPILATION_CACHE_DIR", str(tmp_path_factory.mktemp("compiled")))
        patch.setenv("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0")
        yield


@pytest.fixture(scope="module")
def reference(tmp_path_factory):
    """Makes the uninterrupted run of a command once: from arguments to its workdir and the ended process."""
    made = {}

    def get(arguments):
        key = tuple(a for a in arguments if not a.startswith("--workdir"))
        if key not in made:
            workdir = tmp_path_factory.mktemp("reference")
            done = subprocess.run([sys.executable, "-c", WATCHED, *key, f"--workdir={workdir}"], capture_output=True,
                                  text=True, timeout=TIMEOUT)
            assert done.returncode == 0, done.stderr
            made[key] = workdir, done
        return made[key]

    return get


def test_a_run_to_its_end(tiny_run, reference):
    workdir, done = reference(tiny_run())
    report = json.loads((workdir / "report.json").read_text())
    assert report["recipe"] == "aim22_t1:quick" and report["steps"] == 12
    assert [Path(row["name"]).name for row in report["images"]] == [f"{i:04d}.png" for i in range(4)]
    for who in ("bicubic", "ours"):
        assert set(report["mean"][who]) == {"psnr[rgb]", "ssim[rgb]", "psnr[y_601]"}
        np.testing.assert_allclose(report["mean"][who]["psnr[rgb]"],
                                   np.mean([row[who]["psnr[rgb]"] for row in report["images"]]))
    assert "PSNR[rgb]" in done.stdout and str(workdir / "report.html") in done.stdout
    assert "no recipe was named, so this is `quick`" in done.stderr and "aim22_t1.py:edsr" in done.stderr
    page = (workdir / "report.html").read_text()
    assert page.count("data:image/png;base64,") == 4 * 6 + 4  # crops; a film of baseline, step 8, the end, HR
    assert page.count("<svg") == 5
    rows = log_rows(workdir)
    assert [row["step"] for row in rows if row["kind"] == "train"] == [4, 8, 12]
    assert [row["step"] for row in rows if row["kind"] == "eval"] == [8]
    assert list((workdir / "tensorboard").glob("events.*")) and list((workdir / "pictures").glob("*_0000008.png"))
    assert "conv_first" in (workdir / "parameters.txt").read_text()
    meta, _, _ = model_file.load(workdir / "last.safetensors")
    assert meta["steps"] == 12 and meta["ema"] and meta["recipe"] == "aim22_t1:quick"
    assert meta["fingerprint"]["versions"]["jsr"] == jsr.__version__
    codecs = degradations.codecs(degradations.draw("aim22_t1"))
    assert meta["fingerprint"]["codecs"] == {"data.train[0]": codecs, "data.eval": codecs}
    assert report["codecs"] == codecs and f"LR by {codecs}" in " ".join(done.stdout.split())
    assert f"LR images of the validation by {codecs}" in done.stderr
    (row,) = meta["data"]
    assert row["degrade"] == "aim22_t1" and row["licence"] == ""  # a folder states none


@pytest.mark.slow
def test_the_finished_model_may_be_a_mean_over_the_last_steps(tiny_run, reference, tmp_path):
    assert run(tiny_run(average_at="[0.5, 0.75]")).returncode == 0
    last, _ = reference(tiny_run())
    _, _, *found = zip(*(model_file.load(path) for path in (tmp_path / "run/step6.safetensors",
                                                            tmp_path / "run/step9.safetensors",
                                                            last / "last.safetensors")), strict=True)
    _, _, mean = model_file.load(tmp_path / "run/last.safetensors")
    jax.tree.map(lambda *leaves: np.testing.assert_allclose(leaves[0], np.mean(leaves[1:], axis=0), atol=1e-6),
                 mean, *found[0])


def test_the_model_file_gives_the_reports_scores(tiny_run, reference, photo_folder):
    workdir, _ = reference(tiny_run())
    report, upscaler = json.loads((workdir / "report.json").read_text()), jsr.load(workdir / "last.safetensors")
    pairs = validation.eval_pairs(open_source(str(photo_folder), ""), scale=4, degrade="aim22_t1")
    for row, (_, lr, hr, _) in zip(report["images"], pairs, strict=True):
        assert metrics.score(upscaler.upscale(lr), hr, ["psnr[rgb]"])["psnr[rgb]"] == row["ours"]["psnr[rgb]"]


@pytest.mark.parametrize("signum", [signal.SIGTERM, pytest.param(signal.SIGINT, marks=pytest.mark.slow)])
def test_a_signal_saves_and_the_same_command_resumes_bit_identical(tiny_run, reference, tmp_path, set_sigint, signum):
    set_sigint(signal.default_int_handler if signum == signal.SIGINT else signal.SIG_IGN)
    arguments = tiny_run(tmp_path / "cut", **{"stages[0]__steps": 40, "log_every": 1, "eval_every": 20,
                                              "checkpoint_every": 20})
    with_worker = [*arguments, "--config.data.num_workers=1"]
    process = subprocess.Popen(command(with_worker), stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
                               start_new_session=True)
    log = tmp_path / "cut" / "metrics.jsonl"
    wait_for(lambda: log.exists() and len(log.read_text().splitlines()) >= 7, process)
    if signum != signal.SIGINT:
        os.killpg(process.pid, signal.SIGINT)  # stays ignored where the process was started so, as in the background
    os.killpg(process.pid, signum)  # workers too, as terminals and schedulers do
    _, errors = process.communicate(timeout=TIMEOUT)
    assert process.returncode == 128 + signum, errors
    assert "the same command resumes" in errors and "Traceback" not in errors
    stopped = max(int(p.name) for p in (tmp_path / "cut" / "checkpoints").iterdir() if p.name.isdigit())
    assert 7 <= stopped < 40
    done = run(arguments)
    assert done.returncode == 0 and f"resuming from step {stopped} of 40" in done.stderr, done.stderr
    assert_same_run(tmp_path / "cut", reference(arguments)[0])


def kill_and_resume(arguments, workdir, delay):
    """Kills a run `delay` seconds after its first step, checks what is left of it, and runs it to its end."""
    def segments():
        return {name for name in os.listdir("/dev/shm") if name.startswith("psm_")}

    before = segments()
    process = subprocess.Popen(command(arguments), stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    log = workdir / "metrics.jsonl"
    known = len(log.read_text().splitlines()) if log.exists() else 0
    wait_for(lambda: log.exists() and len(log.read_text().splitlines()) > known, process)
    time.sleep(delay)
    children = psutil.Process(process.pid).children(recursive=True)
    left = segments() - before
    os.kill(process.pid, signal.SIGKILL)
    process.communicate(timeout=TIMEOUT)
    _, alive = psutil.wait_procs(children, timeout=30)
    assert not alive, "orphans"
    wait_for(lambda: not left & segments())
    return len(children)


@pytest.mark.slow  # a signal that can be caught is the quick one, above
def test_kill_9_leaves_no_orphans_and_resumes_bit_identical(tiny_run, reference, tmp_path):
    arguments = tiny_run(tmp_path / "cut", data__num_workers=1, **{"stages[0]__steps": 60, "log_every": 1})
    assert kill_and_resume(arguments, tmp_path / "cut", delay=0.3) >= 1
    done = run(arguments, env={**os.environ, **ANEW})
    assert done.returncode == 0, done.stderr
    assert_same_run(tmp_path / "cut", reference(arguments)[0])


@pytest.mark.slow
def test_kill_9_at_ten_random_moments(tiny_run, reference, tmp_path):
    rng = random.Random(0)
    arguments = tiny_run(tmp_path / "cut", data__num_workers=2,
                         **{"stages[0]__steps": 400, "log_every": 1, "eval_every": 50})
    for _ in range(10):
        kill_and_resume(arguments, tmp_path / "cut", delay=rng.uniform(0, 0.6))
    done = run(arguments, env={**os.environ, **ANEW})
    assert done.returncode == 0, done.stderr
    assert_same_run(tmp_path / "cut", reference(arguments)[0])


@pytest.mark.slow
def test_two_stages_resume_at_their_boundary(tiny_run, tmp_path):
    """A run whose checkpoint is the last step of stage one goes on with stage two, in which the network is larger."""
    config = tmp_path / "two.py"
    config.write_text(
        "from jsr import recipes\n\ndef get_config(name='quick'):\n    config = recipes.template(f'aim22_t1:{name}')\n"
        "    begin = [dict(net='sr', carry='match', fields=dict(num_feat=4, num_block=2))]\n"
        "    config.stages.append({**config.stages[0], 'crop': 16, 'steps': 6, 'begin': begin})\n    return config\n")
    arguments = [f"--config={config}" if a.startswith("--config=") else a for a in tiny_run(tmp_path / "whole")]
    whole = run(arguments)
    assert whole.returncode == 0, whole.stderr
    assert "step 18/18" in whole.stderr and "sr: match, num_block = 2, num_feat = 4" in whole.stderr
    meta, networks, _ = model_file.load(tmp_path / "whole" / "last.safetensors")
    assert networks["sr"].num_block == meta["networks"][0]["fields"]["num_block"] == 2
    shutil.copytree(tmp_path / "whole", tmp_path / "cut")
    for step in ("15", "18"):
        shutil.rmtree(tmp_path / "cut" / "checkpoints" / step)
    arguments = [f"--workdir={tmp_path / 'cut'}" if a.startswith("--workdir") else a for a in arguments]
    done = run(arguments)
    assert "resuming from step 12 of 18" in done.stderr, done.stderr
    assert_same_run(tmp_path / "cut", tmp_path / "whole")
    wrong = "[{'fn': 'l1', 'pred': 'sr', 'target': 'hrr', 'weight': 1.0}]"  # said before the first stage runs
    arguments = [f"--workdir={tmp_path / 'wrong'}" if a.startswith("--workdir") else a for a in arguments]
    done = run([*arguments, f"--config.stages[1].players[0].losses={wrong}"])
    assert done.returncode == 1 and "step 4/18" not in done.stderr
    assert "a loss compares with 'hrr', which no network gives and no batch has; did you mean 'hr'?" in done.stderr


HEARS = """
import json


class Hears:
    def begin(self, recipe, workdir, step):
        self.file = open(workdir / "heard.jsonl", "a", buffering=1)
        self.hear("begin", recipe["recipe"], step)

    def hear(self, *what):
        self.file.write(json.dumps(what) + "\\n")

    def scalars(self, step, kind, values):
        self.hear(kind, step, sorted(values))

    def picture(self, step, name, image):
        self.hear("picture", step, image.shape[-1])

    def end(self, status):
        self.hear("end", status)
"""


def test_a_run_that_stops_early_and_is_traced_and_told_of(tiny_run, tmp_path):
    """Nothing is learnt, so the second validation without a better score ends the run, and again where it resumes."""
    (tmp_path / "guests" / "its").mkdir(parents=True)
    (tmp_path / "guests" / "its" / "tracker.py").write_text(HEARS)
    given = os.environ | {"PYTHONPATH": os.pathsep.join([str(tmp_path / "guests"), os.environ.get("PYTHONPATH", "")])}
    settings = {"patience": 2, "eval_every": 2, "log_every": 1, "stages[0].accumulate": 2,
                "stages[0].players[0].learning_rate": 1e-30, "stages[0].players[0].schedule.end": 0}
    arguments = [*tiny_run(tmp_path / "whole", **settings), "--tell=its.tracker:Hears"]
    whole = run([*arguments, "--profile=2"], env=given)
    assert whole.returncode == 0, whole.stderr
    words = "after step 6 of 12: 2 validations in a row had no better PSNR[rgb]"
    assert whole.stdout.splitlines()[-1].startswith(f"stopped: {words}; the best model: ")
    report = json.loads((tmp_path / "whole" / "report.json").read_text())
    assert (report["steps"], report["stopped"]) == (6, words)
    assert f"6 steps (stopped {words})" in (tmp_path / "whole" / "report.html").read_text()
    assert "steps/s  batch 8 in 2 parts  data" in whole.stderr

    assert f"2 steps are traced in {tmp_path / 'whole' / 'profile'}: open its *.trace.json.gz" in whole.stderr
    trace, = (tmp_path / "whole" / "profile").rglob("*.trace.json.gz")
    assert trace.stat().st_size > 1000 and list(trace.parent.glob("*.xplane.pb"))

    heard = [json.loads(line) for line in (tmp_path / "whole" / "heard.jsonl").read_text().splitlines()]
    assert heard[0] == ["begin", "aim22_t1:quick", 0] and heard[-1] == ["end", "finished"]
    assert [step for kind, step, *_ in heard[1:-1] if kind == "train"] == [1, 2, 3, 4, 5, 6]
    assert [step for kind, step, *_ in heard[1:-1] if kind in ("eval", "picture")] == [2, 2, 4, 4, 6, 6]
    assert ["report", 6, ["psnr[rgb]", "psnr[y_601]", "ssim[rgb]"]] in heard

    shutil.copytree(tmp_path / "whole", tmp_path / "cut")
    shutil.rmtree(tmp_path / "cut" / "checkpoints" / "6")
    arguments = [f"--workdir={tmp_path / 'cut'}" if a.startswith("--workdir") else a for a in arguments]
    done = run(arguments, env=given)
    assert "resuming from step 5 of 12" in done.stderr and f"stopped: {words}" in done.stdout, done.stderr
    assert_same_run(tmp_path / "cut", tmp_path / "whole")
    told = (tmp_path / "cut" / "heard.jsonl").read_text().splitlines()[len(heard):]
    assert [json.loads(line)[:2] for line in told][:2] == [["begin", "aim22_t1:quick"], ["train", 6]]



@pytest.mark.slow
def test_a_finished_run_only_reports_again(tiny_run, reference):
    workdir, _ = reference(tiny_run())
    before = (workdir / "report.json").read_bytes()
    done = run(tiny_run(workdir), program=("jsr", "train"))  # the same thing
    assert done.returncode == 0 and (workdir / "report.json").read_bytes() == before, done.stderr
    assert "resuming from step 12 of 12" in done.stderr and "step 4/12" not in done.stderr


def changed(*words, spec="ntire24:quick"):
    args, overrides = main.parse([f"--config={spec}", *words])
    return main._changes(recipes.load(spec, overrides), spec, args.minutes, run_folder.FREE_KEYS)


def test_title_and_folder_follow_what_is_run():
    assert changed() == changed("--config.log_every=3", "--config.data.num_workers=0", "--config.seed=0") == {}
    assert main._as_text({}) == main._as_suffix({}) == ""
    assert changed("--config.members=[{'copies': 2}]")["members.0.copies"] == 2
    words = ["--config.data.train[0].set.quality=60-100", "--config.networks.sr.fields.num_block=2", "--minutes=20"]
    found = changed(*words)
    assert found == {"networks.sr.fields.num_block": 2, "data.train.0.set.quality": "60-100", "minutes": 20.0}
    assert main._as_text(found) == ("; with networks.sr.fields.num_block=2, data.train.0.set.quality=60-100, "
                                    "minutes=20.0")
    suffix = main._as_suffix(found)
    assert suffix.startswith("-num_block-quality-minutes-") and suffix == main._as_suffix(changed(*reversed(words)))
    assert suffix != main._as_suffix(changed(*words[:2], "--minutes=21"))
    many = main._as_text({f"networks.sr.fields.a{n}": "x" * 99 for n in range(9)})
    assert many.endswith(" and 5 more") and len(many) < 300


@pytest.mark.slow
def test_minutes_of_training(tiny_run, tmp_path):
    arguments = [word for word in tiny_run() if "stages[0].steps" not in word and "every" not in word]
    began = time.monotonic()
    done = run([*arguments, "--minutes=1.5", "--config.checkpoint_every=20"])
    assert done.returncode == 0, done.stderr
    assert time.monotonic() - began < 150  # imports and the evaluation come on top
    config = json.loads((tmp_path / "run" / "config.json").read_text())
    steps = config["stages"][0]["steps"]
    assert steps > 20 and f"step {steps}/{steps}" in done.stderr
    again = run([*arguments, "--minutes=1.5", "--config.checkpoint_every=20"])
    assert again.returncode == 0 and "measuring" not in again.stderr
    assert f"resuming from step {steps} of {steps}" in again.stderr


MEMBERS = ("[{'copies': 2}, {'seed': 2, 'weight': 2.0, 'networks': {'sr': "
           "{'model': 'edsr/baseline', 'scale': 4, 'fields': {'num_feat': 6, 'num_block': 1}}}}]")


@pytest.mark.slow
def test_an_ensemble_is_killed_resumed_member_by_member_joined_and_used(tiny_run, shared_photos, tmp_path):
    """Killed in its second member, the third trained by itself, the rest by the same command."""
    folder, more = tmp_path / "run", {"stages[0]__steps": 24, "log_every": 1, "eval_every": 20}
    arguments, alone = tiny_run(members=MEMBERS, **more), tiny_run(tmp_path / "alone", seed=1, **more)
    process = subprocess.Popen(command(arguments), stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    wait_for((folder / "member2" / "checkpoints" / "5").exists, process)
    os.kill(process.pid, signal.SIGKILL)
    process.communicate(timeout=TIMEOUT)
    assert not (folder / "last.safetensors").exists()
    picture, busy = str(shared_photos / "0000.png"), tmp_path / "busy"
    upscale = ["jsr", "upscale", picture, "--model", str(folder), "--out"]
    lines = [["jsr.main", *arguments, "--member=3"], [*upscale, str(tmp_path / "none")], ["jsr.main", *arguments],
             ["jsr.main", *alone], [*upscale, str(tmp_path / "all")], [*upscale, str(tmp_path / "one"), "--members=1"],
             ["jsr", "convert", str(folder), str(tmp_path / "torch")], ["jsr.main", *tiny_run(folder)],
             ["jsr.main", *tiny_run(tmp_path / "alone", members=MEMBERS)],
             ["jsr.main", *tiny_run(busy, members=MEMBERS), "--member=2"]]
    with results.only_one(busy / "member2", "training"):
        done = subprocess.run([sys.executable, "-c", ONE_BY_ONE], input=json.dumps(lines), capture_output=True,
                              text=True, timeout=TIMEOUT)
    assert done.returncode == 0, done.stderr
    statuses, errors = zip(*json.loads(done.stdout.splitlines()[-1]), strict=True)
    assert statuses == (0, 1, 0, 0, 0, 0, 1, 1, 1, 1), errors
    assert "2 of 3 members are trained, 2 not yet: the ensemble has no score" in done.stdout
    for index, words in ((1, f"{folder}: holds an unfinished ensemble"), (2, "member 1 of 3 was trained"),
                         (2, "resuming from step "), (6, "holds an ensemble of 3 networks, but this takes one"),
                         (7, "holds the run of an ensemble, not of one network; choose another --workdir"),
                         (8, "holds the run of one network, not of an ensemble; choose another --workdir"),
                         (9, f"{busy / 'member2'}: another training is at work there (process {os.getpid()} on ")):
        assert words in errors[index] and "Traceback" not in errors[index], errors[index]
    assert_same_run(folder / "member2", tmp_path / "alone")  # a member is the run of its recipe, killed or not
    assert "3 passes a picture (3 networks), about " in done.stdout
    check_ensemble(folder, shared_photos)
    for name, options in (("all", {}), ("one", {"members": 1})):
        expected = jsr.load(folder, **options).upscale(read_rgb(picture))
        np.testing.assert_array_equal(read_rgb(tmp_path / name / "0000.png"), expected)
    check_what_is_joined(folder, recipes.load("aim22_t1", [(word.removeprefix("--config.").partition("=")[0],
                         word.partition("=")[2]) for word in arguments[2:]]))


def test_runs_of_ensembles_and_of_one_network_keep_out_of_each_others_folders(tiny_run, tmp_path):
    several, folders = recipes.load("aim22_t1", [("members", MEMBERS)]), [tmp_path / name for name in "abcd"]
    for folder in folders:
        folder.mkdir()
    (folders[0] / "best.safetensors").touch()  # its checkpoints were removed
    with pytest.raises(UserError, match="holds the run of one network"):
        members.check_kind(several, folders[0])
    (folders[1] / "config.json").write_text(json.dumps({"members": [{}, {}]}))  # its members' folders were removed
    with pytest.raises(UserError, match="holds the run of an ensemble"):
        members.check_kind(recipes.load("aim22_t1"), folders[1])
    (folders[2] / "member1.txt").touch()
    members.check_kind(recipes.load("aim22_t1"), folders[2])
    (folders[3] / "member2").mkdir()
    (folders[3] / "member2" / "report.html").write_text("mine")
    with pytest.raises(UserError, match="member2: holds report.html, but no run"):
        main.run(*main.parse(tiny_run(folders[3], members=MEMBERS)), Console(quiet=True))


def check_ensemble(folder, photos):
    """The report of an ensemble is that of its model file, and of its members' reports."""
    report = json.loads((folder / "report.json").read_text())
    assert [row["name"] for row in report["members"]] == ["member1", "member2", "member3"] and report["steps"] == 72
    for row in report["members"]:
        assert row["mean"] == json.loads((folder / row["name"] / "report.json").read_text())["mean"]["ours"]
    assert '<a href=\'member2/report.html\'>member2</a>' in (folder / "report.html").read_text()
    together, alone = jsr.load(folder), [jsr.load(folder / f"member{n}" / "last.safetensors") for n in (1, 2, 3)]
    assert [len(chain.networks) for chain in together.chains] == [1, 1, 1]
    pairs = validation.eval_pairs(open_source(str(photos), ""), scale=4, degrade="aim22_t1")
    for row, (_, lr, hr, _) in zip(report["images"], pairs, strict=True):
        assert metrics.score(together.upscale(lr), hr, ["psnr[rgb]"])["psnr[rgb]"] == row["ours"]["psnr[rgb]"]
        parts = np.stack([its.upscale(lr.astype(np.float32) / 255) for its in alone])
        found, inside = together.upscale(lr.astype(np.float32) / 255), ((parts > 0) & (parts < 1)).all(0)
        assert inside.mean() > 0.1
        np.testing.assert_allclose(found[inside], np.average(parts, axis=0, weights=(1, 1, 2))[inside], atol=1e-5)


def check_what_is_joined(folder, recipe):
    """Members that are not the recipe's are one line each."""
    runs, second = members.of(recipe), folder / "member2"
    config, file = second / "config.json", second / "last.safetensors"
    kept = {path: path.read_bytes() for path in (config, file)}
    meta, _, variables = model_file.load(file)
    (other, *_) = model_file.load_members(folder / "member1" / "last.safetensors")

    def with_config(old, new):
        return lambda: config.write_text(config.read_text().replace(old, new))

    for change, words in (
            (file.unlink, f"{file}: no such file; train the member (--member 2)"),
            (lambda: shutil.copy(folder / "member1" / "last.safetensors", file),
             f"{file}: is of another run than its folder (seed: 0, not 1)"),
            (lambda: model_file.save(file, variables, meta | {"steps": 5}), "run than its folder (steps: 5, not 24"),
            (lambda: model_file.save(file, other.variables, meta), f"{file}: holds the same network as "),
            (lambda: model_file.save(file, variables, meta | {"ensemble": None}), "--member 2 scores it again"),
            (with_config('"aim22_t1:quick"', '"aim22_t1:edsr"'), f"{second}: is not the run of this member (recipe: "),
            (with_config('"scale": 4', '"scale": 2'), "(networks.sr.scale: 2 there, 4 in the recipe); put the ")):
        change()
        with pytest.raises(UserError) as error:
            members.join(recipe, runs, folder)
        assert words in str(error.value) and "\n" not in str(error.value)
        for path, content in kept.items():
            path.write_bytes(content)


MISTAKES = (
    (["--minutes=3"], "jsr: --minutes 3 and --config.stages[0].steps=12 both set the length of the training"),
    (["--member=1"], "--member 1: aim22_t1:quick is no ensemble; leave it out"),
    ([f"--config.members={MEMBERS}", "--member=4"], "--member 4: aim22_t1:quick has members 1 to 3"),
    (["--config.sed=1"], "--config.sed: unknown key 'sed'; did you mean 'seed'"),
    (["--config.stages[0].batch=7", "--config.data.train[0].dataset=photo/aim22_t1"], "did you mean 'photos'"),
    (["--config.data.train[0].dataset=div2k/aim22_t1"], "run: jsr build div2k/aim22_t1"),
    (["--config.data.train[0].degrade="], "--config.data.train[0].degrade: is empty, but "),
    (["--config.data.eval.degrade="], "--config.data.eval.degrade: is empty, but "),
    (["--config.networks.sr.carry=match"], "--config.networks.sr.start_from: networks.sr.carry is 'match', but no "),
    (["--config.stages[0].crop=400"], "is smaller than the crop of 400"),
    (["--config.stages[0].players[0].losses=[{'fn': 'l7', 'pred': 'sr', 'target': 'hr', 'weight': 1}]"],
     "loss 'l7' is unknown"),
    (["--config.networks.sr.model=esdr/baseline"], "did you mean 'edsr'"),
)


@pytest.fixture(scope="module")
def ended(tmp_path_factory):
    """Runs all MISTAKES once: from the arguments of a run to [(exit status, stderr)]; `jsr train` runs the second."""
    folder, made = tmp_path_factory.mktemp("mistakes"), []

    def get(arguments):
        if not made:
            common = [f"--workdir={folder / 'run'}", *(a for a in arguments if not a.startswith("--workdir"))]
            lines = [[*(("jsr", "train") if "--config.sed=1" in more else ("jsr.main",)), *common, *more]
                     for more, _ in MISTAKES]
            done = subprocess.run([sys.executable, "-c", ONE_BY_ONE], input=json.dumps(lines), capture_output=True,
                                  text=True, timeout=TIMEOUT, env={**os.environ, "JSR_DATA_DIR": str(folder / "data")})
            assert done.returncode == 0, done.stderr
            made.extend(json.loads(done.stdout.splitlines()[-1]))
        return made

    return get


@pytest.mark.parametrize("index", range(len(MISTAKES)), ids=[message for _, message in MISTAKES])
def test_mistakes_are_one_line(tiny_run, ended, index):
    more, message = MISTAKES[index]
    status, stderr = ended(tiny_run())[index]
    assert status == 1, stderr
    assert "Traceback" not in stderr
    last = stderr.strip().splitlines()[-1]
    assert last.startswith("jsr train: " if "--config.sed=1" in more else "jsr: ") and message in last


@pytest.mark.slow
def test_a_run_that_diverges_leaves_black_boxes(tiny_run, tmp_path):
    done = run([*tiny_run(), "--config.stages[0].players[0].learning_rate=1e30",
                "--config.stages[0].players[0].clip_norm=0"])
    assert done.returncode == 1 and "Traceback" not in done.stderr
    assert "no loss or gradient was finite" in done.stderr.strip().splitlines()[-1]
    boxes = sorted((tmp_path / "run" / "blackbox").iterdir())
    assert len(boxes) == 3 and f"jsr replay {boxes[0]}\n" in done.stderr
    box = blackbox.read(boxes[0])
    assert box.note["step"] == int(boxes[0].name.removeprefix("step")) == int(box.state.step) + 1
    assert box.batch["hr"].dtype == np.uint8 and box.batch["hr"].shape == (8, 32, 32, 3)


@pytest.mark.slow
def test_damaged_images_do_not_end_a_run_unless_they_may_not_be_left_out(tiny_run, photo_folder, tmp_path):
    """One that ends leaves its model; without the image it goes on, when that is accepted, and longer than planned."""
    for number in range(4, 12):
        shutil.copy(photo_folder / "0000.png", photo_folder / f"{number:04d}.png")
    (photo_folder / "0007.png").write_bytes((photo_folder / "0007.png").read_bytes()[:2000])  # is drawn in step 8
    arguments = tiny_run(**{"data__train[0]__dataset": photo_folder, "stages[0]__batch": 1, "checkpoint_every": 1})
    done = run([*arguments, "--config.data.max_damaged=0"])
    assert done.returncode == 1 and "Traceback" not in done.stderr
    assert "0007.png (hr): damaged or truncated" in done.stderr.splitlines()[-1]
    step = model_file.load(tmp_path / "run" / "last.safetensors")[0]["steps"]
    assert 0 < step < 12 and f"the model as it is after step {step} is kept in" in done.stderr
    done = run(arguments)
    assert done.returncode == 0 and "left out as damaged: 1 image (" in done.stderr, done.stderr
    assert "0007.png (hr): damaged or truncated" in done.stderr and "(1 of at most 100)" in done.stderr
    (photo_folder / "0007.png").unlink()
    longer = [*arguments, "--config.stages[0].steps=15"]
    assert "--accept_changes continues it with the new values from step 12" in run(longer).stderr
    done = run([*longer, "--accept_changes"])
    assert done.returncode == 0 and "resuming from step 12 of 15" in done.stderr, done.stderr
    meta, _, _ = model_file.load(tmp_path / "run" / "last.safetensors")
    assert meta["steps"] == 15 and meta["fingerprint"]["accepted"][0]["changes"] == {"stages.0.steps": [12, 15]}


@pytest.mark.slow
def test_a_run_starts_from_a_model_file(tiny_run, reference, tmp_path):
    first, _ = reference(tiny_run())
    start = first / "last.safetensors"
    still = {"stages[0]__steps": 1, "stages[0]__players[0]__learning_rate": 1e-30, "ema_decay": 0}
    done = run(tiny_run(tmp_path / "on", networks__sr__start_from=start, **still))
    assert done.returncode == 0, done.stderr
    trees = [model_file.load(path)[2] for path in (start, tmp_path / "on" / "last.safetensors")]
    jax.tree.map(np.testing.assert_array_equal, *trees)
    done = run(tiny_run(tmp_path / "other", networks__sr__start_from=start, networks__sr__fields="{'num_feat': 8}"))
    assert done.returncode == 1
    assert "none of its networks (sr) has the parameters of edsr/baseline x4" in done.stderr.splitlines()[-1]


@pytest.mark.slow
def test_a_workdir_of_other_settings_is_refused(tiny_run, reference):
    workdir, _ = reference(tiny_run())
    done = run([*tiny_run(workdir), "--config.seed=9"])
    assert done.returncode == 1
    assert "holds a run with other settings (seed: 0 there, 9 now)" in done.stderr
    assert run([*tiny_run(workdir), "--config.log_every=3"]).returncode == 0


def test_a_workdir_that_cannot_be_written(tiny_run, tmp_path):
    (tmp_path / "file").write_text("")
    done = run(tiny_run(tmp_path / "file" / "run"))
    assert done.returncode == 1 and "cannot be written" in done.stderr and "Traceback" not in done.stderr


@pytest.mark.slow
def test_a_run_that_degrades_on_the_device_has_the_samples_of_the_host(tiny_run, reference, tmp_path):
    folder, _ = reference(tiny_run(tmp_path / "host"))
    done = run(tiny_run(tmp_path / "device", data__degrade_on="device"))
    assert done.returncode == 0, done.stderr
    one, other = ([row["loss"] for row in log_rows(its) if "loss" in row] for its in (folder, tmp_path / "device"))
    np.testing.assert_allclose(one, other, rtol=1e-5)  # another sample changes it by hundredths


@pytest.mark.slow
def test_a_checkpoint_that_does_not_fit_on_the_disk(tiny_run, tmp_path):
    small_files_only = ("import resource, signal, sys\nfrom jsr.main import main\n"
                        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"  # writes fail then, as on a full disk
                        "resource.setrlimit(resource.RLIMIT_FSIZE, (15_000, 15_000))\nsys.exit(main(sys.argv[1:]))")
    done = subprocess.run([sys.executable, "-c", small_files_only, *tiny_run()], capture_output=True, text=True,
                          timeout=TIMEOUT)
    assert done.returncode == 1, done.stderr
    assert "a checkpoint cannot be written" in done.stderr.strip().splitlines()[-1]
    assert not [p for p in (tmp_path / "run" / "checkpoints").iterdir() if p.name.isdigit()]
    assert run(tiny_run()).returncode == 0


def test_core_never_imports_tensorflow_or_torch(tiny_run, reference):
    _, done = reference(tiny_run())
    assert done.stdout.strip().splitlines()[-1] == "[]", done.stderr


@pytest.mark.slow
def test_a_run_on_clips_shows_its_validation_and_resumes_with_the_same_bits(tmp_path, photograph):
    (tmp_path / "clips").mkdir()
    for seed in range(2):
        rgb = np.stack([photograph(256, 288, seed)[:, 3 * t:3 * t + 256] for t in range(6)])
        (tmp_path / "clips" / f"{seed}.hevc").write_bytes(hevc.encode_lossless(_video.rgb_to_yuv(rgb)))
    given = {"networks.sr.fields": "{'num_feat': 4, 'num_level': 2, 'num_conv': 1}", "data.num_workers": "0",
             **{f"data.{key}.{name}": text for key in ("train[0]", "eval")
                for name, text in (("dataset", str(tmp_path / "clips")), ("degrade", "aim22_t2"))},
             "data.eval.frames": "2", "stages[0].steps": "4", "stages[0].batch": "2", "stages[0].crop": "256",
             "stages[0].schedule.milestones": "[3]", "log_every": "1", "eval_every": "2", "checkpoint_every": "2"}
    arguments = ["--config=configs/aim22_t2.py:ivl", *(f"--config.{key}={value}" for key, value in given.items())]
    done = run([*arguments, f"--workdir={tmp_path / 'whole'}"])
    assert done.returncode == 0, done.stderr
    assert "on 2 clips, " in done.stderr and "mean of 2 clips" in done.stdout and "TCC[rgb]" in done.stdout
    shutil.copytree(tmp_path / "whole", tmp_path / "resumed")
    shutil.rmtree(tmp_path / "resumed" / "checkpoints" / "4")
    done = run([*arguments, f"--workdir={tmp_path / 'resumed'}"])
    assert done.returncode == 0 and "resuming from step 2 of 4" in done.stderr, done.stderr
    whole, resumed = (jax.tree.leaves(model_file.load(tmp_path / name / "last.safetensors")[2])
                      for name in ("whole", "resumed"))
    assert all(np.array_equal(*pair) for pair in zip(whole, resumed, strict=True))
    reports = [json.loads((tmp_path / name / "report.json").read_text()) for name in ("whole", "resumed")]
    assert reports[0]["images"] == reports[1]["images"] and len(reports[0]["images"][0]["frames"]["ours"]) == 2
    picture = next((tmp_path / "whole" / "pictures").iterdir())
    assert picture.name == "0.hevc_0000002.png" and read_rgb(picture).shape == (128 + 2, 6 * 128, 3)
