"""The page of `jsr serve`, without a browser: who is let in, what is taken in, what comes out, what is left."""

import fcntl
import io
import json
import os
import shutil
import struct
import tempfile
import time
import zipfile
import zlib

import numpy as np
from PIL import Image
import pytest

from jsr import cli, images
from jsr.errors import UserError

pytest.importorskip("uvicorn", reason="the extra `web` is not installed")
testclient = pytest.importorskip("starlette.testclient", reason="the extra `web` is not installed")

from jsr.serve import offers, uploads, work  # noqa: E402
from jsr.serve.app import Page  # noqa: E402

PORT, TOKEN = 8123, "the-token"
ADDRESS = f"http://127.0.0.1:{PORT}"
OWN = {"Origin": ADDRESS}


@pytest.fixture
def place(tmp_path, monkeypatch):
    """The folder for temporary folders."""
    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    return tmp_path / "temporary"


@pytest.fixture
def serving(place):
    """Function to a client of a new server that was not let in yet."""
    opened = []

    def start(run_folders=(), out=None):
        shelf = uploads.Shelf()
        page = Page(shelf, work.Queue(shelf, out), run_folders)
        client = testclient.TestClient(page.app(PORT, TOKEN), base_url=ADDRESS, follow_redirects=False,
                                       raise_server_exceptions=False)
        opened.append(client.__enter__())
        return client

    yield start
    for client in opened:
        client.__exit__(None, None, None)
    assert not list(place.iterdir())


@pytest.fixture
def client(serving):
    """A client that was let in."""
    return let_in(serving())


def let_in(client):
    assert client.get(f"/?token={TOKEN}").status_code == 303
    return client


def encoded(array, kind="PNG", **options):
    sink = io.BytesIO()
    Image.fromarray(array).save(sink, kind, **options)
    return sink.getvalue()


def send(client, data, name, within=""):
    return client.post("/sources", params={"name": name, "within": within}, content=data, headers=OWN)


def order(client, sources, models=("auto",), size=None, strength=1):
    return client.post("/tasks", headers=OWN, json={"sources": sources, "models": list(models), "size": size or {},
                                                    "strength": strength})


def state(client):
    return client.get("/state").json()


def tasks(client):
    return [task for source in state(client)["sources"] for task in source["tasks"]]


def until(client, holds, seconds=60):
    """Waits until something holds of all tasks; returns them."""
    end = time.monotonic() + seconds
    while not all(map(holds, found := tasks(client))):
        assert time.monotonic() < end, found
        time.sleep(0.01)
    return found


def ended(task):
    return task["state"] not in ("waiting", "working")


def test_the_token_becomes_a_cookie_and_leaves_the_address(serving):
    client = serving()
    answer = client.get(f"/?token={TOKEN}")
    assert answer.status_code == 303 and answer.headers["location"] == "/"
    cookie = answer.headers["set-cookie"]
    assert "HttpOnly" in cookie and "SameSite=strict" in cookie and TOKEN not in cookie
    page = client.get("/")
    assert page.status_code == 200 and TOKEN not in page.text
    assert page.headers["content-security-policy"].startswith("default-src 'none'; script-src 'self'; style-src 'self'")
    assert page.headers["cache-control"] == "no-store" and page.headers["referrer-policy"] == "no-referrer"


@pytest.mark.parametrize("path, headers, status", [
    ("/", {}, 403), ("/state", {}, 403), ("/?token=", {}, 403), ("/?token=the-tokem", {}, 403), ("/?token=ä", {}, 403),
    ("/state", {"Cookie": f"jsr-{PORT}=guess"}, 403),
    ("/static/jsr.css", {"Host": "evil.example"}, 421), ("/static/jsr.css", {"Host": f"evil.example:{PORT}"}, 421),
    ("/static/jsr.css", {"Host": "127.0.0.1:80"}, 421), (f"/?token={TOKEN}", {"Host": f"evil.example:{PORT}"}, 421),
    (f"/?token={TOKEN}", {"Origin": "http://evil.example"}, 403), ("/static/../app.py", {}, 403),
    ("/static/%2e%2e/app.py", {}, 404),
])
def test_who_was_not_let_in_is_refused(serving, path, headers, status):
    answer = serving().get(path, headers=headers)
    assert answer.status_code == status and "set-cookie" not in answer.headers
    assert answer.json()["error"].endswith((".", "removed."))


