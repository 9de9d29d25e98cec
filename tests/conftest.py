"""What several tests share: made-up photographs and a recipe small enough to train in seconds."""

import functools
import gc
import importlib.metadata
import importlib.util
import logging
import os
from pathlib import Path
import shutil
import signal
import sys

import hypothesis
import numpy as np
from PIL import Image, ImageFile
import psutil
import pytest

os.environ.setdefault("JAX_PLATFORMS", "cpu")
# LLVM optimises nothing, no fusion goes through MLIR (jaxlib 0.11 knows no such flag and would abort), and a program is
# one module: programs are compiled for one use, and seven eighths of that time goes. `make test-all` sets 0.
if os.environ.setdefault("JAX_DISABLE_MOST_OPTIMIZATIONS", "1") == "1":
    _flags = ["--xla_cpu_parallel_codegen_split_count=1"]
    if importlib.metadata.version("jaxlib").startswith("0.10."):
        _flags.append("--xla_cpu_use_fusion_emitters=false")
    os.environ["XLA_FLAGS"] = " ".join([os.environ.get("XLA_FLAGS", ""), *_flags])
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")  # ONNX Runtime that a test imports itself reports nothing
os.environ.setdefault("TORCHINDUCTOR_COMPILE_THREADS", "1")  # else PyTorch forks, at any time, beside JAX's threads
sys.modules.setdefault("openvino_telemetry", None)  # OpenVINO that a test imports itself reports nothing, and forks not
# How wide and bright tables are printed
for _name in ("COLUMNS", "LINES", "FORCE_COLOR", "NO_COLOR", "TTY_COMPATIBLE"):
    os.environ.pop(_name, None)

hypothesis.settings.register_profile("jsr", database=None)  # the checkout may be read-only
hypothesis.settings.load_profile("jsr")


# pytest's; PyTorch's, set when it is first used; JAX's, scikit-learn's and OpenImageIO's, when they are imported; ours
# while AVIF is encoded, by threads that read ahead of a test's end
_OF_OTHERS = {"PYTEST_CURRENT_TEST", "TORCHINDUCTOR_CACHE_DIR", "SVT_LOG", "TF_CPP_MIN_LOG_LEVEL", "TPU_SKIP_MDS_QUERY",
              "KMP_DUPLICATE_LIB_OK", "KMP_INIT_AT_FORK", "OpenImageIO_ROOT"}


# Set by the first command that keeps what it compiles, for its process
_OF_COMMANDS = {"jax_compilation_cache_dir", "jax_persistent_cache_min_compile_time_secs"}


def process_state():
    """{name: value} of what the whole process has once, and tests therefore leave as they found it."""
    root = logging.getLogger()
    state = {
        "PIL.Image.MAX_IMAGE_PIXELS": Image.MAX_IMAGE_PIXELS,
        "PIL.ImageFile.LOAD_TRUNCATED_IMAGES": ImageFile.LOAD_TRUNCATED_IMAGES,
        "the working directory": os.getcwd(),
        "sys.path": tuple(sys.path),
        "the root logger's level": root.level,
        "the root logger's handlers": tuple(h for h in root.handlers if not type(h).__module__.startswith("_pytest")),
        "logging.disable": root.manager.disable,
        "np.seterr": np.geterr(),
        "the priority (nice)": os.getpriority(os.PRIO_PROCESS, 0),
        "the thread's scheduling": os.sched_getscheduler(0) if hasattr(os, "sched_getscheduler") else None,
        **{f"the handler of {number.name}": signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)},
        **{f"os.environ[{name!r}]": value for name, value in os.environ.items() if name not in _OF_OTHERS},
    }
    if hasattr(os, "sched_getscheduler"):  # Linux
        state |= {"the scheduling policy": os.sched_getscheduler(0), "the CPU affinity": os.sched_getaffinity(0)}
    if "jax" in sys.modules:
        state |= {f"jax.config.{name}": value for name, value in sys.modules["jax"].config.values.items()
                  if name not in _OF_COMMANDS}
    return state


@pytest.fixture(autouse=True)
def _leaves_the_process_as_it_was():
    """Fails a test that changes what later tests of the same process see. It is set up first and taken down last."""
    before = process_state()
    yield
    after = process_state()
    changed = [name for name in sorted(before.keys() | after.keys()) if before.get(name) != after.get(name)
               and (name in before or not name.startswith("jax.config."))]  # JAX may be imported meanwhile
    if changed:
        pytest.fail("the test leaves behind, for all tests after it: " + "; ".join(
            f"{name} was {before.get(name)!r}, is {after.get(name)!r}" for name in changed), pytrace=False)


_LEFT = [1e9]  # bytes of memory that were in use when programs were last dropped
_GROWN = max(1e9, psutil.virtual_memory().total / 8)  # bytes more until they are again: dropping takes ten seconds


@pytest.fixture(scope="module", autouse=True)
def _gives_memory_back():
    """Drops what JAX keeps of programs once it has grown; what a module leaves is no garbage to be looked for again."""
    yield
    if "jax" in sys.modules and psutil.Process().memory_info().rss > _LEFT[0] + _GROWN:
        sys.modules["jax"].clear_caches()
        gc.unfreeze()
        gc.collect()
        _LEFT[0] = psutil.Process().memory_info().rss
    gc.freeze()


