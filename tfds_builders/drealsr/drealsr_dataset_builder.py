"""drealsr: real LR and HR photographs of the same scenes, as released and as AIM 2020 gave them out; see README.md."""

import functools
import re

import tensorflow_datasets as tfds

from jsr.datasets import pairs
from jsr.datasets.folders_builder import FoldersBuilder, Split, only_listed
from jsr.errors import UserError

SCALES = (4, 3, 2)
# Of the HR images; those of the LR images have LR in the place of HR.
_RELEASED = {
    "train": Split(("Train_x{}/train_HR/{name}.*",)),
    "test": Split(("Test_x{}/test_HR/{name}.*",), prefix="test_"),
}
_AIM20 = {
    "train": Split(("X{}/HR/{number}.*",)),
    "validation": Split(("X{}/valid/HR/{number}.*",), prefix="valid_"),
}
_FORMS = {"": _RELEASED, "aim20_": _AIM20, "aim20_washed_": _AIM20, "aim20_psnr29_": _AIM20}
_LEAST_PSNR = 29.0  # dB, of the training pairs of `aim20_psnr29_x4` and so on


def _of_scale(form, scale):
    return {name: Split(tuple(pattern.replace("{}", str(scale)) for pattern in split.patterns),
                                prefix=split.prefix)
            for name, split in form.items()}


class Builder(FoldersBuilder):
    """Builder of `drealsr`."""

    BUILDER_CONFIGS = [tfds.core.BuilderConfig(name=f"{form}x{scale}", description=f"Pairs of scale {scale}.")
                       for form in _FORMS for scale in SCALES]
    LICENCE = "none stated; made available for research"
    HOME = "https://github.com/xiezw5/Component-Divide-and-Conquer-for-Real-World-Image-Super-Resolution"
    SPLITS = _of_scale(_RELEASED, SCALES[0])

    @property
    def scale(self):
        """HR size over LR size."""
        return int(self.builder_config.name[-1])

    @property
    def splits(self):
        """{split: Split} of this config."""
        return _of_scale(_FORMS[self.builder_config.name[:-2]], self.scale)

    def _take(self, found, folder, split):
        """{name: OriginalPair} of a split; raises UserError where an HR image has no LR image."""
        hrs = super()._take(found, folder, split)
        if split == "train" and hrs and "washed" in self.builder_config.name:
            hrs = only_listed(hrs, folder / f"x{self.scale}_clean_img_id.txt")
        place, = (pattern.replace("HR/", "LR/") for pattern in self.splits[split].patterns)
        lrs = {_scene(name): source for name, source in found.matching(place).items()}
        alone = [name for name in hrs if _scene(name) not in lrs]
        if alone:
            raise UserError(f"{folder}: {len(alone):,} HR images of {self.name}'s split {split} have no LR image, as "
                            f"{alone[0]}; looked for {place}. To be had from {self.HOME}")
        least = _LEAST_PSNR if split == "train" and "psnr29" in self.builder_config.name else 0.0
        return {name: pairs.OriginalPair(name, hr, lrs[_scene(name)], self.scale, least) for name, hr in hrs.items()}

    def _work(self):
        return functools.partial(pairs.prepare, folder=self.parts_dir)


def _scene(name):
    """What an HR image's name has in common with its LR image's: Canon_10_x4 and Canon_10_x1."""
    return re.sub(r"_x[1-4](?=_|$)", "", name)
