"""wed: the 4744 pristine images of the Waterloo Exploration Database."""

from jsr.datasets.folders_builder import FoldersBuilder, Split


class Builder(FoldersBuilder):
    """Builder of `wed`."""

    LICENCE = "research only, by the authors' terms; the images' copyright is their owners'"
    HOME = "https://ece.uwaterloo.ca/~k29ma/exploration/"
    SPLITS = {"train": Split(("pristine_images/{name}.*", "WED/{name}.*", "WaterlooED/{name}.*"), 4744)}
