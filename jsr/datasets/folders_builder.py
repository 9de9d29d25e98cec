"""The common base of datasets that the user brings: folders of images or archives of them, in --manual_dir."""

import dataclasses
from pathlib import Path

from jsr.datasets.collect import images_below
from jsr.datasets.images_builder import IMAGE_PROTOCOLS, ImagesBuilder, configs
from jsr.errors import UserError

_NAMED = 5


@dataclasses.dataclass(frozen=True)
class Split:
    """The images of a split.

    Attributes:
      patterns: ends of their paths, see `jsr.datasets.collect.Found.matching`; the first that gives `count` images is
        taken.
      count: number of the images; None where it is not known.
      prefix: prefix of the records' names, where another split has the same ones.
    """

    patterns: tuple[str, ...]
    count: int | None = None
    prefix: str = ""


def benchmark_set(count, *names):
    """The SPLITS of a test set, by the layouts in which it goes round; `names` are those that its folder has."""
    layouts = ("{}/HR/{name}.*", "{}/test/HR/{name}.*", "{}_HR/{name}.*", "{}/original/{name}.*",
               *(f"{{}}*/image_SRF_{scale}/{{name}}_SRF_{scale}_HR.*" for scale in (4, 2, 3)),  # cropped to multiples
               "{}/GTmod12/{name}.*", "{}/{name}.*")
    return {"test": Split(tuple(layout.replace("{}", name) for layout in layouts for name in names), count)}


class FoldersBuilder(ImagesBuilder):
    """Base of the builders of such datasets: a subclass names its splits.

    A split of which there is nothing is left out, and announced; one that is not whole is a mistake.
    """

    BUILDER_CONFIGS = configs(*IMAGE_PROTOCOLS)
    HOME = ""  # where to get it, one line
    SPLITS = {}

    def __init_subclass__(cls, **kwargs):
        super().__init_subclass__(**kwargs)
        cls.MANUAL_DOWNLOAD_INSTRUCTIONS = (f"From {cls.HOME}, as folders or as .zip or .tar archives, with files "
                                            f"such as {_examples(cls.SPLITS)}")

    @property
    def splits(self):
        """{split: Split} of this config."""
        return self.SPLITS

    def _sources(self, dl_manager):
        folder = manual_folder(self, dl_manager)
        found = images_below(folder)
        named = {split: self._take(found, folder, split) for split in self.splits}
        missing = [split for split, sources in named.items() if not sources]
        if len(missing) == len(named):
            raise UserError(f"{folder}: holds no images of {self.name}; looked for files such as "
                            f"{_examples(self.splits)}, in folders and in .zip and .tar archives{unusable(found)}. "
                            f"Get them from {self.HOME}")
        for split in missing:
            self.announce(f"{self.name}: {folder} holds no images of the split {split}, it is left out"
                          f"{unusable(found)}")
        return {split: [dataclasses.replace(source, name=f"{self.splits[split].prefix}{name}")
                        for name, source in sources.items()] for split, sources in named.items() if sources}

    def _take(self, found, folder, split):
        """{name: Original} of a split, empty where there is nothing of it; raises UserError where it is not whole."""
        count, best = self.splits[split].count, {}
        for pattern in self.splits[split].patterns:
            named = found.matching(pattern)
            if named and count in (None, len(named)):
                return named
            best = max(best, named, key=len)
        if best:
            raise UserError(f"{folder}: holds {len(best):,} images of {self.name}'s split {split}, not {count:,}"
                            f"{_gaps(best, count)}{unusable(found)}. Get them from {self.HOME}")
        return {}


def only_listed(named, path):
    """Those of {name: Original} that a file lists, one name a line.

    Raises:
      UserError: the file cannot be read, or lists others too.
    """
    try:
        wanted = {Path(line).stem for line in path.read_text(encoding="utf-8").split()}
    except (OSError, ValueError) as e:  # of UTF-8
        raise UserError(f"{path}: cannot be read as a list of names ({getattr(e, 'strerror', None) or e})") from e
    if not wanted <= named.keys():
        raise UserError(f"{path}: lists images that are not there: {', '.join(sorted(wanted - named.keys())[:_NAMED])}")
    return {name: source for name, source in named.items() if name in wanted}


def manual_folder(builder, dl_manager):
    """The folder that the user named; raises UserError where there is none."""
    try:
        return Path(builder.manual_dir or dl_manager.manual_dir)
    except AssertionError:  # TFDS: there is no such folder
        raise UserError(f"{builder.name}: cannot be downloaded by a program; name the folder of your copy with "
                        f"--manual_dir. {builder.MANUAL_DOWNLOAD_INSTRUCTIONS}") from None


def _examples(splits):
    return " or ".join(dict.fromkeys(split.patterns[0] for split in splits.values()))


def _gaps(named, count):
    """The missing numbers, where the names are numbers."""
    if len(named) > count or not all(name.isdigit() for name in named):
        return ""
    width = len(next(iter(named)))
    missing = [name for name in (f"{n:0{width}d}" for n in range(1, count + 1)) if name not in named]
    return f": {', '.join(missing[:_NAMED])}{', ...' if len(missing) > _NAMED else ''} missing" if missing else ""


def unusable(found):
    """Words to add to a message that images are missing: archives that perhaps hold them; "" without any."""
    return f"; {', '.join(found.unusable[:_NAMED])}" if found.unusable else ""
