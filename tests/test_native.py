"""Native libraries leave the process as they found it, and nothing reports home.

As a program, `test_native.py NAME FOLDER` prints the state of its process before a row of CALLS, after it has
succeeded, and after it has failed.
"""

import contextlib
import ctypes
import gc
import importlib.util
import json
import locale
import os
from pathlib import Path
import re
import shutil
import subprocess
import sys
import threading
import time

import numpy as np
import pytest

from jsr import native
from jsr.errors import UserError

IMAGE = np.random.default_rng(0).integers(0, 256, (48, 64, 3), np.uint8)
LINUX = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc and Linux's scheduling")


def state():
    """What belongs to the whole process or to the thread that calls, and is none of a library's business."""
    process = os.getpid()
    status = dict(line.split(":", 1) for line in Path("/proc/thread-self/status").read_text().splitlines())
    variables = ctypes.POINTER(ctypes.c_char_p).in_dll(ctypes.CDLL(None), "environ")  # os.environ misses libraries' own
    umask = os.umask(0)
    os.umask(umask)
    smallest, denormal = np.array([0x800000, 1], np.int32).view(np.float32)[:, None]  # float32 that is normal, and not
    descriptors = Path("/proc/self/fd")
    return {
        "policy": os.sched_getscheduler(0), "priority": os.sched_getparam(0).sched_priority,
        "policies of all threads": sorted({os.sched_getscheduler(int(task)) for task in os.listdir("/proc/self/task")}),
        "nice": os.getpriority(os.PRIO_PROCESS, process), "affinity": sorted(os.sched_getaffinity(0)),
        "rights": status["CapEff"].strip(),
        "signals": {name: status[name].strip() for name in ("SigBlk", "SigIgn", "SigCgt")},
        "environment": sorted(entry.decode() for entry in _until_null(variables)),
        "python's environment": dict(os.environ), "folder": os.getcwd(), "umask": umask,
        "locale": locale.setlocale(locale.LC_ALL), "rounding": ctypes.CDLL("libm.so.6").fegetround(),
        "denormals": [float((smallest / 2)[0]), float((denormal * 2)[0])],  # as results, as arguments
        "files": sorted(target for entry in descriptors.iterdir() if (target := _target(entry))),
    }


def _until_null(pointers):
    index = 0
    while pointers[index]:
        yield pointers[index]
        index += 1


def _target(entry):
    try:
        target = os.readlink(entry)
    except FileNotFoundError:  # of the listing itself
        return None
    return None if target.startswith("/proc/") else target


# Rows: function of an empty folder to a call that succeeds and one that fails within the library.