@pytest.mark.parametrize("headers, status", [
    ({}, 403), ({"Origin": "null"}, 403), ({"Origin": "http://evil.example"}, 403),
    ({"Origin": "http://127.0.0.1:3000"}, 403), ({"Origin": f"https://127.0.0.1:{PORT}"}, 403),
    (OWN | {"Host": f"evil.example:{PORT}"}, 421), (OWN | {"Sec-Fetch-Site": "cross-site"}, 403),
    (OWN | {"Sec-Fetch-Site": "same-site"}, 403), (OWN | {"Sec-Fetch-Site": "same-origin"}, 204),
    ({"Origin": f"http://localhost:{PORT}", "Host": f"localhost:{PORT}", "Cookie": "-"}, 204),
])
def test_other_pages_of_the_same_browser_are_refused(client, headers, status):
    if headers.get("Cookie"):
        headers = headers | {"Cookie": "; ".join(f"{name}={value}" for name, value in client.cookies.items())}
    answer = client.post("/pause", json={"paused": True}, headers=headers)
    assert answer.status_code == status
    assert state(client)["paused"] == (status == 204)
    if "Origin" in headers and status == 403 and "Sec-Fetch-Site" not in headers:
        assert client.get("/state", headers={"Origin": headers["Origin"]}).status_code == 403
    assert client.get("/state", headers={"Sec-Fetch-Site": "same-site"}).status_code == 403  # another port's image
    navigation = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"}
    assert client.get("/", headers=navigation).status_code == 200  # a link; a browser sends no cookie along


def test_pages_bring_no_script_style_or_address_of_elsewhere(serving, run):
    client = let_in(serving([run.parent]))
    answers = [client.get(path, headers={"Accept": "text/html"}) for path in
               ("/", "/runs", f"/runs/{run_id(client)}", "/nothing", "/state?token=1")]
    assert [answer.status_code for answer in answers] == [200, 200, 200, 404, 200]
    for answer in answers:
        assert not any(text in answer.text for text in ("<style", "style=", "<script>", "onclick", "https://"))
        assert "http://" not in answer.text.replace('xmlns="http://www.w3.org/2000/svg"', "")


@pytest.mark.parametrize("told", [True, False])
def test_uploads_are_bounded_in_bytes(client, place, monkeypatch, told):
    monkeypatch.setattr(uploads, "MOST_BYTES", 1000)
    data = bytes(5000)
    answer = send(client, data if told else iter([data]), "a.png")
    assert answer.status_code == 400 and answer.json()["error"].startswith("a.png: has more than")
    assert state(client)["sources"] == [] and not list(place.rglob("a.png"))


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "AVIF", "GIF", "BMP"])
def test_uploads_are_bounded_in_pixels_before_they_are_decoded(client, place, monkeypatch, kind):
    monkeypatch.setattr(uploads, "MOST_PIXELS", 1000)
    name = f"a.{kind.lower()}"
    error = send(client, encoded(np.zeros((40, 40, 3), np.uint8), kind), name).json()["error"]
    assert error == f"{name}: has 40 x 40 pixels, more than the 0 million allowed here; make it smaller"
    assert not list(place.rglob(name))


def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def test_a_header_that_lies_is_refused(client):
    bomb = (b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", 60000, 60000, 8, 2, 0, 0, 0))
            + chunk(b"IDAT", zlib.compress(bytes(100))) + chunk(b"IEND", b""))
    assert "more than its" in send(client, bomb, "bomb.png").json()["error"]


