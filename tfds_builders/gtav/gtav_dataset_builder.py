"""gtav: frames of Grand Theft Auto V, from VIPER's sequences and from GTA5; see README.md."""

from jsr.datasets.folders_builder import FoldersBuilder, Split, only_listed


class Builder(FoldersBuilder):
    """Builder of `gtav`."""

    LICENCE = "research and education only, by the authors' terms; the game's content is its publisher's"
    HOME = "https://playing-for-benchmarks.org/download/ and https://download.visinf.tu-darmstadt.de/data/from_games/"
    SPLITS = {
        "train": Split(("train/img/*/{name}.*",), prefix="viper_train_"),
        "validation": Split(("val/img/*/{name}.*",), prefix="viper_val_"),
        "test": Split(("test/img/*/{name}.*",), prefix="viper_test_"),
        "stills": Split(("GTA5/images/{number}.*", "*_images/images/{number}.*"), 24966),
    }

    def _take(self, found, folder, split):
        named, frames = super()._take(found, folder, split), folder / "gtav.txt"
        return only_listed(named, frames) if split == "train" and frames.exists() else named
