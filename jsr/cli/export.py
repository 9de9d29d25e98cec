"""Export a model file for ONNX runtimes, or as StableHLO for JAX, and check that it gives the same pixels.

  jsr export runs/ntire23_x3/repnet/best.safetensors repnet.onnx
  jsr export model.safetensors model.stablehlo --platforms cpu cuda

What is exported takes pictures as files hold them, uint8 (1, height, width, 3) RGB of any size (an ONNX graph: of 32 px
a side and more), and gives what `jsr upscale` makes of a whole picture: padding, clipping and rounding are inside,
training branches are fused. It is run beside jsr at three sizes and not written if a pixel differs by more than
rounding. The metadata tells where the network comes from: of ONNX as metadata_props, of StableHLO as meta.json in the
file, which is a zip archive.
"""

import io
import json
from pathlib import Path

from rich.table import Table

import jsr
from jsr import command_line, terminal
from jsr.chain import chain_open_multiple
from jsr.cli import _output
from jsr.errors import UserError


def add_arguments(parser):
    """Adds the command's arguments to an argparse parser."""
    parser.add_argument("model", metavar="MODEL", help="a model file, .safetensors, or its name")
    parser.add_argument("out", metavar="OUT", type=Path, help="a .onnx or .stablehlo")
    parser.add_argument("--size", metavar="HxW", type=command_line.size, help="take images of this size alone")
    parser.add_argument("--float", action="store_true", help="float32 in [0, 1] in and out, instead of uint8")
    parser.add_argument("--platforms", metavar="NAME", nargs="+",
                        help="platforms of a .stablehlo: cpu, cuda, rocm, tpu; by default cpu, cuda and tpu")
    _output.add_arguments(parser)


def run(args):
    """Exports, compares, and writes what is right; returns the exit status."""
    import jax
    import numpy as np

    from jsr import model_file
    from jsr.export import check
    from jsr.files import atomic_write
    from jsr.inference.chain import Chain

    if args.out.suffix not in _EXPORTERS:
        raise UserError(f"{args.out}: an exported network ends in {' or '.join(_EXPORTERS)}")
    _check_platforms(args, jax.default_backend())
    if _output.settled(args, args.out):
        return 0
    dtype = np.dtype("float32" if args.float else "uint8")
    meta, networks, variables, _ = model_file.fused(*model_file.load(args.model))
    chain = Chain(networks, variables, meta=meta)
    about = _about(meta, chain, dtype, args.size)
    with atomic_write(args.out, replace=args.overwrite) as file:
        content, exported = _EXPORTERS[args.out.suffix](args, networks, variables, about, dtype)
        file.write(content)
        shapes = [args.size] if args.size else check.sizes(chain.padding.multiple, chain_open_multiple(networks))
        rows = list(check.compare(exported, chain, shapes, dtype))
        _print(rows)
        if not all(row.right for row in rows):
            raise UserError(f"{args.out}: not written; what was exported is not what jsr computes, see the table")
    console = terminal.console()
    if meta.get("ensemble"):
        console.print("the networks alone; jsr upscale also does what the file asks for, "
                      f"ensemble = {meta['ensemble']}")
    multiple = chain_open_multiple(networks)
    if multiple > 1 and not args.size:
        console.print(f"it takes pictures whose sides are multiples of {multiple} px; --size HxW makes one for another")
    return _output.ended("jsr export", [], f"wrote {args.out}, {len(content) / 1e6:.2f} MB", console)


def _to_onnx(args, networks, variables, about, dtype):
    """The file's bytes, and a function of an image that runs them."""
    from jsr.export import pixels
    from jsr.inference import runtimes
    from jsr.onnx_graph import write

    with pixels.tracing(args.size):
        model = write.to_onnx(pixels.on_pixels(networks, variables, dtype=dtype),
                             pixels.traced_input(networks, args.size or (write.LEAST_SIDE,) * 2, dtype),
                             dynamic=() if args.size else (1, 2), multiple=chain_open_multiple(networks))
    for key, value in about.items():
        model.metadata_props.add(key=key, value=value if isinstance(value, str) else json.dumps(value))
    content = model.SerializeToString()
    return content, runtimes.open_onnx(content)


def _to_stablehlo(args, networks, variables, about, dtype):
    """As `_to_onnx`."""
    from jsr.export import stablehlo

    content = stablehlo.serialize(networks, variables, meta=about, dtype=dtype, size=args.size,
                                  platforms=tuple(args.platforms or stablehlo.DEFAULT_PLATFORMS))
    return content, stablehlo.load(io.BytesIO(content))


_EXPORTERS = {".onnx": _to_onnx, ".stablehlo": _to_stablehlo}


def _check_platforms(args, backend):
    """Raises UserError for platforms that there are not, or among which is none that the check can run on."""
    from jsr.export import stablehlo

    if args.platforms is None:
        return
    if args.out.suffix != ".stablehlo":
        raise UserError(f"--platforms: is for .stablehlo; {args.out} runs wherever its runtime does")
    unknown = [name for name in args.platforms if name not in stablehlo.PLATFORMS]
    if unknown:
        raise UserError(f"--platforms {unknown[0]}: there are {', '.join(stablehlo.PLATFORMS)}")
    here = {"gpu": {"cuda", "rocm"}}.get(backend, {backend})
    if not here & set(args.platforms):
        raise UserError(f"--platforms {' '.join(args.platforms)}: could not be checked here; add {min(here)}")


def _about(meta, chain, dtype, size):
    """What the exported file says of itself: JSON values."""
    (height, width), scale, (lr, sr) = size or ("height", "width"), chain.scale, chain.channels
    multiple = chain_open_multiple(chain.networks)
    sides = f", sides multiples of {multiple}" if multiple > 1 and size is None else ""
    kind = {1: "grey", 3: "RGB", 4: "RGB and straight alpha"}.get(lr, f"{lr} channels")
    return {"jsr": jsr.__version__, "networks": [net["model"] for net in meta["networks"]], "scale": scale,
            "recipe": meta.get("recipe", ""), "licence": meta.get("licence", ""), "data": meta.get("data", []),
            "fingerprint": meta.get("fingerprint", {}),
            "input": f"lr: {dtype} (1, {height}, {width}, {lr}), {kind}{' in [0, 1]' * (dtype == 'float32')}{sides}",
            "output": f"sr: {dtype} (1, {height} * {scale}, {width} * {scale}, {sr})"}


def _print(rows):
    table = Table("size", "picture", "largest difference, levels", "values that differ")
    for row in rows:
        table.add_row(f"{row.height}x{row.width}", row.picture, f"{row.largest:.3g}", f"{row.share:.4%}")
    terminal.console().print(table)
