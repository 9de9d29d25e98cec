"""The text of a PyTorch module, and its state dict, from a traced chain."""

import ast
import dataclasses
import heapq
import keyword
import re

from jax import export
import numpy as np

import jsr
from jsr.torch_code import operators
from jsr.torch_code.tidy import tidied
from jsr.torch_code.trace import Program

WIDTH = 120  # of lines
_RESERVED = {"batch", "frames", "height", "width"}

_HEAD = '''"""{title}

{about}

    network = Network().eval()
    network.load_state_dict(torch.load("weights.pth", weights_only=True))
    sr = network(lr)
"""

import torch
{imports}

{functions}
class Network(nn.Module):
    """{takes}"""

    def __init__(self):
        super().__init__()
{layers}

    def forward(self, lr):
{forward}
'''

_PAD = '''
def pad(image):
    """{what}"""
    for axis in (-2, -1):
        side = image.shape[axis]
        index = torch.arange({target}, device=image.device)
{index}
        image = image.index_select(axis, index)
    return image

'''

_PAD_ZEROS = '''
def pad(image):
    """{what}"""
    height, width = image.shape[-2:]
    return F.pad(image, (0, {width} - width, 0, {height} - height))

'''

_FILLINGS = {  # by jsr.layers.padding.Padding's mode: what new pixels hold, and lines to the rows that they are
    "reflect": ("the image reflected, its edge once", ["index = index % max(2 * side - 2, 1)",
                                                       "index = torch.minimum(index, 2 * side - 2 - index)"]),
    "flip": ("the image reflected, its edge twice", ["index = index % (2 * side)",
                                                     "index = torch.minimum(index, 2 * side - 1 - index)"]),
    "replicate": ("the last row or column", ["index = index.clamp(max=side - 1)"]),
    "zeros": ("zeros", []),
}


@dataclasses.dataclass(frozen=True)
class Source:
    """A module as text.

    Attributes:
      text: text of the file; it defines `Network`.
      weights: {key: array}, its state dict.
    """

    text: str
    weights: dict[str, np.ndarray]


def write(program: Program, title: str, about: str, parameters: dict[str, np.ndarray]) -> Source:
    """The Source of a Program.

    Args:
      title: its name, for the first line of the file's docstring.
      about: rest of the docstring, a line or several.
      parameters: {path as in the names of the graph's constants: array} of what is learned.

    Raises:
      ValueError: an operation that is not written in PyTorch here.
    """
    body = _Body(program, parameters)
    padding = program.padding
    lines = [*_checks(program), *_sides(program, body.used), *body.lines]
    if _pads(program):
        crop = ", ".join(f":{operators.times(program.scale, f'lr.shape[{axis}]')}" for axis in (-2, -1))
        lines.append(f"return {body.result}[..., {crop}]")
    else:
        lines.append(f"return {body.result}")
    functions = (_pad_function(padding) if _pads(program) else "") + "".join(
        operators.FUNCTIONS[name] for name in sorted(body.functions))
    layers = body.modules.lines
    code = "\n".join([functions, *layers, *lines])
    imports = ["from torch import nn", *["from torch.nn import functional as F"] * ("F." in code)]
    text = _HEAD.format(
        title=f"{title}, written by `jsr convert` (jsr {jsr.__version__}).", about=about, imports="\n".join(imports),
        functions=functions, takes=_takes(program), layers=_indented(layers), forward=_indented(lines))
    return Source(text.replace("super().__init__()\n\n\n", "super().__init__()\n\n"), body.modules.weights)


def _indented(lines):
    return "\n".join(f"{' ' * 8}{line}" for line in lines)


def _takes(program):
    """The docstring of the class: what it takes and gives."""
    number, (height, width), scale = "N" if program.open_batch else 1, program.size or ("H", "W"), program.scale
    clip = [] if program.frames is None else [program.frames or "T"]
    channels, out_channels = program.channels
    given = ", ".join(map(str, [number, *clip, channels, height, width]))
    made = [*clip, out_channels] if program.makes_clips else [out_channels]
    sr = ", ".join(map(str, [number, *made, *(scale * side if program.size else operators.times(scale, side)
                                              for side in (height, width))]))
    padded = " once padded" if program.padding.multiple > 1 else ""
    least = f" Sides are {program.least} px or more{padded}." if program.least > 1 else ""
    kind = {1: "grey", 3: "RGB", 4: "RGB and alpha"}.get(channels, f"{channels} channels")
    return f"LR ({given}), float32 {kind} in [0, 1], to SR ({sr}), not clipped.{least}"


