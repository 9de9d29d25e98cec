"""Other runtimes: the same image as JAX's, the race between them, and what is refused."""

from concurrent.futures import ThreadPoolExecutor
import functools
import importlib.util

import jax
import numpy as np
import pytest

import jsr
from jsr import models
from jsr.errors import UserError
from jsr.inference import runtimes
from jsr.inference.chain import Chain
from jsr.inference.upscaler import Upscaler
from jsr.models import rgt

OTHERS = [pytest.param("onnxruntime", id="onnxruntime"), pytest.param("openvino", id="openvino")]


def need(name):
    for package in ("onnx", name):
        if importlib.util.find_spec(package) is None:  # not imported: OpenVINO would report home first
            pytest.skip(f"pip install {package}")


@functools.cache
def network(stem="edsr", **fields):
    model = models.create(stem, scale=2, **({"num_feat": 4, "num_block": 1} | fields))
    return {"sr": model}, {"sr": models.init(model, jax.random.key(0))}


@pytest.mark.parametrize("name", OTHERS)
def test_a_runtime_gives_what_jax_gives(name, photograph):
    need(name)
    networks, variables = network("plain/ecbsr_m4c16", deploy=True, unshuffle=2)  # sizes are multiples of 2
    live, other = Chain(networks, variables), Chain(networks, variables, runtime=name)
    for height, width in ((40, 48), (51, 37)):
        lr = photograph(height, width) / np.float32(255)
        np.testing.assert_allclose(other(lr), live(lr), rtol=0, atol=1e-5)
    assert other.programs == 2 and other.compile_seconds > 0  # JAX compiled what the other is compared on
    doubled = jax.tree.map(lambda x: 2 * x, variables)
    changed = other.with_variables(doubled)
    np.testing.assert_allclose(changed(lr), live.with_variables(doubled)(lr), atol=1e-4)
    assert changed.runner.used(40, 48) == name and changed.runner.used(31, 48) == "jax"
    assert other(lr[:9]).shape == (18, 74, 3)  # too small for the graph


def test_tiles_and_ensembles_and_threads(photograph):
    need("onnxruntime")
    networks, variables = network()
    settings = {"tile": 40, "self_ensemble": True}
    live = Upscaler([Chain(networks, variables)], **settings)
    other = Upscaler([Chain(networks, variables, runtime="onnxruntime")], **settings)
    lr = np.concatenate([photograph(70, 60), photograph(70, 60, 1)[..., :1]], -1)  # with alpha
    expected = live.upscale(lr).astype(int)
    with ThreadPoolExecutor(2) as pool:
        for sr in pool.map(other.upscale, [lr, lr]):
            assert abs(sr - expected).max() <= 1 and (sr != expected).mean() < 1e-3
    assert other.runtime(other.tiling(70, 60)) == "onnxruntime"


def test_memory_is_scaled_from_a_small_image():
    need("onnxruntime")
    chain = Chain(*network(), runtime="onnxruntime")
    assert chain.memory(256, 256) == 4 * chain.memory(128, 128) > 0 and chain.programs == 2


PROBE = 40  # px


@pytest.fixture
def fakes(monkeypatch):
    """The names of the runtimes that computed images, in turn; two stand beside JAX, and a race pays at once."""
    ran = []

    def opened(name, graph):
        assert graph == b"graph"
        return functools.partial(compute, name)

    def compute(name, image):
        if image.shape[1] != PROBE:
            ran.append(name)
        return image

    ran_in_jax = functools.partial(compute, "jax")
    monkeypatch.setattr(runtimes, "_WORTH_SECONDS", 0.0)
    monkeypatch.setattr(runtimes, "_missing", lambda name: None)
    monkeypatch.setattr(runtimes, "NAMES", ("auto", "jax", "slow", "fast"))
    monkeypatch.setattr(runtimes, "OTHERS", {name: runtimes.Other(functools.partial(opened, name), "")
                                             for name in ("slow", "fast")})
    return ran, functools.partial(runtimes.Runner, "auto", ran_in_jax, probe=PROBE)


def clock(monkeypatch, ran, **seconds):
    """Time stands still but for the named runs."""
    monkeypatch.setattr(runtimes.time, "perf_counter", lambda: sum(seconds[name] for name in ran))


def image(side):
    return np.zeros((1, side, side, 3), np.float32)


def test_a_race_is_of_images_that_are_wanted(fakes, monkeypatch):
    ran, make = fakes
    clock(monkeypatch, ran, jax=0.3, slow=0.6, fast=0.1)
    runner = make(lambda size: b"graph")
    for _ in range(13):
        runner(image(64))
    assert ran == ["jax"] * 4 + ["slow"] * 2 + ["fast"] * 4 + ["fast"] * 3  # one each is not timed; slow lost at once
    (size, race), = runner.races.items()
    assert size == (64, 64) and race.winner == "fast" == runner.used(64, 64) and runner.opened == 2
    assert race.medians() == pytest.approx({"jax": 0.3, "slow": 0.6, "fast": 0.1})
    runner(image(31))  # too small for a graph
    assert ran[-1] == "jax" == runner.used(31, 64) == runner.used(80, 80)


