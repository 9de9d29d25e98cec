import csv
import json
import shutil
import struct
import zipfile
import zlib

import numpy as np
from PIL import Image
import pytest

from jsr import cli, degradations, images, metrics
from jsr.degradations import jpeg
from jsr.degradations.enlarge import enlarge
from jsr.metrics import score_weights


@pytest.fixture
def evaluate(capsys):
    """Runs the command; gives (exit status, stdout, lines of complaint before the last, which counts them)."""
    def run(*arguments):
        status = cli.main(["evaluate", *map(str, arguments), "--overwrite"])
        out, err = capsys.readouterr()
        complaints = [line for line in err.splitlines() if line.startswith("jsr evaluate: ")]
        if complaints and " failed, " in complaints[-1]:
            assert status == 1 and complaints.pop().startswith("jsr evaluate: ")
        return status, out, complaints
    return run


@pytest.fixture
def folders(tmp_path, photograph):
    """tmp_path with hr/, sr/ and lr/, three images each: hr 64x80, lr a quarter of it, sr the hr with noise."""
    for name in ("hr", "sr", "lr"):
        (tmp_path / name).mkdir()
    for index in range(3):
        hr = photograph(64, 80, index)
        noise = np.random.default_rng(index).integers(-6, 7, hr.shape)
        sr = np.clip(hr.astype(int) + noise, 0, 255).astype(np.uint8)
        images.write_png(tmp_path / "hr" / f"{index}.png", hr)
        images.write_png(tmp_path / "sr" / f"{index}.png", sr)
        (tmp_path / "lr" / f"{index}.jpg").write_bytes(degradations.degrade("aim22_t1", hr).lr_bytes)
    return tmp_path


def args(folder, *more):
    return "--sr", folder / "sr", "--hr", folder / "hr", *more


def read(folder, name):
    return images.read_rgb(folder / name)


def test_protocol(evaluate, folders):
    scores = folders / "out" / "scores.json"
    status, out, complaints = evaluate(*args(folders, "--protocol", "aim22_t1", "--json", scores))
    assert status == 0 and not complaints
    report = json.loads(scores.read_text())
    assert list(report) == ["protocol", "profiles", "crop_border", "weights", "codecs", "images", "mean", "standing",
                            "skipped", "kept"]
    assert report["codecs"] == degradations.codecs(degradations.draw("aim22_t1")) and report["codecs"] in out
    assert report["protocol"] == "aim22_t1" and report["profiles"] == ["psnr[rgb]", "ssim[rgb]", "psnr[y_601]"]
    assert [row["name"] for row in report["images"]] == ["0", "1", "2"] and report["skipped"] == []
    hr, sr, lr = (read(folders, name) for name in ("hr/1.png", "sr/1.png", "lr/1.jpg"))
    row = report["images"][1]
    assert row["ours"] == metrics.score(sr, hr, report["profiles"])
    assert row["bicubic"] == metrics.score(enlarge(lr, 4), hr, report["profiles"])
    for who in ("ours", "bicubic"):
        for key, value in report["mean"][who].items():
            assert value == pytest.approx(np.mean([r[who][key] for r in report["images"]]))
    gain = report["mean"]["ours"]["psnr[rgb]"] - report["mean"]["bicubic"]["psnr[rgb]"]
    assert report["standing"]["rank"] is None and report["standing"]["gain"] == pytest.approx(gain)
    for text in ("PSNR[rgb]", "SSIM[rgb]", "PSNR[y_601]", f"{report['mean']['ours']['psnr[y_601]']:.4f}",
                 f"{gain:+.4f}", "VUE", "+1.4257", "not comparable: " + (
                     "other images" if jpeg.is_here("9d") else f"LR images by {report['codecs']}, where aim22_t1 has")):
        assert text in out
    assert "PSNR " not in out.replace("PSNR[rgb] ", "").replace("PSNR[y_601] ", "")


def test_a_protocol_without_a_table(evaluate, folders):
    files = "--protocol", "bicubic_x4", "--json", folders / "scores.json"
    status, out, complaints = evaluate(*args(folders, *files))
    standing = json.loads((folders / "scores.json").read_text())["standing"]
    assert status == 0 and not complaints and "published" not in out and "team" not in out
    assert f" dB, {standing['gain']:+.4f} over bicubic\n" in out and standing["rank"] is None
    status, out, _ = evaluate("--sr", folders / "sr", "--protocol", "bicubic_x4", "--submission", folders / "x.zip",
                              *SUBMISSION)
    assert status == 0 and out.endswith("x.zip: 3 images and readme.txt; all done\n")


