"""flickr2k: 2650 photographs of 2K resolution from Flickr."""

from jsr.datasets.folders_builder import FoldersBuilder, Split


class Builder(FoldersBuilder):
    """Builder of `flickr2k`."""

    LICENCE = "none stated; the photographs' copyright is their owners', who put them on Flickr"
    HOME = "https://cv.snu.ac.kr/research/EDSR/Flickr2K.tar"
    SPLITS = {"train": Split(("Flickr2K_HR/{number}.*", "Flickr2K/{number}.*"), 2650)}
