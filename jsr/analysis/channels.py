"""Removes channels of a network: groups of channels, the importance of each, and the smaller network.

Which belong together is found out by asking the network, as jsr.reparam finds a kernel. Every convolution's output is
replaced by noise of its own; a change of one channel of one of them then shows, before the next convolution, in just
those inputs that depend on it, whatever lies between: additions, concatenations, shuffles, products, gates. Channels
that meet in one input stay or go together. Nothing is said of any one network (compare DepGraph, Fang et al., CVPR
2023, which follows the graph of operations).
"""

import dataclasses

from flax import traverse_util
import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from jsr import models
from jsr.layers.conv import Conv
from jsr.layers.rep import RepConv

_SEEN = 1e-4  # a change smaller than this, of noise of size 1, is rounding


@dataclasses.dataclass(frozen=True)
class Group:
    """Channels that stay or go together.

    Attributes:
      made: {path of a convolution: its output channels}, indices.
      used: {path of a convolution: its input channels}, indices.
      passed: {path of what works on each channel by itself, as a norm or a depthwise convolution: its channels}.
    """

    made: dict
    used: dict
    passed: dict


def groups(model, variables, input_shape=None):
    """The channels between a network's convolutions, as Groups; channels of its output are in none.

    Args:
      model: a network; its RepConvs are deployed.
      variables: its variables, or their shapes; values decide nothing.
      input_shape: shape of an input that it takes; None for networks of the zoo.

    Raises:
      ValueError: a RepConv in its training form, or a convolution in groups that is not depthwise.
    """
    if input_shape is None:
        card = models.card(model)
        input_shape = card.lr_shape(*(card.padding.target(16),) * 2)
    rng = np.random.default_rng(0)  # a channel that training has silenced must still show
    variables = jax.tree.map(lambda leaf: rng.uniform(0.5, 1.5, leaf.shape).astype(np.float32), variables)
    made = _convolutions(model, variables, input_shape)
    noise = {path: rng.normal(size=(1, *shape[1:])).astype(np.float32) for path, shape in made.items()}
    trace = _tracer(model, variables, input_shape, 1 + max(shape[-1] for shape in made.values()))
    sets = _Sets()
    for path, (*_, features) in made.items():
        change = np.zeros((1 + features, features), np.float32)
        change[1:] = np.eye(features)
        inputs, output = trace(noise, path, change)
        for user, changed in inputs.items():
            for channel, index in np.argwhere(changed):
                sets.join(("made", path, int(channel)), ("used", user, int(index)))
        for channel in range(features):
            sets.join(("made", path, channel), "output") if output[channel].any() else sets.add(("made", path, channel))
    found = []
    for members in sets.all():
        if "output" in members:
            continue
        parts = {"made": {}, "used": {}, "passed": {}}
        for kind, path, index in sorted(members):
            parts[kind if kind == "made" or path in made else "passed"].setdefault(path, []).append(index)
        found.append(Group(**parts))
    return sorted(found, key=lambda group: list(group.made.items()))


def norms(group, variables):
    """The size of a group's kernels: the sum of absolute values over the output channels in it (Li et al., 2017)."""
    flat = traverse_util.flatten_dict(variables["params"])
    return float(sum(np.abs(np.asarray(flat[*path, "kernel"])[..., channels]).sum()
                     for path, channels in group.made.items()))


def without(group, variables):
    """Variables of the same shapes in which nothing reads the group's channels any more."""
    flat = traverse_util.flatten_dict(variables)
    for path, channels in group.used.items():
        key = "params", *path, "kernel"
        flat[key] = jnp.asarray(flat[key]).at[..., jnp.asarray(channels), :].set(0)
    return traverse_util.unflatten_dict(flat)


