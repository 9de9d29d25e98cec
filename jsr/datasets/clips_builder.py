"""The common base of the datasets of videos."""

import functools

import numpy as np
import tensorflow_datasets as tfds

from jsr import degradations
from jsr.datasets import videos
from jsr.datasets.images_builder import HR, ImagesBuilder
from jsr.errors import UserError

VIDEO_PROTOCOLS = tuple(name for name, protocol in degradations.PROTOCOLS.items() if protocol.video)


class ClipsBuilder(ImagesBuilder):
    """Base of the builders of videos: a subclass names its sources, as `jsr.datasets.videos.Clip`.

    Attributes:
      MULTIPLE: number that height and width of the HR clips must be multiples of, px.

    The setting `keyint`: 0 keeps the HR files as they are; else they are encoded anew, lossless, with a key frame every
    so many frames, so that training decodes less for a window.
    """

    SETTINGS = {"keyint": 0}
    BUILDER_CONFIGS = [
        tfds.core.BuilderConfig(name=HR, description="HR clips."),
        *(tfds.core.BuilderConfig(name=name, description=f"HR clips and the LR clips of the protocol {name}.")
          for name in VIDEO_PROTOCOLS)]
    VERSION = tfds.core.Version("1.2.0")
    RELEASE_NOTES = {"1.0.0": "First version.", "1.1.0": "The metadata holds the names of the records.",
                     "1.2.0": "An LR clip's record names what encoded and what decodes it."}
    UNIT = "clips"
    PER_SHARD = 1  # a second of lossless HD is some 5 MB
    MULTIPLE = 8

    def _info(self):
        features = {key: np.int32 for key in ("height", "width", "source_height", "source_width", "frames")}
        features |= {"name": tfds.features.Text(), "hr": tfds.features.Text(), "fps": np.float32}
        if self.protocol:
            features |= {"lr": tfds.features.Text(), "degradation": tfds.features.Text()}
        return self.dataset_info_from_configs(features=tfds.features.FeaturesDict(features),
                                              metadata=tfds.core.MetadataDict(cropped={}, names={}, **self.SETTINGS))

    @classmethod
    def check(cls, config, settings):
        if settings["keyint"] < 0:
            raise UserError(f"{cls.name}: --keyint {settings['keyint']}; give 1 or more frames, or 0 to keep the files")

    def _work(self):
        return functools.partial(videos.prepare, protocol=self.protocol, folder=self.parts_dir, multiple=self.MULTIPLE,
                                 **self._chosen())
