"""StableHLO files: the pixels of the live network at any size, loaded with JAX alone, and what is refused."""

import io
import os
import subprocess
import sys
import zipfile

import jax
import numpy as np
import pytest

from jsr import models
from jsr.errors import UserError
from jsr.export import stablehlo
from jsr.inference.chain import Chain
from jsr.inference.upscaler import Upscaler

pytest.importorskip("flatbuffers", reason="jax.export serialises with it: the extra [export]")


@pytest.fixture(scope="module")
def chain():
    model = models.create("plain/bicubicpp", scale=3, num_feat=4, num_block=1)
    return {"sr": model}, {"sr": models.init(model, jax.random.key(0))}


def test_every_size_is_exact(tmp_path, chain, photograph):
    path = tmp_path / "new" / "m.stablehlo"
    stablehlo.save(path, *chain, meta={"licence": "CC0"})
    program = stablehlo.load(path)
    assert program.meta["licence"] == "CC0" and program.platforms == ("cpu", "cuda", "tpu")
    assert program.meta["program"]["output"] == {"name": "sr", "dtype": "uint8", "shape": [
        1, "3*height", "3*width", 3]}
    live = Upscaler([Chain(*chain)])
    for height, width in ((24, 16), (17, 9), (1, 5)):
        lr = photograph(height, width)
        np.testing.assert_array_equal(program(lr[None])[0], live.upscale(lr))
    assert [p.name for p in path.parent.iterdir()] == ["m.stablehlo"]


def test_plain_jax_loads_it(tmp_path, chain, photograph):
    """By the lines of its README, in a process that cannot import jsr."""
    path = tmp_path / "model.stablehlo"
    stablehlo.save(path, *chain, platforms=("cpu",))
    np.save(tmp_path / "lr.npy", photograph(9, 7)[None])
    lines = stablehlo.load(path).meta["program"]["call"]
    assert "\n".join(lines) in zipfile.ZipFile(path).read("README").decode()
    code = "\n".join(["import sys; sys.modules['jsr'] = None", *lines, "assert sr.shape == (1, 192, 192, 3)",
                      "numpy.save('sr.npy', program.call(numpy.load('lr.npy')))"])
    subprocess.run([sys.executable, "-c", code], cwd=tmp_path, check=True, timeout=120,
                   env=os.environ | {"JAX_PLATFORMS": "cpu"})
    np.testing.assert_array_equal(np.load(tmp_path / "sr.npy")[0], Upscaler([Chain(*chain)]).upscale(photograph(9, 7)))


def test_same_network_same_bytes_one_size_and_floats(chain):
    files = [stablehlo.serialize(*chain, dtype=np.float32, size=(8, 6), platforms=("cpu",)) for _ in range(2)]
    assert files[0] == files[1]
    program = stablehlo.load(io.BytesIO(files[0]))
    assert program(np.zeros((1, 8, 6, 3), np.float32)).shape == (1, 24, 18, 3)
    with pytest.raises(ValueError, match="Shape mismatch"):
        program(np.zeros((1, 8, 8, 3), np.float32))


def test_what_is_no_such_file(tmp_path):
    with pytest.raises(UserError, match="none.stablehlo: no such file"):
        stablehlo.load(tmp_path / "none.stablehlo")
    (tmp_path / "text.stablehlo").write_text("hello")
    with pytest.raises(UserError, match="text.stablehlo: damaged, or not a .stablehlo file of jsr's"):
        stablehlo.load(tmp_path / "text.stablehlo")
    with zipfile.ZipFile(tmp_path / "other.stablehlo", "w") as archive:
        archive.writestr("meta.json", "{}")
    with pytest.raises(UserError, match="other.stablehlo: damaged"):
        stablehlo.load(tmp_path / "other.stablehlo")
    for content, how in (("[1]", zipfile.ZIP_STORED), ("[" * 10_000, zipfile.ZIP_STORED), ("{}", zipfile.ZIP_STORED),
                         ("{}", zipfile.ZIP_DEFLATED)):
        with zipfile.ZipFile(tmp_path / "other.stablehlo", "w", how) as archive:
            archive.writestr("meta.json", content)
            archive.writestr("program", bytes(100))
        with pytest.raises(UserError, match="other.stablehlo: damaged"):
            stablehlo.load(tmp_path / "other.stablehlo")
