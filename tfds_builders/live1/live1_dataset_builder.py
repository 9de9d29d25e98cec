"""live1: the 29 reference images of the LIVE image quality database."""

from jsr.datasets.folders_builder import FoldersBuilder, Split


class Builder(FoldersBuilder):
    """Builder of `live1`."""

    LICENCE = "free for any purpose with LIVE's copyright notice, by the database's terms"
    HOME = "https://live.ece.utexas.edu/research/quality/subjective.htm"
    SPLITS = {"test": Split(
        ("refimgs/{name}.*", "LIVE1/HR/{name}.*", "LIVE1/{name}.*", "LIVE1_color/{name}.*"), 29)}