def test_given_lr_makes_the_same_baseline(evaluate, folders):
    reports = []
    for more in ((), ("--lr", folders / "lr")):
        assert evaluate(*args(folders, "--protocol", "aim22_t1", "--json", folders / "scores.json", *more))[0] == 0
        reports.append(json.loads((folders / "scores.json").read_text()))
    made, given = reports
    assert given["codecs"] == "" and given["standing"]["gain"] == made["standing"]["gain"]  # files tell no more
    assert made | {key: given[key] for key in ("codecs", "standing")} == given


@pytest.mark.parametrize("protocol, chosen, ranked", [
    ("aim22_t1", [], True), ("aim22_t1", ["encoder=pillow"], False), ("ntire24", ["decoder=9d", "quality=30"], False)])
def test_the_same_codecs_at_every_place(evaluate, folders, protocol, chosen, ranked):
    """`jsr degrade`, --lr of its files, and the baseline that is made: one encoder, one decoder, one name."""
    if "encoder=pillow" not in chosen:
        pytest.importorskip("jpeglib", reason="an optional package (extra `codecs`)")
    chosen = [word for each in chosen for word in ("--set", each)]
    made = "degrade", f"{folders}/hr", "--out", f"{folders}/made", "--protocol", protocol
    assert cli.main([*made, *chosen]) == 0
    reports = []
    for more in (chosen, ("--lr", folders / "made")):
        status, out, _ = evaluate(*args(folders, "--protocol", protocol, "--json", folders / "scores.json", *more))
        reports.append(json.loads((folders / "scores.json").read_text()))
        assert status == 0 and f"LR by {reports[-1]['codecs']}" in out.replace("\n", " ")
    assert reports[0] == reports[1]
    assert ranked == ("not comparable: other images" in reports[0]["standing"]["text"])


def test_scores_of_several_codecs_are_no_table(evaluate, folders):
    for name, chosen in (("0.png", "mozjpeg201"), ("1.png", "pillow")):
        pytest.importorskip("jpeglib", reason="an optional package (extra `codecs`)")
        (folders / name).mkdir()
        (folders / "hr" / name).rename(folders / name / name)
        assert cli.main(["degrade", str(folders / name), "--out", str(folders / "made" / name), "--protocol", "ntire24",
                         "--set", f"encoder={chosen}"]) == 0
        (folders / name / name).rename(folders / "hr" / name)
    (folders / "hr" / "2.png").unlink()
    (folders / "sr" / "2.png").unlink()
    status, _, complaints = evaluate(*args(folders, "--protocol", "ntire24", "--lr", folders / "made"))
    assert status == 1
    assert "several codecs made the LR images, and their scores share no table: mozjpeg 2.0.1 > " in complaints[0]


@pytest.mark.parametrize("more, message", [
    (("--protocol", "aim22_t1", "--lr", "lr", "--set", "encoder=9d"), "--set: chooses how LR images are made, but "),
    (("--profile", "rgb", "--set", "encoder=9d"), "--set: chooses how a protocol's LR images are made; name one that"),
    (("--protocol", "aim22_t1", "--set", "encoder=9z"), "--set encoder: JPEG codec '9z' is unknown"),
    (("--protocol", "ais24", "--qp", "31", "--set", "qp=63"), "--set qp: the LR images have the SR images' QP"),
])
def test_mistakes_of_set_are_one_line(evaluate, folders, more, message):
    status, _, complaints = evaluate(*args(folders, *more))
    assert status == 1 and message in complaints[0]


def test_profiles_and_csv(evaluate, folders):
    status, out, _ = evaluate(*args(folders, "--profile", "y_601", "psnr_b[rgb]", "--crop_border", 4,
                                    "--csv", folders / "scores.csv"))
    assert status == 0 and "PSNR-B[rgb]" in out and "bicubic" not in out and "published" not in out
    with open(folders / "scores.csv", encoding="utf-8", newline="") as file:
        rows = list(csv.reader(file))
    keys = ["psnr[y_601]", "ssim[y_601]", "psnr_b[rgb]"]
    assert rows[0] == ["name", *(f"ours {key}" for key in keys)] and len(rows) == 4
    expected = metrics.score(read(folders, "sr/2.png"), read(folders, "hr/2.png"), keys, 4)
    assert [float(value) for value in rows[3][1:]] == list(expected.values())


