"""urban100: the test set of a hundred photographs of buildings."""

from jsr.datasets.folders_builder import FoldersBuilder, benchmark_set


class Builder(FoldersBuilder):
    """Builder of `urban100`."""

    LICENCE = "none stated; the photographs come from Flickr and their copyright is their owners'"
    HOME = "https://github.com/jbhuang0604/SelfExSR"
    SPLITS = benchmark_set(100, "Urban100")
