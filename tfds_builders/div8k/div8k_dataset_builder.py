"""div8k: the 1500 training images of DIV8K."""

from jsr.datasets.folders_builder import FoldersBuilder, Split


class Builder(FoldersBuilder):
    """Builder of `div8k`."""

    LICENCE = "none formal: academic research only, as DIV2K; the photographs' copyright is their owners'"
    HOME = "https://competitions.codalab.org/competitions/22217"
    SPLITS = {"train": Split(("DIV8K_train_HR/{number}.*", "DIV8K/{number}.*", "DIV8K/train/{number}.*",
                                      "DIV8K/train/HR/{number}.*"), 1500)}
