"""Arguments that several measurements have, and the types that parse their values."""

import argparse
from pathlib import Path
import re

from jsr.cli import _output

PEERS = "torch", "torch_compile", "onnxruntime", "openvino", "ncnn"
RUNTIMES = "onnxruntime", "openvino"


def add_recipe(parser):
    """Adds --config with overrides, and --seconds of its pipeline."""
    parser.add_argument("--config", required=True, metavar="FILE[:RECIPE]",
                        help="track file and one of its recipes, whose first stage is measured")
    parser.add_argument("--config.KEY", dest="_", metavar="VALUE", help="override an entry of the recipe")
    parser.add_argument("--seconds", type=number(float), default=5.0,
                        help="seconds of measuring each pipeline (default: 5)")


def add_compared(parser):
    """Adds --peers and --dtype of a network's upscaling."""
    parser.add_argument("--peers", type=names_of(*PEERS), default=PEERS, metavar="auto|none|PEER[,PEER]",
                        help=f"libraries to compare with, {', '.join(PEERS)}; auto is all (default: auto)")
    parser.add_argument("--dtype", choices=("float32", "float16", "bfloat16"),
                        help="dtype of the computation (default: float32; for a challenge on an accelerator float16)")


def add_repeats(parser):
    """Adds --repeats."""
    parser.add_argument("--repeats", type=number(int), default=10, help="timed rounds (default: 10)")


def add_out(parser):
    """Adds --out, a file of figures."""
    parser.add_argument("-o", "--out", type=Path, metavar="FILE", help="write the figures as JSON")
    _output.add_arguments(parser)


def words(text):
    """The words between commas."""
    return text.split(",")


def names_of(*known):
    """The type of an argument that names some of the known peers or runtimes: auto, none, or a few."""
    choices = {"auto": known, "none": (), **{name: (name,) for name in known}}

    def names(text):
        given = words(text)
        if unknown := [word for word in given if word not in choices]:
            raise argparse.ArgumentTypeError(f"{unknown[0]!r} is unknown; there are {', '.join(choices)}")
        return tuple(dict.fromkeys(name for word in given for name in choices[word]))

    return names


def sizes(text):
    """[(height, width)] of 180x320,360x640."""
    parts = words(text)
    found = [match for part in parts if (match := re.fullmatch(r"([1-9]\d*)x([1-9]\d*)", part))]
    if len(found) < len(parts):
        raise argparse.ArgumentTypeError(f"{text!r} is not HEIGHTxWIDTH, as in 180x320, or several with commas between")
    return [(int(match[1]), int(match[2])) for match in found]


def counts(text):
    """[numbers of workers] of 0,1,2."""
    try:
        found = [int(part) for part in words(text)]
    except ValueError:
        found = [-1]
    if min(found) < 0:
        raise argparse.ArgumentTypeError(f"{text!r} is not a list of numbers of workers, as in 0,1,2")
    return found


def number(kind):
    """The type of an argument that is an int or a float above 0."""
    def positive(text):
        value = kind(text)
        if not value > 0:
            raise argparse.ArgumentTypeError(f"{text} is not above 0")
        return value

    positive.__name__ = kind.__name__  # argparse says "invalid int value"
    return positive