def test_several_methods_are_compared_with_the_best(evaluate, folders):
    """In one table, on the images that all have, with the chance of the difference and the worst images by name."""
    (folders / "near").mkdir()
    for name in ("0", "1"):
        noise = np.random.default_rng(9).integers(-2, 3, (64, 80, 3))
        near = np.clip(read(folders, f"hr/{name}.png").astype(int) + noise, 0, 255).astype(np.uint8)
        images.write_png(folders / "near" / f"{name}.png", near)
    files = [folders / f"out.{kind}" for kind in ("json", "csv", "html")]
    given = "--sr", folders / "sr", folders / "near", "--hr", folders / "hr", "--protocol", "aim22_t1"
    status, out, complaints = evaluate(*given, "--json", files[0], "--csv", files[1], "--html", files[2])
    assert status == 1 and len(complaints) == 1 and "2.png: no SR image has this name" in complaints[0]  # counted once
    assert "near: no score of 2, which is left out" in out
    report = json.loads(files[0].read_text())
    assert [row["name"] for row in report["images"]] == ["0", "1"]
    assert report["methods"] == {"sr": str(folders / "sr"), "near": str(folders / "near")}
    for method in ("sr", "near"):
        hr, sr = read(folders, "hr/1.png"), read(folders, f"{method}/1.png")
        assert report["images"][1]["scores"][method] == metrics.score(sr, hr, report["profiles"])
    lines = {row["method"]: row for row in report["compared"] if row["score"] == "psnr[rgb]"}
    assert {row["best"] for row in lines.values()} == {"near"} and lines.keys() == {"sr", "near", "bicubic"}
    assert lines["sr"]["low"] < lines["sr"]["difference"] < lines["sr"]["high"] < 0
    assert f"{lines['sr']['difference']:+.4f} [" in out and "near is worst" not in out
    worst = report["worst"]["sr"][0]
    assert f"sr is worst, in PSNR[rgb], at {worst['name']} (" in out and worst["than"] == "near"
    rows = list(csv.reader(files[1].read_text().splitlines()))
    assert rows[0][:2] == ["name", "sr psnr[rgb]"] and len(rows) == 3
    page = files[2].read_text()
    assert page.count("<figcaption>near</figcaption>") == 2 and f"{lines['near']['mean']:.4f}" in page


@pytest.mark.parametrize("more, message", [
    (("--sr", "sr", "sr"), "one folder is named twice"),
    (("--sr", "sr", "hr", "--runtime_ms", "3"), "--submission and --runtime_ms take only one"),
    (("--sr", "sr", "--html", "x.html"), "the page compares several --sr"),
    (("--sr", "sr", "bicubic"), "'bicubic' is what the baseline is called"),
    (("--sr", "sr", "nowhere"), "nowhere: no such folder"),
])
def test_methods_that_cannot_be_compared(evaluate, folders, more, message, monkeypatch):
    monkeypatch.chdir(folders)
    (folders / "bicubic").mkdir()
    status, _, complaints = evaluate("--hr", "hr", "--profile", "rgb", *more)
    assert status == 1 and len(complaints) == 1 and message in complaints[0]


