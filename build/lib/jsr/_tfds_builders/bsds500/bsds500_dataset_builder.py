"""bsds500: the 200 + 100 + 200 images of BSDS500."""

from jsr._tfds_builders import folders


class Builder(folders.FoldersBuilder):
    """Builder of `bsds500`."""

    LICENCE = "non-commercial research and education only"
    HOME = "https://www2.eecs.berkeley.edu/Research/Projects/CS/vision/grouping/resources.html"
    SPLITS = {
        "train": folders.Split(("BSDS500/data/images/train/{name}.*", "BSDS500/train/{name}.*"), 200),
        "validation": folders.Split(("BSDS500/data/images/val/{name}.*", "BSDS500/val/{name}.*"), 100),
        "test": folders.Split(("BSDS500/data/images/test/{name}.*", "BSDS500/test/{name}.*"), 200),
    }
