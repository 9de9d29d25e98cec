"""The text of one line of PyTorch for a node of a traced graph.

An operator is a function of the body that is written (jsr.torch_code.source), which knows the texts of values, and the
node. The variables' order of axes is that of the graph.
"""

import re

import numpy as np

LAST = np.iinfo(np.int64).max  # the end of an axis, of whatever length


class Numbers(list):
    """The texts of lengths that Python computes, one or several."""

    def operand(self):
        """The text of the only one, or of a tensor of them all."""
        return _in_brackets(*self) if len(self) == 1 else f"torch.tensor([{_listed(self)}], device=lr.device)"


def torch_dtype(dtype):
    """PyTorch's name of a NumPy dtype."""
    return str(np.dtype(dtype))


def literal(array):
    """A number as Python writes it, with no more digits than its dtype has."""
    return str(array) if array.dtype.kind in "fc" and np.isfinite(array) else (
        f'float("{array}")' if array.dtype.kind == "f" else str(array.item()))


def times(factor, text):
    """A product of a whole number and a text."""
    return text if factor == 1 else f"{factor} * {text}"


def _in_brackets(text):
    return str(text) if re.fullmatch(r"[\w.]+", str(text)) else f"({text})"


def _listed(numbers):
    return ", ".join(map(str, numbers))


def _pair(numbers):
    """(3, 3) as 3."""
    first, *rest = numbers
    return first if all(number == first for number in rest) else tuple(numbers)


def _keywords(**values):
    """{name: (value, default)} as ", name=value" of those that differ."""
    return "".join(f", {name}={value}" for name, (value, default) in values.items() if value != default)


def _between(sign):
    return lambda body, node: f" {sign} ".join(body.text(name) for name in node.inputs)


def _function(name):
    return lambda body, node: f"{name}({_listed(body.text(name) for name in node.inputs)})"


def _method(text):
    """A call with attributes of the node."""
    return lambda body, node: text.format(*(body.text(name) for name in node.inputs), **node.attributes)


def _reduced(name):
    def write(body, node):
        axes = body.numbers(node.inputs[1])
        kept = ", keepdim=True" if node.attributes["keepdims"] else ""
        return f"{body.text(node.inputs[0])}.{name}({axes[0] if len(axes) == 1 else tuple(axes)}{kept})"

    return write


def _extreme(whole, bound):
    """The extreme of two tensors, or of a tensor and a number on either side."""
    def write(body, node):
        texts = [body.text(name) for name in node.inputs]
        for number, other in ((0, 1), (1, 0)):
            array = body.array(node.inputs[number])
            if array is not None and array.ndim == 0 or re.fullmatch(r"\d+", texts[number]):
                return f"{texts[other]}.clamp({bound}={texts[number]})"
        return f"{whole}({_listed(texts)})"

    return write


def _where(body, node):
    """A choice by a tensor; by a constant it is made here, as jnp.var makes one by the number of its values."""
    condition, *texts = (body.text(name) for name in node.inputs)
    chosen = body.array(node.inputs[0])
    return f"torch.where({condition}, {_listed(texts)})" if chosen is None or chosen.ndim else texts[int(not chosen)]


def _windows(attributes):
    """({stride, padding, dilation: (value, default)}, text of the padding before, "" where the operation does it)."""
    top, left, bottom, right = attributes["pads"]
    even = (top, left) == (bottom, right)
    stride, dilation = (_pair(attributes[key]) for key in ("strides", "dilations"))
    given = dict(stride=(stride, 1), padding=(_pair((top, left)) if even else 0, 0), dilation=(dilation, 1))
    return given, "" if even else f"({left}, {right}, {top}, {bottom})"


