"""bsd100: the test set of a hundred photographs from Berkeley."""

from jsr.datasets.folders_builder import FoldersBuilder, benchmark_set


class Builder(FoldersBuilder):
    """Builder of `bsd100`."""

    LICENCE = "non-commercial research and education only"
    HOME = "https://github.com/jbhuang0604/SelfExSR"
    SPLITS = benchmark_set(100, "BSD100", "BSDS100", "B100")
