"""`jsr plan`: what the text of a program tells, and the compilers of accelerators that are not here."""

import json
import os
import subprocess
import sys

import pytest

from jsr import chips, hlo, planning
from jsr.cli import plan
from jsr.errors import UserError

# As XLA writes them, shortened
CONVOLUTION = ("window={{size=3x3 pad=1_1x1_1}}, dim_labels=b01f_01io->b01f, custom_call_target=\"__cudnn$conv{}\", "
               'metadata={{op_name="jit(step)/shard_map/{}/body_0/conv1/conv_general_dilated"}}')
GPU = """HloModule jit_step, is_scheduled=true

%add (a: f32[], b: f32[]) -> f32[] {
  %a = f32[] parameter(0)
  ROOT %sum = f32[] add(%a, %b)
}

%gemm_fusion (p0: f32[128,64], p1: f32[64,32]) -> f32[128,32] {
  %p0 = f32[128,64]{1,0} parameter(0)
  %p1 = f32[64,32]{1,0} parameter(1)
  ROOT %dot.1 = f32[128,32]{1,0} dot(%p0, %p1), lhs_contracting_dims={1}, rhs_contracting_dims={0}
}

%body (t: (s32[], f32[1024])) -> (s32[], f32[1024]) {
  %t = (s32[], f32[1024]{0}) parameter(0)
  %x = f32[1024]{0} get-tuple-element(%t), index=1
  %loop_fusion = f32[1024]{0} fusion(%x), kind=kLoop, calls=%add
  %all-reduce.2 = f32[1024]{0} all-reduce(%loop_fusion), replica_groups={}, to_apply=%add
  ROOT %r = (s32[], f32[1024]{0}) tuple(%t, %all-reduce.2)
}

ENTRY %main (x: f32[8,16,16,4], k: f32[3,3,4,8]) -> f32[1024] {
  %x = f32[8,16,16,4]{3,2,1,0} parameter(0)
  %k = f32[3,3,4,8]{3,2,1,0} parameter(1)
  %conv.1 = (f32[8,16,16,8]{3,2,1,0}, u8[0]{0}) custom-call(%x, %k), FORWARD
  %y = f32[8,16,16,8]{3,2,1,0} get-tuple-element(%conv.1), index=0
  %conv.2 = (f32[3,3,4,8]{3,2,1,0}, u8[0]{0}) custom-call(%x, %y), BACKWARDS
  %gemm = f32[128,32]{1,0} fusion(%y, %k), kind=kCustom, calls=%gemm_fusion
  %copy.1 = f32[8,16,16,8]{3,2,1,0} copy(%y)
  %t0 = (s32[], f32[1024]{0}) tuple(%y)
  %while.1 = (s32[], f32[1024]{0}) while(%t0), condition=%add, body=%body, backend_config={"known_trip_count":{"n":"4"}}
  %all-gather-start.1 = (f32[128]{0}, f32[1024]{0}) all-gather-start(%copy.1), dimensions={0}
  ROOT %all-gather-done.1 = f32[1024]{0} all-gather-done(%all-gather-start.1)
}
""".replace("FORWARD", CONVOLUTION.format("Forward", "jvp(EDSR)")).replace(
    "BACKWARDS", CONVOLUTION.format("BackwardFilter", "transpose(jvp(EDSR))"))
TPU = """HloModule jit_f, is_scheduled=true

%fused (p: f32[8]) -> f32[8] {
  %p = f32[8]{0:T(128)} parameter(0)
  ROOT %c = f32[8]{0:T(128)} convolution(%p, %p), dim_labels=b0f_0io->b0f
}

ENTRY %main.3 (p: f32[8]) -> f32[8] {
  %p = f32[8]{0:T(128)} parameter(0)
  %fusion.1 = f32[8]{0:T(128)} fusion(%p), kind=kOutput, calls=%fused, backend_config={"estimated_cycles":"1500000"}
  ROOT %copy.2 = f32[8]{0:T(128)S(1)} copy(%fusion.1), backend_config={"estimated_cycles":"18446744073709551615"}
}
"""