def _conv(body, node):
    kernel = body.array(node.inputs[1])
    if len(node.attributes["kernel_shape"]) != 2:
        raise ValueError(f"a convolution along {len(node.attributes['kernel_shape'])} axes")
    given, before = _windows(node.attributes)
    given["groups"] = node.attributes["group"], 1
    x = body.text(node.inputs[0])
    x = f"F.pad({x}, {before})" if before else x
    path, _, leaf = node.inputs[1].rpartition("/")
    bias = body.array(node.inputs[2]) if len(node.inputs) > 2 else None
    if kernel is None or not path or len(node.inputs) > 2 and bias is None:
        operands = _listed([x, *(body.text(name) for name in node.inputs[1:])])
        return f"F.conv2d({operands}{_keywords(**given)})"
    (features, channels), groups = kernel.shape[:2], node.attributes["group"]
    text = (f"nn.Conv2d({channels * groups}, {features}, {_pair(kernel.shape[2:])}"
            f"{_keywords(**given, bias=(bias is not None, True))})")
    name = path if leaf == "kernel" else f"{path}/{leaf}"
    key = "Conv", *node.inputs[1:], text
    return f"{body.modules.layer(key, name, text, dict(weight=kernel, bias=bias))}({x})"


def _linear(body, node):
    x, kernel, *rest = node.inputs
    matrix, bias = body.array(kernel), body.array(rest[0]) if rest else None
    path, _, leaf = kernel.rpartition("/")
    if not path:
        product = f"{body.text(x)} @ {body.text(kernel)}"
        return f"{product} + {body.text(rest[0])}" if rest else product
    text = f"nn.Linear({_listed(matrix.shape)}{_keywords(bias=(bias is not None, True))})"
    name = path if leaf == "kernel" else f"{path}/{leaf}"
    layer = body.modules.layer(("Linear", kernel, *rest), name, text, dict(weight=matrix.T, bias=bias))
    return f"{layer}({body.text(x)})"


def _transposed_conv(body, node):
    x, *parameters = node.inputs
    kernel, bias = [*map(body.array, parameters), None][:2]
    text = (f"nn.ConvTranspose2d({_listed(kernel.shape[:2])}, {_pair(kernel.shape[2:])}, "
            f"stride={node.attributes['stride']}{_keywords(bias=(bias is not None, True))})")
    layer = body.modules.layer(("ConvTranspose", *parameters), parameters[0].rpartition("/")[0], text,
                               dict(weight=kernel, bias=bias))
    return f"{layer}({body.text(x)})"


def _norm(kind, *names):
    """A norm of a number of features, whose parameters are called so in PyTorch."""
    def write(body, node):
        x, *parameters = node.inputs
        arrays = dict(zip(names, map(body.array, parameters), strict=True))
        if kind == "BatchNorm2d":
            arrays["num_batches_tracked"] = np.array(0)
        text = f"nn.{kind}({len(arrays['weight'])}{_keywords(eps=(node.attributes['epsilon'], 1e-5))})"
        layer = body.modules.layer((kind, *parameters), parameters[0].rpartition("/")[0], text, arrays)
        return f"{layer}({body.text(x)})"

    return write


def _prelu(body, node):
    x, slope = node.inputs
    array, text = body.array(slope), body.text(x)
    if array is None or array.ndim not in (0, 3) or array.size != len(array.reshape(array.shape or 1)):
        raise ValueError("a PReLU whose slopes are not those of channels")
    path, _, leaf = slope.rpartition("/")
    name = path if path and leaf == "slope" else slope
    layer = body.modules.layer(("PReLU", slope), name, f"nn.PReLU({array.size if array.size > 1 else ''})",
                               dict(weight=array.reshape(-1)))
    return f"{layer}({text})"


def _pool(function):
    def write(body, node):
        given, before = _windows(node.attributes)
        size = node.attributes["kernel_shape"]
        given["stride"] = given["stride"][0], _pair(size)
        if function == "F.avg_pool2d":
            del given["dilation"]
        x = body.text(node.inputs[0])
        if before:
            value = ', value=float("-inf")' if function == "F.max_pool2d" else ""
            x = f"F.pad({x}, {before}{value})"
        return f"{function}({x}, {_pair(size)}{_keywords(**given)})"

    return write


