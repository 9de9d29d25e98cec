"""Export a model file for ONNX runtimes, for ncnn, or as StableHLO for JAX, and check that it gives the same pixels.

  jsr export runs/ntire23_x3/repnet/best.safetensors repnet.onnx
  jsr export x2 x2.onnx --float --layout NCHW            for chaiNNer, vs-mlrt, TensorRT
  jsr export x2 x2.onnx --float --layout NCHW --fp16 --batch any
  jsr export model.safetensors model.stablehlo --platforms cpu cuda
  jsr export x2 x2.ncnn.param                            and x2.ncnn.bin, for Upscayl and Real-ESRGAN-ncnn-vulkan

The exported network takes pictures as files hold them, uint8 (1, height, width, 3) RGB of any size (an ONNX graph: of
32 px a side and more), and gives the same result as `jsr upscale` for a whole picture: padding, clipping and rounding
are inside, training branches are fused. The command first runs it beside jsr at three sizes, and does not write it if a
pixel differs by more than rounding, with --fp16 by more than 2 levels of 255. The metadata state the network's origin:
in ONNX as metadata_props, in StableHLO as meta.json in the file, a zip archive whose README says how to call it. An
ncnn file has float32 (or, with --fp16, float16) parameters, RGB in [0, 1] in and out under the names "data" and
"output", without padding and clipping; it has no metadata.
"""

import argparse
import contextlib
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
    parser.add_argument("out", metavar="OUT", type=Path, help="a .onnx, .stablehlo or .param")
    parser.add_argument("--size", metavar="HxW", type=command_line.size, help="size of the only images that it takes")
    parser.add_argument("--float", action="store_true", help="float32 in [0, 1] in and out, instead of uint8")
    parser.add_argument("--layout", choices=("NHWC", "NCHW"), help="order of the axes, in and out; NHWC by default")
    parser.add_argument("--batch", metavar="N", type=_batch, default=1,
                        help="number of images at once, or any; 1 by default")
    parser.add_argument("--fp16", action="store_true", help="keep the parameters and compute in float16")
    parser.add_argument("--opset", metavar="N", type=int, help="version of ONNX's operators, 20 by default")
    parser.add_argument("--platforms", metavar="NAME", nargs="+",
                        help="platforms of a .stablehlo: cpu, cuda, rocm, tpu; by default cpu, cuda and tpu")
    _output.add_arguments(parser)


def run(args):
    """Exports a network, compares it with jsr, writes it if it is right; returns the exit status."""
    import jax
    import numpy as np

    from jsr import model_file
    from jsr.export import check, ncnn
    from jsr.files import atomic_write
    from jsr.inference.chain import Chain

    if args.out.suffix not in _EXPORTERS:
        raise UserError(f"{args.out}: an exported network ends in {' or '.join(_EXPORTERS)}")
    _check_options(args, jax.default_backend())
    is_ncnn = args.out.suffix == ".param"
    paths = [args.out, *([args.out.with_suffix(".bin")] if is_ncnn else [])]
    if _output.settled(args, *paths):
        return 0
    dtype = np.dtype("float32" if args.float or is_ncnn else "uint8")
    meta, networks, variables, _ = model_file.fused(*model_file.load(args.model))
    chain = Chain(networks, variables, meta=meta)
    multiple = ncnn.multiple(networks) if is_ncnn else chain_open_multiple(networks)
    about = _about(meta, chain, dtype, args, multiple)
    with contextlib.ExitStack() as stack:
        files = [stack.enter_context(atomic_write(path, replace=args.overwrite)) for path in paths[::-1]][::-1]
        contents, exported = _EXPORTERS[args.out.suffix](args, networks, variables, about, dtype)
        for file, content in zip(files, contents, strict=True):
            file.write(content)
        counts = [args.batch] if args.batch else [1, 2, 3]
        shapes = [args.size] * len(counts) if args.size else check.sizes(chain.padding.multiple, multiple)
        rows = list(check.compare(_channels_last(exported) if args.layout == "NCHW" else exported, chain, shapes, dtype,
                                  counts=counts, half=args.fp16))
        _print(rows)
        if not all(row.right for row in rows):
            raise UserError(f"{args.out}: not written; its output differs from jsr's, see the table")
    console = terminal.console()
    if ensemble := {key: value for key, value in (meta.get("ensemble") or {}).items() if value}:
        console.print("only the networks are exported; jsr upscale also applies the model file's ensemble, "
                      f"{ensemble}")
    if multiple > 1 and not args.size:
        console.print(f"it takes pictures whose sides are multiples of {multiple} px"
                      + ("" if is_ncnn else "; --size HxW makes a file for another size"))
    size = sum(map(len, contents)) / 1e6
    return _output.ended("jsr export", [], f"wrote {' and '.join(map(str, paths))}, {size:.2f} MB", console)