def pillow(folder):
    def round_trip(damage=lambda data: data):
        from jsr.degradations import jpeg, webp
        for codec in (jpeg, webp):
            codec.decode(damage(codec.encode(IMAGE, 50)))
    return round_trip, lambda: round_trip(lambda data: data[:len(data) // 2])


def pillow_avif(folder):
    def decode(share=1.0):
        from jsr.degradations import avif
        with np.load(Path(__file__).parent / "golden" / "avif.npz") as arrays:
            data = arrays["report"].tobytes()
        avif.decode(data[:int(share * len(data))], decoder="pillow")
    return decode, lambda: decode(0.5)


def jpeglib(folder):
    def round_trip(damage=lambda data: data):
        from jsr.degradations import jpeg
        jpeg.decode(damage(jpeg.encode(IMAGE, 50, encoder="9d")), decoder="9d")
    return round_trip, lambda: round_trip(lambda data: data[:len(data) // 2])


def svt_av1(folder):
    def encode():
        from jsr.degradations import avif
        avif.encode(IMAGE, 31)

    def refused():
        from jsr.degradations import _video
        _video.encode([_video.from_yuv(np.zeros((3, 2), np.uint8))], (2, 2), container="avif", codec="libsvtav1",
                      options={}, rate=25)
    return encode, refused


def ffmpeg_av1(folder):
    def decode(share=1.0):
        from jsr.degradations import avif
        with np.load(Path(__file__).parent / "golden" / "avif.npz") as arrays:
            data = arrays["report"].tobytes()
        avif.decode(data[:int(share * len(data))])
    return decode, lambda: decode(0.5)


def x265(folder, **arguments):
    def encode(side=16):
        from jsr.degradations import hevc
        hevc.decode(hevc.encode(np.zeros((2, side * 3 // 2, side), np.uint8), 37, **arguments))

    def refused():
        from jsr.degradations import _video
        _video.encode([_video.from_yuv(np.zeros((12, 8), np.uint8))], (8, 8), container="hevc", codec="libx265",
                      options={"x265-params": "log-level=none"}, rate=25)
    return encode, refused


def swscale(folder):
    def scale(size_hw=(20, 30)):
        from jsr.degradations import resize
        resize.swscale_bicubic(IMAGE, size_hw)
    return scale, lambda: scale((20, 10**6))


def vips(folder):
    def copy(share=1.0):
        from PIL import Image

        from jsr import pictures
        for name in ("in.tif", "in.jpg", "in.png", "in.webp"):
            Image.fromarray(IMAGE).save(folder / name)
            data = (folder / name).read_bytes()
            (folder / name).write_bytes(data[:int(share * len(data))])
            with (pictures.open_picture(folder / name) as picture,
                  pictures.create(folder / f"out{name[2:]}", picture, 48, 64) as sink):
                sink.write(picture.rows(0, 48))
    return copy, lambda: copy(0.7)


def onnx_graph(filters=3):
    """A convolution as a serialised graph, NHWC; its filters are that many channels deep, and only 3 are right."""
    import onnx
    from onnx import helper, numpy_helper
    nodes = [helper.make_node("Transpose", ["lr"], ["a"], perm=[0, 3, 1, 2]),
             helper.make_node("Conv", ["a", "w"], ["b"], pads=[1] * 4), helper.make_node("Relu", ["b"], ["sr"])]
    weights = numpy_helper.from_array(np.full((3, filters, 3, 3), 1e-20, np.float32), "w")
    values = [helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, shape)
              for name, shape in (("lr", [1, "h", "w", 3]), ("sr", [1, 3, "h", "w"]))]
    graph = helper.make_graph(nodes, "g", values[:1], values[1:], [weights])
    return helper.make_model(graph, ir_version=10, opset_imports=[helper.make_opsetid("", 18)]).SerializeToString()


def runtime(name):
    def calls(folder):
        def run(filters=3):
            from jsr.inference import runtimes
            runtimes.OTHERS[name].open(onnx_graph(filters))(np.full((1, 48, 64, 3), 1e-20, np.float32))
        return run, lambda: run(4)
    return calls


def xla(folder):
    def convolve(shape=(1, 48, 64, 3)):
        import jax
        kernel = np.full((3, 3, 3, 3), 1e-20, np.float32)
        with jax.default_matmul_precision("highest"):
            jax.block_until_ready(jax.jit(lambda image: jax.lax.conv_general_dilated(
                image, kernel, (1, 1), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC")))(np.ones(shape, np.float32)))
    return convolve, lambda: convolve((1, 48, 64, 4))


def tensorboard(folder):
    def write(workdir=folder / "run"):
        from jsr.training.logbook import Logbook
        workdir.mkdir(exist_ok=True)
        logbook = Logbook(workdir, resume_step=0)
        logbook.scalars(1, "train", {"loss": 1.0})
        logbook.picture(1, "crop", IMAGE)
        logbook.close()

    def refused():
        (folder / "other").mkdir()
        (folder / "other" / "tensorboard").write_text("in the way")
        write(folder / "other")
    return write, refused


def records(folder):
    def round_trip():
        from array_record.python import array_record_module
        writer = array_record_module.ArrayRecordWriter(str(folder / "a.array_record"), "group_size:1")
        writer.write(b"x")
        writer.close()
        reader = array_record_module.ArrayRecordReader(str(folder / "a.array_record"))
        assert reader.read() == b"x"
        reader.close()

    def damaged():
        from array_record.python import array_record_module
        (folder / "b.array_record").write_bytes(b"damaged")
        array_record_module.ArrayRecordReader(str(folder / "b.array_record")).read()
    return round_trip, damaged


def orbax(folder):
    def checkpoints(restore=False):
        from jsr.training.checkpoints import Checkpoints
        opened = Checkpoints(folder / "checkpoints", keep=1)
        try:
            if restore:
                opened.restore(lambda step: {"other": np.ones(3)})
            opened.save(1, {"w": np.ones(3)}, {})
        finally:
            opened.close()
    return checkpoints, lambda: checkpoints(restore=True)


def torch(folder):
    def round_trip():
        from jsr.convert import files
        files.write_state_dict(folder / "a.pth", {"w": np.ones(3, np.float32)})
        files.read_state_dict(folder / "a.pth")

    def damaged():
        from jsr.convert import files
        (folder / "b.pth").write_bytes(b"damaged")
        files.read_state_dict(folder / "b.pth")
    return round_trip, damaged


CALLS = {  # name: row, packages that it takes besides what jsr needs
    "Pillow": (pillow, ()), "Pillow, AVIF": (pillow_avif, ()), "jpeglib": (jpeglib, ("jpeglib",)),
    "SVT-AV1": (svt_av1, ("av",)), "FFmpeg, AV1": (ffmpeg_av1, ("av",)), "x265": (x265, ("av",)),
    "swscale": (swscale, ("av",)), "libvips": (vips, ()), "TensorBoard": (tensorboard, ()),
    "ArrayRecord": (records, ()), "XLA": (xla, ()), "Orbax": (orbax, ()),
    "ONNX Runtime": (runtime("onnxruntime"), ("onnx", "onnxruntime")),
    "OpenVINO": (runtime("openvino"), ("onnx", "openvino")), "PyTorch": (torch, ("torch",)),
}
ON_JAX = {"XLA", "Orbax", "ONNX Runtime", "OpenVINO", "PyTorch"}


def settled(before):
    """The state once pipes of threads that end are closed, which a busy machine takes its time for."""
    deadline = time.monotonic() + 20
    while gc.collect() >= 0 and (now := state())["files"] != before["files"] and time.monotonic() < deadline:
        time.sleep(0.1)
    return now


def main(name, folder):
    if name in ON_JAX:
        import jax  # noqa: F401, which sets variables of its own when it is imported
    works, fails = CALLS[name][0](Path(folder))
    states = [state()]
    works()
    states.append(settled(states[0]))
    try:
        fails()
    except Exception as e:
        print(f"{type(e).__name__}: {e}", file=sys.stderr)
    else:
        sys.exit("the call that is to fail did not")
    print(json.dumps([*states, settled(states[0])]))


def fresh_environment(home):
    """This process's variables but for those that move what a library keeps of its user, or forbid it to."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("XDG_", "ORT_"))}
    return kept | {"HOME": str(home)}


@LINUX
@pytest.mark.parametrize("name", CALLS)
def test_a_call_leaves_the_process_and_the_home_folder_as_it_found_them(name, tmp_path):
    home, folder = tmp_path / "home", tmp_path / "folder"
    home.mkdir()
    folder.mkdir()
    for package in CALLS[name][1]:
        if importlib.util.find_spec(package) is None:  # not imported: it might report home first
            pytest.skip(f"pip install {package}")
    done = subprocess.run([sys.executable, __file__, name, folder], env=fresh_environment(home), capture_output=True,
                          text=True)
    assert done.returncode == 0, done.stderr
    assert list(home.rglob("*")) == []
    before, *after = json.loads(done.stdout.splitlines()[-1])
    for moment, found in zip(("after it succeeded", "after it failed"), after, strict=True):
        changed = {key: (before[key], value) for key, value in found.items() if value != before[key]}
        assert not changed, moment


@LINUX
def test_encoding_avif_is_never_real_time(photograph):
    from jsr.degradations import avif
    policies, done = set(), threading.Event()

    def watch():
        while not done.is_set():
            for task in os.listdir("/proc/self/task"):
                with contextlib.suppress(ProcessLookupError):  # ended since
                    policies.add(os.sched_getscheduler(int(task)))

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        avif.encode(photograph(200, 200), 31)
    finally:
        done.set()
        watcher.join()
    assert policies == {os.sched_getscheduler(0)}


def test_a_call_apart_gives_what_the_function_gives():
    assert native.call_apart(threading.get_ident, seconds=60, name="x") != threading.get_ident()
    with pytest.raises(ZeroDivisionError):
        native.call_apart(lambda: 1 / 0, seconds=60, name="x")


def test_a_call_that_hangs_is_one_line_and_the_process_ends():
    code = ("import sys, time\nfrom jsr import errors, native\n"
            "try:\n    native.call_apart(lambda: time.sleep(600), seconds=0.1, name='the encoder')\n"
            "except errors.UserError as e:\n    sys.exit(str(e))")
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (
        1, "the encoder hangs: not done after 0 s; run the command again, or upgrade its package\n")


def test_an_encoder_that_hangs(monkeypatch, photograph):
    from jsr.degradations import _video, avif
    monkeypatch.setattr(_video, "_SECONDS", 0.01)
    monkeypatch.setattr(_video, "_SECONDS_PER_MEGAPIXEL", 0)
    with pytest.raises(UserError, match="^the encoder libsvtav1 hangs: not done after 0 s"):
        avif.encode(photograph(200, 200), 31, preset=2)
    for thread in threading.enumerate():
        if thread.name == "the encoder libsvtav1":
            thread.join()


def test_a_variable_is_set_for_a_while(monkeypatch):
    monkeypatch.delenv("JSR_TEST", raising=False)
    first, second = native.environment("JSR_TEST", "1"), native.environment("JSR_TEST", "1")
    for step in (first.__enter__, second.__enter__, lambda: first.__exit__(None, None, None)):  # as two threads may do
        step()
        assert os.environ["JSR_TEST"] == "1"
    second.__exit__(None, None, None)
    assert "JSR_TEST" not in os.environ
    monkeypatch.setenv("JSR_TEST", "0")
    with native.environment("JSR_TEST", "1"):
        assert os.environ["JSR_TEST"] == "0"
    assert os.environ["JSR_TEST"] == "0"


# Nothing reports home.

REPORTING = {"onnxruntime", "openvino"}


def test_packages_that_report_home_are_imported_in_one_place():
    root = Path(__file__).parent.parent
    line = re.compile(rf"^\s*(import|from) ({'|'.join(REPORTING)})\b", re.MULTILINE)
    files = [file for top in ("jsr", "configs", "tfds_builders", "benchmarks") for file in (root / top).rglob("*.py")]
    assert [file for file in files if line.search(file.read_text())] == [root / "jsr" / "native.py"]


@pytest.fixture
def watched(tmp_path):
    """A function that runs a command of jsr without network, and gives the connections that it tried to open."""
    strace, alone = ["strace", "--follow-forks", "--seccomp-bpf", "--quiet=all", "--signal=none"], ["unshare", "--net"]
    if not shutil.which("strace") or subprocess.run([*strace, "true"], capture_output=True).returncode:
        pytest.skip("needs strace 5.3 or newer, and the right to trace: apt install strace")
    if subprocess.run([*alone, "true"], capture_output=True).returncode:
        alone = []  # the watch suffices, but then what is tried succeeds
    log = tmp_path / "connections"
    environment = {**fresh_environment(tmp_path / "home"), "JSR_DATA_DIR": str(tmp_path / "data")}

    def run(*command):
        done = subprocess.run([*strace, "--trace=connect,sendto,sendmsg,sendmmsg", "--output", log, *alone,
                               sys.executable, "-m", *map(str, command)],
                              env=environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr
        return [line for line in log.read_text().splitlines() if "sa_family=AF_INET" in line]

    return run


@pytest.mark.slow
@LINUX
def test_no_command_opens_a_connection(watched, tmp_path, photo_folder, tiny_run):
    """But for those that download."""
    model, photo, runs = tmp_path / "run" / "last.safetensors", photo_folder / "0000.png", tmp_path / "out"
    runtimes = ["jax", *(name for name in sorted(REPORTING) if all(map(importlib.util.find_spec, ("onnx", name))))]
    commands = [
        ["jsr", "build", "photos/aim22_t1"], ["jsr.main", *tiny_run(data__num_workers="2")],
        *(["jsr", "upscale", photo, "--out", runs / name, "--model", model, "--runtime", name] for name in runtimes),
        *(["jsr", "export", model, runs / f"m.{kind}"] for kind in ("onnx", "stablehlo") if "onnxruntime" in runtimes),
        ["jsr", "degrade", photo_folder, "--out", runs / "lr", "--protocol", "ais24"],
        ["jsr", "zoo", "edsr"], ["jsr", "doctor"], ["jsr", "models"], ["jsr", "models", "show", "swinir-x4"],
        ["jsr", "evaluate", "--sr", photo_folder, "--hr", photo_folder, "--protocol", "aim22_t1"],
        ["jsr", "benchmark", "upscale", model, "--size", "32x32", "--repeats", "1", "--peers",
         "torch,onnxruntime,openvino"],
    ]
    tried = {" ".join(map(str, command[:2])): found for command in commands if (found := watched(*command))}
    assert tried == {}


if __name__ == "__main__":
    main(*sys.argv[1:])