def _resize(body, node):
    x, _, scales, *sizes = node.inputs
    if node.attributes["mode"] == "nearest":
        (axis, repeats), = [(axis, scale) for axis, scale in enumerate(body.array(scales).tolist()) if scale != 1]
        return f"{body.text(x)}.repeat_interleave({int(repeats)}, {axis})"
    mode = {"linear": "bilinear", "cubic": "bicubic"}[node.attributes["mode"]]
    aligned = node.attributes["coordinate_transformation_mode"] == "align_corners"
    return (f'F.interpolate({body.text(x)}, ({_listed(body.numbers(sizes[0])[2:])}), mode="{mode}", '
            f"align_corners={aligned})")


def _grid_sample(body, node):
    x, grid = map(body.text, node.inputs)
    return f'F.grid_sample({x}, {grid}, padding_mode="{node.attributes["padding_mode"]}", align_corners=False)'


def _deform_conv(body, node):
    """A function of the file, which spells out torchvision's."""
    x, kernel, offset, _, *mask = node.inputs
    given, _ = _windows(node.attributes)
    body.functions.add("deform_conv2d")
    operands = _listed(body.text(name) for name in (x, offset, kernel, *mask))
    return f"deform_conv2d({operands}{_keywords(**given)})"


def _shaped(name):
    """A view of the shape that was traced; the first length that is more than a name is PyTorch's to find."""
    def write(body, node):
        lengths = [body.length(length) for length in node.attributes["dims"]]
        open_at = [k for k, length in enumerate(lengths) if isinstance(length, str) and not length.isidentifier()]
        if name == "reshape" and open_at:
            lengths[open_at[0]] = -1
        return f"{body.text(node.inputs[0])}.{name}({_listed(lengths)})"

    return write


def _slice(body, node):
    x, starts, ends, axes, steps = node.inputs
    bounds = [body.numbers(name) for name in (axes, starts, ends, steps)]
    if set(bounds[3]) == {-1}:
        return f"{body.text(x)}.flip({_listed(bounds[0])})"
    index = [":"] * (max(bounds[0]) + 1)
    for axis, start, end, step in zip(*bounds, strict=True):
        index[axis] = (f"{'' if start == 0 else start}:{'' if end == LAST else end}"
                       f"{'' if step == 1 else f':{step}'}")
    return f"{body.text(x)}[{_listed(index)}]"


def _unsqueeze(body, node):
    return body.text(node.inputs[0]) + "".join(f".unsqueeze({axis})" for axis in sorted(body.numbers(node.inputs[1])))


def _squeeze(body, node):
    axes = body.numbers(node.inputs[1])
    return f"{body.text(node.inputs[0])}.squeeze({axes[0] if len(axes) == 1 else tuple(axes)})"


def _gather(body, node):
    x, index = node.inputs
    axis, array = node.attributes["axis"], body.array(index)
    if array is not None and array.ndim == 1 and len(array) > 1:
        times, rest = divmod(len(array), array.max() + 1)
        if not rest and times > 1 and np.array_equal(array, np.arange(array.max() + 1).repeat(times)):
            return f"{body.text(x)}.repeat_interleave({times}, {axis})"
    return f"{body.text(x)}.index_select({axis}, {body.text(index)})"


def _pad(body, node):
    x, pads, *value = node.inputs
    numbers = body.numbers(pads)
    half = len(numbers) // 2
    pairs = [*zip(numbers[:half], numbers[half:], strict=True)]
    while pairs[0] == (0, 0) and len(pairs) > 1:
        del pairs[0]
    zero = not value or body.array(value[0]) is not None and not body.array(value[0]).any()
    given = "" if zero else f", value={body.text(value[0])}"
    return f"F.pad({body.text(x)}, ({_listed(number for pair in pairs[::-1] for number in pair)}){given})"