def test_instructions_and_collectives_of_a_gpu_program():
    found = {one.name: one for one in hlo.instructions(GPU)}
    kinds = {name: (one.kind, one.times) for name, one in found.items()}
    assert kinds == {
        "conv.1": (hlo.PRODUCTS, 1), "conv.2": (hlo.PRODUCTS, 1), "gemm": (hlo.PRODUCTS, 1), "copy.1": (hlo.COPIES, 1),
        "loop_fusion": (hlo.OTHERS, 4), "all-reduce.2": (hlo.REDUCTIONS, 4), "all-gather-start.1": (hlo.REDUCTIONS, 1)}
    assert found["conv.1"].flops == found["conv.2"].flops == 2 * (8 * 16 * 16 * 8) * (3 * 3 * 4)
    assert found["gemm"].flops == 2 * 128 * 32 * 64
    assert found["copy.1"].bytes == 2 * 4 * 8 * 16 * 16 * 8
    assert found["conv.1"].module == "EDSR/body_0/conv1" and found["conv.2"].module == "EDSR/body_0/conv1 backwards"
    assert hlo.collectives(GPU) == [("all-reduce", 4, 4 * 4096), ("all-gather", 1, 4096)]
    h200 = chips.CHIPS["h200"]
    assert hlo.seconds(found["copy.1"], h200, "float32") == pytest.approx(found["copy.1"].bytes / 4.8e12)


def test_a_loop_counts_to_the_constant_of_its_condition():
    """TPUs' programs do not state the rounds."""
    text = """HloModule jit_f

%below (p: (s32[], f32[8])) -> pred[] {
  %p = (s32[]{:T(128)}, f32[8]{0:T(128)}) parameter(0)
  %constant.1 = s32[]{:T(128)} constant(6)
  %i = s32[]{:T(128)} get-tuple-element(%p), index=0
  ROOT %lt.1 = pred[]{:T(512)} compare(%i, %constant.1), direction=LT
}

%body (p: (s32[], f32[8])) -> (s32[], f32[8]) {
  %p = (s32[]{:T(128)}, f32[8]{0:T(128)}) parameter(0)
  %x = f32[8]{0:T(128)} get-tuple-element(%p), index=1
  %copy.1 = f32[8]{0:T(128)} copy(%x)
  ROOT %r = (s32[]{:T(128)}, f32[8]{0:T(128)}) tuple(%i, %copy.1)
}

ENTRY %main (x: f32[8]) -> f32[8] {
  %t = (s32[]{:T(128)}, f32[8]{0:T(128)}) parameter(0)
  %while.1 = (s32[]{:T(128)}, f32[8]{0:T(128)}) while(%t), condition=%below, body=%body
}
"""
    times = {one.name: one.times for one in hlo.instructions(text)}
    assert times["copy.1"] == 6


def test_cycles_of_a_tpu_program():
    fusion, copy = hlo.instructions(TPU)
    assert (fusion.kind, copy.kind, copy.cycles) == (hlo.PRODUCTS, hlo.COPIES, None)
    assert [hlo.seconds(one, chips.CHIPS["v5e"], "float32") for one in (fusion, copy)] == [1e-3, 0]


@pytest.mark.parametrize("shape, expected", [
    ("f32[8,16]{1,0}", 4 * 8 * 16), ("(f16[2,3]{1,0}, u8[0]{0})", 12),
    ("u8[1,540,4,960,4,3]{5,4,3,2,1,0:T(8,128)(4,1)}", 540 * 4 * 960 * 8 * 128),
    ("bf16[540,8,121,48]{2,3,1,0:T(8,128)(2,1)}", 2 * 540 * 8 * 48 * 128), ("f32[]{:T(128)}", 4),
    ("bf16[9,100]{1,0:T(8,128)(2,1)S(1)}", 0), ("f32[100]{0:T(1024)}", 4096)])
def test_what_an_array_takes_in_a_chips_memory(shape, expected):
    assert hlo.footprint(shape) == expected


def test_a_fusion_reads_what_it_slices():
    """EDSR's step as vectors: each layer's kernel is a part of one of them."""
    text = """HloModule jit_f

%cut (p0: f32[1000], p1: f32[64]) -> f32[64] {
  %p0 = f32[1000]{0} parameter(0)
  %p1 = f32[64]{0} parameter(1)
  %slice.1 = f32[64]{0} slice(%p0), slice={[0:64]}
  ROOT %sum = f32[64]{0} add(%slice.1, %p1)
}

ENTRY %main (x: f32[1000], y: f32[64]) -> f32[64] {
  %x = f32[1000]{0} parameter(0)
  %y = f32[64]{0} parameter(1)
  %slice.2 = f32[10]{0} slice(%x), slice={[0:10]}
  ROOT %fused = f32[64]{0} fusion(%x, %y), kind=kLoop, calls=%cut
}
"""
    assert {one.name: one.bytes for one in hlo.instructions(text)} == {"slice.2": 80, "fused": 3 * 4 * 64}


