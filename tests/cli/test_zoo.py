"""`jsr zoo`."""

import json

import pytest

from jsr import catalogue, models
from jsr.cli import main
from jsr.datasets import folders
from jsr.recipes import all_recipes, read, recipe, stage


def made_up(networks, name="a", protocol="aim22_t1", **fields):
    return read(recipe(title="a made-up entry", protocol=protocol, networks=networks, recipe=f"track:{name}",
                       data=dict(train=[dict(dataset="photos/aim22_t1"), dict(dataset="folders/clic")],
                                 eval=dict(dataset="photos")),
                       stages=[stage(steps=1, crop=48, batch=1, losses=[], learning_rate=1e-4)], **fields))


@pytest.fixture(scope="module")
def whole():
    """The recipes, loaded once."""
    return all_recipes()


@pytest.fixture
def printed(capsys, monkeypatch, whole):
    """Function of words of the command line to what it prints."""
    monkeypatch.setattr(catalogue, "all_recipes", lambda: whole)

    def run(*words):
        assert main(["zoo", *words]) == 0
        return capsys.readouterr().out

    return run


def test_every_network_recipe_and_method_is_listed(printed):
    lines = printed().splitlines()
    for model_id in models.list_models():
        assert sum(line.split()[:1] == [model_id] for line in lines) == 1
    for entry in catalogue.entries():
        first = entry.recipe.recipe if entry.recipe else f"{entry.id}"
        line, = (line for line in lines if line.startswith(f"{first} "))
        assert ("not built yet" in line) == (entry.recipe is None)
    baseline, = (line for line in lines if line.startswith("edsr/baseline"))
    assert baseline.split()[1:6] == ["x2", "x3", "x4", "1,517,571", "73.11"]


def test_one_network_shows_card_counts_files_and_recipes(capsys, monkeypatch):
    monkeypatch.setattr(catalogue, "all_recipes", lambda: [
        ("track", "a", made_up({"sr": dict(model="edsr", scale=2)})),
        ("track", "b", made_up({"sr": dict(model="edsr/full", scale=2)}, "b"))])
    assert main(["zoo", "edsr/full"]) == 0
    out = capsys.readouterr().out
    for part in ("EDSR", "Lim et al.", "sanghyun-son/EDSR-PyTorch", "jsr/models/edsr.py", "jsr/convert/rules/edsr.py",
                 "tests/models/test_edsr.py", "tests/golden/edsr.npz", "40,729,603", "43,680,003", "43,089,923",
                 "track:b", "x1, x2, x3, x4, x8"):
        assert part in out
    assert "edsr/baseline" not in out and "track:a" not in out
    assert main(["zoo", "edsr"]) == 0
    out = capsys.readouterr().out
    assert "track:a" in out and "track:b" in out and "1,369,859" in out


def test_a_network_that_no_recipe_uses(capsys, monkeypatch):
    monkeypatch.setattr(catalogue, "all_recipes", list)
    assert main(["zoo", "edsr/full"]) == 0
    assert capsys.readouterr().out.rstrip().endswith("no recipe uses it")


@pytest.mark.parametrize("query, hint", [
    ("edsrr", "did you mean 'edsr'?"), ("BasicVison", "did you mean 'BasicVision'?"),
    ("++", "`jsr zoo` lists all there are"),
])
def test_an_unknown_name_is_one_line(capsys, query, hint):
    assert main(["zoo", query]) == 1
    assert capsys.readouterr().err == f"jsr zoo: {query}: no network, team, method, recipe or id of that name; {hint}\n"


def test_a_published_method_shows_all_of_it(printed):
    out = printed("casr")
    for part in ("Z6: CASR, three", "casr_x4", "ais24:casr", "--config=configs/ais24.py:casr",
                 "plain/casr", "section 3.4", "AIS 2024", "26,064",
                 "0.026064", "2.0985", "0.468", "30.64", "33.70", "jsr/models/plain.py",
                 "limits      published: 0.468 ms keeps the limit of 33 ms"):
        assert part in out, part
    assert "pcrtsr" not in out.lower()


def test_a_method_not_built_shows_the_reports_figures(printed):
    out = printed("aim20_anonymous_x3")
    for part in ("anonymous", "not described in the report", "not built yet", "track 2 (x3)", "18.190", "0.5357"):
        assert part in out, part


def test_several_hits_are_listed(printed):
    lines = printed("Noah TerminalVision").splitlines()
    starts = [line.split()[0] for line in lines if "Noah_TerminalVision" in line]
    assert starts == ["aim20_x2:noah_rrdb_robust", "aim20_x3:noah_rrdb_robust", "aim20_x4:noah_rrdb_robust",
                      "ntire23_x2:asconvsr", "ntire23_x3:asconvsr"]
    starts = [line.split()[0] for line in printed("baidu").splitlines() if line.startswith("aim20")]
    assert starts == [f"aim20_x{scale}:baidu_drn_gpnas" for scale in (2, 3, 4)]


