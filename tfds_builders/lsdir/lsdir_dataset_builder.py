"""lsdir: the 84,991 training and 250 validation images of LSDIR."""

from jsr.datasets.folders_builder import FoldersBuilder, Split


class Builder(FoldersBuilder):
    """Builder of `lsdir`."""

    LICENCE = "academic research only, say the authors; the photographs' copyright is their owners'"
    HOME = "https://ofsoundof.github.io/lsdir-data/"
    SPLITS = {
        "train": Split(("00??000/{number}.*",), 84991),
        "validation": Split(("HR/val/{number}.*",), 250, prefix="val_"),
    }