def _pads(program):
    """Whether some of the images that a program takes are padded."""
    return program.padding.multiple > 1 and not (
        program.size and all(program.padding.target(side) == side for side in program.size))


def _checks(program):
    """Lines that refuse sizes that the program is not of."""
    if program.size:
        shape = "lr.shape[2:]" if program.makes_clips else "lr.shape[1:]" if program.open_batch else "lr.shape"
        lead = () if program.makes_clips or program.open_batch else (1,)
        wanted = (*lead, *([program.frames] if program.frames else []), program.channels[0], *program.size)
        return [f"if {shape} != {wanted}:",
                f"    raise ValueError(f\"images are {{tuple({shape})}}, this module takes {wanted}\")"]
    return []


def _sides(program, used):
    """Lines that pad the image and name the sides that the others use."""
    image, lines = "lr", []
    if _pads(program):
        image = "x0"
        lines.append("x0 = pad(lr)")
    least = program.least > 1
    time = [] if program.frames is None else ["frames"]
    names = [name if name in used or least and name in ("height", "width") else "_"
             for name in ("batch", *time, "channels", "height", "width")]
    if set(names[:-2]) == {"_"} and set(names) != {"_"}:
        lines.append(f"{', '.join(names[-2:])} = {image}.shape[{len(names) - 2}:]")
    elif set(names) != {"_"}:
        lines.append(f"{', '.join(names)} = {image}.shape")
    if least:
        lines += [f"if min(height, width) < {program.least}:",
                  f"    raise ValueError(f\"images are {{height}}x{{width}}, the least is {program.least}x"
                  f"{program.least}\")"]
    return lines


def _pad_function(padding):
    multiple = padding.multiple

    def target(side):
        return f"{side} // {multiple} * {multiple} + {multiple}" if padding.always else (
            f"-(-{side} // {multiple}) * {multiple}")

    filling, lines = _FILLINGS[padding.mode]
    what = f"Rows and columns added at the bottom and right, to multiples of {multiple}: {filling}."
    if padding.mode == "zeros":
        return _PAD_ZEROS.format(what=what, height=target("height"), width=target("width"))
    return _PAD.format(what=what, target=target("side"), index=_indented(lines))


class _Modules:
    """The names in a module: lines that make it, and its state dict."""

    def __init__(self, parameters, prefix):
        self.lines, self.weights = [], {}
        self._parameters, self._prefix = parameters, prefix
        self._known, self._taken = {}, {}
        self._constants = 0

    def layer(self, key, name, text, weights):
        """The expression of a layer, `self.conv`, made the first time that its key is met.

        Args:
          key: hashable; of one layer wherever it is called.
          name: path of the module in the network, "/" between its parts.
          text: code that makes it, for example "nn.Conv2d(3, 64, 3, padding=1)".
          weights: {suffix: array}, None left out.
        """
        if key not in self._known:
            place, path = self._place(name)
            self.lines.append(f"{place} = {text}")
            self.weights |= {f"{path}.{suffix}": array for suffix, array in weights.items() if array is not None}
            self._known[key] = place
        return self._known[key]

    def tensor(self, name, array):
        """The expression of a constant: of a parameter, where the network has one of the name, else of a buffer."""
        if name not in self._known:
            path = name
            if re.fullmatch(r"constant_\d+", name):
                self._constants += 1
                path = f"{self._prefix}constant_{self._constants}"
            place, key = self._place(path)
            dtype = "" if array.dtype == np.float32 else f", dtype=torch.{operators.torch_dtype(array.dtype)}"
            empty = f"torch.zeros({', '.join(map(str, array.shape))}{dtype})"
            parent, _, leaf = place.rpartition(".")
            learned = self._is_learned(name) and array.dtype.kind == "f"
            self.lines.append(f"{place} = nn.Parameter({empty})" if learned else
                              f'{parent}.register_buffer("{leaf}", {empty})')
            self.weights[key] = array
            self._known[name] = place
        return self._known[name]

    def _is_learned(self, name):
        return re.sub(r"_\d+$", "", name) in self._parameters or name in self._parameters

    def _place(self, name):
        """("self.a.b", "a.b") for a path that nothing has yet; the modules above it are made."""
        *above, leaf = [_identifier(part) for part in name.removeprefix(self._prefix).split("/")]
        path = ""
        for part in above:
            path = self._unused(f"{path}.{part}", "module")
            if path not in self._taken:
                self._taken[path] = "module"
                self.lines.append(f"self{path} = nn.Module()")
        path = self._unused(f"{path}.{leaf}", None)
        self._taken[path] = "leaf"
        return f"self{path}", path[1:]

    def _unused(self, path, allowed):
        """A path that nothing has, or what may: itself, or else with a number."""
        found, number = path, 1
        while self._taken.get(found) not in (None, allowed):
            number += 1
            found = f"{path}_{number}"
        return found


