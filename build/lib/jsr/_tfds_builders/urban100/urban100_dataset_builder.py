"""urban100: the test set of a hundred photographs of buildings."""

from jsr._tfds_builders import folders


class Builder(folders.FoldersBuilder):
    """Builder of `urban100`."""

    LICENCE = "none stated; the photographs come from Flickr and their copyright is their owners'"
    HOME = "https://github.com/jbhuang0604/SelfExSR"
    SPLITS = folders.benchmark_set(100, "Urban100")
