"""gtav: frames of Grand Theft Auto V, from VIPER's sequences and from GTA5; see README.md."""

from jsr._tfds_builders import folders


class Builder(folders.FoldersBuilder):
    """Builder of `gtav`."""

    LICENCE = "research and education only, by the authors' terms; the game's content is its publisher's"
    HOME = "https://playing-for-benchmarks.org/download/ and https://download.visinf.tu-darmstadt.de/data/from_games/"
    SPLITS = {
        "train": folders.Split(("train/img/*/{name}.*",), prefix="viper_train_"),
        "validation": folders.Split(("val/img/*/{name}.*",), prefix="viper_val_"),
        "test": folders.Split(("test/img/*/{name}.*",), prefix="viper_test_"),
        "stills": folders.Split(("GTA5/images/{number}.*", "*_images/images/{number}.*"), 24966),
    }

    def _take(self, found, folder, split):
        named, frames = super()._take(found, folder, split), folder / "gtav.txt"
        return folders.only_listed(named, frames) if split == "train" and frames.exists() else named