def _identifier(part):
    """A part of a path as an attribute's name that nothing of nn.Module's has."""
    from torch import nn

    name = re.sub(r"\W", "_", part)
    taken = hasattr(nn.Module, name) or keyword.iskeyword(name) or name in nn.Module().__dict__
    return f"{name}_" if taken or not name.isidentifier() else name


class _Body:
    """The lines of `forward`.

    Attributes:
      lines, modules: text, _Modules.
      result: name of the variable that is the SR image.
      used: names of sides that the lines use.
    """

    def __init__(self, program, parameters):
        self.graph, self.program = program.graph, program
        self.used, self.lines = set(), []
        paths = [path.split("/") for path in parameters]
        networks = {path[0] for path in paths} | {node.scope.split("/")[0] for node in self.graph.nodes if node.scope}
        self._prefix = f"{next(iter(networks))}/" if len(networks) == 1 else ""
        self._parents = {"/".join(path[:-1]) for path in paths}
        self._above = {"/".join(path[:end]) for path in paths for end in range(len(path) - 1)}
        self.modules = _Modules(parameters, self._prefix)
        self._texts = {"": None, "lr": "x0" if _pads(program) else "lr"}
        self._free, self._count, self._scope_of_last = [], 0, None
        self.functions, self._indent = set(), ""
        self._write(tidied(self.graph))
        self.result = self._texts["sr"]

    def _write(self, nodes):
        """Adds the lines of nodes, in order; variables of values that none of them reads again are taken again."""
        unknown = {node.op for node in nodes} - operators.OPS.keys() - operators.ON_LENGTHS.keys() - {"Scan"}
        if unknown:
            raise ValueError(f"{', '.join(sorted(unknown))}: not written in PyTorch")
        last = {name: index for index, node in enumerate(nodes) for name in node.reads}
        own = {name for node in nodes for name in node.outputs}
        for index, node in enumerate(nodes):
            if self._is_of_lengths(node):
                self._texts[node.outputs[0]] = operators.ON_LENGTHS[node.op](self, node)
                continue
            text = None if node.op == "Scan" else operators.OPS[node.op](self, node)
            self._say_scope(node)
            if node.op == "Scan":
                self._loop(node)
            self._forget(name for name in set(node.reads) & own if last[name] == index)
            if text is not None:
                self._texts[node.outputs[0]] = variable = self._variable()
                self._line(f"{variable} = {text}")

    def _loop(self, node):
        """The lines of a loop over the first axis of some values, which passes others from round to round."""
        body, carry, turned = (node.attributes[key] for key in ("body", "carry", "reverse"))
        passed, lists = ([self._variable() for _ in names] for names in (node.outputs[:carry], node.outputs[carry:]))
        for variable, name in zip(passed, node.inputs, strict=False):
            self._line(f"{variable} = {self.text(name)}")
        self._line(f"{', '.join(lists)} = {', '.join(['[]'] * len(lists))}")
        index, along = f"i{len(self._indent) // 4 or ''}", [self.text(name) for name in node.inputs[carry:]]
        rounds = f"range(len({along[0]}))"
        self._line(f"for {index} in {f'reversed({rounds})' if turned else rounds}:")
        inputs = [name for name, _ in body.inputs]
        self._texts |= dict(zip(inputs, [*passed, *(f"{text}[{index}]" for text in along)], strict=True))
        self._indent += " " * 4
        self._write(body.nodes)
        results = [self._texts[name] for name, _ in body.outputs]
        self._line(f"{', '.join(passed)} = {', '.join(results[:carry])}")
        for variable, result in zip(lists, results[carry:], strict=True):
            self._line(f"{variable}.append({result})")
        self._indent = self._indent[4:]
        for variable in lists:
            self._line(f"{variable} = torch.stack({variable}{'[::-1]' if turned else ''})")
        self._forget(name for name, _ in body.outputs)
        self._texts |= dict(zip(node.outputs, [*passed, *lists], strict=True))

    def _line(self, text):
        self.lines.append(self._indent + text)

    def _variable(self):
        return f"x{self._number()}"

    def _forget(self, names):
        for name in names:
            if re.fullmatch(r"x[1-9]\d*", str(self._texts.get(name))):
                heapq.heappush(self._free, int(self._texts[name][1:]))

    def _say_scope(self, node):
        where = self._scope(node)
        if where != self._scope_of_last:
            self._line(f"# {where}")
            self._scope_of_last = where

    def _number(self):
        if self._free:
            return heapq.heappop(self._free)
        self._count += 1
        return self._count

    def _scope(self, node):
        """The submodule that a node's line is in, as a comment names it; of the layers' own lines the one around."""
        network, *rest = node.scope.split("/")
        known = network
        for part in rest[1:]:
            further = f"{known}/{part.partition('.')[0]}"
            if further not in self._parents | self._above:
                break
            known = further
        if known in self._parents and known not in self._above and known != network:
            known = known.rpartition("/")[0]
        if known == network:
            name = rest[0].partition(".")[0] if rest else network
            return f"{network}: {name}" if not self._prefix and name != network else name
        return known.removeprefix(self._prefix)

    def _is_of_lengths(self, node):
        """Whether a node computes numbers from lengths alone, which Python does."""
        if node.op == "Length":
            return True
        given = [name for name in node.inputs if name]
        hosts = [name for name in given if isinstance(self._texts.get(name), operators.Numbers)]
        known = operators.ON_LENGTHS if all(len(self._texts[name]) == 1 for name in hosts) else operators.ON_VECTORS
        return bool(hosts) and node.op in known and all(
            name in hosts or name in self.graph.constants for name in given)

    # What operators ask for

    def array(self, name):
        """The array of a constant, else None."""
        return self.graph.constants.get(name)

    def text(self, name):
        """A value as an operand: a variable, a number, or a tensor of the module's."""
        if name in self._texts:
            found = self._texts[name]
            return found.operand() if isinstance(found, operators.Numbers) else found
        array = self.graph.constants[name]
        return operators.literal(array) if array.ndim == 0 else self.modules.tensor(name, array)

    def numbers(self, name):
        """A vector of lengths, places or axes: ints, and texts of those that follow the image's size."""
        if name in self._texts:
            return list(self._texts[name])
        return self.graph.constants[name].reshape(-1).tolist()

    def length(self, length):
        """The text of a length that JAX traced."""
        if not export.is_symbolic_dim(length):
            return int(length)
        tree = ast.parse(str(length).replace("^", "**"), mode="eval")
        found = ast.unparse(_Lengths(self.program).visit(tree))
        self.used |= _RESERVED & set(re.findall(r"\w+", found))
        return found


