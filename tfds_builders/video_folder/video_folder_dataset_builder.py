"""video_folder: the user's own videos."""

from jsr import images, listing
from jsr.datasets.clips_builder import ClipsBuilder
from jsr.datasets.folders_builder import manual_folder
from jsr.datasets.videos import Clip
from jsr.degradations.degrade_folder import VIDEOS
from jsr.errors import UserError

_SPLITS = ("train", "validation", "test")


class Builder(ClipsBuilder):
    """Builder of `video_folder`."""

    LICENCE = "not known: videos of the user's own"
    MANUAL_DOWNLOAD_INSTRUCTIONS = """
    A folder of videos (.mkv, .mp4, ...) at any depth, or of the folders train, validation and test.
    """

    def _sources(self, dl_manager):
        folder = manual_folder(self, dl_manager)
        splits = {name: folder / name for name in _SPLITS if (folder / name).is_dir()}
        passed = listing.PassedOver()
        found = {split: _clips(place, passed) for split, place in (splits or {"train": folder}).items()}
        if passed.kinds:
            self.announce(f"{folder}: {sum(map(len, found.values())):,} videos; {passed}")
        return found


def _clips(folder, passed):
    by_stem = {}
    for path in images.list_images(folder, VIDEOS, passed=passed):
        if path.stem in by_stem:
            raise UserError(f"{path}: has the same stem as {by_stem[path.stem].name}; rename or remove one")
        by_stem[path.stem] = path
    return [Clip(stem, str(path)) for stem, path in by_stem.items()]
