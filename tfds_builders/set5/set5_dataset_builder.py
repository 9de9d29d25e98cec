"""set5: the test set of five images."""

from jsr.datasets.folders_builder import FoldersBuilder, benchmark_set


class Builder(FoldersBuilder):
    """Builder of `set5`."""

    LICENCE = "none stated"
    HOME = "https://github.com/jbhuang0604/SelfExSR"
    SPLITS = benchmark_set(5, "Set5")
