"""bsd100: the test set of a hundred photographs from Berkeley."""

from jsr._tfds_builders import folders


class Builder(folders.FoldersBuilder):
    """Builder of `bsd100`."""

    LICENCE = "non-commercial research and education only"
    HOME = "https://github.com/jbhuang0604/SelfExSR"
    SPLITS = folders.benchmark_set(100, "BSD100", "BSDS100", "B100")
