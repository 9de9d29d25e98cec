"""image_folder: images of the user's own, all that are below a folder."""

import dataclasses

from jsr._tfds_builders import common, folders
from jsr.data.collect import images_below
from jsr.errors import UserError

_SPLITS = ("train", "validation", "test")


class Builder(common.ImagesBuilder):
    """Builder of `image_folder`."""

    BUILDER_CONFIGS = common.configs(*common.IMAGE_PROTOCOLS)
    LICENCE = "not known: images of the user's own"
    MANUAL_DOWNLOAD_INSTRUCTIONS = """
    A folder of images, at any depth and in .zip and .tar archives, or of the folders train, validation and test.
    """

    def _sources(self, dl_manager):
        folder = folders.manual_folder(self, dl_manager)
        found = images_below(folder)
        if not found.files:
            raise UserError(f"{folder}: holds no images{folders.but(found)}")
        root = f"{folder.absolute().as_posix()}/"
        splits = {}
        for path, source in sorted(found.files):
            split, _, name = path.removeprefix(root).partition("/")
            if name and split in _SPLITS:
                splits.setdefault(split, []).append(_named(source, name))
        return splits or {"train": [_named(source, path.removeprefix(root)) for path, source in sorted(found.files)]}


def _named(source, name):
    return dataclasses.replace(source, name=name.replace("/", "__"))
