"""Writes stopn.npz: IVL's network of the original code with random weights, five frames and the SR image.

    python tests/golden/stopn_make.py AIM2022SuperResolutionOfCompressedVideos

The argument is a git clone of claudiom4sir/AIM2022SuperResolutionOfCompressedVideos; numpy, scipy and torch must be
installed, and torchvision, or ONNX Runtime, whose DeformConv then stands for torchvision's. Not run by the tests.

The image is made as test_aimchallenge.py does it, but for two things: the restored luma is in it, which the script
leaves out by a slip, and values are not clipped. The format is that of _official.write: `lr` is uint8 NTHWC, `sr`
float32 NHWC in [0, 1].
"""

import importlib
import sys
import types

import _clone
import _official
import torch

CASES = {"x4": ("stopn/base", (5, 16, 24), dict(scale=4, num_feat=6, num_conv=1))}  # model, T H W, fields


def deform_conv2d(input, offset, weight, padding, mask):
    """torchvision.ops.deform_conv2d by ONNX Runtime."""
    from onnx import TensorProto, helper
    import onnxruntime

    arrays = dict(x=input, weight=weight, offset=offset, bias=torch.zeros(len(weight)), mask=mask)
    node = helper.make_node("DeformConv", list(arrays), ["y"], group=input.shape[1] // weight.shape[1],
                            offset_group=mask.shape[1] // weight[0, 0].numel(), pads=[padding] * 4,
                            kernel_shape=list(weight.shape[2:]))
    graph = helper.make_graph([node], "deform_conv", [helper.make_tensor_value_info(
        name, TensorProto.FLOAT, list(array.shape)) for name, array in arrays.items()], [
            helper.make_tensor_value_info("y", TensorProto.FLOAT, None)])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 22)], ir_version=10)
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return torch.from_numpy(session.run(None, {name: array.numpy() for name, array in arrays.items()})[0])


def main(repository):
    try:
        importlib.import_module("torchvision.ops.deform_conv")
    except (ImportError, RuntimeError):
        for name in ("torchvision", "torchvision.ops", "torchvision.ops.deform_conv"):
            sys.modules[name] = types.ModuleType(name)
        sys.modules["torchvision.ops.deform_conv"].deform_conv2d = deform_conv2d
    module, file = _clone.load(repository, "net_stdf.py")
    colours, _ = _clone.load(repository, "colors.py")

    def make(_, fields):
        net = module.MFVQE_SR_Y()
        net.ffnet = module.STDF_Features(5, nf=fields["num_feat"])
        net.qenet = module.PlainCNN(nf=fields["num_feat"], nb=fields["num_conv"] + 2)
        return net, file

    def run(net, _, clip):
        ycbcr = colours.rgb2ycbcr(clip[0])
        restored = net(ycbcr[None, :, 0])
        enlarged = torch.nn.functional.interpolate(ycbcr[2:3], scale_factor=4, mode="bicubic", align_corners=True)
        together = torch.cat([restored, enlarged[:, 1:]], 1) - colours._YCBCR_OFF
        return {"sr": colours._mul(torch.inverse(colours._RGB_TO_YCBCR), together)}

    _official.write("stopn", CASES, make, run)


if __name__ == "__main__":
    main(*sys.argv[1:])
