"""Cloud storage: a model file, datasets and a run on a fake of it in memory."""

import hashlib
import json
from pathlib import Path
import signal
import sys

from etils import epath
from fsspec.implementations import memory
import jax
import pytest
from rich.console import Console

from jsr import buckets, main, model_file, models, places
from jsr.cli import main as jsr
from jsr.errors import UserError


@pytest.fixture
def bucket(monkeypatch, tmp_path):
    """A fake of gs://bucket in memory: a function from a name and bytes to what makes a file there."""
    class Storage(memory.MemoryFileSystem):
        """Of this test alone."""

        protocol, store, pseudo_dirs = ("gcs", "gs"), {}, [""]

        @classmethod
        def _strip_protocol(cls, path):
            return super()._strip_protocol(path.partition("://")[2] or path)

    monkeypatch.setitem(sys.modules["fsspec.registry"]._registry, "gcs", Storage)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    epath.backend.fsspec_backend._get_filesystem.cache_clear()
    yield lambda name, data: Storage().pipe_file(f"/bucket/{name}", data)
    Storage.store.clear()
    epath.backend.fsspec_backend._get_filesystem.cache_clear()


def test_a_model_file_on_cloud_storage_is_read_and_kept(tmp_path, bucket, capsys):
    file, fields = tmp_path / "a.safetensors", {"num_feat": 4, "num_block": 1}
    variables = {"sr": models.init(models.create("edsr/baseline", scale=4, **fields), jax.random.key(3))}
    model_file.save(file, variables, {
        "networks": [{"name": "sr", "model": "edsr/baseline", "scale": 4, "fields": fields, "deployed": False}],
        "ema": True, "recipe": "aim22_t1:quick", "steps": 3, "scores": {}, "data": [], "fingerprint": {}})
    bucket("a.safetensors", file.read_bytes())
    meta, _, found = model_file.load("gs://bucket/a.safetensors")
    assert meta["recipe"] == "aim22_t1:quick" and "sr" in found
    copy = model_file.find("gs://bucket/a.safetensors")
    before = copy.stat().st_mtime_ns
    assert copy.is_relative_to(file.parent / "cache") and copy.read_bytes() == file.read_bytes()
    assert model_file.find("gs://bucket/a.safetensors") == copy and copy.stat().st_mtime_ns == before
    bucket("a.safetensors", file.read_bytes() + b" ")  # another file of that name: not the old copy
    assert model_file.find("gs://bucket/a.safetensors") != copy
    assert jsr(["models", "show", "gs://bucket/none.safetensors"]) == 1
    assert capsys.readouterr().err == "jsr models: gs://bucket/none.safetensors: no such file\n"


@pytest.mark.parametrize("words", [
    ["upscale", "gs://bucket/pictures", "-m", "x2"], ["fuse", "x2", "gs://bucket/x2.safetensors"]])
def test_what_cloud_storage_cannot_is_refused(bucket, tmp_path, capsys, words):
    assert jsr(words) == 1
    line, = capsys.readouterr().err.splitlines()
    assert "is on cloud storage" in line and "gcsfuse" in line
    assert not list(tmp_path.iterdir())


def test_the_package_of_a_cloud_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "gcsfs", None)
    epath.backend.fsspec_backend._get_filesystem.cache_clear()
    with pytest.raises(UserError, match=r"gs://bucket/a.safetensors: .*\(pip install gcsfs\)"):
        model_file.find("gs://bucket/a.safetensors")


def there(url="gs://bucket/run"):
    """{name: bytes} of a folder on the storage."""
    return {name: path.read_bytes() for name, path, _ in buckets._below(epath.Path(url))}


