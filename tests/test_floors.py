"""The order of the rooms: a module imports from floors below its own, or from its own room, and never in a circle."""

import ast
import graphlib
from pathlib import Path

PACKAGE = Path(__file__).parent.parent / "jsr"
FLOORS = (  # from the ground up; rooms of a floor do not import each other
    "errors",
    "allocator chart cubic files native parallel sharding terminal device",
    "images crops layers losses",
    "metrics pictures",
    "degradations models",
    "evaluation reparam chain datasets",
    "analysis challenges convert model_file onnx_graph",
    "data inference",
    "config export",
)