@pytest.mark.parametrize("name, kept", [
    ("../../../etc/a.png", "a.png"), ("..\\..\\a.png", "a.png"), (".a.png", "a.png"), ("a\n\0b.png", "a__b.png"),
    ("ä" * 300 + ".png", "ä" * 88 + ".png"), ("/", "picture"), ("..", "picture")])
def test_names_are_no_paths(client, place, photograph, name, kept):
    answer = send(client, encoded(photograph(8, 8)), name, "../../x/./..//y")
    assert answer.status_code == 201
    (source,) = state(client)["sources"]
    assert source["name"] == kept and source["within"] == "x/y"
    (folder,) = place.glob("*/" + source["id"])
    assert (folder / kept).is_file()


@pytest.mark.parametrize("data, name, error", [
    (b"hello", "notes.txt", "notes.txt: is not a picture that can be read; replace or remove the file"),
    (b"", "a.png", "a.png: is empty"), (b"<svg/>", "a.svg", "is an SVG drawing"),
    (b"\xff\xd8\xff", "a.jpg", "damaged or truncated")])
def test_what_is_no_picture_is_one_line(client, place, data, name, error):
    answer = send(client, data, name)
    assert answer.status_code == 400 and error in answer.json()["error"]
    assert answer.json()["error"].startswith(f"{name}: ") and str(place) not in answer.text


def test_results_are_the_bytes_of_the_command(serving, tmp_path, photograph, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    (tmp_path / "here").mkdir()
    exif = Image.Exif()
    exif[0x010E] = "a photograph"
    photo = encoded(photograph(24, 32), "JPEG", quality=70, exif=exif)
    odd = encoded(photograph(24, 32))
    odd = odd[:33] + chunk(b"abCd", b"\1\2\3") + odd[33:]
    for name, data in (("photo.jpg", photo), ("chunk.png", odd)):
        (tmp_path / "here" / name).write_bytes(data)
    assert cli.main(["upscale", str(tmp_path / "here" / "photo.jpg")]) == 0
    assert cli.main(["upscale", str(tmp_path / "here" / "chunk.png"), "--width", "20"]) == 0
    client = let_in(serving(out=tmp_path / "out"))
    first, second = (send(client, data, name, "holiday").json()["id"]
                     for name, data in (("photo.jpg", photo), ("chunk.png", odd)))
    assert order(client, [first]).status_code == order(client, [second], size={"width": 20}).status_code == 201
    assert order(client, [first]).json()["tasks"] == [tasks(client)[0]["id"]]  # not twice
    done = until(client, ended)
    assert [task["name"] for task in done] == ["photo_x2.jpg", "chunk_20x15.png"]
    assert done[0]["did"] == "x2 by the network x2" and done[0]["notes"] == []
    assert done[1]["notes"] == ["PNG chunk abCd dropped"]  # what a file lost is shown
    archive = zipfile.ZipFile(io.BytesIO(client.get("/results.zip").content))
    assert archive.testzip() is None
    for task in done:
        wanted, answer = (tmp_path / "here" / task["name"]).read_bytes(), client.get(f"/results/{task['id']}")
        assert answer.content == wanted == archive.read(f"holiday/{task['name']}")
        assert f'attachment; filename="{task["name"]}"' == answer.headers["content-disposition"]
        assert (tmp_path / "out" / "holiday" / task["name"]).read_bytes() == wanted
        assert Image.open(io.BytesIO(client.get(f"/results/{task['id']}/view").content)).width == task["width"]
    client.delete(f"/sources/{first}", headers=OWN)
    assert client.get(f"/results/{done[0]['id']}").status_code == 404
    assert (tmp_path / "out" / "holiday" / "photo_x2.jpg").exists()


def test_a_clip_becomes_the_bytes_of_the_command(serving, tmp_path, photograph):
    av = pytest.importorskip("av", reason="the extra `video` is not installed")
    with av.open(str(tmp_path / "clip.mp4"), "w") as container:
        stream = container.add_stream("libx264", rate=25, width=64, height=48, pix_fmt="yuv420p")
        for seed in range(4):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(photograph(48, 64, seed))))
        container.mux(stream.encode())
    assert cli.main(["upscale", str(tmp_path / "clip.mp4"), "--width", "32"]) == 0
    client = let_in(serving())
    source = send(client, (tmp_path / "clip.mp4").read_bytes(), "clip.mp4").json()["id"]
    assert state(client)["sources"][0]["frames"] == 4
    order(client, [source], size={"width": 32})
    (task,) = until(client, ended)
    assert task["name"] == "clip_32x24.mp4" and task["notes"], task
    assert client.get(f"/results/{task['id']}").content == (tmp_path / "clip_32x24.mp4").read_bytes()
    for address, width in ((f"/sources/{source}", 64), (f"/results/{task['id']}", 32)):
        for size in ("view", "thumbnail"):
            assert Image.open(io.BytesIO(client.get(f"{address}/{size}").content)).width == width


