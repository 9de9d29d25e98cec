"""Average the parameters of model files of one form: the last checkpoints of a run, or runs of one recipe.

    jsr average runs/a/best.safetensors runs/b/best.safetensors average.safetensors
    jsr average a.safetensors b.safetensors c.safetensors average.safetensors --weights 2 1 1

All files must hold the same networks in the same form, trained or fused. Every array is averaged: parameters and
statistics of BatchNorm. The new file has the first file's metadata, without scores and certificate, with the data
and licences of all; `averaged` in its fingerprint lists the files, their SHA-256 and weights.
"""

import hashlib
from pathlib import Path

from jsr import model_file, terminal
from jsr.cli import _output
from jsr.errors import UserError


def add_arguments(parser):
    """Adds the command's arguments to an argparse parser."""
    parser.add_argument("sources", nargs="+", metavar="FROM", help="model files, or their names")
    parser.add_argument("target", metavar="TO", help="a .safetensors")
    parser.add_argument("--weights", metavar="W", nargs="+", type=float,
                        help="weight of each file, divided by the sum of all; equal by default")
    _output.add_arguments(parser)


def run(args):
    """Averages and prints the files; returns the exit status."""
    target = Path(args.target)
    if target.suffix != ".safetensors":
        raise UserError(f"{target}: a model file ends in .safetensors")
    if len(args.sources) < 2:
        raise UserError(f"averages two files at least, not {args.sources[0]} alone; name all of them before the new "
                        "file")
    weights = _weights(args.weights, len(args.sources))
    if args.dry_run:
        _output.settled(args, target)
        return 0
    sources = [model_file.find(source) for source in args.sources]
    loaded = [model_file.load(source) for source in sources]
    _, networks, _ = loaded[0]
    for source, (_, others, _) in zip(sources, loaded, strict=True):
        if others != networks:
            raise UserError(f"{source}: holds other networks than {sources[0]}, or the same in another form; average "
                            "files of one recipe, either all fused or none")
    averaged = model_file.mean([variables for *_, variables in loaded], weights)
    files = [{"file": path.name, "sha256": hashlib.sha256(path.read_bytes()).hexdigest(), "weight": weight}
             for path, weight in zip(sources, weights, strict=True)]
    model_file.save(target, averaged, _described([its for its, _, _ in loaded], files),
                    replace=args.overwrite)
    mean = ", ".join(f"{row['file']} ({row['weight']:.3g})" for row in files)
    return _output.ended("jsr average", [], f"wrote {target}, the mean of {mean}",
                         terminal.console())


def _weights(weights, count):
    """The files' shares, which sum to 1."""
    weights = weights or [1.0] * count
    if len(weights) != count or not all(weight >= 0 for weight in weights) or not 0 < sum(weights) < float("inf"):
        raise UserError(f"--weights: give {count} numbers that are not negative, one for each file")
    return [weight / sum(weights) for weight in weights]


def _described(metas, files):
    """The metadata of the average of files with the metadata `metas`."""
    first = metas[0]
    data = [row for number, meta in enumerate(metas) for row in meta.get("data", [])
            if not any(row in earlier.get("data", []) for earlier in metas[:number])]
    licences = list(dict.fromkeys(meta["licence"] for meta in metas if meta.get("licence")))
    return {**first, "scores": {}, "data": data, **({"licence": "; ".join(licences)} if "licence" in first else {}),
            **({"parity": None} if "parity" in first else {}),
            "fingerprint": {**(first.get("fingerprint") or {}), "averaged": files}}
