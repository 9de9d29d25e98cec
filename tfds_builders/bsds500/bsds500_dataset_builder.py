"""bsds500: the 200 + 100 + 200 images of BSDS500."""

from jsr.datasets.folders_builder import FoldersBuilder, Split


class Builder(FoldersBuilder):
    """Builder of `bsds500`."""

    LICENCE = "non-commercial research and education only"
    HOME = "https://www2.eecs.berkeley.edu/Research/Projects/CS/vision/grouping/resources.html"
    SPLITS = {
        "train": Split(("BSDS500/data/images/train/{name}.*", "BSDS500/train/{name}.*"), 200),
        "validation": Split(("BSDS500/data/images/val/{name}.*", "BSDS500/val/{name}.*"), 100),
        "test": Split(("BSDS500/data/images/test/{name}.*", "BSDS500/test/{name}.*"), 200),
    }