@pytest.fixture(scope="session")
def enlarging():
    """Function from a state dict of EDSR's to one that treats a photograph as a network should, see below."""
    return _enlarging


def _enlarging(state_dict):
    """A state dict of EDSR's, with values that repeat pixels."""
    found = {}
    for key, value in state_dict.items():
        if key.endswith("weight") and value.shape[-1] == 3:
            value, (after, before) = np.zeros_like(value), value.shape[:2]
            for channel in range(min(after, before) if "body" not in key else 0):
                repeated = max(1, after // before)
                value[channel * repeated:(channel + 1) * repeated, channel, 1, 1] = 1
        elif "mean" not in key:
            value = np.zeros_like(value)
        found[key] = value
    return found


def photograph(height, width, seed=0):
    """A made-up colour picture with gradients, edges and texture: uint8 (height, width, 3)."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:height, :width]
    image = np.stack([127 + 90 * np.sin(x / rng.uniform(4, 20) + c) * np.cos(y / rng.uniform(4, 20))
                      for c in range(3)], -1)
    for _ in range(8):
        top, left = rng.integers(height), rng.integers(width)
        image[top:top + height // 3, left:left + width // 3] = rng.integers(0, 256, 3)
    return np.clip(image + rng.normal(0, 4, image.shape), 0, 255).astype(np.uint8)


@pytest.fixture(name="photograph", scope="session")
def _photograph():
    return photograph


@pytest.fixture(scope="session")
def shared_photos(tmp_path_factory):
    """A folder with four made-up photographs of 64x80 pixels, the same for all tests. Read-only."""
    folder = tmp_path_factory.mktemp("photos")
    for index in range(4):
        Image.fromarray(photograph(64, 80, index)).save(folder / f"{index:04d}.png")
    return folder


@pytest.fixture
def photo_folder(shared_photos, tmp_path):
    """A copy of `shared_photos`, which the test may change."""
    return shutil.copytree(shared_photos, tmp_path / "photos")


@pytest.fixture
def write_camera_folder(tmp_path):
    """A function of (number, height, width) to a new folder of JPEG photographs, the last of them on its side."""
    def write(number, height, width):
        folder, exif = tmp_path / "camera", Image.Exif()
        folder.mkdir()
        for index in range(number):
            exif[0x112] = 6 if index == number - 1 else 1  # the orientation
            Image.fromarray(photograph(height, width, index)).save(folder / f"{index}.jpg", quality=95, exif=exif)
        return folder

    return write


@pytest.fixture
def tiny_run(shared_photos, tmp_path):
    """Command-line arguments of jsr.main for a run of 12 steps in tmp_path/run, LR made on the fly; add overrides."""
    folder = str(shared_photos)
    overrides = {
        "networks.sr.fields": "{'num_feat': 4, 'num_block': 1}",
        "data.train[0].dataset": folder, "data.train[0].degrade": "aim22_t1",
        "data.eval.dataset": folder, "data.eval.degrade": "aim22_t1", "data.num_workers": "0",
        "stages[0].steps": "12", "stages[0].batch": "8", "stages[0].crop": "32",
        "stages[0].players[0].schedule.warmup_steps": "3",
        "log_every": "4", "eval_every": "8", "checkpoint_every": "5",
    }

    def arguments(workdir=None, **more):
        given = {**overrides, **{key.replace("__", "."): value for key, value in more.items()}}
        return ["--config=configs/aim22_t1.py", f"--workdir={workdir or tmp_path / 'run'}",
                *(f"--config.{key}={value}" for key, value in given.items())]

    return arguments


@pytest.fixture
def without_jpeglib(monkeypatch):
    """The package jpeglib is not installed, for one test and this process."""
    from jsr import degradations
    from jsr.degradations import jpeg

    known = jpeg.is_here, jpeg.library, degradations._refused
    for function in known:
        function.cache_clear()
    monkeypatch.setitem(sys.modules, "jpeglib", None)
    yield
    for function in known:
        function.cache_clear()


@pytest.fixture
def optimized():
    """Compiles what one test compiles first as users' programs are: for laws that hold to the last bits."""
    import jax  # not by tests that need none

    before = jax.config.values["jax_disable_most_optimizations"]
    jax.config.update("jax_disable_most_optimizations", False)
    yield
    jax.config.update("jax_disable_most_optimizations", before)


@pytest.fixture
def set_sigint():
    """A function that sets this process's handler of SIGINT, for one test.

    Processes started meanwhile heed SIGINT or, of signal.SIG_IGN, ignore it; a background job starts with it ignored,
    and so would all that its tests start.
    """
    before = signal.getsignal(signal.SIGINT)
    yield functools.partial(signal.signal, signal.SIGINT)
    signal.signal(signal.SIGINT, before)


@pytest.fixture(scope="session")
def odd_pictures(tmp_path_factory):
    """(folder, rows): odd picture files of all kinds; rows are tests/golden/pictures_make.py's `Odd`. Read-only."""
    path = Path(__file__).parent / "golden" / "pictures_make.py"
    spec = importlib.util.spec_from_file_location("pictures_make", path)
    maker = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(maker)
    folder = tmp_path_factory.mktemp("odd_pictures")
    return folder, maker.make(folder, photograph)
