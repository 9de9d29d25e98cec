"""The package whose folder is `tfds_builders`: `jsr.datasets.builders.photos.photos_dataset_builder` is a module.

So every process imports a builder by one name, whether that folder lies inside the package or beside it.
"""

from jsr import places

__path__ = [str(places.TFDS_BUILDERS)]