def _range(body, node):
    return f"torch.arange({body.numbers(node.inputs[1])[0]}, device=lr.device)"


def _fourier(body, node):
    x, lengths = body.text(node.inputs[0]), node.attributes["lengths"]
    axes = tuple(range(-len(lengths), 0))
    size = f"s={lengths}, " if node.attributes["kind"] == "irfft" else ""
    return f"torch.fft.{node.attributes['kind']}n({x}, {size}dim={axes})"


def _dims(text):
    return lambda body, node: f"{body.text(node.inputs[0])}.{text.format(**node.attributes)}"


def _permute(body, node):
    return f"{body.text(node.inputs[0])}.permute({_listed(node.attributes['perm'])})"


def _join(body, node):
    return f"torch.cat(({_listed(body.text(name) for name in node.inputs)}), {node.attributes['axis']})"


OPS = {  # a node's kind: function of the body and the node to text
    **{op: _between(sign) for op, sign in {
        "Add": "+", "Sub": "-", "Mul": "*", "Div": "/", "Pow": "**", "MatMul": "@", "Equal": "==", "Less": "<",
        "LessOrEqual": "<=", "Greater": ">", "GreaterOrEqual": ">=", "And": "&", "Or": "|"}.items()},
    **{op: _function(f"torch.{op.lower()}") for op in (
        "Abs", "Ceil", "Cos", "Erf", "Exp", "Floor", "Log", "Round", "Sigmoid", "Sign", "Sin", "Sqrt", "Tanh",
        "Reciprocal", "Complex", "Real", "Imag")},
    "Where": _where,
    "IntDiv": _method('torch.div({0}, {1}, rounding_mode="trunc")'),
    "Neg": lambda body, node: f"-{body.text(node.inputs[0])}",
    "Not": lambda body, node: f"~{body.text(node.inputs[0])}",
    "Mod": _function("torch.fmod"), "Relu": _function("F.relu"), "Gelu": _function("F.gelu"),
    "Mish": _function("F.mish"),
    "Max": _extreme("torch.maximum", "min"), "Min": _extreme("torch.minimum", "max"),
    "LeakyRelu": lambda body, node: f"F.leaky_relu({body.text(node.inputs[0])}, "
                                    f"{literal(np.float32(node.attributes['alpha']))})",
    "PRelu": _prelu,
    "Softmax": _dims("softmax({axis})"),
    "Conv": _conv, "ConvTranspose": _transposed_conv, "Linear": _linear,
    "LayerNorm": _norm("LayerNorm", "weight", "bias"),
    "BatchNorm": _norm("BatchNorm2d", "weight", "bias", "running_mean", "running_var"),
    "MaxPool": _pool("F.max_pool2d"), "AveragePool": _pool("F.avg_pool2d"),
    "Resize": _resize, "GridSample": _grid_sample, "DeformConv": _deform_conv,
    "DepthToSpace": _method("F.pixel_shuffle({0}, {blocksize})"),
    "PixelUnshuffle": _method("F.pixel_unshuffle({0}, {factor})"),
    "ReduceMax": _reduced("amax"), "ReduceMin": _reduced("amin"), "ReduceMean": _reduced("mean"),
    "ReduceSum": _reduced("sum"),
    "Median": _method("{0}.median(-1).values"),
    "ArgMax": _method("{0}.argmax({axis}, keepdim=True)"),
    "Order": _method("{0}.argsort(dim=1, stable=True)"),
    "RowsAt": _method("{0}.gather(1, {1}.unsqueeze(-1).expand(-1, -1, {0}.shape[-1]))"),
    "Einsum": lambda body, node: f'torch.einsum("{node.attributes["equation"]}", '
                                 f"{_listed(body.text(name) for name in node.inputs)})",
    "CumSum": lambda body, node: f"{body.text(node.inputs[0])}.cumsum({body.array(node.inputs[1]).item()})",
    "Cast": lambda body, node: f"{body.text(node.inputs[0])}.to(torch.{torch_dtype(node.attributes['to'])})",
    "Concat": _join, "Expand": _shaped("expand"), "Gather": _gather, "Pad": _pad, "Range": _range,
    "Reshape": _shaped("reshape"), "Slice": _slice, "Squeeze": _squeeze, "Unsqueeze": _unsqueeze,
    "Tile": lambda body, node: f"{body.text(node.inputs[0])}.repeat({_listed(body.numbers(node.inputs[1]))})",
    "Transpose": _permute, "Fourier": _fourier,
    "Select": lambda body, node: (f"{body.text(node.inputs[0])}[{':, ' * node.attributes['axis']}"
                                  f"{node.attributes['index']}]"),
    "Identity": lambda body, node: body.text(node.inputs[0]),
}


