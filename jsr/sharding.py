"""The places of arrays: a mesh of devices, batches split over its axes, a state on each device or split over all.

The axis `data` splits a batch by samples, the axis `rows` every image of it by rows. The same jitted step runs on one
device or many; only shardings differ. A state keeps every kind of a network's parameters (the parameters, their
average, an optimizer's moments) as one vector, `Flat`, so that an update is a few kernels instead of a few for every
array; each device has all of it or, of a state that is "sharded", a part. Checkpoints and model files have the arrays
by their names.
"""

import dataclasses
import functools
import math
from typing import Any

import jax
from jax.flatten_util import ravel_pytree
import jax.numpy as jnp
from jax.sharding import Mesh, NamedSharding, PartitionSpec
import numpy as np

from jsr.errors import UserError

DATA, ROWS = "data", "rows"
AXES = (DATA, ROWS)


def make_mesh(devices=None, axes=None):
    """The mesh of a training.

    Args:
      devices: in the order of their processes; all devices of all processes by default.
      axes: {"data", "rows": number of devices}, -1 for all that are left; an axis that is not named has one device,
        but {} or None is {"data": -1}.

    Returns:
      jax.sharding.Mesh with the axes `data` and `rows`.

    Raises:
      UserError: an unknown axis, numbers whose product is not the number of devices, or rows over several processes.
    """
    devices, asked = np.asarray(jax.devices() if devices is None else devices), dict(axes or {DATA: -1})
    if unknown := [name for name in asked if name not in AXES]:
        raise UserError(f"mesh: no axis {unknown[0]!r}; there are {' and '.join(AXES)}")
    sizes = [asked.get(name, 1) for name in AXES]
    if any(type(size) is not int or size < 1 and size != -1 for size in sizes) or sizes.count(-1) > 1:
        raise UserError(f"mesh: {asked}; give whole numbers above 0, or once -1 for all remaining devices")
    known = math.prod(size for size in sizes if size != -1)
    sizes = [devices.size // known if size == -1 else size for size in sizes]
    if math.prod(sizes) != devices.size:
        raise UserError(f"mesh: {asked} does not fit the {devices.size} device{'s' * (devices.size > 1)} of this job; "
                        f"give numbers whose product is {devices.size}, or data=-1 for all remaining devices")
    grid = devices.reshape(sizes)
    if any(len({device.process_index for device in row}) > 1 for row in grid):
        raise UserError(f"mesh: rows={sizes[1]} would split images over several processes; give at most the number of "
                        "devices of one process")
    return Mesh(grid, AXES)


def mesh_of(tree):
    """The mesh that the arrays of a tree lie on; None of arrays that lie on a single device without one."""
    shardings = (getattr(leaf, "sharding", None) for leaf in jax.tree.leaves(tree))
    return next((its.mesh for its in shardings if isinstance(its, NamedSharding)), None)


def replicated(mesh):
    """The sharding of parameters: a copy on every device."""
    return NamedSharding(mesh, PartitionSpec())


def batched(mesh, ndim=1):
    """The sharding of an array of a batch: samples (axis 0) over `data`; with 4 dimensions or more, (..., H, W, C), its
    rows over `rows`."""
    rows = (*(None,) * (ndim - 4), ROWS) if ndim >= 4 else ()
    return NamedSharding(mesh, PartitionSpec(DATA, *rows))


def check_batch(batch, mesh):
    """Raises UserError unless `batch` samples divide evenly over the mesh's axis `data`."""
    count = mesh.shape[DATA]
    if batch % count:
        raise UserError(f"batch {batch} cannot be split evenly over {count} devices; "
                        f"use a multiple of {count} (--config.stages[0].batch=...)")


def check_rows(batch, mesh):
    """Raises UserError unless the images of a batch, {key: array or its shape}, divide evenly over the axis `rows`."""
    count = mesh.shape[ROWS]
    for key, image in batch.items():
        if len(image.shape) >= 4 and image.shape[-3] % count:
            raise UserError(f"the {image.shape[-3]} rows of {key} cannot be split evenly over {count} devices; choose "
                            "another crop (--config.stages[0].crop=...), or fewer rows (--config.mesh.rows=...)")


def put_batch(batch, mesh):
    """This process's slice of a batch (dict of numpy arrays) as global arrays, split over the devices."""
    return {key: jax.make_array_from_process_local_data(batched(mesh, value.ndim), value)
            for key, value in batch.items()}


def by_samples(fn, mesh):
    """A function of a batch to a batch, dicts of arrays, in which each device sees its samples alone.

    XLA does not always find that they do not depend on each other, and moves images between devices. `mesh` may be
    None.
    """
    if mesh is None or mesh.size == 1:
        return fn
    part = PartitionSpec(DATA)
    return jax.shard_map(fn, mesh=mesh, in_specs=part, out_specs=part, check_vma=False)


# ---- the mean over devices -------------------------------------------------------------------------------------------


def means_over(fn, mesh, flat=None):
    """A function of a batch, computed by each device on its samples alone; then the mean, in one float32 reduction.

    XLA would sum gradients where it finds them first: in bfloat16 where a network computes so, those of a shared table
    once for every place that it is read, and those of a part of a batch at every part.

    Args:
      fn: function of (variables, batch, key) to (statistics, results), trees of arrays; what it gives for a batch is
        the mean of what it gives for equal parts, and statistics do not depend on the batch. Beneath it
        `whole_batch` knows of the device's part.
      mesh: Mesh without `rows`.
      flat: {name in results["nets"]: a Flat of the form that its tree is to get}.

    Returns:
      A function of the same arguments, variables on every device and batch split over `data`, to the same.
    """
    count, flat = mesh.shape[DATA], flat or {}

    def on_each(variables, batch, key):
        statistics, results = fn(variables, batch, key)
        nets = results["nets"] | {name: its.alike(results["nets"][name]) for name, its in flat.items()}
        apart = {name: nets.pop(name) for name, its in flat.items() if its.split}
        rest = results | {"nets": nets}
        vector, restored = ravel_pytree(rest)
        rest = restored(jax.lax.pmean(vector.astype(jnp.float32), DATA).astype(vector.dtype))
        apart = {name: dataclasses.replace(its, vector=jax.lax.psum_scatter(its.vector, DATA, tiled=True) / count)
                 for name, its in apart.items()}
        return statistics, rest, apart

    everywhere, parted = PartitionSpec(), PartitionSpec(DATA)
    # What is replicated is so by construction; JAX's own check would want it said within every loop of a network.
    mapped = jax.shard_map(on_each, mesh=mesh, in_specs=(everywhere, parted, everywhere),
                           out_specs=(everywhere, everywhere, parted), check_vma=False)

    def call(variables, batch, key):
        statistics, rest, apart = mapped(variables, batch, key)
        return statistics, rest | {"nets": rest["nets"] | apart}

    return call


def whole_batch(draw, count):
    """A function's draws for each sample: `draw(count)`, and beneath `means_over` this device's part of all draws.

    Args:
      draw: function of a number of samples to an array with a row for each.
      count: samples at hand.
    """
    try:
        devices, index = jax.lax.axis_size(DATA), jax.lax.axis_index(DATA)
    except NameError:  # no such axis here
        return draw(count)
    return jax.lax.dynamic_slice_in_dim(draw(devices * count), index * count, count)


# ---- a state of vectors ----------------------------------------------------------------------------------------------


@functools.partial(jax.tree_util.register_dataclass, data_fields=["vector"],
                   meta_fields=["mesh", "split", "structure", "shapes"])
@dataclasses.dataclass(frozen=True)
class Flat:
    """A tree of float32 arrays as one vector; what computes element by element takes it for a tree of one array.

    Attributes:
      vector: float32 (N,), the arrays in the tree's order; split over devices, then zeros up to a multiple of them.
      mesh: Mesh that it lies on.
      split: whether each device has a part of it, not all.
      structure: jax.tree_util.PyTreeDef of the tree.
      shapes: shapes of its arrays.
    """

    vector: Any
    mesh: Mesh
    split: bool
    structure: Any
    shapes: tuple

    @classmethod
    def of(cls, tree, mesh, split):
        """The Flat of a tree."""
        leaves, structure = jax.tree.flatten(tree)
        return cls(None, mesh, split, structure, tuple(leaf.shape for leaf in leaves)).alike(tree)

    def alike(self, tree):
        """A Flat of the same form, of another tree of the same structure and shapes."""
        return self._of_rows([jnp.ravel(leaf) for leaf in jax.tree.leaves(tree)])

    @property
    def sharding(self):
        """Where the vector lies."""
        return NamedSharding(self.mesh, PartitionSpec(AXES) if self.split else PartitionSpec())

    @property
    def laid(self):
        """The same with its vector where it is to lie, within a step."""
        return dataclasses.replace(self, vector=jax.lax.with_sharding_constraint(self.vector, self.sharding))

    @property
    def tree(self):
        """The tree, on every device."""
        vector = jax.lax.with_sharding_constraint(self.vector, replicated(self.mesh))
        return self.structure.unflatten([vector[start:end].reshape(shape)
                                         for (start, end), shape in zip(self._places, self.shapes, strict=True)])

    def each(self, numbers):
        """A Flat of the same form, of a tree that has a number for each array; of one number where all are equal."""
        numbers = self.structure.flatten_up_to(numbers)
        if all(isinstance(number, float) and number == numbers[0] for number in numbers):
            return dataclasses.replace(self, vector=jnp.float32(numbers[0]))
        return self._of_rows([jnp.full(end - start, number, jnp.float32)
                              for (start, end), number in zip(self._places, numbers, strict=True)])

    def __getitem__(self, name):
        """What is in the part of the tree of that name: a vector of it, or where that is split of all, with zeros for
        the rest."""
        inside = jax.tree.leaves(self.structure.unflatten(self._places)[name], is_leaf=lambda node: type(node) is tuple)
        start, end = inside[0][0], inside[-1][1]  # the arrays of a part follow each other
        if not self.split:
            return self.vector[start:end]
        places = jax.lax.iota(jnp.int32, self.vector.size)
        return jnp.where((places >= start) & (places < end), self.vector, 0)

    @property
    def _places(self):
        ends = np.cumsum([math.prod(shape) for shape in self.shapes]).tolist()
        return [(end - math.prod(shape), end) for end, shape in zip(ends, self.shapes, strict=True)]

    def _of_rows(self, rows):
        padding = -self._places[-1][1] % self.mesh.size if self.split else 0
        return dataclasses.replace(self, vector=jnp.concatenate([*rows, jnp.zeros(padding, jnp.float32)]))


def flattened(tree, like, mesh, split):
    """A tree with whatever in it has the structure and shapes of `like`, a tree of float32 arrays, as a Flat."""
    structure, shapes = jax.tree.structure(like), [leaf.shape for leaf in jax.tree.leaves(like)]

    def is_alike(node):
        return jax.tree.structure(node) == structure and [
            getattr(leaf, "shape", None) for leaf in jax.tree.leaves(node)] == shapes

    return jax.tree.map(lambda node: Flat.of(node, mesh, split) if is_alike(node) else node, tree, is_leaf=is_alike)


def named(tree):
    """A tree with every Flat as the tree that it was made of."""
    return jax.tree.map(lambda node: node.tree if _is_flat(node) else node, tree, is_leaf=_is_flat)


def flats(tree):
    """The Flats in a tree."""
    return [node for node in jax.tree.leaves(tree, is_leaf=_is_flat) if _is_flat(node)]


def shardings(tree, mesh):
    """The shardings of a state: every Flat as it says, all else on each device."""
    def of(node):
        its = node.sharding if _is_flat(node) else replicated(mesh)
        return jax.tree.map(lambda leaf: its, node)

    return jax.tree.map(of, tree, is_leaf=_is_flat)


def _is_flat(node):
    return isinstance(node, Flat)
