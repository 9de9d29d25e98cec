"""Networks in the formats of other runtimes, ONNX, ncnn and StableHLO, and the check that they give the same pixels.

    _, networks, variables, _ = model_file.fused(*model_file.load("best.safetensors"))  # jsr.model_file
    export.stablehlo.save("best.stablehlo", networks, variables)
    graph = export.chain_to_onnx(networks, variables)                                   # onnx.ModelProto
"""

from typing import TYPE_CHECKING

from jsr import lazy

if TYPE_CHECKING:
    from jsr.export import check, ncnn, pixels, stablehlo
    from jsr.onnx_graph.write import chain_to_onnx, to_onnx

__all__ = ["chain_to_onnx", "check", "ncnn", "pixels", "stablehlo", "to_onnx"]
__getattr__ = lazy.getter(__name__, {
    **{name: f"jsr.onnx_graph.write:{name}" for name in ("chain_to_onnx", "to_onnx")},
    **{name: f"{__name__}.{name}" for name in ("check", "ncnn", "pixels", "stablehlo")},
})
