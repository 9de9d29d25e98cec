"""Reads the text of a program that XLA has compiled: its collectives, and an estimate of its times.

Nothing runs. Of a TPU the compiler's own estimate of each instruction's cycles is read; of a GPU, for which there is
none that holds, an instruction takes as long as its operands and its result take to pass through memory once, or as its
arithmetic takes at the peak rate, whichever is longer.
"""

import collections
import dataclasses
import itertools
import math
import re

COLLECTIVES = ("all-reduce", "all-gather", "reduce-scatter", "all-to-all", "collective-permute", "collective-broadcast",
               "ragged-all-to-all")
PRODUCTS, COPIES, REDUCTIONS, OTHERS = "convolutions and products", "copies", "collectives", "all else"
LAUNCH_S = 2e-6  # from one kernel of a GPU to the next, as a rule

_NOTHING = {"parameter", "constant", "get-tuple-element", "tuple", "bitcast", "partition-id", "replica-id", "after-all",
            "iota", "opt-barrier", "while", "call", "conditional"}  # instructions that take no time of their own
_BYTES = {"f64": 8, "s64": 8, "u64": 8, "c64": 8, "f32": 4, "s32": 4, "u32": 4, "bf16": 2, "f16": 2, "s16": 2, "u16": 2,
          "pred": 1, "u8": 1, "s8": 1, "f8e4m3fn": 1, "f8e5m2": 1}
_ARRAY = re.compile(rf"\b({'|'.join(_BYTES)})\[([\d,]*)\]")
_LAID_OUT = re.compile(_ARRAY.pattern + r"(?:\{([\d,]*)(?::([^}]*))?\})?")  # with order of dimensions, tiles, place
_COMPUTATION = re.compile(r"^(ENTRY )?%?([\w.\-]+) \(.*\{\s*$")
_INSTRUCTION = re.compile(r"^\s*(?:ROOT )?%?([\w.\-]+) = (\(.*?\)|\S+) ([\w\-]+)\(([^)]*)\)")
_CALLED = re.compile(r"(?:calls|body|to_apply|condition)=%?([\w.\-]+)")
_BRANCHES = re.compile(r"branch_computations=\{([^}]*)\}")
_TRIPS = re.compile(r'"known_trip_count":\{"n":"(\d+)"\}')
_CYCLES = re.compile(r'"estimated_cycles":"(\d+)"')
_PARTS = ("slice", "dynamic-slice", "gather")  # that read as much of their first operand as they give
_NO_CYCLES = 1 << 60  # what stands where nothing is known


@dataclasses.dataclass(frozen=True)
class Instruction:
    """An instruction of a program, as often as it runs.

    Attributes:
      name, op, shape: as in the text.
      times: number of its runs in a call of the program; a loop of unknown length counts as one round.
      bytes: bytes of its operands (where it reads parts of them, of those) and of its result, once, in the chip's
        memory: with the padding of their tiles, without values that stay in a core.
      flops: operations of convolutions and matrix products in it, once.
      kind: PRODUCTS, COPIES, REDUCTIONS or OTHERS.
      cycles: the compiler's estimate, once; None where it has none.
      module: of the network that wrote it, as "EDSR/body_0/conv1", with " backwards" of a gradient; "" where unknown.
    """

    name: str
    op: str
    shape: str
    times: int
    bytes: int
    flops: int
    kind: str
    cycles: int | None
    module: str


def size(shape):
    """Bytes of the arrays in the text of a shape."""
    return sum(_BYTES[dtype] * math.prod(int(dim) for dim in dims.split(",") if dim)
               for dtype, dims in _ARRAY.findall(shape))