def test_weights_that_a_score_uses_are_named_with_their_hash(evaluate, tmp_path, photograph, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    for place in ("sr", "hr"):
        images.write_png(tmp_path / place / "0.png", photograph(192, 96, len(place)))
    given = args(tmp_path, "--profile", "niqe[y_601_rounded]", "--json", tmp_path / "scores.json")
    status, _, (complaint,) = evaluate(*given)
    assert status == 1 and "`jsr models get niqe` downloads them" in complaint
    assert not (tmp_path / "scores.json").exists()
    score_weights.save("niqe", {"mu_pris_param": np.ones((1, 36)), "cov_pris_param": np.eye(36)}, source="here",
                       source_sha256="12ab", licence="")
    status, out, complaints = evaluate(*given)
    assert status == 0 and not complaints and "NIQE[y_601_rounded] by niqe, SHA-256 12ab" in out
    report = json.loads((tmp_path / "scores.json").read_text())
    assert report["weights"] == [
        {"score": "niqe[y_601_rounded]", "weights": "niqe", "sha256": "12ab", "source": "here"}]
    sr = read(tmp_path, "sr/0.png")
    assert report["mean"]["ours"] == {"niqe[y_601_rounded]": metrics.niqe(sr)}


def test_baseline_of_a_profile_needs_only_the_lr(evaluate, folders):
    status, out, _ = evaluate(*args(folders, "--profile", "rgb", "--lr", folders / "lr"))
    assert status == 0 and "mean of bicubic" in out


def test_worker_processes_give_the_same(evaluate, folders):
    for workers in (1, 2):
        assert evaluate(*args(folders, "--protocol", "aim22_t1", "--num_workers", workers, "--json",
                              folders / f"{workers}.json"))[0] == 0
    assert (folders / "1.json").read_text() == (folders / "2.json").read_text()


def test_added_names_are_tolerated_and_said(evaluate, folders):
    for index, added in enumerate(("x4", "_SwinIR", "-out")):
        (folders / "sr" / f"{index}.png").rename(folders / "sr" / f"{index}{added}.png")
    status, out, complaints = evaluate(*args(folders, "--profile", "rgb"))
    assert status == 0 and not complaints
    assert ("paired in spite of what their names add: 3 "
            "(0x4.png for 0.png, 1_SwinIR.png for 1.png, 2-out.png for 2.png)" in out)


def test_equal_images(evaluate, folders):
    status, out, _ = evaluate("--sr", folders / "hr", "--hr", folders / "hr", "--protocol", "aim22_t1",
                              "--json", folders / "scores.json")
    assert status == 0 and "inf" in out and "nan" not in out and "+inf" not in out
    text = (folders / "scores.json").read_text()
    report = json.loads(text, parse_constant=lambda constant: pytest.fail(f"{constant} is no JSON"))
    assert report["mean"]["ours"] == {"psnr[rgb]": "inf", "ssim[rgb]": 1.0, "psnr[y_601]": "inf"}


def test_a_gain_over_equal_images_is_no_number(evaluate, folders):
    """Every resize of a black image is black."""
    images.write_png(folders / "hr" / "1.png", np.zeros((64, 80, 3), np.uint8))
    images.write_png(folders / "sr" / "1.png", np.ones((64, 80, 3), np.uint8))
    status, out, _ = evaluate(*args(folders, "--protocol", "aim22_t1"))
    lines = {line.split()[1]: line.split() for line in out.splitlines() if len(line.split()) > 2}
    assert status == 0 and lines["1"][-2] == lines["gain"][3] == "-" and "-inf" not in out
    (folders / "near").mkdir()
    for name in ("0", "1", "2"):
        images.write_png(folders / "near" / f"{name}.png", read(folders, f"hr/{name}.png"))
    status, out, _ = evaluate("--sr", folders / "sr", folders / "near", "--hr", folders / "hr", "--profile", "rgb")
    assert status == 0 and "-inf" not in out and "- ?" not in out


def test_hr_is_cropped_to_the_scale_and_that_is_said(evaluate, folders, photograph):
    images.write_png(folders / "hr" / "1.png", photograph(67, 82, 1))
    images.write_png(folders / "sr" / "1.png", photograph(67, 82, 1)[:64, :80])
    status, out, _ = evaluate(*args(folders, "--protocol", "aim22_t1", "--json", folders / "scores.json"))
    assert status == 0
    assert "cropped at the bottom and right to multiples of the scale: 1 (1 from 67x82, height x width)" in out
    row = json.loads((folders / "scores.json").read_text())["images"][1]
    assert row["cropped"] == "67x82" and row["ours"]["psnr[rgb]"] == "inf"


def bomb(side):
    """A PNG file that claims side x side pixels and holds next to nothing."""
    chunks = [b"IHDR" + struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0), b"IDAT" + zlib.compress(b"\0"), b"IEND"]
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(chunk) - 4) + chunk + struct.pack(">I", zlib.crc32(chunk)) for chunk in chunks)