def test_files_in_the_folder_of_results_stay(serving, tmp_path, photograph):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "a_5x5.png").write_bytes(b"mine")
    client = let_in(serving(out=tmp_path / "out"))
    order(client, [send(client, encoded(photograph(10, 10)), "a.png").json()["id"]], size={"scale": .5})
    order(client, [state(client)["sources"][0]["id"]], size={"width": 5})
    half, five = until(client, ended)
    assert half["notes"] == [] and (tmp_path / "out" / "a_x0.5.png").exists()
    assert five["notes"] == ["is a_5x5_Automatic.png in the folder, where a_5x5.png was another file"]
    assert (tmp_path / "out" / "a_5x5.png").read_bytes() == b"mine"


def test_the_queue_stands_still_goes_on_and_is_cut_short(client, place, photograph):
    frames = [Image.fromarray(photograph(48, 48, seed)) for seed in range(8)] * 50
    sink = io.BytesIO()
    frames[0].save(sink, "WEBP", save_all=True, append_images=frames[1:], quality=1, method=0)
    first, second, third = (send(client, data, name).json()["id"] for data, name in (
        (sink.getvalue(), "film.webp"), (encoded(photograph(9, 9)), "b.png"),
        (encoded(photograph(9, 9)), "c.png")))
    client.post("/pause", json={"paused": True}, headers=OWN)
    order(client, [first, second, third], size={"width": 20})
    assert {task["state"] for task in tasks(client)} == {"waiting"}
    client.post("/pause", json={"paused": False}, headers=OWN)
    until(client, lambda task: task["id"] != tasks(client)[0]["id"] or task["share"] > 0)
    client.post("/pause", json={"paused": True}, headers=OWN)
    time.sleep(0.1)
    film, b, c = still = tasks(client)
    assert film["state"] == "working" and 0 < film["share"] < 1 and b["state"] == c["state"] == "waiting"
    time.sleep(0.2)
    assert [task["share"] for task in tasks(client)] == [task["share"] for task in still]
    for task in (film, b):
        client.post(f"/tasks/{task['id']}/cancel", json={}, headers=OWN)
    client.post("/pause", json={"paused": False}, headers=OWN)
    found = until(client, ended)
    assert [task["state"] for task in found] == ["cancelled", "cancelled", "done"]
    assert state(client)["left"] is None
    for task in (film, b):  # nothing half-written
        assert client.get(f"/results/{task['id']}").status_code == 404
        assert not [path for path in place.glob(f"*/{task['id']}/*") if not path.name.endswith(".lock")]


def test_the_time_left_is_told(client, photograph):
    sources = [send(client, encoded(photograph(300, 300)), f"{number}.png").json()["id"] for number in range(2)]
    order(client, sources[:1], size={"width": 20})
    until(client, ended)
    client.post("/pause", json={"paused": True}, headers=OWN)
    order(client, sources[1:], size={"width": 20})
    assert 0 <= state(client)["left"] < 30


