"""The catalogue of published methods: its rows, the names they are found by, and the file of counts."""

import math
import re

import pytest

from jsr import catalogue, challenges, trees
from jsr.analysis import counted
from jsr.recipes import read, recipe, stage

ENTRIES = catalogue.entries()
PUBLISHED = {entry.id: entry for entry in ENTRIES if entry.id}
NAMES = [(entry.id or entry.recipe.recipe, entry.names) for entry in ENTRIES]


def found(query):
    return {key for key, names in NAMES if catalogue.matches(query, names)}


def test_every_row_of_the_tables_is_there_once():
    tables = [path.stem for path in challenges.TABLES.iterdir()]
    rows = [row["id"] for name in tables for row in challenges.printed(name)]
    assert sorted(rows) == sorted(PUBLISHED) and len(rows) == len(set(rows)) == 138
    built = [entry for entry in ENTRIES if entry.id and entry.recipe]
    assert len(built) == 137 and {entry.id for entry in PUBLISHED.values() if not entry.recipe} == {
        "aim20_anonymous_x3"}
    for entry in PUBLISHED.values():
        assert entry.row["id"] == entry.id and entry.section and entry.team and entry.method
    for entry in built:
        assert entry.row in challenges.printed(entry.challenge)


@pytest.mark.parametrize("entry", PUBLISHED.values(), ids=PUBLISHED)
def test_an_entry_is_found_by_all_its_names(entry):
    assert found(entry.id) == {entry.id} == found(entry.id.upper().replace("_", "-"))
    for name in (entry.team, entry.row["method"], entry.method, entry.method.replace("(", "").replace(",", ";"),
                 f"{entry.team}: {entry.method}", *([entry.recipe.recipe] if entry.recipe else [])):
        hits = found(name.upper())
        assert entry.id in hits and hits == found(name), name


@pytest.mark.parametrize("team", sorted({entry.team for entry in PUBLISHED.values()}))
def test_a_team_is_not_answered_by_anothers_entries(team):
    """Of the hits of a team's name all are its own, but where it is a word of another's name or of a method's."""
    edsr_star = {f"aim20_edsr_star_x{scale}" for scale in (2, 3, 4)}
    shared = {"z6": {"casr_x4"}, "Z6": {"lrsrn_x2", "lrsrn_x3"}, "VPEG": {"vpeg_r_x4", "vpeg_s_x4"},
              "organisers": {"rt4ksr_x2", "rt4ksr_x3", *edsr_star},
              "Organisers (baseline)": {"ntire24_fbcnn_baseline", *edsr_star},
              "EDSR*": {"aim22_t1:edsr", "aim20_aiair_oaddet_x2", "aim20_debut_kele_edsr_x2",
                        "aim20_jnsr_edsr_drln_x4"}}
    own = {entry.id for entry in PUBLISHED.values() if entry.team == team}
    assert found(team) == own | shared.get(team, set())


@pytest.mark.parametrize("query, ids", [
    ("casr", {"casr_x4"}), ("kren", {"cmvg_kren_x4"}), ("CMVG KREN", {"cmvg_kren_x4"}), ("bicubic++", {"bicubicpp_x3"}),
    ("pair", {"fadn_x2", "fadn_x3"}), ("runet x3", {"runet_x3"}), ("quality factor 3", set()),
    ("", set()), ("+", set()),
    ("safmn++", {"vpeg_s_x4", "ntire24_vpeg_safmn_bcie"}), ("FVL-T1", {"ntire24_fvlt1_restormer_qf"}), ("as", set()),
])
def test_names_are_found_by_whole_words(query, ids):
    assert found(query) == ids


def test_the_file_of_counts_has_what_the_listings_need():
    assert sorted(counted.known()) == sorted(catalogue.counted_keys())


@pytest.mark.parametrize(
    "key", [key for key in counted.known() if key.model in ("plain/casr", "rvsr/base", "fbcnn/color")],
    ids=lambda key: f"{key.model} x{key.scale}")
def test_the_file_of_counts_is_fresh(key):
    assert counted.fresh(key) == counted.known()[key]


@pytest.mark.slow
@pytest.mark.parametrize("key", counted.known(), ids=lambda key: f"{key.model} x{key.scale}")
def test_all_of_the_file_of_counts_is_fresh(key):
    assert counted.fresh(key) == counted.known()[key]


def test_copies_and_equal_networks_count_their_parameters_once_and_their_work_each_time():
    small = dict(num_feat=8, num_block=1)
    config = read(recipe(title="made up", protocol="aim22_t1", input_hw=(10, 20),
                    networks={"first": dict(model="edsr", scale=2, fields=small),
                              "second": dict(model="edsr/baseline", scale=2, fields=small),
                              "third": dict(model="edsr", scale=3, fields=small)},
                    data=dict(train=dict(dataset="photos"), eval=dict(dataset="photos")),
                    stages=[stage(steps=1, crop=48, batch=1, losses=[], learning_rate=1e-4)]))
    row = catalogue.figures(config)
    first, second, third = row["networks"]
    assert row["params"] == first["params"] + third["params"] and first["params"] == second["params"]
    assert row["input_hw"] == [10, 20]
    # the second network gets an image of twice the height and width
    assert second["gmacs"] == pytest.approx(4 * first["gmacs"])
    assert math.isclose(row["gmacs"], first["gmacs"] + second["gmacs"] + third["gmacs"]) and row["passes"] == 1
    three = read(trees.plain(config) | {"members": [{"copies": 3}], "ensemble": {"self": True, "tiles": [24, 32]}})
    copies = catalogue.figures(three)
    assert copies["params"] == row["params"] and [net["copies"] for net in copies["networks"]] == [3, 3, 3]
    assert math.isclose(copies["gmacs"], 3 * row["gmacs"]) and math.isclose(copies["model_mb"], 3 * row["model_mb"])
    assert copies["passes"] == 3 * 8 * 2


@pytest.mark.parametrize("id, passes, networks", [
    ("aim22_bsr_mphat", 24, "3 of hat/mphat"), ("aim22_casia_cidbnet", 24, "cidbnet/base + cidbnet/nf + cidbnet/nfe"),
    ("ntire24_imcl_promptcir", 4, "2 of promptcir/base"), ("ntire24_pixelartai_scunet", 4, "scunet/enhanced"),
    ("ntire24_binycn_grl_cic", 4, "grl_cic/base"), ("ntire24_oldfe666_art", 24, "art/base"),
    ("aim22_mvideo_two_stage", 8, "rrdbnet/direct > rrdbnet/b23")])
def test_the_passes_of_published_ensembles(id, passes, networks):
    entry = PUBLISHED[id]
    assert (entry.recipe.passes, entry.shown_networks) == (passes, networks)
    assert sorted(entry.networks) == sorted(set(re.findall(r"[a-z0-9_]+/[a-z0-9_]+", networks)))


def test_a_network_that_takes_multiples_is_counted_at_the_next_one():
    """192 px are no multiple of the window of 7: 196 are."""
    assert counted.count("swinir/car", 1, "{}", 192, 190) == counted.count("swinir/car", 1, "{}", 196, 196)