def _to_onnx(args, networks, variables, about, dtype):
    """The bytes of the files, and a function of images that runs them."""
    from jsr.export import pixels
    from jsr.inference import runtimes
    from jsr.onnx_graph import write
    from jsr.onnx_graph.graph import OPSET

    opset, sides = args.opset or OPSET, () if args.size else (1, 2)
    example = pixels.traced_input(networks, args.size or (write.LEAST_SIDE,) * 2, dtype, args.batch or 1)
    with pixels.tracing(args.size, args.batch):
        model = write.to_onnx(pixels.on_pixels(networks, variables, dtype=dtype, half=args.fp16), example,
                              dynamic=sides if args.batch else (0, *sides), nchw=args.layout == "NCHW", opset=opset,
                              multiple=chain_open_multiple(networks))
    model.producer_version, model.doc_string = jsr.__version__, _sentence(about)
    model.graph.input[0].doc_string, model.graph.output[0].doc_string = about["input"], about["output"]
    for key, value in about.items():
        model.metadata_props.add(key=key, value=value if isinstance(value, str) else json.dumps(value))
    content = model.SerializeToString()
    try:
        return [content], runtimes.open_onnx(content)
    except Exception as e:  # ONNX Runtime's own classes, below no common one
        if isinstance(e, UserError) or opset == OPSET:
            raise
        reason = str(e).strip().partition("\n")[0]
        raise UserError(f"opset {opset}: could not be checked, since ONNX Runtime refuses it ({reason:.100})") from e


def _to_stablehlo(args, networks, variables, about, dtype):
    """As `_to_onnx`."""
    from jsr.export import stablehlo

    content = stablehlo.serialize(networks, variables, meta=about, dtype=dtype, size=args.size, batch=args.batch,
                                  nchw=args.layout == "NCHW", half=args.fp16,
                                  platforms=tuple(args.platforms or stablehlo.DEFAULT_PLATFORMS))
    return [content], stablehlo.load(io.BytesIO(content))


def _to_ncnn(args, networks, variables, about, dtype):
    """As `_to_onnx`."""
    del about, dtype  # its files hold no metadata, and floats alone
    from jsr.export import ncnn

    contents = ncnn.convert(networks, variables, half=args.fp16)
    return contents, ncnn.load(*contents)


_EXPORTERS = {".onnx": _to_onnx, ".stablehlo": _to_stablehlo, ".param": _to_ncnn}
_ONLY = {"size": (".onnx", ".stablehlo"), "layout": (".onnx", ".stablehlo"), "batch": (".onnx", ".stablehlo"),
         "opset": (".onnx",), "platforms": (".stablehlo",)}  # option: the endings that it is for


def _batch(text):
    """The number of images at once, None of "any", for argparse's `type`."""
    if text == "any":
        return None
    if not text.isdecimal() or not int(text):
        raise argparse.ArgumentTypeError(f"{text!r} is no number of images, 1 or more, or any")
    return int(text)


def _channels_last(run):
    """A function of images whose channels come first, as one of images whose channels come last."""
    import numpy as np

    return lambda lr: np.asarray(run(np.ascontiguousarray(lr.transpose(0, 3, 1, 2)))).transpose(0, 2, 3, 1)


def _check_options(args, backend):
    """Raises UserError for options that the file cannot have, and for platforms on which the check cannot run."""
    from jsr.export import stablehlo
    from jsr.onnx_graph.graph import LEAST_OPSET

    for name, endings in _ONLY.items():
        if getattr(args, name) not in (1 if name == "batch" else None,) and args.out.suffix not in endings:
            raise UserError(f"--{name}: is for {' and '.join(endings)}, not for {args.out}")
    if args.opset is not None and args.opset < LEAST_OPSET:
        raise UserError(f"--opset {args.opset}: must be {LEAST_OPSET} or more")
    if args.platforms is None:
        return
    unknown = [name for name in args.platforms if name not in stablehlo.PLATFORMS]
    if unknown:
        raise UserError(f"--platforms {unknown[0]}: is no platform; they are {', '.join(stablehlo.PLATFORMS)}")
    here = {"gpu": {"cuda", "rocm"}}.get(backend, {backend})
    if not here & set(args.platforms):
        raise UserError(f"--platforms {' '.join(args.platforms)}: could not be checked here; add {min(here)}")


def _about(meta, chain, dtype, args, multiple):
    """The exported file's metadata: JSON values."""
    (height, width), scale, (lr, sr) = args.size or ("height", "width"), chain.scale, chain.channels
    sides = f", sides multiples of {multiple}" if multiple > 1 and args.size is None else ""
    kind = {1: "grey", 3: "RGB", 4: "RGB and straight alpha"}.get(lr, f"{lr} channels")

    def shape(height, width, channels):
        axes = (channels, height, width) if args.layout == "NCHW" else (height, width, channels)
        return f"({', '.join(map(str, (args.batch or 'batch', *axes)))})"

    return {"jsr": jsr.__version__, "networks": [net["model"] for net in meta["networks"]], "scale": scale,
            "input_channels": lr, "output_channels": sr, "layout": args.layout or "NHWC", "multiple": multiple,
            "computed_in": "float16" if args.fp16 else "float32",
            "recipe": meta.get("recipe", ""), "license": meta.get("licence", ""), "data": meta.get("data", []),
            "fingerprint": meta.get("fingerprint", {}),
            "input": f"lr: {dtype} {shape(height, width, lr)}, {kind}{' in [0, 1]' * (dtype == 'float32')}{sides}",
            "output": f"sr: {dtype} {shape(f'{height} * {scale}', f'{width} * {scale}', sr)}"}


def _sentence(about):
    """The doc string of an ONNX file, which viewers show first."""
    return (f"{' and '.join(about['networks'])}, x{about['scale']}; {about['input']}; {about['output']}"
            + (f"; licence {about['license']}" if about["license"] else ""))


def _print(rows):
    table = Table("size", "picture", "largest difference, levels", "values that differ")
    for row in rows:
        count = f"{row.count} of " if row.count > 1 else ""
        table.add_row(f"{count}{row.height}x{row.width}", row.picture, f"{row.largest:.3g}", f"{row.share:.4%}")
    terminal.console().print(table)
