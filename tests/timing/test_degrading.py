"""Rates of degradations, and the tables of pages."""

import pytest

from jsr import degradations
from jsr.errors import MissingLibrary, UserError
from jsr.timing import degrading, gain_plot, tables, timing
from jsr.timing.loaders import made_up

HEAD = timing.head(["jsr", "benchmark", "degrade"], "degrade")


def test_an_image(monkeypatch):
    row = degrading.measure("aim22_t1", (50, 66), rounds=2)
    assert (row["name"], row["scale"], row["size"], row["frames"]) == ("aim22_t1", 4, [48, 64], 1)
    assert row["lr_bytes"] == len(degradations.degrade("aim22_t1", made_up(0, (50, 66))[:48, :64]).lr_bytes)
    assert row["codecs"] == degradations.codecs(degradations.draw("aim22_t1"))
    assert row["best_images_per_s"] >= row["images_per_s"] > 0 and row["decoded_per_s"] > 0


def test_a_clip():
    pytest.importorskip("av", reason="an optional package (extra `video`)")
    row = degrading.measure("aim22_t2", (256, 256), rounds=2)
    assert (row["size"], row["frames"]) == ([256, 256], degrading.FRAMES)
    assert "8 frames" in tables.of_degradation(row)[1]


def test_what_is_missing_is_a_note(monkeypatch):
    def refuse(*args, **kwargs):
        raise MissingLibrary("needs a library")

    monkeypatch.setattr(degradations, "degrade", refuse)
    row = degrading.measure("aim22_t1", (48, 64), rounds=2)
    assert row == {"name": "aim22_t1", "note": "needs a library"}
    assert len(tables.of_degradation(row)) == len(tables.DEGRADE)


def test_mistakes():
    with pytest.raises(UserError, match="degradation protocol 'aim22' is unknown"):
        degrading.measure("aim22", rounds=2)
    for name in ("aim22_t1", "aim22_t2"):
        with pytest.raises(UserError, match=f"^{name}: .*; take a larger --size$"):
            degrading.measure(name, (3, 64), rounds=2)


def test_a_page_keeps_its_text():
    loader = {"name": "ours", "patches_per_s": 200.0, "best_patches_per_s": 210.0, "bytes": 3_000_000,
              "bytes_ratio": 1.5, "ratio": 3.25}
    degraded = degrading.measure("aim22_t1", (48, 64), rounds=2)
    files = [HEAD | {"what": what, "results": [row]} for what, row in (("loaders", loader), ("degrade", degraded))]
    page = gain_plot.markdown(files, "# Figures\n\nA text.\n\n## Tables\n\nold")
    assert page.startswith("# Figures\n\nA text.\n\n## Tables\n\n### ") and "old" not in page
    assert "\nours | 200 | 210 | 3.25 | 3.0 MB | 1.50\n" in page and "\naim22_t1 | 48x64 | " in page
    assert gain_plot.markdown(files, page) == page and gain_plot.markdown([]).startswith("# Measured\n")
    with pytest.raises(UserError, match="no page has a table of 'jpeg'"):
        gain_plot.markdown([HEAD | {"what": "jpeg", "results": [{}]}])