@pytest.mark.parametrize("options, there, absent", [
    (["--task", "restoration"], ["fbcnn/color", "ntire24:vpeg", "box:restore"], ["edsr/baseline", "ais24:casr"]),
    (["--scale", "3"], ["edsr/full", "ntire23_x3:runet", "aim20_anonymous_x3"], ["rvsr/base", "ntire23_x2:runet"]),
    (["--max_params", "10e3"], ["plain/qqcoin", "ais24:urpnet"], ["edsr/baseline", "ais24:casr", "aim20_anonymous_x3"]),
])
def test_filters(printed, options, there, absent):
    starts = {line.split()[0] for line in printed(*options).splitlines() if line.strip()}
    assert starts >= set(there) and not starts & set(absent)


def test_networks_with_weights(printed):
    out = printed("--has", "weights")
    starts = [line.split()[:1] for line in out.splitlines()]
    assert ["edsr/full"] in starts and ["rvsr/base"] not in starts
    assert ["box:photo_x4"] in starts and ["aim22_t1:quick"] not in starts  # x4 is of the first
    assert "imdn-x2 imdn-x3 imdn-x4" in " ".join(out.split()) and "plain/ecbsr_m4c16" in out
    assert "imdn-x4" in (out := printed("--has", "weights", "--scale", "4")) and "imdn-x2" not in out
    assert "weights edsr-baseline-x2 edsr-baseline-x3 edsr-baseline-x4" in " ".join(printed("edsr/baseline").split())
    assert printed("rvsr", "--has", "weights") == ""


@pytest.mark.parametrize("what, lines", [
    ("losses", ["charbonnier", "robust"]), ("codecs", ["jpeg", "matlab_bicubic", "ntire24 x1: jpeg("]),
    ("datasets", ["div2k the 900 public HR images of DIV2K"]), ("metrics", ["psnr_b", "y_601"]),
    ("Augmentations", ["cutblur"]), ("schedules", ["cosine Half a cosine from"]),
])
def test_the_names_that_recipes_use(printed, what, lines):
    out = [" ".join(line.split()) for line in printed(what).splitlines()]
    assert all(any(line.startswith(f"{start}") for line in out) for start in lines)
    assert all(len(line.split()) > 1 for line in out if line and line not in (
        "loss", "codec", "resize", "degradation", "dataset", "folder that you fill", "metric", "profile",
        "augmentation", "schedule"))


def test_json_has_the_published_methods(capsys, monkeypatch):
    monkeypatch.setattr(catalogue, "all_recipes", lambda: [
        ("track", "a", made_up({"sr": dict(model="edsr", scale=2)}, protocol="ais24", entry="casr_x4",
                               inferred=["the batch size"], left_out=["the discriminator"])),
        ("track", "b", made_up({"sr": dict(model="edsr", scale=2)}, "b"))])
    assert main(["zoo", "--json"]) == 0
    row, *others = json.loads(capsys.readouterr().out)
    gmacs, of_table = row.pop("gmacs"), row.pop("printed")
    assert row == dict(
        id="casr_x4", title="a made-up entry", challenge="ais24", team="Z6", method="CASR", section="3.4",
        kept={"published": {"runtime_ms": True}, "ours": {}},
        recipe="track:a", config="configs/track.py:a",
        inferred=["the batch size"], left_out=["the discriminator"], data=["photos/aim22_t1", "folders/clic"],
        to_fill={"folders/clic": folders.FOLDERS["folders/clic"]},
        params=1_369_859, params_deployed=1_369_859, input_hw=[192, 192],
        networks=[dict(model="edsr", scale=2, copies=1, params=1_369_859, params_deployed=1_369_859, gmacs=gmacs)],
        hook_gmacs=gmacs + 16 * 64 * 192**2 / 1e9,  # the ReLU of each block
        model_mb=1_369_859 * 4 / 2**20, passes=1, to_pytorch="official",
        published=dict(params_M=0.026, gmacs=2.1, runtime_ms=0.468, model_mb=None))
    assert gmacs == pytest.approx(50.599821312) and of_table["psnr[rgb] QP31"] == "30.64"
    assert len(others) == 137 and not any("networks" in other for other in others)


def test_a_published_entry_has_the_reports_figures_beside_ours(printed):
    row, = json.loads(printed("safmn/light_pp", "--json"))
    assert row["published"] == dict(params_M=0.066, gmacs=34.2, runtime_ms=4.251, model_mb=None)
    assert round(row["hook_gmacs"], 4) == 34.1587
    line, = (line for line in printed("swin2sr/compressed").splitlines() if line.startswith("aim22_t1:srmui"))
    assert line.split()[2:3] == ["12,244.6"] and " 9,390 " in line
    line, = (line for line in printed("safmn/light_pp").splitlines() if line.startswith("ais24:vpeg_s"))
    assert line.split()[2:7] == ["66.2", "66", "34.1587", "34.2", "4.251"]
