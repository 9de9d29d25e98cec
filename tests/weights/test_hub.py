"""Models to and from the Hugging Face hub, by its own library, and a server on this machine that speaks as the hub."""

import base64
import http.server
import json
import os
from pathlib import Path
import re
import sys
import threading

import pytest

from jsr import model_file, weights
from jsr.cli import main

COMMIT = "0123456789abcdef0123456789abcdef01234567"
NET = {"name": "sr", "model": "enlarge/bicubic", "scale": 2, "fields": {}, "deployed": False}
META = {"networks": [NET], "licence": "CC-BY-4.0", "recipe": "aim22_t1:quick", "steps": 7, "scores": {}, "data": []}


class Hub(http.server.BaseHTTPRequestHandler):
    """The part of the hub's API that its library speaks; `files` of the one repository there is, me/it."""

    def do_GET(self):
        if self.path.startswith("/api/models/me/it"):
            self.answer({"id": "me/it", "sha": COMMIT, "private": False,
                         "siblings": [{"rfilename": name} for name in self.server.files]})
        elif self.path.startswith(f"/me/it/resolve/{COMMIT}/"):
            self.file(self.server.files.get(self.path.rpartition("/")[2]))
        else:
            self.answer({"error": "Repository not found"}, 404, {"X-Error-Code": "RepoNotFound"})

    do_HEAD = do_GET

    def do_POST(self):
        text = self.rfile.read(int(self.headers["Content-Length"])).decode()
        self.server.posted.append((self.path, self.headers.get("Authorization")))
        if self.path == "/api/repos/create":
            self.answer({"url": f"{self.server.address}/me/it", "name": "me/it"})
        elif self.path.endswith("/preupload/main"):
            self.answer({"files": [{"path": file["path"], "uploadMode": "regular", "shouldIgnore": False}
                                   for file in json.loads(text)["files"]]})
        elif self.path == "/api/models/me/it/commit/main":
            for row in map(json.loads, text.splitlines()):
                if row["key"] == "file":
                    self.server.files[row["value"]["path"]] = base64.b64decode(row["value"]["content"])
            self.answer({"commitUrl": f"{self.server.address}/me/it/commit/{COMMIT}", "commitOid": COMMIT})
        else:  # as checks of the card's front matter
            self.answer({})

    def file(self, content):
        if content is None:
            self.answer({"error": "Entry not found"}, 404, {"X-Error-Code": "EntryNotFound"})
        else:
            self.answer(content, headers={"ETag": f'"{len(content)}"', "X-Repo-Commit": COMMIT})

    def answer(self, content, status=200, headers=()):
        content = content if isinstance(content, bytes) else json.dumps(content).encode()
        self.send_response(status)
        for name, value in {**dict(headers), "Content-Length": str(len(content))}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def log_message(self, *args):
        """Says nothing."""


@pytest.fixture
def hub(tmp_path, monkeypatch):
    """The running server, to which the library is pointed."""
    constants = pytest.importorskip("huggingface_hub.constants", reason="the extra [hub]")
    monkeypatch.chdir(tmp_path)
    for name in [name for name in os.environ if name.lower().endswith("_proxy")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Hub) as server:
        server.files, server.posted, server.address = {}, [], f"http://127.0.0.1:{server.server_address[1]}"
        monkeypatch.setattr(constants, "ENDPOINT", server.address)  # of HF_ENDPOINT, read at the import; as is
        monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE",
                            server.address + "/{repo_id}/resolve/{revision}/{filename}")
        monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hf"))
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def test_a_model_goes_to_the_hub_with_its_card_and_comes_back(hub, tmp_path, capsys):
    model_file.save("mine.safetensors", {"sr": {}}, META)
    assert main(["models", "push", "mine.safetensors", "hf:me/it"]) == 0
    assert capsys.readouterr().out == f"pushed mine: {hub.address}/me/it/commit/{COMMIT}\n"
    assert hub.files["mine.safetensors"] == Path("mine.safetensors").read_bytes()
    assert {("/api/repos/create", "Bearer hf_secret"), ("/api/models/me/it/commit/main", "Bearer hf_secret")} <= set(
        hub.posted)
    _, front, card = hub.files["README.md"].decode().split("---\n", 2)
    assert dict(line.split(": ", 1) for line in front.splitlines()) == {
        "library_name": '"jsr"', "pipeline_tag": '"image-to-image"', "license": '"cc-by-4.0"',
        "tags": '["jax", "flax", "safetensors", "image-super-resolution"]'}
    for text in ("# mine", "- recipe: aim22_t1:quick", "jsr models get hf:me/it/mine.safetensors"):
        assert text in card

    assert main(["models", "get", "hf:me/it"]) == 0
    out = capsys.readouterr().out
    assert "not checked, since none was stated" in out and "jsr upscale photo.jpg -m it" in out
    assert weights.files()["it"].read_bytes() == hub.files["mine.safetensors"]
    listed = json.loads((weights.downloads() / "downloads.json").read_text())["files"]["it.safetensors"]
    assert listed["source"] == f"hf:me/it/mine.safetensors@{COMMIT}"


@pytest.mark.parametrize("place, said", [
    ("hf:me/it", "has several files; name one of a.safetensors, b.safetensors"),
    ("hf:me/it/c.safetensors", "the repository has no such file; "),
    ("hf:me/it/a.safetensors", "a.safetensors: damaged, or not a .safetensors file"),
    ("hf:me/it/a.safetensors --sha256 " + 64 * "0", "its SHA-256 is ca978112.*, not 0000.*; it is not taken"),
    ("hf:you/it", "^jsr models: hf:you/it: 404 Client Error"),
])
def test_what_the_hub_has_not_is_one_line(hub, capsys, place, said):
    hub.files |= {"a.safetensors": b"a", "b.safetensors": b"b"}
    assert main(["models", "get", *place.split()]) == 1
    *_, line = capsys.readouterr().err.splitlines()
    assert re.search(said, line) and line.startswith("jsr models: ") and not weights.files().keys() & {"a", "it"}


def test_without_the_library_it_is_said_how_to_get_it(monkeypatch, capsys, tmp_path):
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    for words in (["get", "hf:me/it"], ["push", "x4", "hf:me/it"]):
        assert main(["models", *words]) == 1
        assert 'needs the package huggingface_hub: pip install "' in capsys.readouterr().err