def test_jax_stays_where_it_is_fastest(fakes, monkeypatch):
    ran, make = fakes
    clock(monkeypatch, ran, jax=0.1, slow=0.6, fast=0.11)
    runner = make(lambda size: b"graph")
    for _ in range(12):
        runner(image(32))
    assert ran[-2:] == ["jax"] * 2 and runner.races[32, 32].winner == "jax"


def test_jax_stays_where_there_is_little_to_do(fakes, monkeypatch):
    ran, make = fakes
    monkeypatch.setattr(runtimes, "_WORTH_SECONDS", 100.0)
    runner = make(lambda size: b"graph")
    for _ in range(8):
        runner(image(32))
    assert set(ran) == {"jax"} and runner.opened == 0


def test_what_cannot_be_exported_stays_in_jax(fakes):
    def broken(size):
        tried.append(size)
        raise ValueError("no operator for this\nand more")

    tried, (ran, make) = [], fakes
    runner = make(broken)
    for side in (32, 64):
        for _ in range(6):
            runner(image(side))
    assert set(ran) == {"jax"} == {runner.used(32, 32)} and runner.races == {}
    assert tried == [None, (PROBE, PROBE)] * 2, "of any size and of one, once a runtime"
    with pytest.raises(UserError, match=r"^runtime fast: cannot compute this network, use jax "
                                        r".ValueError: no operator for this.$"):
        runtimes.Runner("fast", lambda image: image, broken, probe=PROBE)


@pytest.mark.parametrize("name", OTHERS)
def test_a_network_without_a_graph_for_any_size_has_one_for_each(name, photograph):
    need(name)
    model = models.create("rgt", scale=2, **rgt.SMALL | dict(embed_dim=32))
    networks, variables = {"sr": model}, {"sr": models.init(model, jax.random.key(0))}
    live, other = Chain(networks, variables), Chain(networks, variables, runtime=name)
    for height, width in ((40, 48), (51, 37)):
        lr = photograph(height, width) / np.float32(255)
        np.testing.assert_allclose(other(lr), live(lr), rtol=0, atol=1e-5)
        assert other.runner.used(*(live.padding.target(side) for side in (height, width))) == name


def test_wrong_results_are_noticed(fakes):
    with pytest.raises(UserError, match="^runtime fast: computes this network wrongly, off by 1.0e.00; use jax$"):
        runtimes.Runner("fast", lambda image: 0 * image, lambda size: b"graph", probe=PROBE)
    with pytest.raises(UserError, match="off by nan"):
        runtimes.Runner("fast", lambda image: image * np.nan, lambda size: b"graph", probe=PROBE)


@pytest.mark.parametrize("backend", ["gpu", "tpu"])
def test_runtimes_are_for_cpus(backend, fakes, monkeypatch):
    monkeypatch.setattr(jax, "default_backend", lambda: backend)
    with pytest.raises(UserError, match="^runtime fast: is only for CPUs, and JAX has a faster device here; "
                                        "leave --runtime out, or set "):
        runtimes.check_name("fast")
    ran, make = fakes
    runner = make(lambda size: b"graph")
    for _ in range(8):
        runner(image(32))
    assert set(ran) == {"jax"} and runner.races == {}


def test_names_and_packages(monkeypatch, tmp_path):
    with pytest.raises(UserError, match="runtime 'onxruntime': did you mean 'onnxruntime'"):
        runtimes.check_name("onxruntime")
    monkeypatch.setattr(runtimes.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(UserError, match='^runtime openvino: needs the package onnx: '
                                        'pip install ".*.export." openvino$'):
        jsr.load(tmp_path / "none.safetensors", runtime="openvino")
    with pytest.raises(UserError, match='^ONNX graphs are run by the package onnxruntime: pip install ".*.export."$'):
        runtimes.open_onnx(b"")


def test_half_precision_is_for_jax(monkeypatch, tmp_path):
    monkeypatch.setattr(runtimes, "_missing", lambda name: None)
    with pytest.raises(UserError, match="^runtime onnxruntime: computes in float32; for bfloat16 use jax$"):
        jsr.load(tmp_path / "none.safetensors", runtime="onnxruntime", dtype="bfloat16")


def test_too_little_memory_is_known_as_such(monkeypatch):
    onnxruntime = pytest.importorskip("onnxruntime", reason="the extra [export]")

    class Session:
        def __init__(self, *_, **__): ...

        def get_inputs(self):
            return [type("Input", (), {"name": "lr"})]

        def run(self, *_):
            raise RuntimeError(message)

    monkeypatch.setattr(onnxruntime, "InferenceSession", Session)
    run = runtimes.open_onnx(b"")
    message = "Failed to allocate memory for requested buffer of size 1"
    with pytest.raises(MemoryError, match="Failed to allocate"):
        run(None)
    message = "another"
    with pytest.raises(RuntimeError, match="another"):
        run(None)
