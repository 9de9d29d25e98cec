"""rtsr4k: the 110 test images of the NTIRE 2023 real-time 4K challenge."""

from jsr.datasets.folders_builder import FoldersBuilder, Split


class Builder(FoldersBuilder):
    """Builder of `rtsr4k`."""

    LICENCE = "none stated; the images come from several sources and their copyright is their owners'"
    HOME = "https://github.com/eduardzamfir/NTIRE23-RTSR"
    SPLITS = {"test": Split(("ntire23rtsr/test/HR/{name}.*", "ntire23rtsr/{name}.*", "rtsr4k/HR/{name}.*",
                                     "rtsr4k/{name}.*"), 110)}
