"""Frames a second of `jsr upscale` on a clip, beside a loop of the same network in PyTorch between PyAV's ends.

    taskset -c 0 python benchmarks/clips.py --frames 24 --size 90x160

Both read the same H.264 clip, enlarge its frames by an EDSR with the same weights, and write H.264 by the same encoder,
preset and factor. The loop is what people write: frames as rgb24, one tensor each, one thread for PyTorch. Seconds of
the CPU stand beside those of the clock, for machines that do other work too; compiling is done before.
"""

import argparse
import contextlib
import io
import os
from pathlib import Path
import tempfile
import time

os.environ.setdefault("XLA_FLAGS", "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1")
os.environ.setdefault("JAX_PLATFORMS", "cpu")

import av
import jax
import numpy as np

from jsr import cli, command_line, model_file, models
from jsr.onnx_graph.write import chain_to_onnx
from jsr.timing import torch_graph

_CRF, _PRESET = "16", "medium"


def make_clip(path, frames, height, width):
    """Writes a clip of moving waves and noise."""
    rng, (y, x) = np.random.default_rng(0), np.mgrid[:height, :width] / 40
    with av.open(str(path), "w") as output:
        film = output.add_stream("libx264", rate=25, options={"crf": "20"})
        film.height, film.width, film.pix_fmt = height, width, "yuv420p"
        for index in range(frames):
            waves = [128 + 90 * np.sin(x + channel + index / 5) * np.cos(y - channel) for channel in range(3)]
            pixels = np.clip(np.stack(waves, -1) + rng.normal(0, 5, (height, width, 3)), 0, 255).astype(np.uint8)
            frame = av.VideoFrame.from_ndarray(pixels, "rgb24")
            frame.pts = index
            output.mux(film.encode(frame))
        output.mux(film.encode(None))


def torch_loop(network, source, target):
    """What people write."""
    import torch

    with torch.inference_mode(), av.open(str(source)) as reader, av.open(str(target), "w") as writer:
        film = writer.add_stream("libx264", rate=25, options={"crf": _CRF, "preset": _PRESET})
        for frame in reader.decode(video=0):
            lr = torch.from_numpy(frame.to_ndarray(format="rgb24")).permute(2, 0, 1)[None].float() / 255
            sr = (network(lr)[0].clamp(0, 1) * 255).round().byte().permute(1, 2, 0).contiguous().numpy()
            if not film.codec_context.is_open:
                film.height, film.width = sr.shape[:2]
            enlarged = av.VideoFrame.from_ndarray(sr, "rgb24")
            enlarged.pts, enlarged.time_base = frame.pts, frame.time_base
            writer.mux(film.encode(enlarged))
        writer.mux(film.encode(None))


def clocked(function):
    """(seconds of the clock, of the CPU) that a call takes."""
    clock, cpu = time.perf_counter(), time.process_time()
    function()
    return time.perf_counter() - clock, time.process_time() - cpu


def main():
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--frames", type=int, default=24)
    parser.add_argument("--size", type=command_line.size, default=(90, 160), help="height x width of the clip, px")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--runtime", default="auto", help="of jsr; auto is what its users get")
    args = parser.parse_args()
    import torch

    torch.set_num_threads(1)
    fields = {"num_feat": 64, "num_block": 8}
    networks = {"sr": models.create("edsr", scale=2, **fields)}
    variables = {"sr": models.init(networks["sr"], jax.random.key(0))}
    with tempfile.TemporaryDirectory() as folder:
        source, model = Path(folder, "a.mp4"), Path(folder, "m.safetensors")
        make_clip(source, args.frames, *args.size)
        net = {"name": "sr", "model": "edsr/baseline", "scale": 2, "fields": fields, "deployed": False}
        model_file.save(model, variables, {"networks": [net]})
        peer = torch_graph.module(chain_to_onnx(networks, variables, nchw=True, size=args.size))

        def ours():
            with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
                assert cli.main(["upscale", str(source), "--out", str(Path(folder, "ours.mp4")), "--overwrite", "--crf",
                                 _CRF, "--preset", _PRESET, "--model", str(model), "--runtime", args.runtime]) == 0

        ways = {"jsr upscale": ours, "PyTorch's loop": lambda: torch_loop(peer, source, Path(folder, "theirs.mp4"))}
        for way in ways.values():
            way()
        for name, way in ways.items():
            clock, cpu = np.median([clocked(way) for _ in range(args.rounds)], axis=0)
            print(f"{name}: {args.frames / clock:.2f} frames a second, {args.frames / cpu:.2f} a second of the CPU")


if __name__ == "__main__":
    main()