def _sign(body, node):
    number = body.text(node.inputs[0])
    return Numbers([f"({number} > 0) - ({number} < 0)"])


def _computed(sign):
    return lambda body, node: Numbers([f" {sign} ".join(map(body.text, node.inputs))])


def _chosen(function):
    return lambda body, node: Numbers([f"{function}({_listed(map(body.text, node.inputs))})"])


ON_LENGTHS = {  # the same of nodes on one length each, which become Numbers
    "Length": lambda body, node: Numbers([str(body.length(node.attributes["length"]))]),
    "Sign": _sign,
    "IntDiv": lambda body, node: Numbers([f"int({' / '.join(map(body.text, node.inputs))})"]),
    **{op: _chosen(op.lower()) for op in ("Max", "Min")},
    "Concat": lambda body, node: Numbers(number for name in node.inputs for number in body.numbers(name)),
    **dict.fromkeys(("Cast", "Squeeze", "Unsqueeze", "Reshape", "Identity"),
                    lambda body, node: Numbers(body.numbers(node.inputs[0]))),
    **{op: _computed(sign) for op, sign in {
        "Add": "+", "Sub": "-", "Mul": "*", "Div": "/", "Less": "<", "Greater": ">"}.items()},
}
ON_VECTORS = "Concat", "Identity"  # those of them that are so of several, too

FUNCTIONS = {"deform_conv2d": '''
def deform_conv2d(x, offset, weight, mask=None, stride=1, padding=0, dilation=1):
    """torchvision.ops.deform_conv2d without a bias, by samples of the image and a product."""
    (n, channels, height, width), (features, depth, *size) = x.shape, weight.shape
    taps, (rows, columns) = size[0] * size[1], offset.shape[2:]
    groups, blocks = offset.shape[1] // (2 * taps), channels // depth
    (top, left), (down, right), (tall, wide) = (
        value if isinstance(value, tuple) else (value, value) for value in (padding, stride, dilation))
    offset = offset.reshape(n, groups, taps, 2, rows, columns)
    tap_y = torch.arange(size[0], device=x.device).repeat_interleave(size[1]) * tall - top
    tap_x = torch.arange(size[1], device=x.device).repeat(size[0]) * wide - left
    row = torch.arange(rows, device=x.device) * down
    column = torch.arange(columns, device=x.device) * right
    y = offset[:, :, :, 0] + (row[:, None] + tap_y[:, None, None])
    z = offset[:, :, :, 1] + (column + tap_x[:, None, None])
    grid = torch.stack(((2 * z + 1) / width - 1, (2 * y + 1) / height - 1), -1)
    samples = F.grid_sample(x.reshape(n * groups, channels // groups, height, width),
                            grid.reshape(n * groups, taps * rows, columns, 2), align_corners=False)
    samples = samples.reshape(n, groups, channels // groups, taps, rows, columns)
    if mask is not None:
        samples = samples * mask.reshape(n, groups, 1, taps, rows, columns)
    samples = samples.reshape(n, blocks, depth * taps, rows * columns)
    weight = weight.reshape(blocks, features // blocks, depth * taps)
    return (weight @ samples).reshape(n, features, rows, columns)

'''}