@pytest.mark.parametrize("body, error", [
    ({"models": []}, "model: choose one"), ({"models": ["auto"] * 4}, "up to 3"),
    ({"models": ["/etc/passwd"]}, "model: choose one"),
    ({"models": ["x2"], "sources": ["../x"]}, "there is nothing"), ({"sources": "abc"}, "there is nothing to upscale"),
    ({"size": {"scale": 17}}, "scale: give at most 16"), ({"size": {"scale": 0}}, "scale: give a number above 0"),
    ({"size": {"width": 1.5}}, "width: give a whole number"), ({"size": {"width": 2, "height": 2}}, "give one of"),
    ({"size": {"depth": 2}}, "give one of"), ({"size": []}, "give one of"), ({"strength": 2}, "strength"),
    ({"strength": "1"}, "strength"), ({"size": {"scale": True}}, "scale")])
def test_wrong_orders_are_one_line(client, photograph, body, error):
    source = send(client, encoded(photograph(8, 8)), "a.png").json()["id"]
    answer = client.post("/tasks", headers=OWN, json={"sources": [source], "models": ["auto"]} | body)
    assert answer.status_code == 400 and error in answer.json()["error"] and tasks(client) == []


@pytest.mark.parametrize("content, kind", [
    (b"{", "application/json"), (b"[]", "application/json"), (b"{}", "text/plain"),
    (b"[" * 100_000, "application/json"), (b" " * (2 << 20), "application/json")], ids=range(5))
def test_requests_that_are_none_are_refused(client, content, kind):
    answer = client.post("/tasks", content=content, headers=OWN | {"Content-Type": kind})
    assert answer.status_code == 400 and "request" in answer.json()["error"]


def test_what_fails_in_the_queue_is_a_line_without_paths(client, place, photograph):
    source = send(client, encoded(photograph(20, 20)), "a.png").json()["id"]
    order(client, [source], size={"megapixels": 1e5})
    (task,) = until(client, ended)
    assert task["state"] == "failed" and task["error"].startswith("a.png: would become 316,228 x 316,228 px")
    assert str(place) not in json.dumps(state(client))
    assert order(client, [source], size={"width": 5}).status_code == 201  # the queue goes on
    assert until(client, ended)[1]["state"] == "done"


def test_only_news_is_sent(client, photograph):
    version = state(client)["version"]
    assert client.get(f"/state?since={version}").status_code == 204
    send(client, encoded(photograph(8, 8)), "a.png")
    assert client.get(f"/state?since={version}").status_code == 200


def test_results_of_one_name_have_places_of_their_own():
    names = [("", "a_x4.png", "x4"), ("", "a_x4.png", "hat"), ("", "a_x4.png", "hat"), ("b", "a_x4.png", "x4")]
    assert work.unique(names) == ["a_x4.png", "a_x4_hat.png", "a_x4_hat_2.png", "b/a_x4.png"]


def test_each_model_is_offered_with_one_sentence(tmp_path):
    shutil.copy(offers.offers()["x4"].file, tmp_path / "last.safetensors")
    found = offers.offers([("mine", tmp_path), ("none", tmp_path / "none")])
    assert list(found)[:2] == ["auto", "x2"] and {"x4", "x4-avif", "restore", "run:mine"} < found.keys()
    for offer in found.values():
        assert offer.sentence.endswith((".", ")")) or offer.id == "auto", offer
    assert found["restore"].sentence == "Takes blocks, ringing and colour bleeding from JPEG files at their own size."


