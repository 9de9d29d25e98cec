"""The order of the rooms: what a module imports lies on a floor below its own, or in its own room."""

import ast
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "jsr"
# From the ground up. A room is a folder of the package, or a file in it; those of one floor do not know each other.
FLOORS = [floor.split() for floor in """
    errors
    allocator chart cubic device files guests lazy native parallel sharding terminal
    images layers losses optim trees
    augment crops metrics models pictures
    challenges
    chain convert degradations reparam
    analysis datasets evaluation model_file onnx_graph
    recipes
    data inference
    export training
    report
    catalogue main timing
    cli
""".strip().splitlines()]
HEIGHT = {room: height for height, floor in enumerate(FLOORS) for room in floor}
DOORS = {"__init__", "__main__"}  # which open to every room
LINKED = {"_configs", "_tfds_builders"}


def room_of(path):
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


FILES = sorted(path for path in PACKAGE.rglob("*.py") if room_of(path) not in DOORS | LINKED)


def imported(path):
    """The rooms that a file imports from, at its head or within functions; the package itself is "__init__"."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            modules = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            modules = [f"{node.module}.{alias.name}" for alias in node.names]
        else:
            continue
        for module in (module.split(".") for module in modules if module.split(".")[0] == "jsr"):
            yield module[1] if len(module) > 1 and (module[1] in HEIGHT or module[1] in LINKED) else "__init__"


def test_every_room_has_its_floor():
    assert {room_of(path) for path in FILES} == HEIGHT.keys()


@pytest.mark.parametrize("room", HEIGHT)
def test_no_import_runs_up_or_round(room):
    wrong = {f"{path.relative_to(PACKAGE)}: {other}" for path in FILES if room_of(path) == room
             for other in imported(path) if other != room and HEIGHT.get(other, -1) >= HEIGHT[room]}
    assert not wrong
