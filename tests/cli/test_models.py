"""`jsr models`: what is there, and downloads from a server on this machine, which misbehaves in every way."""

import dataclasses
import hashlib
import http.server
import json
import os
from pathlib import Path
import re
import threading

import numpy as np
import pytest

from jsr import model_file, models, weights
from jsr.cli import main
from jsr.convert import files
from jsr.metrics import score_weights
from jsr.weights import download, public, scores

NET = {"name": "sr", "model": "enlarge/bicubic", "scale": 2, "fields": {}, "deployed": False}
GOLDEN = np.load(Path(__file__).parents[1] / "golden" / "edsr.npz")


@pytest.fixture(scope="module")
def contents(tmp_path_factory, enlarging):
    """{name: bytes}: a model file, and weights as PyTorch's code names them."""
    folder = tmp_path_factory.mktemp("served")
    model_file.save(folder / "good.safetensors", {"sr": {}}, {"networks": [NET], "licence": "MIT"})
    prefix = "official_x3/state_dict/"
    files.write_state_dict(folder / "edsr.safetensors", enlarging({
        key.removeprefix(prefix): GOLDEN[key] for key in GOLDEN.files if key.startswith(prefix)}))
    return {path.name: path.read_bytes() for path in folder.iterdir()} | {"page.safetensors": b"<html>log in</html>"}