def write(folder, **files):
    for name, text in files.items():
        path = folder / name.replace("__", "/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def lose(url="gs://bucket/run"):
    """Takes this machine's copy of a run away, as another machine has none."""
    (places.cache("runs") / hashlib.sha256(url.encode()).hexdigest()[:16]).rename(places.cache("gone"))


def test_a_run_is_sent_fetched_and_goes_on(bucket):
    with buckets.mirrored("gs://bucket/run") as folder:
        write(folder, config="1", checkpoints__5__state="five")
        write(folder, **{".a.part": "half", ".lock": "", "checkpoints__6.orbax-checkpoint-tmp__state": "half"})
    assert sorted(there()) == ["checkpoints/5/state", "config", "jsr-mirror.json"]
    with buckets.mirrored("gs://bucket/run/") as again:  # this machine's copy is the newest
        assert again == folder and (again / ".a.part").exists()
        write(again, config="22", checkpoints__9__state="nine")
        (again / "checkpoints/5/state").unlink()
    assert there()["config"] == b"22" and "checkpoints/5/state" not in there()
    lose()
    bucket("run/rest", b"of a sending that was killed")
    with buckets.mirrored("gs://bucket/run") as other:
        paths = [path for path in other.rglob("[!.]*") if path.is_file()]
        found = {path.relative_to(other).as_posix(): path.read_text() for path in paths}
        assert found == {"config": "22", "checkpoints/9/state": "nine"}


def test_another_process_that_takes_a_run_over_ends_this_one(bucket, monkeypatch):
    heard = []
    monkeypatch.setattr(signal, "raise_signal", heard.append)
    with buckets.mirrored("gs://bucket/run") as folder:
        with pytest.raises(UserError, match="gs://bucket/run: another training is at work there"):
            with buckets.mirrored("gs://bucket/run"):
                pass
        bucket("run/jsr-mirror.json", json.dumps({"owner": "other", "files": []}).encode())
        write(folder, config="mine")
    assert heard == [signal.SIGTERM] and sorted(there()) == ["jsr-mirror.json"]


def test_a_sending_that_fails_is_tried_again_and_said_at_the_end(bucket, monkeypatch, caplog):
    def fail(*_):
        raise PermissionError("403 forbidden")

    kind = type(epath.Path("gs://bucket/run"))
    with pytest.raises(UserError, match=r"gs://bucket/run: cannot be written; the run is in .* \(PermissionError: 403"):
        with buckets.mirrored("gs://bucket/run", period=0.01) as folder, monkeypatch.context() as patched:
            patched.setattr(kind, "write_bytes", fail)
            write(folder, config="1")
            while not caplog.messages:
                pass
            patched.undo()
            monkeypatch.setattr(kind, "write_bytes", fail)
    assert [message for message in caplog.messages if "tried again" in message] == caplog.messages[:1]
    monkeypatch.undo()


def test_a_folder_that_is_no_runs_is_refused(bucket):
    bucket("run/holiday.jpg", b"x")
    with pytest.raises(UserError, match="gs://bucket/run: holds files, but no run"):
        with buckets.mirrored("gs://bucket/run"):
            pass


def test_datasets_are_copied_once(bucket):
    bucket("data/photos/hr/1.0.0/a", b"records")
    bucket("data/photos/hr/1.0.0/b", b"more")
    lines = []
    for _ in range(2):
        copy = buckets.datasets("gs://bucket/data", ["photos/hr", "none/hr", "/photos"], announce=lines.append)
    assert len(lines) == 1 and lines[0].startswith("copying 2 files of gs://bucket/data/photos/hr to ")
    assert (copy / "photos/hr/1.0.0/a").read_bytes() == b"records" and not (copy / "none").exists()


@pytest.mark.slow
def test_a_training_lies_on_cloud_storage(bucket, tiny_run, tmp_path, monkeypatch):
    def train(workdir):
        args, overrides = main.parse(tiny_run(workdir))
        return main.run(args, overrides, Console(quiet=True))

    monkeypatch.chdir(Path(__file__).parent.parent)
    local, url = tmp_path / "local", "gs://bucket/run"
    assert train(local) == train(url) == 0
    found = there()
    assert {"best.safetensors", "last.safetensors", "report.html", "metrics.jsonl"} <= found.keys()
    assert found["last.safetensors"] == (local / "last.safetensors").read_bytes()
    lose()
    assert train(url) == 0  # fetched, and found to be finished
    assert there()["last.safetensors"] == found["last.safetensors"]