class _Lengths(ast.NodeTransformer):
    """JAX's text of a length as Python's, with the sides of the image for those in units of its multiple."""

    def __init__(self, program):
        self.multiple = program.padding.multiple
        self.least = max(self.multiple, program.least)

    def visit_BinOp(self, node):
        match node:
            case ast.BinOp(ast.Constant(k), ast.Mult(), ast.Name("height" | "width" as name)) | ast.BinOp(
                    ast.Name("height" | "width" as name), ast.Mult(), ast.Constant(k)) if k % self.multiple == 0:
                side = ast.Name(name)
                return side if k == self.multiple else ast.BinOp(ast.Constant(k // self.multiple), ast.Mult(), side)
        return self.generic_visit(node)

    def visit_Name(self, node):
        if node.id in ("height", "width") and self.multiple > 1:
            return ast.BinOp(ast.Name(node.id), ast.FloorDiv(), ast.Constant(self.multiple))
        return node

    def visit_Call(self, node):
        left, right = map(self.visit, node.args)
        ops = {"floordiv": ast.FloorDiv(), "mod": ast.Mod()}
        match node.func.id, left, right:  # rolls by less than the least side
            case "mod", ast.Constant(k), ast.Name("height" | "width") if k < self.least:
                return left
            case "mod", ast.UnaryOp(ast.USub(), ast.Constant(k)), ast.Name("height" | "width") if k < self.least:
                return ast.BinOp(right, ast.Sub(), ast.Constant(k))
        if node.func.id in ops:
            return ast.BinOp(left, ops[node.func.id], right)
        return ast.Call(node.func, [left, right], [])
