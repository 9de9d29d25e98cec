"""The order of the rooms: what a module imports lies on a floor below its own, or in its own room."""

import ast
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "jsr"
# From the ground up. A room is a folder of the package, or a file in it; those of one floor do not know each other.
FLOORS = [floor.split() for floor in """
    errors places
    allocator chart chips cubic device distributed files guests hlo last_words lazy native orientation page parallel
    shards sharding terminal
    libvips results stills
    buckets listing weights
    command_line images layers losses optim trees
    augment crops models pictures
    metrics
    challenges
    chain convert degradations fused kernels reparam
    analysis clips datasets evaluation model_file onnx_graph
    recipes
    data inference
    retrieval
    export training
    report torch_code
    catalogue main planning serve timing
    cli
""".strip().splitlines()]
HEIGHT = {room: height for height, floor in enumerate(FLOORS) for room in floor}
DOORS = {"__init__", "__main__"}  # which open to every room


def room_of(path):
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


FILES = sorted(path for path in PACKAGE.rglob("*.py") if room_of(path) not in DOORS)


def modules(path):
    """The dotted names of jsr's that a file imports, at its head or within functions, without "jsr" in front."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        else:
            continue
        yield from (name.partition(".")[2] for name in names if name.split(".")[0] == "jsr")


def imported(path):
    """The rooms that a file imports from; the package itself is "__init__"."""
    for room in (name.partition(".")[0] for name in modules(path)):
        yield room if room in HEIGHT else "__init__"


def test_every_room_has_its_floor():
    assert {room_of(path) for path in FILES} == HEIGHT.keys()


@pytest.mark.parametrize("room", HEIGHT)
def test_no_import_runs_up_or_round(room):
    wrong = {f"{path.relative_to(PACKAGE)}: {other}" for path in FILES if room_of(path) == room
             for other in imported(path) if other != room and HEIGHT.get(other, -1) >= HEIGHT[room]}
    assert not wrong


@pytest.mark.parametrize("folder, door", [("configs", "recipes"), ("tfds_builders", "datasets")])
def test_track_files_and_builders_import_what_a_users_own_would(folder, door):
    """They import public modules alone, those of one room or of floors below it."""
    files = list((PACKAGE.parent / folder).rglob("*.py"))
    assert files
    for path in files:
        assert not [name for name in modules(path) if "._" in f".{name}"], path
        assert all(room == door or HEIGHT.get(room, -1) < HEIGHT[door] for room in imported(path)), path
