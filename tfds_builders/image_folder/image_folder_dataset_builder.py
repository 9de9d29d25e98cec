"""image_folder: images of the user's own, all that are below a folder."""

import dataclasses
import functools

import tensorflow_datasets as tfds

from jsr import degradations
from jsr.datasets import records
from jsr.datasets.collect import images_below
from jsr.datasets.cut import WHOLE, Cut
from jsr.datasets.folders_builder import manual_folder, unusable
from jsr.datasets.images_builder import HR, IMAGE_PROTOCOLS, ImagesBuilder, configs
from jsr.errors import UserError

_SPLITS = ("train", "validation", "test")


class Builder(ImagesBuilder):
    """Builder of `image_folder`.

    The settings are those of `jsr.datasets.cut.Cut`, and `each`, see `jsr.datasets.records.make`.
    """

    SETTINGS = {**dataclasses.asdict(WHOLE), "each": ""}
    VERSION = tfds.core.Version("1.5.0")
    RELEASE_NOTES = {**ImagesBuilder.RELEASE_NOTES,
                     "1.3.0": "Images are upright; the metadata holds the settings.",
                     "1.4.0": ImagesBuilder.RELEASE_NOTES["1.3.0"],
                     "1.5.0": ImagesBuilder.RELEASE_NOTES["1.4.0"]}
    BUILDER_CONFIGS = configs(*IMAGE_PROTOCOLS)
    LICENCE = "not known: images of the user's own"
    MANUAL_DOWNLOAD_INSTRUCTIONS = """
    A folder of images, at any depth and in .zip and .tar archives, or of the folders train, validation and test.
    """

    @classmethod
    def check(cls, config, settings):
        each = _form(settings)[1]
        if each and config == HR:
            raise UserError(f"{cls.name}/{config}: --each {each}: this config has no LR images; build one that has")
        if each:
            degradations.choices(config, each)

    def _work(self):
        form, each = _form(self._chosen())
        return functools.partial(records.prepare, protocol=self.protocol, folder=self.parts_dir, form=form, each=each)

    def _growth(self):
        form, each = _form(self._chosen())
        return (len(degradations.choices(self.protocol, each)) if each else 1) / form.shrink**2

    def _sources(self, dl_manager):
        folder = manual_folder(self, dl_manager)
        found = images_below(folder)
        if not found.files:
            raise UserError(f"{folder}: holds no images{unusable(found)}"
                            + (f" ({found.passed})" if found.passed.kinds else ""))
        if found.passed.kinds or found.unusable:
            said = [text for text in (str(found.passed), unusable(found).removeprefix("; ")) if text]
            self.announce(f"{folder}: {len(found.files):,} images; {'; '.join(said)}")
        root = f"{folder.absolute().as_posix()}/"
        splits = {}
        for path, source in sorted(found.files):
            split, _, name = path.removeprefix(root).partition("/")
            if name and split in _SPLITS:
                splits.setdefault(split, []).append((source, name))
        splits = splits or {"train": [(source, path.removeprefix(root)) for path, source in sorted(found.files)]}
        return {split: _named(files) for split, files in splits.items()}


def _form(settings):
    """The settings as (Cut, each)."""
    values = dict(settings)
    each = values.pop("each")
    return Cut(**values), each


def _named(files):
    """The sources by their places below the folder, with "__" for "/": another name where one is taken already."""
    taken, found = set(), []
    for source, place in files:
        name, number = place.replace("/", "__"), 1
        while name in taken:
            number += 1
            name = f"__{number}.".join(place.replace("/", "__").rsplit(".", 1))
        taken.add(name)
        found.append(dataclasses.replace(source, name=name))
    return found