def footprint(shape):
    """Bytes that the arrays in the text of a shape take in a chip's memory, those of a core's own memory left out.

    A TPU lays the last dimensions out in tiles, of 8 x 128 as a rule, so that an image of 3 channels can take 43 times
    its size.
    """
    total = 0
    for dtype, dims, order, laid in _LAID_OUT.findall(shape):
        if re.search(r"S\(\d", laid):
            continue
        dims = [int(dim) for dim in dims.split(",") if dim]
        tile = re.search(r"T\(([\d,]+)\)", laid)
        for dim, side in zip(order.split(","), reversed(tile[1].split(",")) if tile else (), strict=False):
            if dim:
                dims[int(dim)] = -(-dims[int(dim)] // int(side)) * int(side)
        total += _BYTES[dtype] * math.prod(dims)
    return total


def collectives(text):
    """[(op, number of them, bytes that they give together)] of a program, in the order of COLLECTIVES.

    One in a loop counts as often as it runs.
    """
    counts, sizes = collections.Counter(), collections.Counter()
    computations, times = _computations(text)
    for name, lines in computations.items():
        for match in filter(None, map(_INSTRUCTION.match, lines)):
            op = match[3].removesuffix("-start")
            if op in COLLECTIVES:
                shape = match[2]
                if match[3].endswith("-start") and op != "all-reduce":  # (what goes in, what comes out, ...)
                    shape = "".join(_ARRAY.search(shape, _ARRAY.search(shape).end()).group(0))
                counts[op] += times[name]
                sizes[op] += times[name] * size(shape)
    return [(op, counts[op], sizes[op]) for op in COLLECTIVES if counts[op]]


def instructions(text):
    """The Instructions of a program that take time: [Instruction], in its order, none within another."""
    computations, times = _computations(text)
    inner = {name for lines in computations.values() for line in lines
             if not re.search(r" (while|call|conditional)\(", line) for name in _called(line)}
    found = []
    for name, lines in computations.items():
        if name in inner or not times[name]:
            continue
        shapes = {}
        for line in lines:
            if not (match := _INSTRUCTION.match(line)):
                continue
            own, shape, op, operands = match.groups()
            shapes[own] = shape
            if op in _NOTHING or op.endswith("-done"):
                continue
            given = [shapes.get(operand, "") for operand in re.findall(r"%([\w.\-]+)", operands)]
            cycles = _CYCLES.search(line)
            cycles = int(cycles[1]) if cycles and int(cycles[1]) < _NO_CYCLES else None
            flops = _flops(line, op, shape, given, computations)
            moved = footprint(shape) + (0 if op.endswith("-start") else _read(line, op, shape, given, computations))
            found.append(Instruction(own, op, shape, times[name], moved, flops, _kind(line, op, flops, computations),
                                     cycles, module_of(line)))
    return found


def seconds(instruction, chip, dtype):
    """Least time of one run of an Instruction on a jsr.chips.Chip, s; 0 where nothing is known."""
    if chip.clock:
        return (instruction.cycles or 0) / (chip.clock * 1e9)
    return max(instruction.bytes / (chip.bandwidth * 1e9), instruction.flops / (chip.rates[dtype] * 1e12))


def module_of(line):
    """The module that wrote an instruction, of its text."""
    if not (match := re.search(r'op_name="([^"]*)"', line)):
        return ""
    parts = [part for part in match[1].split("/") if not re.fullmatch(r"jit\(.*\)|shard_map|shmap_body|while|body|cond|"
                                                                      r"closed_call|checkpoint|rematted_computation",
                                                                      part)]
    backwards = any(part.startswith("transpose(") for part in parts)
    names = [re.sub(r"^(?:transpose\(|jvp\(|vmap\()+|\)+$", "", part) for part in parts]
    names = [name for name in names if not name.startswith("jit(")]
    text = "/".join(filter(None, names[:-1])) or (names[-1] if names else "")
    return text + " backwards" * backwards


def _computations(text):
    """({name: lines} of all computations, {name: how often each runs in a call of the program})."""
    found, entry, name = {}, None, None
    for line in text.splitlines():
        if head := _COMPUTATION.match(line):
            name = head[2]
            found[name] = []
            entry = name if head[1] else entry
        elif line.startswith("}"):
            name = None
        elif name:
            found[name].append(line)
    times = dict.fromkeys(found, 0)

    def visit(name, count):
        times[name] += count
        for line in found[name]:
            trips = _trips(line, found) if " while(" in line else 1
            for called in _called(line):
                if called in found:
                    visit(called, count * trips)

    if entry:
        visit(entry, 1)
    return found, times


def _trips(line, computations):
    """Rounds of a loop: as it states them, or as it counts from 0 to a constant; 1 where neither is found."""
    if stated := _TRIPS.search(line):
        return int(stated[1])
    condition = "\n".join(itertools.chain(*(computations.get(name, ()) for name in
                                            re.findall(r"condition=%?([\w.\-]+)", line))))
    below = re.search(r"ROOT .* compare\([^%]*%[\w.\-]+, [^%]*(%[\w.\-]+)\), direction=LT", condition)
    constant = below and re.search(rf"{re.escape(below[1])} = s32\[\]\S* constant\((\d+)\)", condition)
    return int(constant[1]) if constant else 1


def _called(line):
    """Names of the computations that an instruction holds; of branches the first, since one of them runs."""
    if branches := _BRANCHES.search(line):
        return [branches[1].split(",")[0].strip().lstrip("%")]
    return _CALLED.findall(line)


def _read(line, op, shape, given, computations):
    """Bytes of its operands that an instruction reads."""
    if op in _PARTS:
        return footprint(shape)
    if op != "fusion":
        return sum(map(footprint, given))
    inner, parts = [line for name in _called(line) for line in computations.get(name, ())], {}
    numbers = {match[1]: int(number[1]) for line in inner if (match := _INSTRUCTION.match(line))
               and (number := re.search(r" parameter\((\d+)\)", line))}
    for match in filter(None, map(_INSTRUCTION.match, inner)):
        for place, operand in enumerate(re.findall(r"%([\w.\-]+)", match[4])):
            if operand in numbers:
                is_part = match[3] in _PARTS and not place
                parts.setdefault(numbers[operand], []).append(footprint(match[2]) if is_part else math.inf)
    return sum(min(footprint(its), sum(parts.get(number, [math.inf]))) for number, its in enumerate(given))


def _kind(line, op, flops, computations):
    if op.removesuffix("-start") in COLLECTIVES:
        return REDUCTIONS
    if flops or op in ("convolution", "dot") or _holds(line, computations, r" (convolution|dot)\("):
        return PRODUCTS
    if op.startswith(("copy", "transpose")) or re.match(r"\s*(ROOT )?%?(copy|(loop_)?transpose)[\w.\-]* = ", line):
        return COPIES
    return REDUCTIONS if _holds(line, computations, rf" ({'|'.join(COLLECTIVES)})(-start)?\(") else OTHERS


def _holds(line, computations, pattern):
    return any(re.search(pattern, inner) or _holds(inner, computations, pattern)
               for name in _called(line) for inner in computations.get(name, ()))


def _flops(line, op, shape, given, computations):
    """Of the convolutions and matrix products in an instruction."""
    target = re.search(r'custom_call_target="([^"]*)"', line)
    if target and "conv" in target[1] and (labels := re.search(r"dim_labels=\w+_(\w+)->", line)):
        gradient, kernel = given[:1], given[1:2]
        if "BackwardFilter" in target[1]:
            gradient, kernel = given[1:2], [shape]
        elif "BackwardInput" not in target[1]:
            gradient = [shape]
        return 2 * math.prod(_dims(gradient)) * math.prod(_dims(kernel)) // _dims(kernel)[labels[1].index("o")]
    if op == "dot" or target and ("gemm" in target[1] or "matmul" in target[1]):
        contracted = re.search(r'lhs_contracting_dim(?:ension)?s"?[=:][\{\[]([^\}\]]*)', line)
        if contracted and given:
            sides = _dims(given[:1])
            return 2 * math.prod(_dims([shape])) * math.prod(sides[int(d)] for d in re.findall(r"\d+", contracted[1]))
        return 0
    if op != "fusion":
        return 0
    total = 0
    for name in _called(line):
        shapes = {}
        for inner in computations.get(name, ()):
            if match := _INSTRUCTION.match(inner):
                shapes[match[1]] = match[2]
                its = [shapes.get(operand, "") for operand in re.findall(r"%([\w.\-]+)", match[4])]
                total += _flops(inner, match[3], match[2], its, computations)
    return total


def _dims(shapes):
    """Dimensions of the first array in the first of some shapes, () of none."""
    found = _ARRAY.search(shapes[0]) if shapes else None
    return [int(dim) for dim in found[2].split(",") if dim] if found else ()
