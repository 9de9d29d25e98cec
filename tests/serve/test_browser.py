"""The page of `jsr serve` in a real browser: all steps by mouse and by keyboard, and what axe-core finds."""

import contextlib
import io
import os
from pathlib import Path
import re
import shutil
import signal
import subprocess
import sys
import zipfile

import numpy as np
from PIL import Image
import pytest

from jsr import cli, report
from jsr.page import standalone

pytest.importorskip("uvicorn", reason="the extra `web` is not installed")
sync_api = pytest.importorskip("playwright.sync_api", reason="the package playwright is not installed")
axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="axe-playwright-python is not installed")
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")

pytestmark = [pytest.mark.slow,
              pytest.mark.skipif(not CHROMIUM, reason="there is no chromium; apt-get install chromium")]
RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]


@pytest.fixture(scope="module")
def browser():
    with sync_api.sync_playwright() as playwright:
        root = ["--no-sandbox"] if os.getuid() == 0 else []
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=root)
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    return tmp_path_factory.mktemp("cache")


@pytest.fixture
def serve(tmp_path, cache):
    """Context manager of a running `jsr serve` with more arguments; gives (address, process, its temporary folder)."""
    @contextlib.contextmanager
    def started(*words):
        (tmp_path / "temporary").mkdir(exist_ok=True)
        environment = {**os.environ, "TMPDIR": str(tmp_path / "temporary"), "XDG_CACHE_HOME": str(cache)}
        process = subprocess.Popen([sys.executable, "-m", "jsr", "serve", "--no-browser", *map(str, words)], text=True,
                                   cwd=tmp_path, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        try:
            address = re.search(r"http\S+", process.stdout.readline())[0]
            yield address, process, tmp_path / "temporary"
        finally:
            process.send_signal(signal.SIGINT)
            _, said = process.communicate(timeout=60)
        assert "Traceback" not in said, said

    return started


@pytest.fixture
def photos(tmp_path, photograph):
    """photo.jpg, grey.png and a folder holiday with one picture, a note and a camera's raw file."""
    folder = tmp_path / "photos"
    (folder / "holiday").mkdir(parents=True)
    Image.fromarray(photograph(64, 96)).save(folder / "photo.jpg", quality=70)
    Image.fromarray(photograph(48, 40, 1)[..., 0]).save(folder / "grey.png")
    Image.fromarray(photograph(40, 40, 2)).save(folder / "holiday" / "beach.webp")
    (folder / "holiday" / "list.txt").write_text("x")
    (folder / "holiday" / "raw.cr3").write_text("x")
    return folder


def film(path, photograph, frames=600):
    """A long animation, so that there is time to stop it."""
    images = [Image.fromarray(photograph(64, 64, seed)) for seed in range(8)]
    images[0].save(path, save_all=True, append_images=(images * (frames // 8))[1:], quality=1, method=0)
    return path


@contextlib.contextmanager
def opened(browser, address, **options):
    """A page that was let in; what its console complains of fails the test."""
    context = browser.new_context(accept_downloads=True, **options)
    page, complaints = context.new_page(), []
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("console", lambda line: complaints.append(line.text) if line.type == "error" else None)
    page.on("request", lambda request: None if request.url.startswith((address.split("?")[0], "blob:")) else
            complaints.append(f"asked {request.url}"))
    page.goto(address)
    page.wait_for_selector("#summary", state="attached")
    yield page
    context.close()
    assert not [text for text in complaints if "status of 4" not in text and "REFUSED" not in text]


def saved(page, number=0):
    """(name, bytes) of what a button to save gives."""
    with page.expect_download() as download:
        page.locator(".save:visible").nth(number).click()
    return download.value.suggested_filename, Path(download.value.path()).read_bytes()


def done(page, count):
    sync_api.expect(page.locator(".save:visible")).to_have_count(count, timeout=240_000)


def findings(page):
    found = axe.Axe().run(page, options={"runOnly": {"type": "tag", "values": RULES}}).response["violations"]
    return [(row["id"], [node["html"] for node in row["nodes"]]) for row in found]


def test_pictures_are_dropped_upscaled_compared_and_saved(browser, serve, photos, tmp_path):
    assert cli.main(["upscale", str(photos / "photo.jpg")]) == 0
    with serve("--out", tmp_path / "out") as (address, _, _), opened(browser, address) as page:
        assert page.url == address.split("?")[0]
        data = [{"name": name, "bytes": list((photos / name).read_bytes())} for name in ("photo.jpg", "grey.png")]
        page.evaluate("""(files) => {
            const carried = new DataTransfer();
            for (const file of files) carried.items.add(new File([new Uint8Array(file.bytes)], file.name));
            const options = {dataTransfer: carried, bubbles: true, cancelable: true};
            document.querySelector("#drop").dispatchEvent(new DragEvent("dragenter", options));
            document.querySelector("#drop").dispatchEvent(new DragEvent("drop", options));
        }""", data)
        sync_api.expect(page.locator(".item .remove")).to_have_count(2)
        page.set_input_files("#folder", photos / "holiday")
        sync_api.expect(page.locator(".item .remove")).to_have_count(3)
        assert page.locator(".told").inner_text().startswith("Passed over: 1 ")
        assert page.locator("h3").all_inner_texts()[:3] == ["photo.jpg", "grey.png", "holiday/beach.webp"]
        page.click("#start")
        done(page, 3)
        assert findings(page) == []
        assert saved(page) == ("photo_x2.jpg", (photos / "photo_x2.jpg").read_bytes())
        with page.expect_download() as download:
            page.click("#zip")
        names = zipfile.ZipFile(io.BytesIO(Path(download.value.path()).read_bytes())).namelist()
        assert names == ["photo_x2.jpg", "grey_x2.png", "holiday/beach_x2.webp"]
        assert sorted(path.relative_to(tmp_path / "out").as_posix() for path in (tmp_path / "out").rglob("*.*")) == [
            "grey_x2.png", "holiday/beach_x2.webp", "photo_x2.jpg"]
        page.click("#clear")
        sync_api.expect(page.locator("#empty")).to_be_visible()


def test_models_are_seen_beside_each_other(browser, serve, photos):
    with serve() as (address, _, _), opened(browser, address) as page:
        page.set_input_files("#files", photos / "photo.jpg")
        page.click("#more summary")
        for model in ("x2", "x4"):
            page.check(f"input[value={model}]")
        assert page.is_disabled("input[value=restore]")  # three are chosen
        page.click("#start")
        done(page, 3)
        page.click(".compare")
        box = page.locator("#stage").bounding_box()
        for share in (0.2, 0.8):
            page.mouse.click(box["x"] + share * box["width"], box["y"] + box["height"] / 2)
            edge = page.locator(".handle").bounding_box()
            assert abs(edge["x"] + 1 - box["x"] - share * box["width"]) < 4
            clip = page.locator("img.over").evaluate("image => getComputedStyle(image).clipPath")
            hidden = re.search(r"inset\(0px ([\d.]+)%|inset\(0px calc\(100% - ([\d.]+)%", clip)
            assert abs(float(hidden[1] or 100 - float(hidden[2])) - 100 + 100 * share) < 1
        page.select_option("#left", "1")
        assert page.locator("#stage .name-tag.left").inner_text() == "Automatic"
        assert findings(page) == []
        page.check("input[value=loupe]")
        sync_api.expect(page.locator(".pane")).to_have_count(4)
        page.wait_for_selector(".pane[data-loaded] >> nth=3")
        assert findings(page) == []
        scale = page.evaluate("devicePixelRatio")
        widths = {round(box["width"] * scale) for box in (image.bounding_box()
                                                          for image in page.locator(".pane img").all())}
        assert widths == {4 * 96}  # pixels of the largest 1:1, the others at its size
        places = [image.bounding_box()["x"] - pane.bounding_box()["x"] for image, pane in zip(
            page.locator(".pane img").all(), page.locator(".pane").all(), strict=True)]
        pane = page.locator(".pane").first.bounding_box()
        page.mouse.move(pane["x"] + 60, pane["y"] + 60)
        page.mouse.down()
        page.mouse.move(pane["x"] + 30, pane["y"] + 60, steps=5)
        page.mouse.up()
        after = [image.bounding_box()["x"] - pane.bounding_box()["x"] for image, pane in zip(
            page.locator(".pane img").all(), page.locator(".pane").all(), strict=True)]
        assert len(set(after)) == 1 and abs(after[0] - places[0] + 30) < 3  # all moved by what was dragged
        page.click("#viewer-close")


def test_the_queue_is_paused_cancelled_and_outlives_a_tab(browser, serve, tmp_path, photos, photograph):
    film(tmp_path / "film.webp", photograph)
    with serve() as (address, _, temporary), opened(browser, address) as page:
        page.set_input_files("#files", [tmp_path / "film.webp", photos / "photo.jpg", photos / "grey.png"])
        sync_api.expect(page.locator(".item .remove")).to_have_count(3)
        page.select_option("#size", "width")
        page.fill("#size-value", "32")
        page.click("#start")
        sync_api.expect(page.locator(".task-state").first).to_contain_text("%", timeout=60_000)
        page.click("#pause")
        sync_api.expect(page.locator(".task-state").first).to_contain_text("paused at")
        share = page.locator(".task-state").first.inner_text()
        other = page.context.new_page()  # a second tab sees the same
        other.goto(address.split("?")[0])
        sync_api.expect(other.locator(".task-state").first).to_have_text(share)
        other.click(".cancel >> nth=1")
        other.close()
        sync_api.expect(page.locator(".task-state").nth(1)).to_have_text("cancelled")
        page.click("#pause")
        sync_api.expect(page.locator("#pause")).to_have_text("Pause")
        page.click(".cancel >> nth=0")
        sync_api.expect(page.locator(".task-state").first).to_have_text("cancelled")
        done(page, 1)
        assert not list(temporary.rglob("*film_*"))


def test_errors_are_lines_in_plain_words(browser, serve, tmp_path, photos):
    (tmp_path / "notes.txt").write_text("hello")
    (tmp_path / "cut.jpg").write_bytes((photos / "photo.jpg").read_bytes()[:900])
    with serve() as (address, process, temporary), opened(browser, address) as page:
        page.set_input_files("#files", [tmp_path / "notes.txt", tmp_path / "cut.jpg"])
        sync_api.expect(page.locator("#problems li")).to_have_count(2)
        first, second = page.locator("#problems li span").all_inner_texts()
        assert first == "notes.txt: is not a picture that can be read; replace or remove the file"
        assert second.startswith("cut.jpg: damaged or truncated")
        assert findings(page) == []
        page.click("#problems button >> nth=0")
        sync_api.expect(page.locator("#problems li")).to_have_count(1)
        page.set_input_files("#files", photos / "photo.jpg")
        sync_api.expect(page.locator("#start")).to_be_enabled()
        page.select_option("#size", "scale")
        page.fill("#size-value", "99")
        page.click("#start")
        sync_api.expect(page.locator("#how-error")).to_contain_text("scale: give at most 16")
        page.uncheck("input[value=auto]")
        sync_api.expect(page.locator("#how-error")).to_have_text("Tick at least one model.")
        stranger = browser.new_context().new_page()
        stranger.goto(address.split("?")[0])
        assert "was not let in yet" in stranger.inner_text("main")
        assert findings(stranger) == []
        stranger.context.close()
        process.kill()
        process.wait()
        sync_api.expect(page.locator("#gone")).to_be_visible(timeout=10_000)
        assert list(temporary.glob("jsr-serve-*"))
        page.goto("about:blank")
        with serve() as (address, _, _):  # collects what the killed one left
            assert len(list(temporary.glob("jsr-serve-*"))) == 1
        assert not list(temporary.glob("jsr-serve-*"))


def test_all_steps_go_by_keyboard(browser, serve, photos):
    with serve() as (address, _, _), opened(browser, address) as page:
        def reach(selector, key="Tab"):
            for _ in range(60):
                if page.evaluate("selector => document.activeElement.matches(selector)", selector):
                    return
                page.keyboard.press(key)
            raise AssertionError(f"{selector} is not reached by {key}")

        page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement.className") == "skip"
        reach("#pick-files")
        with page.expect_file_chooser() as chooser:
            page.keyboard.press("Enter")
        chooser.value.set_files(photos / "photo.jpg")
        sync_api.expect(page.locator("#start")).to_be_enabled()
        reach("#more summary")
        page.keyboard.press("Enter")
        reach("input[value=restore]")
        page.keyboard.press("Space")
        reach("#strength")
        page.keyboard.press("ArrowLeft")
        assert page.inner_text("#strength-value") == "95 %"
        reach("#start")
        page.keyboard.press("Enter")
        done(page, 2)
        assert page.inner_text("#announce") == "photo.jpg is ready."
        reach(".compare")
        page.keyboard.press("Enter")
        reach("#wipe")
        page.keyboard.press("ArrowRight")
        assert page.input_value("#wipe") == "50.5"
        assert page.get_attribute("#wipe", "aria-valuetext") == "51 percent of the left one"
        reach("input[value=slider]")
        page.keyboard.press("ArrowRight")
        sync_api.expect(page.locator(".pane")).to_have_count(3)
        reach("#across")
        page.keyboard.press("Escape")
        assert not page.evaluate("document.querySelector('#viewer').open")
        assert page.evaluate("document.activeElement.matches('.compare')")  # back to where one was
        reach(".save")
        with page.expect_download() as download:
            page.keyboard.press("Enter")
        assert download.value.suggested_filename == "photo_x2.jpg"
        reach(".item .remove", "Shift+Tab")
        page.keyboard.press("Enter")
        sync_api.expect(page.locator("#empty")).to_be_visible()
        assert page.evaluate("document.activeElement.id") == "pick-files"


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [320, 1280])
def test_pages_fit_and_have_no_findings(browser, serve, photos, run, scheme, width):
    with serve(run.parent.parent) as (address, _, _), opened(
            browser, address, color_scheme=scheme, viewport={"width": width, "height": 700}) as page:
        def fits():
            page.wait_for_load_state()  # with its style
            assert page.evaluate("document.documentElement.scrollWidth") <= width
            assert findings(page) == []

        fits()
        page.set_input_files("#files", photos / "photo.jpg")
        page.click("#more summary")
        sync_api.expect(page.locator("#start")).to_be_enabled()
        assert "trained by" in page.inner_text("#more").lower()
        page.click("#start")
        done(page, 1)
        fits()
        page.click("nav a >> nth=1")
        fits()
        page.click(".run-link")
        assert page.locator(".chart svg").count() >= 3
        fits()
        page.locator("[data-film]").focus()
        page.keyboard.press("Home")
        assert page.inner_text("[data-at]") == "step 8, +0.08 dB"
        assert page.get_attribute("[data-ours]", "src").endswith("/pictures/0/8/ours")
        with open(run / "metrics.jsonl", "a") as log:
            log.write('{"step": 30, "kind": "train", "loss": 0.5}\n')
        sync_api.expect(page.locator(".fact").nth(1)).to_contain_text("30", timeout=30_000)
        assert page.inner_text("[data-at]") == "step 8, +0.08 dB"  # what was looked at stays
        assert page.evaluate("document.activeElement.id") == "range-0"


def test_ending_it_leaves_nothing(serve):
    for number in (signal.SIGINT, signal.SIGTERM):
        with serve() as (_, process, temporary):
            assert list(temporary.glob("jsr-serve-*"))
            process.send_signal(number)
            assert process.wait(30) in (128 + number, -number)
        assert not list(temporary.glob("*"))


def test_crops_of_a_page_that_is_a_file_are_zoomed_together(browser, tmp_path):
    pictures = [(name, np.random.default_rng(0).integers(0, 256, (32, 32, 3), np.uint8)) for name in "ab"]
    (tmp_path / "report.html").write_text(standalone("a run", report.linked(pictures)))
    shown, complaints = browser.new_page(), []
    shown.on("pageerror", lambda error: complaints.append(error))
    shown.goto(f"file://{tmp_path / 'report.html'}")

    def transforms():
        return {image.evaluate("e => e.style.transform") for image in shown.locator(".crop img").all()}

    shown.locator(".linked").focus()
    for key, wanted in (("+", "scale(1.5) translate(-16.6667%, -16.6667%)"),
                        ("ArrowLeft", "scale(1.5) translate(-10%, -16.6667%)"), ("0", "scale(1) translate(0%, 0%)")):
        shown.keyboard.press(key)
        assert transforms() == {wanted}
    shown.locator(".crop").last.hover()
    shown.mouse.wheel(0, -100)
    shown.wait_for_function("document.querySelector('.crop img').style.transform.startsWith('scale(1.5)')")
    assert len(transforms()) == 1 and not complaints
    shown.close()
