"""Pickles as PyTorch writes them, read without running anything.

Unpickling makes objects by importing and calling what a file names. Here a name stays a name: the caller has a function
for each of a few, and every other one stands for an inert object, which keeps what it was called with. Nothing is
imported. `pickletools` of the standard library parses the file; what its instructions do is below, and no others are
known.
"""

from collections.abc import Callable, Container, Iterable, Mapping
import dataclasses
import io
import pickletools
from typing import Any

_MOST = 3_000_000  # instructions, which may take 100 bytes of memory each; 10,000 tensors are a tenth of them
_VALUES = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False, "EMPTY_TUPLE": ()}
_PUSHED = {"BININT", "BININT1", "BININT2", "LONG1", "LONG4", "BINFLOAT", "BINUNICODE", "SHORT_BINUNICODE",
           "BINUNICODE8", "BINBYTES", "SHORT_BINBYTES", "BINBYTES8"}
_LENGTHS = {"TUPLE1": 1, "TUPLE2": 2, "TUPLE3": 3}


@dataclasses.dataclass(frozen=True, eq=False, slots=True)
class Named:
    """A class or a function by its name, "torch.FloatStorage"."""

    name: str


@dataclasses.dataclass(eq=False, slots=True)
class Made:
    """The object that a class or a function would have made: its arguments `args`, and its `state`."""

    name: str
    args: tuple
    state: Any = None


class Set(list):
    """The values of a set, which are not compared: that could go without end."""


_EMPTY = {"EMPTY_DICT": dict, "EMPTY_LIST": list, "EMPTY_SET": Set}


def load(file: io.BytesIO, makers: Mapping[str, Callable[..., Any]], allowed: Container[str],
         persistent: Callable[..., Any], unknown: Callable[[str], Any]) -> Any:
    """Reads the pickle at which a file stands, and leaves the file behind it.

    Args:
      file: in memory, so that a length that is stated takes no more than there is.
      makers: {name: function}, called in place of what has the name.
      allowed: further names.
      persistent: called with what a pickle says of values that lie beside it.
      unknown: called with every other name.

    Returns:
      Dicts, lists, Sets, tuples, strings, bytes, numbers, Named, Made, and what the `makers` return.

    Raises:
      ValueError: damaged; too long; an instruction that no checkpoint has.
      Exception: whatever else damage leads to.
    """
    stack, outer, memo = [], [], {}

    def since_mark():
        nonlocal stack
        found, stack = stack, outer.pop()
        return found

    def name(text):
        if text not in makers and text not in allowed:
            unknown(text)
        return Named(text)

    def call(target, args):
        if target.name in allowed or not isinstance(args, tuple):
            raise ValueError(f"{target.name} is called")
        return makers[target.name](*args) if target.name in makers else Made(target.name, args)

    ops: Iterable[tuple[Any, Any, Any]] = pickletools.genops(file)
    for count, (code, arg, _) in enumerate(ops):
        if count > _MOST:
            raise ValueError(f"more than {_MOST} instructions")
        match code.name:
            case "PROTO" | "FRAME":
                pass
            case "STOP":
                return stack.pop()
            case "MARK":
                outer.append(stack)
                stack = []
            case key if key in _VALUES:
                stack.append(_VALUES[key])
            case key if key in _EMPTY:
                stack.append(_EMPTY[key]())
            case key if key in _PUSHED:
                stack.append(arg)
            case "SHORT_BINSTRING" | "BINSTRING":  # Python 2's
                stack.append(str(arg).encode("latin-1").decode())
            case "BINPUT" | "LONG_BINPUT":
                memo[arg] = stack[-1]
            case "MEMOIZE":
                memo[len(memo)] = stack[-1]
            case "BINGET" | "LONG_BINGET":
                stack.append(memo[arg])
            case "TUPLE" | "FROZENSET":
                found = tuple(since_mark())
                stack.append(found)
            case key if key in _LENGTHS:
                found = [stack.pop() for _ in range(_LENGTHS[key])]
                stack.append(tuple(reversed(found)))
            case "APPEND":
                _add(stack[-2], [stack.pop()])
            case "APPENDS" | "ADDITEMS":
                found = since_mark()
                _add(stack[-1], found)
            case "SETITEM":
                value, key = stack.pop(), stack.pop()
                _put(stack[-1], [key, value])
            case "SETITEMS":
                found = since_mark()
                _put(stack[-1], found)
            case "GLOBAL":
                module, _, rest = str(arg).partition(" ")
                stack.append(name(f"{module}.{rest}".replace("__builtin__.", "builtins.")))
            case "STACK_GLOBAL":
                rest = stack.pop()
                stack.append(name(f"{stack.pop()}.{rest}"))
            case "REDUCE" | "NEWOBJ":
                args, target = stack.pop(), stack.pop()
                if code.name == "NEWOBJ" and target.name in makers and target.name.rpartition(".")[2].startswith("_"):
                    raise ValueError(f"{target.name} is no class")
                stack.append(call(target, args))
            case "BUILD":
                _build(stack[-2], stack.pop())
            case "BINPERSID":
                stack.append(persistent(*stack.pop()))
            case _:
                raise ValueError(f"an instruction that no checkpoint has ({code.name})")
    raise ValueError("ends too early")


def items(pairs=()):
    """A dict of another one or of pairs, with the keys that a checkpoint has."""
    found = {}
    for key, value in pairs.items() if isinstance(pairs, dict) else pairs:
        _put(found, [key, value])
    return found


def _add(target, values):
    """Adds values to a list; what is inert stays as it is."""
    if isinstance(target, list):
        target.extend(values)
    elif not isinstance(target, Made):
        raise ValueError("items are added to something that is no list")


def _put(found, pairs):
    """Puts [key, value, key, value...] into a dict; what is inert stays as it is."""
    if isinstance(found, Made):
        return
    if type(found) is not dict:
        raise ValueError("keys are added to something that is no dict")
    for key, value in zip(pairs[::2], pairs[1::2], strict=True):
        # Others may be without end inside, or chosen so that a dict of them takes for ever.
        if not (key is None or isinstance(key, (str, bytes)) or isinstance(key, int) and abs(key) < 1 << 60):
            raise ValueError("a key that no checkpoint has")
        found[key] = value


def _build(target, state):
    """Puts a state into an object; a dict has attributes, which nobody needs."""
    if isinstance(target, Made):
        target.state = state
    elif hasattr(target, "set_state"):
        target.set_state(state)
    elif type(target) is not dict:
        raise ValueError("a state is given to something that is no object")
