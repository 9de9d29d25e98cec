"""Accelerators by what their makers publish: peak rates, memory, and what compiling for an absent one needs."""

import dataclasses


@dataclasses.dataclass(frozen=True)
class Chip:
    """One accelerator.

    Attributes:
      kind: JAX's `device_kind`.
      rates: {dtype: 1e12 FLOP/s} in dense arithmetic as XLA computes by default (float32 in TF32 on GPUs, in one
        bfloat16 pass on TPUs).
      bandwidth: rate at which its memory is read and written, 1e9 bytes/s.
      link: rate of its connections to other chips of a host or a slice, each way, 1e9 bytes/s; 0 where none is stated.
      memory: bytes that programs can have.
      clock: rate of the cycles that XLA estimates for a TPU, 1e9 Hz; 0 for a GPU.
      platform: "tpu" or "cuda".
      target: {field: number} of XLA's GpuDeviceInfo where this GPU differs from Hopper's; None where none is known.
    """

    kind: str
    rates: dict[str, float]
    bandwidth: float
    link: float = 0.0
    memory: int = 0
    clock: float = 0.0
    platform: str = "cuda"
    target: dict[str, float] | None = None


def _rates(half, single=None):
    return {"float16": half, "bfloat16": half, "float32": half / 2 if single is None else single}


def _tpu(kind, rate, bandwidth, gigabits, gigabytes, clock):
    return Chip(kind, _rates(rate, rate), bandwidth, gigabits / 16, int(gigabytes * 2**30), clock, "tpu")


CHIPS = {  # by their short names
    # NVIDIA H200, H100 and A100 Tensor Core GPU datasheets (halved where they count sparsity)
    "h200": Chip("NVIDIA H200", _rates(989.4), 4800, 450, 150_754_820_096, target={}),
    "h100": Chip("NVIDIA H100 80GB HBM3", _rates(989.4), 3352, 450, 84_942_979_072, target={}),
    "a100": Chip("NVIDIA A100-SXM4-80GB", _rates(312), 2039),
    "a100-40": Chip("NVIDIA A100-SXM4-40GB", _rates(312), 1555),
    # NVIDIA GA102 and Ada architecture whitepapers, tensor cores with float32 sums
    "rtx3090": Chip("NVIDIA GeForce RTX 3090", _rates(71.2), 936),
    "rtx4090": Chip("NVIDIA GeForce RTX 4090", _rates(165.2), 1008),
    # Google Cloud's TPU documentation, "System architecture" of v4, v5e, v5p, v6e, of which some memory is reserved;
    # clocks: https://en.wikipedia.org/wiki/Tensor_Processing_Unit
    "v4": _tpu("TPU v4", 275, 1228, 2400, 31.75, 1.05),
    "v5e": _tpu("TPU v5 lite", 197, 819, 1600, 15.75, 1.5),
    "v5p": _tpu("TPU v5", 459, 2765, 4800, 94.75, 1.75),
    "v6e": _tpu("TPU v6 lite", 918, 1638, 3584, 31.25, 1.75),
}
BETWEEN_HOSTS = 50  # of a GPU to those of other hosts, 1e9 bytes/s: 400 Gbit/s InfiniBand a GPU, as DGX H100 have
BY_KIND = {chip.kind: chip for chip in CHIPS.values()}

# XLA's GpuTargetConfigProto of a Hopper GPU: sizes and limits of NVIDIA's "CUDA C++ Programming Guide", compute
# capability 9.0, and of the H100's whitepaper.
_HOPPER = {
    "threads_per_block_limit": 1024, "threads_per_warp": 32, "shared_memory_per_block": 49152,
    "shared_memory_per_core": 233472, "threads_per_core_limit": 2048, "core_count": 132, "fpus_per_core": 128,
    "block_dim_limit_x": 2147483647, "block_dim_limit_y": 65535, "block_dim_limit_z": 65535,
    "l2_cache_size": 52428800, "clock_rate_ghz": 1.98, "shared_memory_per_block_optin": 232448,
    "registers_per_core_limit": 65536, "registers_per_block_limit": 65536, "thread_dim_limit_x": 1024,
    "thread_dim_limit_y": 1024, "thread_dim_limit_z": 64,
}
_CUDA = """
  cuda_compute_capability { major: 9 feature_extension: ACCELERATED_FEATURES }
  dnn_version: "9.10.0"
  runtime_version: "12.8.0"
  driver_version: "13.0.0"
  compile_time_toolkit_version: "12.8.0"
"""


def gpu_target(chip):
    """The text of XLA's GpuTargetConfigProto by which it compiles for a GPU that is not there."""
    fields = _HOPPER | {"memory_bandwidth": int(chip.bandwidth * 1e9), "device_memory_size": chip.memory} | chip.target
    lines = "".join(f"  {name}: {value}\n" for name, value in fields.items())
    return (f'gpu_device_info {{\n{lines}{_CUDA}}}\nplatform_name: "CUDA"\ndnn_version_info {{ major: 9 minor: 10 '
            f'patch: 0 }}\ndevice_description_str: "{chip.kind}"\n')
