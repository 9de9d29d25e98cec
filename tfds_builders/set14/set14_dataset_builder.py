"""set14: the test set of fourteen images."""

from jsr.datasets.folders_builder import FoldersBuilder, benchmark_set


class Builder(FoldersBuilder):
    """Builder of `set14`."""

    LICENCE = "none stated"
    HOME = "https://github.com/jbhuang0604/SelfExSR"
    SPLITS = benchmark_set(14, "Set14")
