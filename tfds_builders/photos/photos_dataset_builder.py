"""photos: the colour photographs inside scikit-image's wheel; see README.md for where they come from."""

import importlib.util
from pathlib import Path

from jsr.datasets.images_builder import IMAGE_PROTOCOLS, ImagesBuilder, configs
from jsr.datasets.records import Original
from jsr.errors import UserError, install


class Builder(ImagesBuilder):
    """Builder of `photos`."""

    BUILDER_CONFIGS = configs(*IMAGE_PROTOCOLS)
    LICENCE = "public domain and CC0, but for the motorcycle pair (Middlebury 2014), which states none"
    SPLITS = {
        # The two motorcycle images are a stereo pair: they must stay on one side.
        "train": ("astronaut.png", "hubble_deep_field.jpg", "motorcycle_left.png", "motorcycle_right.png",
                  "retina.jpg"),
        "validation": ("chelsea.png", "coffee.png", "rocket.jpg"),
    }

    def _sources(self, dl_manager):
        del dl_manager
        folder = _photographs()
        return {split: [Original(Path(file).stem, str(folder / file)) for file in files]
                for split, files in self.SPLITS.items()}


def _photographs():
    # Found, not imported: scikit-image's own loader would want pooch and its cache.
    spec = importlib.util.find_spec("skimage")
    if spec is None:
        raise UserError(f"photos: its photographs come with scikit-image, which is missing; {install('demo')}")
    return Path(spec.submodule_search_locations[0]) / "data"