class Handler(http.server.BaseHTTPRequestHandler):
    """Sends `contents`; the first part of a path says how: "half", "elsewhere"... `asked` keeps (path, Range)."""

    def do_GET(self):
        how, _, name = self.path.rpartition("http://models.example")[2].strip("/").rpartition("/")
        server = self.server
        server.asked.append((f"{how}/{name}", self.headers.get("Range")))
        port = server.server_address[1]
        content, start = server.contents.get(name, b""), 0
        places = {"here": f"/{name}", "elsewhere": f"http://localhost:{port}/{name}",
                  "bare": f"http://models.example/{name}", "ring": self.path, "ftp": f"ftp://localhost/{name}"}
        if how in places:
            self.send_response(302)
            self.send_header("Location", places[how])
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        if how == "gone":
            self.send_error(404)
            return
        if how == "slow":
            server.goes_on.wait(30)
        if (found := re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", ""))) and how != "whole":
            start = int(found[1])
        short = how in ("half", "whole") and not server.mended
        self.send_response(206 if start else 200)
        if how != "chunked":
            self.send_header("Content-Length", str(len(content) - start + 99 * (how == "long")))
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
        self.send_header("ETag", f'"{server.version}"')
        self.end_headers()
        self.wfile.write(content[start:][:len(content) // 2 if short else None])
        self.close_connection = True

    def log_message(self, *args):
        """Says nothing."""


@pytest.fixture
def server(contents, tmp_path, monkeypatch):
    """The running server, with its `address`; the cache is an empty folder, no proxy is set."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        for either in (name, name.upper()):
            monkeypatch.delenv(either, raising=False)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as running:
        running.contents, running.asked, running.version, running.mended = contents, [], 1, False
        running.goes_on, running.address = threading.Event(), f"http://127.0.0.1:{running.server_address[1]}"
        thread = threading.Thread(target=running.serve_forever, args=(0.01,))
        thread.start()
        yield running
        running.shutdown()
        thread.join()


def left():
    """The files in the cache but for the lists of what came."""
    return sorted(path.name for path in weights.downloads().rglob("*") if path.is_file() and path.suffix != ".json")


def get(*words):
    return main(["models", "get", *words])


def line(capsys):
    """The one line with which a command has failed; a progress bar may stand before it."""
    *bar, last = capsys.readouterr().err.splitlines()
    assert last.startswith("jsr models: ") and not any("jsr" in text for text in bar)
    return last


@pytest.mark.parametrize("words, said", [
    ("{}/gone/good.safetensors", "127.0.0.1 answers 404 Not Found; the file may have moved"),
    ("{}/elsewhere/good.safetensors", "leads to http://localhost:.*, another host; it is followed where .* --sha256"),
    ("{}/bare/good.safetensors --sha256 {good}", "leads to http://models.example/.*, which is not encrypted and not"),
    ("{}/ftp/good.safetensors --sha256 {good}", "leads to ftp://localhost/.*, which is not encrypted and not followed"),
    ("{}/ring/good.safetensors", "127.0.0.1 answers 302 .*infinite loop"),
    ("{}/edsr.safetensors --name other --sha256 {good}", "its SHA-256 is [0-9a-f]{{64}}, not {good}: it was changed"),
    ("{}/page.safetensors", "is a page of the web in the place of a file"),
    ("{}/good.zip", "weights end in .safetensors, .pth"),
    ("http://models.example/good.safetensors", "is not encrypted, .* give its --sha256 HASH"),
    ("http://127.0.0.1:1/good.safetensors", "no connection to 127.0.0.1: Connection refused; `jsr convert` makes"),
    ("file:///etc/good.safetensors", "is no address of a file in the web; use one that begins with https://"),
    ("swinr-x4", "no public model has this name; did you mean 'swinir-x4'"),
    ("hat-x4", "no program can download it: fetch it by hand from https://github.com/.*/HAT, then `jsr convert"),
    ("x4", "exists already, .*x4.safetensors"),
    ("{}/x4.safetensors", "its name 'x4' belongs to a model that jsr ships; choose another: --name NAME"),
    ("{}/swinir-x4.safetensors", "its name 'swinir-x4' belongs to a public model"),
    ("{}/edsr.pth", "its name 'edsr' belongs to a network"),
    ("{}/a%20b.pth", "its name 'a%20b' has other characters than"),
    ("{}/good.safetensors --sha256 123", "a SHA-256 has 64 digits"),
    ("http://[::1/good.pth", "is not an address: Invalid IPv6 URL"),
    ("{}/gone/%00" + 300 * "a" + ".pth --name good", "127.0.0.1 answers 404"),
    ("hf:good", "a place on the hub is hf:ORG/REPO or hf:ORG/REPO/FILE"),
])
def test_what_cannot_be_downloaded_is_one_line_and_leaves_nothing(server, contents, capsys, words, said):
    good = hashlib.sha256(contents["good.safetensors"]).hexdigest()
    assert get(*words.format(server.address, good=good).split()) == 1
    assert re.search(f"^jsr models: (--sha256 )?[^ ]+: {said.format(good=good)}", line(capsys)), said
    assert left() == []


@pytest.mark.parametrize("place, pinned", [
    ("good.safetensors", False), ("here/good.safetensors", False), ("elsewhere/good.safetensors", True),
    ("chunked/good.safetensors", False)])
def test_what_comes_is_a_model_by_name(server, contents, capsys, place, pinned):
    expected = hashlib.sha256(contents["good.safetensors"]).hexdigest()
    assert get(f"{server.address}/{place}", *(["--sha256", expected] if pinned else [])) == 0
    out = capsys.readouterr().out
    assert ("not checked, since none was stated" in out and expected in out) != pinned
    assert "upscale photo.jpg -m good" in out
    assert model_file.find("good").read_bytes() == contents["good.safetensors"] and left() == ["good.safetensors"]
    entry = json.loads((weights.downloads() / "downloads.json").read_text())["files"]["good.safetensors"]
    assert entry == {"source": f"{server.address}/{place}", "source_sha256": expected, "sha256": expected}
    assert get(f"{server.address}/{place}") == 0 and "is there already" in capsys.readouterr().out
    assert main(["models", "--json"]) == 0
    row = {row["name"]: row for row in json.loads(capsys.readouterr().out)}["good"]
    assert row["origin"] == "downloaded" and row["purpose"] == f"not stated; from {server.address}/{place}"
    assert (row["licence"], row["commercial"], row["scale"], row["params"]) == ("MIT", "yes", 2, 0)


@pytest.mark.parametrize("how", ["half", "whole"])
def test_half_a_file_is_gone_on_with_where_the_server_can(server, contents, capsys, how):
    address, size = f"{server.address}/{how}/good.safetensors", len(contents["good.safetensors"])
    assert get(address) == 1
    assert re.search("the connection broke after .*; the same command goes on from there", line(capsys))
    assert [name.rpartition(".")[2] for name in left()] == ["part"]
    server.mended = True
    assert get(address) == 0 and left() == ["good.safetensors"]
    assert server.asked[1:] == [(f"{how}/good.safetensors", None), (f"{how}/good.safetensors", f"bytes={size // 2}-")]
    assert model_file.find("good").read_bytes() == contents["good.safetensors"]


def test_a_length_that_is_wrong_is_one_line(server, capsys):
    for _ in range(2):
        assert get(f"{server.address}/long/good.safetensors") == 1
        assert re.search(r"the connection broke after \d+ bytes of \d+ bytes \(the server closed it\)", line(capsys))
    assert [name.rpartition(".")[2] for name in left()] == ["part"]


def test_half_of_another_version_is_not_gone_on_with(server, contents):
    address = f"{server.address}/half/good.safetensors"
    assert get(address) == 1
    server.mended, server.version = True, 2
    assert get(address) == 0 and left() == ["good.safetensors"]
    assert [asked for _, asked in server.asked] == [None, None]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no device that is full")
def test_a_full_disk_is_one_line(server, capsys):
    address = f"{server.address}/half/good.safetensors"
    assert get(address) == 1
    assert "connection broke" in line(capsys)
    part, = weights.downloads().rglob("*.part")
    part.unlink()
    part.symlink_to("/dev/full")
    assert get(address) == 1
    assert "cannot be written: the disk is full; free some space and run the command again" in line(capsys)


def test_a_cache_that_cannot_be_written_is_one_line(server, tmp_path, monkeypatch, capsys):
    (tmp_path / "cache").touch()
    assert get(f"{server.address}/good.safetensors") == 1
    assert "cannot be written: Not a directory" in line(capsys)
    (tmp_path / "cache").unlink()
    (tmp_path / "cache").mkdir(mode=0o500)
    if os.getuid():
        assert get(f"{server.address}/good.safetensors") == 1
        assert "cannot be written: no permission; choose another folder" in line(capsys)


def test_a_proxy_is_used_and_named(server, contents, monkeypatch, capsys):
    pin = ["--sha256", hashlib.sha256(contents["good.safetensors"]).hexdigest()]
    monkeypatch.setenv("http_proxy", "http://somebody:secret@127.0.0.1:1")
    assert get("http://models.example/good.safetensors", *pin) == 1
    said = line(capsys)
    assert "no connection to models.example through the proxy 127.0.0.1:1 (http_proxy)" in said and "secret" not in said
    monkeypatch.setenv("http_proxy", server.address)
    assert get("http://models.example/good.safetensors", *pin) == 0 and server.asked == [("/good.safetensors", None)]


def test_two_downloads_at_once_are_one(server, capsys):
    address, done = f"{server.address}/slow/good.safetensors", []
    threads = [threading.Thread(target=lambda: done.append(get(address))) for _ in range(2)]
    for thread in threads:
        thread.start()
    out = ""
    while "waits for another command" not in (out := out + capsys.readouterr().out):
        threads[0].join(0.02)
    server.goes_on.set()
    for thread in threads:
        thread.join()
    assert done == [0, 0] and len(server.asked) == 1 and left() == ["good.safetensors"]


def test_public_weights_are_converted_and_must_be_the_network_of_the_table(server, contents, monkeypatch, capsys):
    row = public.Public("tiny", "edsr/baseline", 3, "tests", "MIT", "yes", 0,
                        hashlib.sha256(contents["edsr.safetensors"]).hexdigest(), "repository",
                        f"{server.address}/edsr.safetensors", "https://example.org", "DIV2K")
    for wrong, said in (({"network": "imdn/imdn"}, "as imdn/imdn x3: "), ({"scale": 2}, "as edsr/baseline x2: ")):
        monkeypatch.setattr(public, "models", lambda wrong=wrong: {"tiny": dataclasses.replace(row, **wrong)})
        assert get("tiny") == 1 and said in line(capsys) and left() == []
    monkeypatch.setattr(public, "models", lambda: {"tiny": row})
    assert get("tiny") == 0
    assert "licence: MIT; commercial use: yes; see https://example.org" in capsys.readouterr().out
    meta, networks, _ = model_file.load("tiny")
    assert meta["licence"] == "MIT" and networks["sr"].scale == 3 and left() == ["tiny.safetensors"]
    assert main(["models"]) == main(["models", "public"]) == main(["models", "show", "tiny"]) == 0
    out = capsys.readouterr().out
    assert "tests; trained on DIV2K" in out and "tests; there" in out and "converted from edsr.safetensors, SHA" in out


def test_weights_of_a_score_come_with_the_network_that_it_needs(server, contents, monkeypatch, capsys, tmp_path):
    arrays = {"mu_pris_param": np.ones((1, 36)), "cov_pris_param": np.eye(36)}
    np.savez(tmp_path / "model.npz", **arrays)
    data = (tmp_path / "model.npz").read_bytes()
    network = public.Public("features", "edsr/baseline", 3, "tests", "MIT", "yes", 0, "", "",
                            f"{server.address}/edsr.safetensors", "https://example.org", "")
    row = scores.ScoreWeights("niqe", "niqe[y_601_rounded]", "features", "Apache-2.0", len(data),
                              hashlib.sha256(data).hexdigest(), f"{server.address}/model.npz", "https://example.org")
    monkeypatch.setattr(public, "models", lambda: {"features": network})
    monkeypatch.setattr(scores, "table", lambda: {"niqe": row})
    assert get("niqe", "--sha256", 64 * "0") == 1 and "its name and SHA-256 are fixed" in line(capsys)
    monkeypatch.setitem(contents, "model.npz", b"other")
    assert get("niqe") == 1 and "its SHA-256 is" in line(capsys) and left() == ["features.safetensors"]
    contents["model.npz"] = data
    assert get("niqe") == 0
    out = capsys.readouterr().out
    assert "licence: Apache-2.0" in out and 'jsr evaluate --sr DIR --hr DIR --profile "niqe[y_601_rounded]"' in out
    assert left() == ["features.safetensors", "niqe.safetensors"] and get("niqe") == 0
    used = score_weights.load("niqe[y_601_rounded]")
    of_network = hashlib.sha256(contents["edsr.safetensors"]).hexdigest()
    assert [its["sha256"] for its in used.used] == [row.sha256, of_network]
    np.testing.assert_array_equal(used.arrays["cov_pris_param"], arrays["cov_pris_param"])
    assert main(["models", "public"]) == 0 and "niqe[y_601_rounded]; there" in capsys.readouterr().out


def test_what_is_there_is_listed_and_shown(server, tmp_path, capsys):
    run = Path("runs/aim22_t1/quick")
    model_file.save(run / "best.safetensors", {"sr": {}, "again": {}}, {
        "networks": [NET, NET | {"name": "again"}], "recipe": "aim22_t1:quick", "steps": 3000,
        "scores": {"psnr[rgb]": 30.5},
        "data": [{"dataset": "photos"}, {"dataset": ""}]})
    assert main(["models", "--json"]) == 0
    rows = {row["name"]: row for row in json.loads(capsys.readouterr().out)}
    assert {"x2", "x4", "x4-avif", "restore", str(run)} == rows.keys()
    assert rows[str(run)] == {
        "name": str(run), "path": str(run / "best.safetensors"), "origin": "run", "networks": ["enlarge/bicubic"] * 2,
        "members": 1, "scale": 4, "purpose": "trained by aim22_t1:quick, 3,000 steps", "params": 0, "licence": "",
        "bytes": (run / "best.safetensors").stat().st_size, "s_per_mpx": None, "commercial": "unstated",
        "data": "photos, pairs of files"}
    x4 = rows["x4"]
    assert (x4["origin"], x4["scale"], x4["licence"], x4["commercial"]) == ("shipped", 4, "Apache-2.0", "yes")
    assert x4["s_per_mpx"] > 0 and x4["params"] > 10_000 and "pictures of" in x4["data"] and "JPEG" in x4["purpose"]
    assert main(["models", "show", str(run)]) == 0
    out = capsys.readouterr().out
    assert out.startswith("# quick\n") and "- psnr[rgb] on the validation images: 30.5000" in out
    (run / "best.safetensors").write_bytes(b"not whole")
    assert main(["models"]) == 1
    out, err = capsys.readouterr()
    assert f"jsr models: {run / 'best.safetensors'}: damaged" in err and "x4-avif" in out


def test_every_shipped_model_has_a_card(capsys):
    for name in weights.PURPOSES:
        assert main(["models", "show", name]) == 0
        card = capsys.readouterr().out
        assert all(part in card for part in ("bad at", "## Scores", "| Set14 |", "## Pictures"))


def test_an_ensemble_is_one_model_with_the_networks_of_all(server, capsys):
    run = Path("runs/aim22_t1/two")
    model_file.save(run / "last.safetensors", {"member1/a": {}}, {
        "recipe": "aim22_t1:two", "steps": 3,
        "networks": [NET | {"name": f"{member}/{name}"} for member in ("member1", "member2") for name in "ab"],
        "members": [{"name": "member1", "weight": 1.0}, {"name": "member2", "weight": 1.0}]})
    assert main(["models", "--json"]) == 0
    row, = (row for row in json.loads(capsys.readouterr().out) if row["name"] == str(run))
    assert (row["networks"], row["members"], row["scale"]) == (["enlarge/bicubic"] * 4, 2, 4)
    assert main(["models", "show", str(run)]) == 0
    assert " + ".join(["enlarge/bicubic > enlarge/bicubic"] * 2) in capsys.readouterr().out
    os.chdir(run)
    assert main(["models", "show", "."]) == 0 and capsys.readouterr().out.startswith("# two\n")


def test_the_table_of_public_models_is_sound():
    found = public.models()
    assert len(found) > 60 and not set(found) & {*models.STEMS, *weights.PURPOSES}
    assert weights.PURPOSES.keys() == {path.stem for path in weights.SHIPPED.glob("*.safetensors")}
    for name, row in found.items():
        assert re.fullmatch(r"[a-z0-9-]+", name), name
        assert models.resolve(row.network) == row.network and row.scale in models.card(row.network).allowed_scales, name
        assert row.purpose and row.commercial == {"": "unstated"}.get(row.licence, row.commercial) in (
            "yes", "no", "unstated"), name
        assert re.fullmatch(r"|[0-9a-f]{8}|[0-9a-f]{64}", row.sha256) and bool(row.sha256) == bool(row.hash_by), name
        assert row.page.startswith("https://") and (not row.address or row.address.startswith("https://")), name
        assert row.address.endswith((".pth", ".pt", "")) and "/main/" not in row.address, name
    addresses = [row.address for row in found.values() if row.address]
    assert len(set(addresses)) == len(addresses)
    hashes = [row.sha256 for row in found.values() if row.sha256]
    assert len(set(hashes)) == len(hashes)


@pytest.mark.parametrize("old, new, pinned, followed", [
    ("https://github.com/a", "https://release-assets.githubusercontent.com/b", False, True),
    ("https://github.com/a", "https://githubusercontent.com.evil.org/b", False, False),
    ("https://github.com/a", "https://evil.org/b", True, True),
    ("https://github.com/a", "http://github.com/b", True, False),
    ("https://github.com/a", "http://localhost/b", True, False),
    ("https://example.org/a", "https://files.example.org/b", False, True),
    ("https://example.org/a", "https://notexample.org/b", False, False),
])
def test_redirects(old, new, pinned, followed):
    parts = (download.urllib.parse.urlsplit(url) for url in (old, new))
    assert (download._not_followed(*parts, pinned) == "") == followed