def test_folders_of_killed_servers_are_collected(place):
    names = ("dead", "living", "young", "old")
    for name in names:
        (place / f"jsr-serve-{name}").mkdir()
    for name in names[:2]:
        (place / f"jsr-serve-{name}" / ".lock").touch()
    os.utime(place / "jsr-serve-old", (1, 1))
    (place / "elsewhere").mkdir()
    (place / "jsr-serve-link").symlink_to(place / "elsewhere")
    with open(place / "jsr-serve-living" / ".lock", "r+") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        uploads.remove_leftovers()
    assert sorted(path.name for path in place.iterdir()) == [
        "elsewhere", "jsr-serve-link", "jsr-serve-living", "jsr-serve-young"]


# -- runs

def run_id(client):
    return client.get("/runs").text.split('href="/runs/')[1].split('"')[0]


def test_a_run_is_shown_from_any_workdir_and_live(serving, run):
    client = let_in(serving([run.parent.parent]))
    identity = run_id(client)
    page = client.get(f"/runs/{identity}").text
    assert "aim22_t1/quick" in page and "small &lt;b&gt;EDSR&lt;/b&gt;" in page and page.count("<svg") == 3
    assert "+0.160" in page and "training" in page and 'data-steps="8 16"' in page
    picture = client.get(f"/runs/{identity}/pictures/0/8/ours")
    whole = images.read_rgb(run / "pictures" / "0801_0000008.png")
    np.testing.assert_array_equal(np.asarray(Image.open(io.BytesIO(picture.content))), whole[:, 32:48])
    version = page.split('data-version="')[1].split('"')[0]
    assert client.get(f"/runs/{identity}/live?since={version}").status_code == 204
    with open(run / "metrics.jsonl", "a") as file:
        file.write('{"step": 20, "kind": "train", "loss": 0.05}\n{"step": 24, "ki')  # the last line is being written
    os.utime(run / "metrics.jsonl", (time.time() + 2, time.time() + 2))
    answer = client.get(f"/runs/{identity}/live?since={version}")
    assert answer.status_code == 200 and answer.headers["x-version"] != version and "<html" not in answer.text
    (run / "report.json").write_text("{}")
    (run / "report.html").write_text("<style>p{}</style><script>alert(1)</script>")
    assert "finished" in client.get(f"/runs/{identity}").text
    report = client.get(f"/runs/{identity}/report")
    assert report.headers["content-security-policy"].startswith("sandbox; default-src 'none'")


@pytest.mark.parametrize("path", ["pictures/1/8/ours", "pictures/0/9/ours", "pictures/0/8/other", "pictures/-1/8/ours",
                                  "pictures/0/8/..%2f..%2fconfig.json", "report", "..%2f..%2fetc"])
def test_files_of_a_run_are_served_by_number_alone(serving, run, path):
    client = let_in(serving([run]))
    assert client.get(f"/runs/{run_id(client)}/{path}").status_code == 404


@pytest.mark.parametrize("name, text", [("config.json", "{"), ("config.json", "[]"), ("metrics.jsonl", "{}\n7\n{")])
def test_a_damaged_run_is_still_shown(serving, run, name, text):
    (run / name).write_text(text)
    client = let_in(serving([run]))
    assert client.get("/runs").status_code == client.get(f"/runs/{run_id(client)}").status_code == 200


# -- the command

@pytest.mark.parametrize("words, error", [
    (["nothing"], "nothing: no such folder"), (["--out", "file"], "file: is no folder"),
    (["--port", "99999"], "--port 99999: "), (["--port", "-1"], "--port -1: ")])
def test_the_command_refuses_in_one_line(words, error, tmp_path, place, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").touch()
    monkeypatch.setattr("jsr.device.use_compile_cache", lambda: None)
    assert cli.main(["serve", "--no-browser", *words]) in (1, 2)
    assert capsys.readouterr().err.startswith(f"jsr serve: {error}") and not list(place.iterdir())


def test_settings_of_a_page_are_those_of_the_command():
    assert work.settings_of({"scale": 3}, 1).size == {"scale": 3.0}
    with pytest.raises(UserError, match="strength"):
        work.settings_of({}, float("nan"))
