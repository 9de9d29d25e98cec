"""flickr2k: 2650 photographs of 2K resolution from Flickr."""

from jsr._tfds_builders import folders


class Builder(folders.FoldersBuilder):
    """Builder of `flickr2k`."""

    LICENCE = "none stated; the photographs' copyright is their owners', who put them on Flickr"
    HOME = "https://cv.snu.ac.kr/research/EDSR/Flickr2K.tar"
    SPLITS = {"train": folders.Split(("Flickr2K_HR/{number}.*", "Flickr2K/{number}.*"), 2650)}