def test_chips():
    for name, chip in chips.CHIPS.items():
        assert set(chip.rates) == {"float16", "bfloat16", "float32"} and chip.bandwidth > 100, name
        assert chips.BY_KIND[chip.kind] is chip and (chip.memory > 10e9) == (chip.clock > 0 or chip.target is not None)
    assert "memory_bandwidth: 4800000000000\n" in chips.gpu_target(chips.CHIPS["h200"])


@pytest.mark.parametrize("text, what", [
    ("h300:1", "no chip 'h300'; did you mean 'h"), ("a100:1", "no chip 'a100'"),
    ("v5e", "give the number of chips"), ("v5e:", "give the number"), ("v5e:0x4", "give the number"),
    ("v5e:2x2x2x2", "give the number"),
    ("h100:2x2x2", "GPUs are hosts x GPUs"), ("", "no chip ''")])
def test_targets_that_there_are_not(text, what):
    with pytest.raises(UserError, match=f"^--on {text}: .*({what})"):
        planning.target(text)


def test_a_compiler_that_is_missing_is_named(monkeypatch):
    monkeypatch.setattr(planning, "_is_there", lambda module: False)
    with pytest.raises(UserError, match=r'--on v5e:2x2: compiling for it needs libtpu: pip install ".*\[tpu\]"'):
        planning.target("v5e:2x2")
    with pytest.raises(UserError, match=r'needs jax_plugins: pip install ".*\[cuda\]"'):
        planning.target("h200:1")


@pytest.mark.parametrize("text", ["540", "540x", "0x960", "x", "540x960x3"])
def test_sizes_that_are_none(text):
    with pytest.raises(plan.argparse.ArgumentTypeError, match="not a height and width such as 540x960"):
        plan._size(text)


def planned(*args):
    """The JSON of `jsr plan`, in a process of its own: a compiler stays in a process once it is there."""
    small = ["aim22_t1:edsr", "--config.networks.sr.fields={'num_feat': 8, 'num_block': 1}", "--json", "--quick",
             "--config.stages[0].crop=32", "--config.stages[0].batch=16"]
    done = subprocess.run([sys.executable, "-m", "jsr", "plan", *small, *args], capture_output=True, text=True,
                          env={**os.environ, "JAX_DISABLE_MOST_OPTIMIZATIONS": "0", "XLA_FLAGS": ""}, timeout=1200)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def check(found, chips):
    (reduction,) = found["collectives"]
    assert reduction["op"] == "all-reduce" and 0 <= reduction["bytes"] - 4 * found["parameters"] < 200
    assert found["chips"] == chips and found["per_chip"] == 16 // chips and found["fits"]
    assert found["memory"]["total"] == sum(size for name, size in found["memory"].items()
                                           if name not in ("total", "chip"))
    assert 0 < found["flops_ms"] < found["estimate"]["ms"] < 10
    assert any("EDSR/" in row["module"] for row in found["estimate"]["dearest"])
    assert found["loader"]["samples_per_s"] == pytest.approx(16e3 / found["estimate"]["ms"])


@pytest.mark.skipif(not planning._is_there("libtpu"), reason="needs libtpu, XLA's compiler for TPUs: the extra tpu")
def test_a_step_on_eight_tpus():
    check(planned("--on", "v5e:2x4"), 8)


@pytest.mark.slow
@pytest.mark.skipif(not planning._is_there("jax_plugins.xla_cuda13"), reason="needs XLA's compiler for NVIDIA GPUs, "
                    "which takes no GPU and no driver, but 4.4 GB of packages: the extra cuda")
def test_a_step_and_a_deployed_network_on_gpus():
    check(planned("--on", "h100:2x4"), 8)
    found = planned("--on", "h200:1", "--deployed", "54x96", "--config.dtype=float16")
    assert found["collectives"] == [] and found["deployed"] == [54, 96] and found["estimate"]["kernels"] < 60
