"""What lies below a folder: which files, in which order, through which links, and what is counted."""

import os
from pathlib import Path

import pytest

from jsr import listing, results
from jsr.errors import grouped


@pytest.fixture
def tree(tmp_path):
    for name in ("top/b.png", "top/a/2.png", "top/a/1.PNG", "top/.hidden/x.png", "top/loop/y.png",
                 "elsewhere/deep/z.png"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    return tmp_path / "top"


def below(folder, endings=(".png",), **options):
    passed = listing.PassedOver()
    found = listing.taken(folder, endings, passed, **options)
    return [path.relative_to(folder).as_posix() for path in found], str(passed)


def test_folders_at_any_depth(tree):
    assert below(tree) == (["a/1.PNG", "a/2.png", "b.png", "loop/y.png"], "")
    found = listing.files_below(tree, listing.PassedOver())
    assert [path.name for path in found] == ["b.png", "1.PNG", "2.png", "y.png"]  # those of a folder first


@pytest.mark.parametrize("target, more, said", [
    ("../elsewhere", ["link/deep/z.png"], ""), ("../elsewhere/deep", ["link/z.png"], ""),
    ("a", [], "passed over: 1 link to a folder that is taken anyway"),
    ("..", [], "passed over: 1 link to a folder that is taken anyway"),
    ("link", [], "passed over: 1 without an ending")])
def test_links_are_followed_once(tree, target, more, said):
    (tree / "link").symlink_to(target)
    (tree.parent / "elsewhere/round").symlink_to(".")
    found, passed = below(tree)
    assert found == sorted(["a/1.PNG", "a/2.png", "b.png", *more, "loop/y.png"], key=Path)
    assert passed == (said or ("passed over: 1 link to a folder that is taken anyway"
                               if target == "../elsewhere" else ""))


def test_a_folder_may_itself_be_a_link(tree):
    (tree.parent / "link").symlink_to("top")
    assert below(tree.parent / "link")[0] == below(tree)[0]


def test_results_are_not_taken_for_what_they_are_made_of(tree):
    made = tree / "out"
    manifest = results.Manifest(made / "upscaled.json", "jsr upscale", {})
    manifest.add("files", "r.png", {})
    manifest.save()
    (made / "r.png").touch()
    (made / "mine.png").touch()
    rest = ["a/1.PNG", "a/2.png", "b.png", "loop/y.png"]
    assert below(tree) == (rest + ["out/mine.png", "out/r.png"], "")
    assert below(tree, out=made) == (rest, "")
    assert below(tree, out=tree / "others") == (rest + ["out/mine.png"], "passed over: 1 earlier result")
    assert below(made, out=made) == (["mine.png"], "passed over: 1 earlier result")
    assert below(made, out=tree / "others") == (["mine.png", "r.png"], "")


def test_what_is_passed_over_is_counted_by_ending(tree):
    for name in ("1.cr3", "2.CR3", "3.cr2", "notes", "Thumbs.db", ".DS_Store"):
        (tree / "a" / name).touch()
    os.mkfifo(tree / "pipe.png")
    assert below(tree)[1] == "passed over: 2 .cr3, 1 .cr2, 1 without an ending, 1 pipe or device"
    both = listing.PassedOver()
    for _ in range(2):
        one = listing.PassedOver()
        one.add(Path("a.raw"))
        one.add_folder(Path("x"), PermissionError(13, "Permission denied"))
        both += one
    assert str(both) == "passed over: 2 .raw, 2 folders that could not be read" and len(both.errors) == 2


def test_errors_of_one_kind_are_grouped():
    alike = [f"d/{n}.png: is {n} px, as {n}.png is" for n in range(5)]
    assert list(grouped([*alike, "e/a.png: is 3 px, as a.png is", "no colon", "no colon"])) == [
        *alike[:3], "d: the same holds for 2 more files", "e/a.png: is 3 px, as a.png is", "no colon",
        "no colon"]
    assert len(list(grouped(f"{n}.png: bad" for n in range(4)))) == 4  # no line is saved
    assert list(grouped(f"{n}.png: bad" for n in range(5)))[-1] == ".: the same holds for 2 more files"
