"""set5: the test set of five images."""

from jsr._tfds_builders import folders


class Builder(folders.FoldersBuilder):
    """Builder of `set5`."""

    LICENCE = "none stated"
    HOME = "https://github.com/jbhuang0604/SelfExSR"
    SPLITS = folders.benchmark_set(5, "Set5")