def select(found, scores, before, after):
    """Decides which channels stay, as many as a smaller network has.

    Args:
      found: the larger network's Groups.
      scores: a number each; within every family of groups of the same convolutions, the largest stay.
      before, after: abstract variables of the two networks.

    Returns:
      {(collection, *path): tuple of index arrays, one a dimension}, for `take`.

    Raises:
      ValueError: the smaller network's shapes cannot be had by leaving channels out.
    """
    before, after = (traverse_util.flatten_dict(tree) for tree in (before, after))
    if before.keys() != after.keys():
        first = "/".join(sorted(before.keys() ^ after.keys())[0])
        raise ValueError(f"the smaller network has other parameters, first {first}")
    families = {}
    for group, score in zip(found, scores, strict=True):
        families.setdefault(tuple(group.made), []).append((score, group))
    dropped = {}  # {(attribute of Group, path): channels}
    for paths, members in families.items():
        kernel = ("params", *paths[0], "kernel")
        a_group = len(members[0][1].made[paths[0]])
        surplus, rest = divmod(before[kernel].shape[-1] - after[kernel].shape[-1], a_group)
        if rest or not 0 <= surplus < len(members):
            raise ValueError(f"{'/'.join(paths[0])}: its channels go {a_group} at a time, which does not lead from "
                             f"{before[kernel].shape[-1]} to {after[kernel].shape[-1]}")
        members.sort(key=lambda member: member[0])
        for _, group in members[:surplus]:
            for part in ("made", "used", "passed"):
                for path, channels in getattr(group, part).items():
                    dropped.setdefault((part, path), set()).update(channels)
    taken = {}
    for key, leaf in before.items():
        module, axes = key[1:-1], {}
        last = dropped.get(("made", module), set()) | dropped.get(("passed", module), set())
        if leaf.ndim:
            axes[leaf.ndim - 1] = last
        if key[-1] == "kernel":
            axes[leaf.ndim - 2] = dropped.get(("used", module), set())
        indices = tuple(np.array([i for i in range(size) if i not in axes.get(axis, ())], int)
                        for axis, size in enumerate(leaf.shape))
        if tuple(map(len, indices)) != after[key].shape:
            raise ValueError(f"{'/'.join(key[1:])}: without the channels it is {tuple(map(len, indices))}, and "
                             f"{after[key].shape} in the smaller network")
        taken[key] = indices
    return taken


def take(variables, indices):
    """The part of each variable that `select` decided on."""
    flat = traverse_util.flatten_dict(variables)
    return traverse_util.unflatten_dict({key: np.asarray(leaf)[np.ix_(*indices[key])] if indices[key] else leaf
                                         for key, leaf in flat.items()})


def _convolutions(model, variables, input_shape):
    """{path: shape of the output} of the convolutions and dense layers that make new channels."""
    found = {}

    def note(call, args, kwargs, context):
        if isinstance(context.module, RepConv) and not context.module.deploy:
            raise ValueError(f"{'/'.join(context.module.path)} is in its training form; fuse the network first")
        y = call(*args, **kwargs)
        if _makes_channels(context, args):
            found[context.module.path] = y.shape
        return y

    with nn.intercept_methods(note):
        jax.eval_shape(lambda *a: model.apply(*a), variables, jax.ShapeDtypeStruct(input_shape, jnp.float32))
    return found


def _makes_channels(context, args):
    module = context.module
    if context.method_name != "__call__" or not isinstance(module, (Conv, nn.Dense)):
        return False
    groups = getattr(module, "groups", 1)
    if groups not in (1, args[0].shape[-1]):
        raise ValueError(f"{'/'.join(module.path)}: convolves in {groups} groups, whose channels cannot be left out")
    return groups == 1


def _tracer(model, variables, input_shape, samples):
    """A function that tells what depends on the output channels of one convolution, all others left as they are.

    Args of it: {path of each convolution: what stands for its output}, the path of the one that changes, and what is
    added to that (1 + features, features); the first row is the comparison.

    Returns of it: ({path of a module with parameters: bool (features, its input channels)}, the same of the output).
    """
    holders = {key[:-1] for key in traverse_util.flatten_dict(variables["params"])}

    @jax.jit
    def run(outputs):  # the convolutions themselves are never computed, nor compiled
        seen = {}

        def replace(call, args, kwargs, context):
            path = context.module.path
            if context.method_name == "__call__" and path in holders:
                seen[path] = seen.get(path, False) | _differs(args[0])
            y = call(*args, **kwargs)
            return jnp.broadcast_to(outputs[path], y.shape) if _makes_channels(context, args) else y

        with nn.intercept_methods(replace):
            sr = model.apply(variables, jnp.full((samples, *input_shape[1:]), 0.5))
        return seen, _differs(models.outputs(sr)["sr"])

    def trace(noise, path, change):
        one = noise[path]
        change = np.pad(change, ((0, samples - len(change)), (0, 0)))
        outputs = {other: np.broadcast_to(value, (samples, *value.shape[1:])) for other, value in noise.items()}
        outputs[path] = one + change.reshape(samples, *[1] * (one.ndim - 2), -1)
        return jax.device_get(run(outputs))

    return trace


def _differs(x):
    """Bool (samples - 1, channels): where a sample differs from the first one, or is no number."""
    return ~(jnp.abs(x[1:] - x[:1]).reshape(len(x) - 1, -1, x.shape[-1]).max(1) <= _SEEN)


class _Sets:
    """Disjoint sets that are joined (union-find)."""

    def __init__(self):
        self._parent = {}

    def add(self, item):
        self._parent.setdefault(item, item)
        while self._parent[item] != item:
            item = self._parent[item]
        return item

    def join(self, a, b):
        self._parent[self.add(a)] = self.add(b)

    def all(self):
        members = {}
        for item in self._parent:
            members.setdefault(self.add(item), []).append(item)
        return list(members.values())