@pytest.mark.parametrize("damage, message", [
    (lambda data: data[:len(data) // 2], "damaged or truncated ("),
    (lambda data: b"", "not an image"),
    (lambda data: b"hello\n", "not an image"),
    (lambda data: bomb(10_000), "more pixels than the safety limit"),
    (lambda data: bomb(20_000), "more pixels than the safety limit"),
])
@pytest.mark.parametrize("folder", ["sr", "hr"])
def test_damaged_image_is_left_out(evaluate, folders, damage, message, folder):
    path = folders / folder / "1.png"
    path.write_bytes(damage(path.read_bytes()))
    status, out, complaints = evaluate(*args(folders, "--profile", "rgb", "--json", folders / "scores.json"))
    assert status == 1 and len(complaints) == 1
    assert complaints[0].startswith(f"jsr evaluate: {path}: {message}")
    assert "images scored: 2, files left out: 1" in out
    report = json.loads((folders / "scores.json").read_text())
    assert [row["name"] for row in report["images"]] == ["0", "2"]
    assert report["skipped"] == [complaints[0].removeprefix("jsr evaluate: ")]
    kept = [row["ours"]["psnr[rgb]"] for row in report["images"]]
    assert report["mean"]["ours"]["psnr[rgb]"] == pytest.approx(np.mean(kept))


def test_missing_extra_and_misfit_files_are_named(evaluate, folders, photograph):
    (folders / "sr" / "0.png").rename(folders / "sr" / "other.png")
    images.write_png(folders / "sr" / "1.png", photograph(32, 40))
    status, out, complaints = evaluate(*args(folders, "--profile", "rgb"))
    assert status == 1 and "images scored: 1, files left out: 3" in out
    assert complaints == [f"jsr evaluate: {folders / text}" for text in (
        "hr/0.png: no SR image has this name",
        "sr/1.png: is 32x40, its HR 1.png 64x80 (height x width); they must agree",
        "sr/other.png: no HR image has this name")]


def test_missing_and_misfit_lr_files_are_named(evaluate, folders, photograph):
    (folders / "lr" / "0.jpg").unlink()
    images.write_png(folders / "lr" / "1.png", photograph(16, 21))
    (folders / "lr" / "1.jpg").unlink()
    status, out, complaints = evaluate(*args(folders, "--protocol", "aim22_t1", "--lr", folders / "lr"))
    assert status == 1 and "images scored: 1, files left out: 2" in out
    assert complaints[0] == f"jsr evaluate: {folders / 'hr/0.png'}: no LR image has this name"
    assert f"{folders / 'lr/1.png'}: is 16x21, its HR 1.png 64x80" in complaints[1]


def test_tiny_and_long_images(evaluate, tmp_path):
    for name in ("sr", "hr"):
        (tmp_path / name).mkdir()
        Image.new("RGB", (1, 1), (9, 9, 9)).save(tmp_path / name / "dot.png")
        Image.new("RGB", (12000, 200), (9, 9, 9)).save(tmp_path / name / "strip.png")
    status, out, complaints = evaluate(*args(tmp_path, "--profile", "rgb"))
    assert status == 1 and "strip" in out
    assert complaints == [f"jsr evaluate: {tmp_path / 'sr/dot.png'}: ssim[rgb]: 1x1 px with crop_border 0 is too "
                          "small, needs at least 11 px a side"]
    assert evaluate(*args(tmp_path, "--profile", "psnr[rgb]"))[0] == 0


def test_nothing_scored(evaluate, folders):
    for index in range(3):
        (folders / "sr" / f"{index}.png").write_bytes(b"")
    status, out, complaints = evaluate(*args(folders, "--protocol", "aim22_t1", "--json", folders / "scores.json",
                                             "--csv", folders / "scores.csv"))
    assert status == 1 and "images scored: 0, files left out: 3" in out and len(complaints) == 3
    assert json.loads((folders / "scores.json").read_text())["mean"] == {}


def test_empty_and_missing_folders(evaluate, folders):
    (folders / "empty").mkdir()
    for sr, message in (("empty", "no images in it"), ("nowhere", "no such folder")):
        status, _, complaints = evaluate("--sr", folders / sr, "--hr", folders / "hr", "--profile", "rgb")
        assert status == 1 and len(complaints) == 1 and f"{folders / sr}: {message}" in complaints[0]


@pytest.mark.parametrize("option", ["--json", "--csv"])
def test_unwritable_output(evaluate, folders, option):
    (folders / "file").write_text("in the way")
    status, out, complaints = evaluate(*args(folders, "--profile", "rgb", option, folders / "file" / "scores"))
    assert status == 1 and "PSNR[rgb]" in out  # what was computed is shown all the same
    assert len(complaints) == 1 and "scores: cannot be written" in complaints[0]


@pytest.mark.parametrize("more, message", [
    ((), "name the scores: --protocol aim22_t1, or --profile rgb"),
    (("--protocol", "aim22"), "challenge protocol 'aim22' is unknown; did you mean 'aim22_t1' or 'aim22_t2'?"),
    (("--profile", "y601"), "--profile: metric profile 'y601' is unknown; did you mean 'y_601'?"),
    (("--profile", "lpips"), "metric profile 'lpips' is unknown; did you mean 'lpips[alex]' or 'lpips[vgg]'?"),
    (("--profile", "fid[rgb]"), "--profile: score key 'fid[rgb]': no metric 'fid'; "),
    (("--protocol", "aim22_t1", "--qp", "31"), "--qp 31: is for --protocol ais24"),
    (("--profile", "rgb", "--qp", "31"), "--qp 31: is for --protocol ais24"),
    (("--protocol", "aim22_t1", "--runtime_ms", "2"),
     "--runtime_ms is for the score of a real-time challenge: --protocol ntire23_x2 or ntire23_x3 or ais24"),
    (("--protocol", "ntire23_x2", "--runtime_ms", "0"), "--runtime_ms 0: must be more than 0"),
    (("--profile", "rgb", "--crop_border", "-1"), "--crop_border -1: must not be negative"),
    (("--profile", "rgb", "--scale", "0"), "--scale 0: must be at least 1"),
    (("--protocol", "aim22_t1", "--scale", "2"), "--scale 2: the protocol aim22_t1 is x4; use --profile instead"),
    (("--profile", "rgb", "--submission", "x.zip"), "--submission needs --runtime, the seconds an image takes"),
    (("--profile", "rgb", "--submission", "x.zip", "--runtime", "nan"), "--submission needs --runtime"),
])
def test_arguments_that_do_not_fit(evaluate, folders, more, message):
    status, _, complaints = evaluate(*args(folders, *more))
    assert status == 1 and len(complaints) == 1 and message in complaints[0]


@pytest.mark.parametrize("more, message", [
    ((), "--hr is missing: the folder of the originals"),
    (("--submission", "x.zip", "--runtime", "1", "--json", "x.json"), "--json and --csv need --hr"),
])
def test_arguments_that_need_the_originals(evaluate, folders, more, message):
    status, _, complaints = evaluate("--sr", folders / "sr", "--profile", "rgb", *more)
    assert status == 1 and len(complaints) == 1 and message in complaints[0]


@pytest.fixture
def qp_folders(folders):
    """`folders` with sr/qp_31 and sr/QP63, two images each: the baselines of another kernel."""
    for name in ("0", "1"):
        hr = read(folders, f"hr/{name}.png")
        for qp, folder in ((31, "qp_31"), (63, "QP63")):
            lr = degradations.degrade("ais24", hr, seed=name, qp=qp).decode()
            images.write_png(folders / "sr" / folder / f"{name}_4x_qp{qp}.png", enlarge(lr, 4))
            images.write_png(folders / "lr" / folder / f"{name}.png", lr)
    (folders / "hr" / "2.png").unlink()
    return folders


def test_qps_have_a_folder_each(evaluate, qp_folders):
    files = "--json", qp_folders / "scores.json", "--csv", qp_folders / "scores.csv"
    status, out, complaints = evaluate(*args(qp_folders, "--protocol", "ais24", "--runtime_ms", 0.5, *files))
    assert status == 0 and not complaints
    report = json.loads((qp_folders / "scores.json").read_text())
    assert [(row["qp"], row["name"]) for row in report["images"]] == [(31, "0"), (31, "1"), (63, "0"), (63, "1")]
    mean, gains = report["mean"], []
    for qp in (31, 63):
        rows = [row for row in report["images"] if row["qp"] == qp]
        for who in ("ours", "lanczos"):
            for key in report["profiles"]:
                assert mean[who][f"{key} QP{qp}"] == pytest.approx(np.mean([row[who][key] for row in rows]))
        gains.append(mean["ours"][f"psnr[ntire23_script] QP{qp}"] - mean["lanczos"][f"psnr[ntire23_script] QP{qp}"])
    hr = read(qp_folders, "hr/1.png")
    lanczos = enlarge(degradations.degrade("ais24", hr, seed="1", qp=63).decode(), 4, "swscale_lanczos")
    assert report["images"][3]["lanczos"] == metrics.score(lanczos, hr, report["profiles"])
    standing = report["standing"]
    assert standing["gain"] == pytest.approx(np.mean(gains))
    assert standing["score"] == pytest.approx(2 * 2 ** standing["gain"] / (0.1 * 0.5**0.5)) and standing["rank"] is None
    for text in ("QP31 0", "QP63 1", "mean of lanczos QP31", "gain QP63", "33.70", "0.468",
                 f"score {standing['score']:.2f}, theirs 12.00", "GeForce RTX 4090 (not comparable: other images)",
                 "0.5 ms keeps the limit of 33 ms"):
        assert text in out
    assert report["kept"] == {"runtime_ms": True}
    with open(qp_folders / "scores.csv", encoding="utf-8", newline="") as file:
        rows = list(csv.reader(file))
    assert rows[0][:3] == ["name", "qp", "ours psnr[rgb]"]
    assert [row[:2] for row in rows[3:]] == [["0", "63"], ["1", "63"]]
    evaluate(*args(qp_folders, "--protocol", "ais24", "--runtime_ms", 0.5, "--lr", qp_folders / "lr", *files))
    assert json.loads((qp_folders / "scores.json").read_text()) == report | {"codecs": ""}


def test_one_qp(evaluate, qp_folders):
    status, out, _ = evaluate("--sr", qp_folders / "sr" / "QP63", "--hr", qp_folders / "hr", "--protocol", "ais24",
                              "--qp", 63, "--json", qp_folders / "scores.json")
    report = json.loads((qp_folders / "scores.json").read_text())
    assert status == 0 and [row["qp"] for row in report["images"]] == [63, 63]
    assert "(not comparable: the table is of QP31 and QP63)" in out and report["standing"]["gain"] is None


def test_a_file_that_is_missing_at_one_qp(evaluate, qp_folders):
    (qp_folders / "sr" / "QP63" / "1_4x_qp63.png").unlink()
    status, out, complaints = evaluate(*args(qp_folders, "--protocol", "ais24"))
    assert status == 1 and "images scored: 3, files left out: 1" in out
    assert complaints == [f"jsr evaluate: {qp_folders / 'hr/1.png'}: no QP63 SR image has this name"]


@pytest.mark.parametrize("change, more, message", [
    (lambda folder: (folder / "sr" / "31").mkdir(), (), "qp_31: is of the same QP as 31; remove one of them"),
    (lambda folder: (folder / "sr" / "QP37").mkdir(), (), "QP37: ais24 has no QP 37, but 31, 39, 47, 55 and 63"),
    (lambda folder: shutil.rmtree(folder / "lr" / "QP63"), ("--lr", "lr"), "lr: has no folder QP63, as "),
    (lambda folder: None, ("--sr", "hr"), "hr: ais24 judges images at QP 31, 39, 47, 55 and 63; put those of each"),
    (lambda folder: None, ("--sr", "nowhere"), "nowhere: no such folder"),
    (lambda folder: None, ("--qp", "32"), "--qp 32: ais24 has 31, 39, 47, 55 and 63"),
    (lambda folder: None, ("--submission", "x.zip", "--runtime", "1"), "--submission takes the images of one QP"),
])
def test_folders_of_qps_that_do_not_fit(evaluate, qp_folders, monkeypatch, change, more, message):
    monkeypatch.chdir(qp_folders)
    change(qp_folders)
    status, _, complaints = evaluate("--sr", "sr", "--hr", "hr", "--protocol", "ais24", *more)
    assert status == 1 and len(complaints) == 1 and message in complaints[0]


def test_score_of_psnr_and_runtime(evaluate, folders):
    for index in range(3):  # multiples of 3
        images.write_png(folders / "hr" / f"{index}.png", read(folders, f"hr/{index}.png")[:63, :78])
        images.write_png(folders / "sr" / f"{index}.png", read(folders, f"sr/{index}.png")[:63, :78])
    status, out, _ = evaluate(*args(folders, "--protocol", "ntire23_x3", "--runtime_ms", 4,
                                    "--json", folders / "x.json"))
    report = json.loads((folders / "x.json").read_text())
    assert report["profiles"] == ["psnr[rgb]", "psnr[ntire23_script]", "psnr[y_601]", "ssim[rgb]"]
    hr = read(folders, "hr/0.png")
    lr = degradations.degrade("ntire23_x3", hr).decode()
    bicubic = enlarge(lr, 3, "torch_bicubic")
    assert report["images"][0]["bicubic"] == metrics.score(bicubic, hr, report["profiles"])
    score = 10 * 2 ** report["standing"]["gain"]
    assert status == 0 and report["standing"]["score"] == pytest.approx(score)
    assert f"score {score:.2f}, theirs 6.34 to 31.26 on GeForce RTX 3090" in out and "Bicubic++" in out


def test_score_of_psnr_and_ssim(evaluate, folders):
    files = "--protocol", "aim20_x4", "--json", folders / "x.json"
    status, out, _ = evaluate(*args(folders, *files))
    report = json.loads((folders / "x.json").read_text())
    psnr, ssim = report["mean"]["ours"].values()
    assert status == 0 and list(report["mean"]) == ["ours"]  # no LR, and nothing makes them
    assert report["standing"]["score"] == pytest.approx(psnr / 100 + (ssim - 0.4) / 1.2)
    assert (report["standing"]["rank"], report["standing"]["gain"]) == (None, None)
    assert f"score {report['standing']['score']:.4f}, theirs 0.6187 to 0.7099 (not comparable: other images)" in out
    heading, = (line for line in out.splitlines() if "SSIM" in line and "team" in line)
    words = [word for word in heading.split() if word[0].isalpha()]
    assert words == ["team", "method", "PSNR[rgb]", "SSIM[rgb]", "score"]
    evaluate(*args(folders, *files, "--lr", folders / "lr"))
    report = json.loads((folders / "x.json").read_text())
    assert report["standing"]["gain"] == psnr - report["mean"]["bicubic"]["psnr[rgb]"]


SUBMISSION = ("--runtime", 1.5, "--extra_data", "--description", "ours")


@pytest.mark.parametrize("inputs", ["--lr", "--hr", None])
def test_submission(evaluate, folders, inputs):
    (folders / "sr" / "1.png").rename(folders / "sr" / ("1x4.png" if inputs else "1.png"))
    more = {"--lr": ("--scale", 4, "--lr", folders / "lr"), "--hr": ("--profile", "rgb", "--hr", folders / "hr"),
            None: ()}[inputs]
    status, out, complaints = evaluate("--sr", folders / "sr", *more, "--submission", folders / "x.zip", *SUBMISSION)
    assert status == 0 and not complaints and "x.zip: 3 images and readme.txt" in out
    with zipfile.ZipFile(folders / "x.zip") as archive:
        assert archive.namelist() == ["0.png", "1.png", "2.png", "readme.txt"]
        assert b"runtime per image [s] : 1.5\nCPU[1] / GPU[0] : 0\nExtra Data [1]" in archive.read("readme.txt")


def test_a_submission_s_runtime_is_held_against_the_challenges_limit(evaluate, qp_folders):
    status, out, _ = evaluate("--sr", qp_folders / "sr" / "QP63", "--protocol", "ais24", "--qp", 63, "--submission",
                              qp_folders / "x.zip", "--runtime", 0.04)
    assert status == 0 and "40 ms exceeds the limit of 33 ms" in out


def test_submission_of_other_images_than_the_challenges_says_so(evaluate, folders):
    status, out, _ = evaluate("--sr", folders / "sr", "--protocol", "aim22_t1",
                              "--submission", folders / "x.zip", *SUBMISSION)
    assert status == 0 and "the challenge's are the 100 test images of DIV2K, 0901 to 1000" in out
    assert "submission, according to the report: CodaLab, competition 5076; inferred: names, PNG and readme.txt" in out


def test_incomplete_submission_is_not_written(evaluate, folders, photograph):
    images.write_png(folders / "sr" / "1.png", photograph(64, 81))
    (folders / "sr" / "2.png").unlink()
    status, _, complaints = evaluate("--sr", folders / "sr", "--lr", folders / "lr", "--scale", 4,
                                     "--submission", folders / "x.zip", *SUBMISSION)
    assert status == 1 and not (folders / "x.zip").exists()
    assert complaints == [f"jsr evaluate: {text}" for text in (
        f"{folders / 'lr/2.jpg'}: no SR image has this name",
        f"{folders / 'sr/1.png'}: is 64x81, its LR 1.jpg 16x20 (height x width), not x4",
        f"{folders / 'x.zip'}: not written; files missing or unfit: 2")]
