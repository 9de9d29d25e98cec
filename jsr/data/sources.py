"""Random-access sources of records: a prepared dataset, or any folder of images."""

import dataclasses
from pathlib import Path

from jsr import images
from jsr.config import nearest
from jsr.data.build import damage, default_data_dir, find, names
from jsr.errors import UserError


def open_source(dataset, split, data_dir=None):
    """Opens a dataset or a folder.

    A record is a dict of `name` (str), `hr` (the bytes of an image file), and for a dataset with LR images `lr` (the
    bytes of the LR file); of a dataset also the sizes and the parameters that `jsr.data.records` lists. Both kinds of
    source have a length, are indexed by integers and can be pickled.

    Args:
      dataset: "<dataset>[/<config>]", or the path of a folder. A known dataset goes before a folder of the same name;
        "./photos" is the folder.
      split: "train", "validation" or a slice such as "train[:100]". A folder has no splits: it gives all its images.
      data_dir: where datasets are; `jsr.data.build.default_data_dir()` where None or "".

    Raises:
      UserError: unknown, not built or damaged dataset, unknown split; no such folder, or files in it that are no
        images.
    """
    if isinstance(dataset, str) and dataset.split("/")[0] in names():
        return RecordSource(dataset, split, str(data_dir or default_data_dir()))
    if not Path(dataset).is_dir():
        raise UserError(f"{dataset}: no such folder, and no such dataset; {nearest(dataset, names())}")
    return FolderSource(dataset)


def licence(dataset):
    """The licence of a dataset's images, one line; "" of a folder, which says nothing of it."""
    return find(dataset)[0].LICENCE if dataset.split("/")[0] in names() else ""


class FolderSource:
    """The image files directly in a folder, sorted by name; hidden files and other kinds are left out.

    A record is {"name": the file's path, "hr": its bytes}. The header of every file is checked at once; damage behind
    it shows when the image is decoded, and `name` says where.
    """

    def __init__(self, folder):
        self._paths = images.list_images(folder)
        errors = []
        for path in self._paths:
            try:
                images.image_size(path)
            except UserError as e:
                errors.append(str(e))
        if errors:
            raise UserError("; ".join(errors))

    def __len__(self):
        return len(self._paths)

    def __getitem__(self, index):
        path = self._paths[index]
        try:
            return {"name": str(path), "hr": path.read_bytes()}
        except OSError as e:
            raise UserError(f"{path}: cannot be read: {e.strerror}") from e


@dataclasses.dataclass
class RecordSource:
    """The records of a split of a prepared dataset, in the order of its source images."""

    dataset: str
    split: str
    data_dir: str

    def __post_init__(self):
        cls, config, path = find(self.dataset, self.data_dir)
        wrong = damage(path)
        if wrong:
            raise UserError(f"{self.dataset}: {wrong}; run: jsr build {cls.name}/{config} --data_dir {self.data_dir}")
        builder = cls(data_dir=self.data_dir, config=config)
        try:
            self._records = builder.as_data_source(self.split)
        except (ValueError, KeyError) as e:
            raise UserError(f"{self.dataset}: has no split {self.split!r}; it has {', '.join(builder.info.splits)} "
                            "and slices of them such as train[:10]") from e

    def __len__(self):
        return len(self._records)

    def __getitem__(self, index):
        index = range(len(self))[index]  # an index out of range is no damage
        try:
            record = self._records[index]
        except Exception as e:  # the record reader's own, on damage that leaves the file's size as it was
            raise UserError(f"{self.dataset}: record {index} of {self.split} is damaged; run: jsr build {self.dataset} "
                            f"--force --data_dir {self.data_dir}") from e
        binary = ("hr", "lr")
        return {k: v.decode() if isinstance(v, bytes) and k not in binary else v for k, v in record.items()}
