"""Manifests that several processes extend, verdicts on what is in the way, and locks that die with their process."""

import errno
import json
import os
import subprocess
import sys
import threading

import filelock
import pytest

import jsr
from jsr import results
from jsr.errors import UserError
from jsr.files import sha256

ENV = os.environ | {"PYTHONPATH": os.path.dirname(os.path.dirname(jsr.__file__))}
HOLD = """
import sys, time
from jsr import results
with results.only_one(sys.argv[1], "training"):
    print("holds", flush=True)
    time.sleep(60)
"""
ADD = """
import sys
from jsr import results
manifest = results.Manifest(sys.argv[1], "jsr test", {"of": 1})
for index in range(40):
    manifest.add("files", f"{sys.argv[2]}{index}", {"index": index})
    if index % 13 == 0:
        manifest.save()
manifest.save()
"""


def manifest(folder, **options):
    return results.Manifest(folder / "m.json", "jsr test", {"of": 1}, **options)


def test_processes_and_threads_lose_no_entry(tmp_path):
    processes = [subprocess.Popen([sys.executable, "-c", ADD, str(tmp_path / "m.json"), name], env=ENV)
                 for name in "ab"]
    mine = manifest(tmp_path)

    def work(name):
        for index in range(40):
            mine.find("files", f"{name}{index}")
            mine.add("files", f"{name}{index}", {"index": index})

    threads = [threading.Thread(target=work, args=name) for name in "cd"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [process.wait() for process in processes] == [0, 0]
    assert set(mine.save()["files"]) == {f"{name}{index}" for name in "abcd" for index in range(40)}
    assert os.listdir(tmp_path) == ["m.json"] and json.loads((tmp_path / "m.json").read_text())["of"] == 1


def test_what_a_kill_leaves_in_the_journal_counts(tmp_path):
    first = manifest(tmp_path)
    first.add("files", "a", {"sha256": "1"})
    journal, = tmp_path.iterdir()
    with open(journal, "a") as file:
        file.write('["files", "b", {"sha')  # cut off
    again = manifest(tmp_path)
    assert again.find("files", "a") == {"sha256": "1"} and again.find("files", "b") == {}
    again.add("files", "c", {})
    assert set(again.save()["files"]) == {"a", "c"}


def test_what_was_made_in_a_folder(tmp_path):
    made = {tmp_path / "sub/a.png", tmp_path / "b.jpg"}
    for command, rows in (("jsr upscale", {"sub/a.png": {}}), ("jsr degrade", {"b.png": {"file": "b.jpg"}})):
        mine = results.Manifest(tmp_path / results.MANIFESTS[command], command, {})
        mine.save()
        for name, entry in rows.items():
            mine.add("files", name, entry)
    assert results.made_in(tmp_path) == made
    mine.save()
    assert results.made_in(tmp_path) == made
    (tmp_path / "manifest.json").write_text('{"name": "my app"}')
    assert results.made_in(tmp_path) == {tmp_path / "sub/a.png"}


@pytest.mark.parametrize("content, message", [
    ("[1", "is no manifest of `jsr test`"), ('{"name": "my app", "precious": true}', "is no manifest of `jsr test`"),
    ('{"command": "jsr test", "of": 2}', "is of the of 2, not 1")])
def test_a_file_that_is_no_manifest_of_it_stays(tmp_path, content, message):
    (tmp_path / "m.json").write_text(content)
    with pytest.raises(UserError, match=message):
        manifest(tmp_path)
    assert (tmp_path / "m.json").read_text() == content
    other = manifest(tmp_path, overwrite=True)
    assert (tmp_path / "m.json").read_text() == content  # until the new one is whole
    assert other.save() == {"command": "jsr test", "of": 1}


@pytest.mark.parametrize("content", [
    '{"command": "jsr test", "of": 1, "files": []}', '{"command": "jsr test", "of": 1, "files": {"a": [1]}}',
    '{"command": "jsr test", "of": 1, "files": {"a": {"settings": {}}}}', '{"command": "jsr test", "of": 1, "fi',
    '{"command": "jsr test", "x": ' + 100_000 * "["])
def test_a_damaged_manifest_is_set_aside_and_begun_anew(tmp_path, caplog, content):
    for name in ("m.json.damaged", "m.json.damaged-1"):
        (tmp_path / "m.json").write_text(content)
        damaged = manifest(tmp_path)
        assert damaged.find("files", "a") == {} and (tmp_path / "m.json").read_text() == content
        damaged.add("files", "b", {"source": "b"})
        assert damaged.save()["files"] == {"b": {"source": "b"}}
        assert (tmp_path / name).read_text() == content and f"set aside as {name}, " in caplog.text
    assert manifest(tmp_path).find("files", "b") == {"source": "b"}


def test_verdicts(tmp_path):
    path = tmp_path / "a.png"
    assert results.verdict(path, {}, "source") == results.WRITE
    path.write_text("theirs")
    ours = {"source": "in/a.png", "source_sha256": "source", "sha256": sha256(path)}
    assert results.verdict(path, ours, "source") == results.REPLACE
    assert results.verdict(path, ours, "source", finished=True) == results.PASS_OVER
    killed = ours | {"sha256": "new", "replaces": sha256(path)}
    assert results.verdict(path, killed, "source", finished=True) == results.REPLACE
    for entry, source, message in (({}, "source", "not made by this command"), (ours, "other", "from another file, or"),
                                   (ours, None, "from another file"), (ours | {"sha256": "0"}, "source", "was changed"),
                                   ({"source": "in/a.png", "error": "no"}, "source", "not made by this command")):
        with pytest.raises(UserError, match=f"a.png: .*{message}.*; choose another --out, or --overwrite"):
            results.verdict(path, entry, source, finished=True)
        assert results.verdict(path, entry, source, finished=True, overwrite=True) == results.REPLACE
    path.unlink()
    path.symlink_to(tmp_path / "nowhere")
    with pytest.raises(UserError, match="not made by this command"):
        results.verdict(path, {}, "source")


def test_one_training_at_a_time_and_a_killed_one_lets_go(tmp_path):
    holder = subprocess.Popen([sys.executable, "-c", HOLD, str(tmp_path / "run")], stdout=subprocess.PIPE, env=ENV)
    assert holder.stdout.readline() == b"holds\n"
    with pytest.raises(UserError, match=rf"run: another training is at work there \(process {holder.pid} on .*\); "
                                        "wait for its end, or choose another --workdir"):
        with results.only_one(tmp_path / "run", "training"):
            pass
    holder.kill()
    holder.communicate()
    with results.only_one(tmp_path / "run", "training"):
        assert str(os.getpid()) in (tmp_path / "run" / ".lock").read_text()
    assert not os.listdir(tmp_path / "run")


@pytest.mark.parametrize("error", [
    *(OSError(number, os.strerror(number)) for number in (errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOLCK, errno.ENOTTY,
                                                          errno.EIO, errno.EPERM)),
    NotImplementedError("FileSystem does not appear to support flock")], ids=str)
def test_a_file_system_without_locks(tmp_path, monkeypatch, caplog, error):
    def flock(descriptor):
        raise error

    monkeypatch.setattr(filelock._unix, "lock_fd_nonblocking", flock)
    with pytest.raises(UserError, match="run: its file system has no locks"):
        with results.only_one(tmp_path / "run", "training"):
            pass
    mine = manifest(tmp_path)
    mine.add("files", "a", {})
    assert mine.save()["files"] == {"a": {}} and len(caplog.messages) == 1
    assert "its file system has no locks; let one command at a time write there" in caplog.messages[0]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["m.json", "run"]
