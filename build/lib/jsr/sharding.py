"""Where arrays live: one mesh over all devices, the batch split over its axis `data`, everything else on each.

The same jitted step runs on one device or many; only these shardings differ. (`jax.pmap` is today a maintenance
shell over exactly this mechanism, which is why the project uses jit and shardings directly.)
"""

import jax
from jax.sharding import Mesh, NamedSharding, PartitionSpec
import numpy as np

from jsr.errors import UserError


def make_mesh(devices=None):
    """A one-dimensional mesh with the axis `data` over `devices` (all devices of all processes by default)."""
    return Mesh(np.asarray(devices if devices is not None else jax.devices()), ("data",))


def replicated(mesh):
    """The sharding of parameters: a copy on every device."""
    return NamedSharding(mesh, PartitionSpec())


def batched(mesh):
    """The sharding of batches: axis 0 split over `data`."""
    return NamedSharding(mesh, PartitionSpec("data"))


def check_batch(batch, mesh):
    """Raises UserError unless `batch` samples divide evenly over the mesh's devices."""
    if batch % mesh.size:
        raise UserError(f"batch {batch} cannot be split evenly over {mesh.size} devices; "
                        f"use a multiple of {mesh.size} (--config.stages[0].batch=...)")


def put_batch(batch, mesh):
    """This process's slice of a batch (dict of numpy arrays) as global arrays, split over the devices."""
    return {key: jax.make_array_from_process_local_data(batched(mesh), value) for key, value in batch.items()}
