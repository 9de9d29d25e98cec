"""What is said of a network besides its times; a peer that is another function is not timed."""

import jax
import numpy as np
import pytest

from jsr import models
from jsr.analysis import counts
from jsr.timing import peers, upscaling

SMALL = dict(scale=2, num_feat=8, num_block=1)


def chain(*nets):
    networks = {f"net{i}": models.create(model_id, **fields) for i, (model_id, fields) in enumerate(nets)}
    return networks, {name: models.init(network, jax.random.key(0)) for name, network in networks.items()}


def test_figures_of_one_network():
    networks, variables = chain(("edsr", SMALL))
    said = []
    found = upscaling.measure(networks, variables, (6, 9), rounds=3, announce=said.append)
    params, macs, hook_macs, activations = counts.tally(networks["net0"], (1, 6, 9, 3))
    assert (found["hook_gmacs"], found["activations"], found["dtype"]) == (hook_macs / 1e9, activations, "float32")
    assert (found["size"], found["padded_size"]) == ([6, 9], [6, 9])
    assert (found["params"], found["gmacs"]) == (params, macs / 1e9)
    assert found["memory"]["output_bytes"] == 12 * 18 * 3 * 4
    assert found["memory"]["arguments_bytes"] == 4 * (params + 6 * 9 * 3)
    assert found["trace_s"] > 0 and found["compile_s"] > 0 and found["transfer"]["rounds"] == 3
    row, = found["rows"]
    assert (row["name"], row["note"], row["rounds"]) == ("jsr (jax)", "", 3)
    assert (row["ratio"], row["max_abs_error"]) == (1.0, None)
    assert row["best_ms"] <= row["p10_ms"] <= row["median_ms"] <= row["p90_ms"]
    assert row["gmacs_per_s"] == pytest.approx(macs / 1e6 / row["median_ms"])
    assert said == ["compiling", "timing jsr (jax): 3 rounds"]


@pytest.mark.parametrize("model_id, fields, padded", [
    ("rrdbnet", dict(scale=2, num_feat=4, num_block=1, num_grow_ch=2), [6, 8]),
    ("swinir", dict(scale=2, embed_dim=8, depths=[1], num_heads=[2], window_size=4), [8, 8]),
])
@pytest.mark.slow
def test_sizes_that_a_network_does_not_take_are_padded(model_id, fields, padded):
    found = upscaling.measure(*chain((model_id, fields)), (5, 7), rounds=1)
    assert (found["size"], found["padded_size"]) == ([5, 7], padded)


def test_a_chain_is_one_program_and_counts_every_network_at_its_size():
    networks, variables = chain(("edsr", SMALL), ("edsr", SMALL | dict(num_feat=4)))
    found = upscaling.measure(networks, variables, (5, 4), rounds=1)
    first, second = counts.count(networks["net0"], (1, 5, 4, 3)), counts.count(networks["net1"], (1, 10, 8, 3))
    assert found["params"] == first[0] + second[0] and found["gmacs"] == (first[1] + second[1]) / 1e9
    assert found["memory"]["output_bytes"] == 20 * 16 * 3 * 4


def test_half_precision_is_that_of_image_parameters_and_result():
    networks, variables = chain(("edsr", SMALL))
    found = upscaling.measure(networks, variables, (6, 9), rounds=1, dtype="bfloat16")
    assert found["dtype"] == "bfloat16" and found["memory"]["output_bytes"] == 12 * 18 * 3 * 2
    assert found["memory"]["arguments_bytes"] == 2 * (found["params"] + 6 * 9 * 3)


@pytest.mark.parametrize("fails_at", ["preparing", "calling"])
def test_a_library_that_fails_is_a_row_with_a_note(monkeypatch, fails_at):
    networks, variables = chain(("edsr", SMALL))

    def broken():
        raise RuntimeError("no C++ compiler\nand more")

    def other_library(peer, graph, lr, *, threads, dtype):
        return broken() if fails_at == "preparing" else ([peers.Contender(peer, broken, np.asarray)], "")

    monkeypatch.setattr(peers, "contenders", other_library)
    ours, other = upscaling.measure(networks, variables, (6, 6), wanted=["other"], rounds=1)["rows"]
    assert ours["median_ms"] > 0 and other["median_ms"] is None
    assert other["name"] == "other" and other["note"].endswith("RuntimeError: no C++ compiler")


def test_a_program_that_does_not_fit_is_not_run(monkeypatch):
    monkeypatch.setattr(upscaling, "free_memory", lambda: 10)
    with pytest.raises(MemoryError, match="it takes .* bytes, 10 are free"):
        upscaling.measure(*chain(("edsr", SMALL)), (6, 6))


@pytest.mark.parametrize("added, is_timed", [(0.0, True), (1e-5, True), (2e-3, False), (np.nan, False)])
def test_only_the_same_function_is_timed(monkeypatch, added, is_timed):
    networks, variables = chain(("edsr", SMALL))

    def other_library(peer, graph, lr, *, threads, dtype):
        network, = networks.values()
        call = jax.jit(lambda: network.apply(variables["net0"], lr) + added)
        return [peers.Contender(peer, lambda: call().block_until_ready(), np.asarray)], ""

    monkeypatch.setattr(peers, "contenders", other_library)
    found = upscaling.measure(networks, variables, (6, 6), wanted=["other"], rounds=2)
    row = found["rows"][1]
    assert row["name"] == "other" and (row["median_ms"] is not None) == is_timed
    if is_timed:
        assert row["max_abs_error"] == pytest.approx(added, abs=1e-6) and row["ratio"] > 0 and row["note"] == ""
    else:
        assert "another function" in row["note"] and row["ratio"] is None
        assert row["max_abs_error"] == (None if np.isnan(added) else pytest.approx(added, abs=1e-6))
