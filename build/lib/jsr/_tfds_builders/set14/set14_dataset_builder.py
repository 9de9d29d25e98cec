"""set14: the test set of fourteen images."""

from jsr._tfds_builders import folders


class Builder(folders.FoldersBuilder):
    """Builder of `set14`."""

    LICENCE = "none stated"
    HOME = "https://github.com/jbhuang0604/SelfExSR"
    SPLITS = folders.benchmark_set(14, "Set14")
