"""Random-access sources of records: a prepared dataset, or any folder of images or clips."""

import dataclasses
import functools
import json
import math
import os
from pathlib import Path

import tensorflow_datasets as tfds

from jsr import guests, images, listing
from jsr.data import headers
from jsr.data.decoded import Decoded
from jsr.datasets import array_records
from jsr.datasets.build import ON_FIRST_USE, damage, default_data_dir, find, names
from jsr.datasets.cut import WHOLE
from jsr.datasets.folders import FOLDERS, path_of
from jsr.datasets.videos import header
from jsr.degradations.degrade_folder import VIDEOS, record_of
from jsr.errors import FileError, UserError, nearest
from jsr.evaluation import score_clips, score_folders
from jsr.files import no_folder, open_file

_RGB = 3  # bytes a pixel


def amiss(*, dataset="", hr="", lr="", split="", degrade="", files="", data_dir=None, **others):
    """Finds mistakes in a row of data without opening it: yields (key, mistake).

    Args:
      dataset, hr, lr, split, files, data_dir: see `open_source` and `open_pairs`.
      degrade: degradation that makes LR images; "" takes stored ones.
      **others: other keys of the row, of which nothing shows.
    """
    del others
    if hr or lr:
        yield from ((key, f"{folder}: {no_folder(folder)}") for key, folder in (("hr", hr), ("lr", lr))
                    if folder and not Path(folder).is_dir())
    elif _is_guest(dataset):
        pass
    elif dataset.split("/")[0] in names():
        yield from _amiss_in_dataset(dataset, split, degrade, data_dir or default_data_dir())
    elif dataset not in FOLDERS and not Path(dataset).is_dir():
        yield "dataset", f"{dataset}: {_no_folder(dataset)}"
    elif not degrade:
        yield "degrade", _no_lr(dataset)
    if files:
        try:
            _names_in(files)
        except UserError as e:
            yield "files", str(e)


def absence(dataset, data_dir=None):
    """Why a row of a dataset is left out: one of FOLDERS that the user has not filled; "" of all others.

    A link that leads nowhere, as to a disk that is not there now, is no reason, but a mistake.
    """
    if dataset not in FOLDERS:
        return ""
    path = path_of(dataset, data_dir)
    if not os.path.lexists(path):
        return f"{dataset} is left out, since there is no folder {path} ({FOLDERS[dataset]})"
    if path.is_dir() and os.access(path, os.R_OK | os.X_OK) and _is_empty(path):
        return f"{dataset} is left out, since the folder {path} is empty ({FOLDERS[dataset]})"
    return ""


def _is_empty(folder):
    """Whether there is nothing below a folder but folders."""
    return not any(files or any(os.path.islink(os.path.join(place, name)) for name in folders)
                   for place, folders, files in os.walk(folder))


def _is_guest(dataset):
    return guests.is_function(str(dataset)) and not Path(dataset).exists()


def _no_lr(dataset):
    return f"is empty, but {dataset} stores no LR images; name the degradation that makes them, as aim22_t1"


def _amiss_in_dataset(dataset, split, degrade, data_dir):
    try:
        cls, config, path = find(dataset, data_dir)
    except UserError as e:
        yield "dataset", str(e)
        return
    wrong = damage(path)
    if wrong and cls.name not in ON_FIRST_USE:
        yield "dataset", f"{dataset}: {_to_build(wrong, cls, config, data_dir)}"
    info = None if wrong else cls(data_dir=data_dir, config=config).info
    known = list(info.splits) if info else list(getattr(cls, "SPLITS", ()))
    try:
        parts = tfds.core.ReadInstruction.from_spec(split)
        if info:
            parts.to_absolute(info.splits)
        elif known and not {part.partition("[")[0].strip() for part in split.split("+")} <= {*known, "all"}:
            raise ValueError
    except Exception:  # whatever TFDS makes of text
        yield "split", f"{dataset}: {_no_split(split, known)}"
    if info and not degrade and "lr" not in info.features:
        yield "degrade", _no_lr(dataset)


def _no_folder(dataset):
    if os.path.isfile(dataset):
        return no_folder(dataset)
    return f"no such folder, and no such dataset; {nearest(dataset, [*names(), *FOLDERS])}"


def _to_build(wrong, cls, config, data_dir):
    return f"{wrong}; run: jsr build {cls.name}/{config} --data_dir {data_dir}"


def _no_split(split, known):
    has = f"it has {', '.join(known)} and slices of them such as train[:10]" if known else "write train, or train[:10]"
    return f"has no split {split!r}; {has}"


def open_source(dataset, split, data_dir=None, files="", form=WHOLE, memory=math.inf, announce=lambda line: None,
                least=(1, 1), crop="stages[0].crop", clips=False):
    """Opens a dataset or a folder.

    A record is a dict of `name` (str), `hr` (the bytes of an image file), and for a dataset with LR images `lr` (the
    bytes of the LR file); of a dataset also the sizes and the parameters that `jsr.datasets.records` lists. A folder of
    videos without images is one of clips, whose records `jsr.data.clips` describes. All kinds
    of source have a length and `names`, those of the records, are indexed by integers and can be pickled. Their
    `identity`, which JSON can write, tells other records, but not another place of the same ones.

    Args:
      dataset: "<dataset>[/<config>]", or the path of a folder; or a guest's "mypkg.data:mine" (jsr.guests), a function
        of the split that gives a source. A known dataset goes before a folder of the same name;
        "./photos" is the folder. One of jsr.datasets.folders.FOLDERS is the folder of that name below `data_dir`.
      split: "train", "validation" or a slice such as "train[:100]". A folder has no splits: it gives all
        images at any depth below it.
      data_dir: folder of datasets; `jsr.datasets.build.default_data_dir()` where None or "".
      files: a text file with the names of the records to keep, one a line, with or without suffix; "" keeps all. Of a
        folder these are its images, before they are cut into tiles, with or without folders in front.
      form: jsr.datasets.cut.Cut, what is made of a folder's images; a dataset's are as they were built.
      memory: bytes that hold decoded images of a folder. Of one that has more, or where `form` says something of it,
        images are kept on disk as they are decoded, see `jsr.data.decoded`.
      announce: called with lines for the user.
      least: (height, width) that some of a folder's images, or of their tiles, must have, px: the crop's.
      crop: key of the recipe that sets it.
      clips: whether clips are wanted, so that a folder of images is the frames of one.

    Raises:
      UserError: unknown, not built or damaged dataset, unknown split; no such folder, or files in it that are no
        images, a line each, or all too small; `files` cannot be read, is empty, or has names that the dataset has not;
        `form` of a dataset, or with no place for what it makes.
    """
    if _is_guest(dataset):
        return _guest(dataset, split)
    data_dir = data_dir or default_data_dir()
    if isinstance(dataset, str) and dataset.split("/")[0] in names():
        if form != WHOLE:
            raise UserError(f"{dataset}: shrink, tiles and detail are for folders of images, not for a dataset; "
                            "jsr build image_folder makes one of a folder, with the same settings")
        source = RecordSource(dataset, split, str(data_dir))
        return ListedSource(source, _listed(source.names, files, dataset)) if files else source
    if dataset in FOLDERS:
        about, dataset = FOLDERS[dataset], str(path_of(dataset, data_dir))
        if not Path(dataset).is_dir():
            is_link = os.path.islink(dataset)
            what = f"is a link to {os.readlink(dataset)}, where no folder is" if is_link else "is no folder of images"
            raise UserError(f"{dataset}: {what}; put the images there, or a link to them ({about})")
    if not Path(dataset).is_dir():
        raise UserError(f"{dataset}: {_no_folder(dataset)}")
    if paths := _clips(dataset, announce, clips):
        if form != WHOLE:
            raise UserError(f"{dataset}: shrink, tiles and detail are for photographs, but it holds clips; leave them "
                            "out")
        paths = _listed_paths(paths, files, dataset)
        found, problems = headers.read(dataset, paths, data_dir, announce, _header)
        headers.raise_all(problems)
        return ClipSource(paths, list(found.values()))
    paths = _listed_paths(_images(dataset, announce), files, dataset)
    sizes, problems = headers.read(dataset, paths, data_dir, announce)
    headers.raise_all(problems + (_small(list(sizes.items()), least, crop, announce) if form == WHOLE else []))
    source = FolderSource(paths, list(sizes.values()))
    if form == WHOLE and source.decoded_bytes <= memory:
        return source
    try:
        decoded = Decoded(source, form, Path(data_dir), announce)
        headers.raise_all(_small(list(zip(decoded.names, decoded.sizes, strict=True)), least, crop, announce))
        return decoded
    except UserError as e:
        if form != WHOLE:
            raise
        announce(f"{e}. Until then images of {dataset} are decoded anew for every crop")
        return source


def _guest(dataset, split):
    """The source that a guest's function gives."""
    words = "a function of the split that gives records: a source with a length, names and an identity"
    source = guests.attribute(dataset, guests.takes(1), words)(split)
    if missing := [name for name in ("__len__", "__getitem__", "names", "identity") if not hasattr(source, name)]:
        raise UserError(f"{dataset}: gives a {type(source).__name__} without {', '.join(missing)}, but must be {words}")
    return source


def open_pairs(hr, lr, scale, data_dir=None, files="", announce=lambda line: None, least=(1, 1),
               crop="stages[0].crop", clips=False):
    """Opens a folder of HR images and one of their LR images, or both of clips, as `open_source` does.

    Args:
      hr, lr: the folders; files belong together by name, as `jsr.evaluation.score_folders.match_below` says.
      scale: HR size over LR size. HR rows and columns that are too few for one more of the LR image are not used.
      data_dir, files, announce, least, crop, clips: see `open_source`; `files` and `least` are of HR images.

    Raises:
      UserError: no such folder, files without a partner or that are no images, or not `scale` times as large as their
        partners: a line each; all too small.
    """
    data_dir = data_dir or default_data_dir()
    of_clips = functools.partial(_clips, wanted=clips)
    hr_paths = of_clips(hr, announce)
    files_of, look = (of_clips, _header) if hr_paths else (_images, images.image_size)
    hr_paths = hr_paths or _images(hr, announce)
    pairs, problems = score_folders.match_below(files_of(lr, announce), hr_paths, lr, hr, what="LR")
    if files:  # of others nothing is wanted
        paths = _listed_paths(hr_paths, files, hr)
        pairs = {path: pairs[path] for path in paths if path in pairs}
        problems = [f"{path}: no LR image has this name" for path in paths if path not in pairs]
    else:
        pairs = dict(sorted(pairs.items()))
    found, wrong = headers.read(hr, list(pairs), data_dir, announce, look)
    lr_found, lr_wrong = headers.read(lr, list(pairs.values()), data_dir, announce, look)
    sizes, lr_sizes = ({path: its[:2] for path, its in both.items()} for both in (found, lr_found))
    problems += wrong + lr_wrong + _small(list(sizes.items()), least, crop, announce)
    for path, small in pairs.items():
        (height, width), (lr_height, lr_width) = sizes.get(path, (0, 0)), lr_sizes.get(small, (0, 0))
        frames, lr_frames = found.get(path, ())[2:3], lr_found.get(small, ())[2:3]
        if frames and lr_frames and frames != lr_frames:
            problems.append(f"{path}: holds {frames[0]} frames, {small} {lr_frames[0]}; one of them is cut off or "
                            "another clip, replace or remove the pair")
        if height and lr_height and (height // scale, width // scale) != (lr_height, lr_width):
            problems.append(f"{path}: {width}x{height} is not {scale} times the {lr_width}x{lr_height} of {small}; "
                            "replace or remove the pair")
    headers.raise_all(problems)
    if look is _header:
        return ClipSource(list(pairs), list(found.values()), list(pairs.values()),
                          [tuple(scale * side for side in its) for its in lr_sizes.values()])
    return PairSource(FolderSource(list(pairs), list(sizes.values())), list(pairs.values()))


def _images(folder, announce):
    """The paths of the images below a folder; says what is passed over."""
    passed = listing.PassedOver()
    paths = images.list_images(folder, passed=passed)
    if passed.kinds:
        announce(f"{folder}: {len(paths):,} images; {passed}")
    return paths


def _header(path):
    """As `jsr.datasets.videos.header`; of a folder of images by the first one."""
    if not path.is_dir():
        return header(path)
    frames = score_clips.frame_files(path)
    return *images.image_size(frames[0]), len(frames), score_clips.FPS


def _clips(folder, announce, wanted):
    """The paths of the videos below a folder without images; [] of one that has some, or no videos.

    Where clips are `wanted` folders of images are clips, too.
    """
    passed = listing.PassedOver()
    if wanted:
        paths = score_clips.list_clips(folder, passed)
        if passed.kinds:
            announce(f"{folder}: {len(paths):,} clips; {passed}")
        return paths
    if not Path(folder).is_dir() or listing.taken(Path(folder), images.EXTENSIONS, listing.PassedOver()):
        return []
    paths = listing.taken(Path(folder), VIDEOS, passed)
    if paths and passed.kinds:
        announce(f"{folder}: {len(paths):,} clips; {passed}")
    return paths


def _small(sizes, least, crop, announce):
    """A line if all images (name, (height, width)) are smaller than the crop, else [].

    Announces it where some are.
    """
    found = [f"{name}: {width}x{height} is smaller than the crop of {images.sides_text(least)}"
             for name, (height, width) in sizes if height < least[0] or width < least[1]]
    if found and len(found) == len(sizes):
        return [f"{found[0]}, and so are all its images; use a smaller one (--config.{crop}=...)"]
    if found:
        more = f", and so are {len(found) - 1:,} more of {len(sizes):,} images" if found[1:] else ""
        announce(f"{found[0]}{more}; mirrored at their borders (a smaller crop takes them as they are: "
                 f"--config.{crop}=...)")
    return []


def licence(dataset):
    """The licence of a dataset's images, one line; "" of a folder, which says nothing of it."""
    return find(dataset)[0].LICENCE if dataset.split("/")[0] in names() else ""


class FolderSource:
    """The image files of a folder, in the order of `paths`.

    A record is {"name": the file's path, "hr": its bytes}. Damage behind the header shows when the image is decoded,
    and `name` says where.

    Args:
      paths: [Path].
      sizes: [(height, width)], px, of the upright images.
    """

    def __init__(self, paths, sizes):
        self.paths, self.sizes = paths, sizes

    @property
    def names(self):
        """Those of the records."""
        return [str(path) for path in self.paths]

    @property
    def identity(self):
        """[path below the folder that they share, bytes] of every file."""
        return _identity(self.paths)

    @property
    def decoded_bytes(self):
        """Bytes of all images, decoded."""
        return sum(_RGB * height * width for height, width in self.sizes)

    def __len__(self):
        return len(self.paths)

    def __getitem__(self, index):
        path = self.paths[index]
        return {"name": str(path), "hr": _bytes_of(path)}


@dataclasses.dataclass
class PairSource:
    """The HR images of a folder, and the paths of their LR images; a record has both, `hr` and `lr`.

    Of LR files that `jsr degrade` made, it also has `degradation`, what made them.
    """

    source: FolderSource
    lr_paths: list[Path]

    @property
    def names(self):
        """Those of the records."""
        return self.source.names

    @property
    def sizes(self):
        """Those of the HR images."""
        return self.source.sizes

    @property
    def identity(self):
        """[name, bytes] of every HR and every LR file."""
        return [self.source.identity, _identity(self.lr_paths)]

    def __len__(self):
        return len(self.source)

    def __getitem__(self, index):
        lr = _bytes_of(self.lr_paths[index])
        made = record_of(self.lr_paths[index], lr)
        return self.source[index] | {"lr": lr} | ({"degradation": json.dumps(made)} if made else {})


@dataclasses.dataclass
class ClipSource:
    """The clips of a folder, video files and folders of frames, in the order of `paths`, and their LR clips if there
    are some.

    Records are those of `jsr.data.clips`; damage shows when a clip is decoded.

    Attributes:
      paths: [Path].
      headers: [(height, width, frames, frames a second)] of these, see `jsr.datasets.videos.header`.
      lr_paths: [Path], one each; None where there are none.
      used: [(height, width)] of the HR frames, px, that have LR pixels; None where all have.
    """

    paths: list[Path]
    headers: list[tuple[int, ...]]
    lr_paths: list[Path] | None = None
    used: list[tuple[int, ...]] | None = None

    @property
    def names(self):
        """Those of the records."""
        return [str(path) for path in self.paths]

    @property
    def identity(self):
        """[path below the folder that they share, bytes] of every file."""
        return [_identity(paths) for paths in (self.paths, self.lr_paths) if paths]

    def __len__(self):
        return len(self.paths)

    def __getitem__(self, index):
        path, (source_height, source_width, frames, fps) = self.paths[index], self.headers[index]
        height, width = self.used[index] if self.used else (side - side % 2 for side in (source_height, source_width))
        record = {"name": str(path), "hr": _content(path), "height": height, "width": width, "frames": frames,
                  "source_height": source_height, "source_width": source_width, "fps": fps}
        if self.lr_paths is None:
            return record
        lr = _content(self.lr_paths[index])
        made = {} if isinstance(lr, list) else record_of(self.lr_paths[index], lr)
        return record | {"lr": lr, "degradation": json.dumps(made)}


def _identity(paths):
    root = os.path.commonpath([path.parent for path in paths])
    sizes = [sum(frame.stat().st_size for frame in score_clips.frame_files(path)) if path.is_dir() else
             path.stat().st_size for path in paths]
    return [[path.relative_to(root).as_posix(), size] for path, size in zip(paths, sizes, strict=True)]


def _content(path):
    """The bytes of a video, or [path] of the frames in a folder."""
    return score_clips.frame_files(path) if path.is_dir() else _bytes_of(path)


def _bytes_of(path):
    try:
        with open_file(path) as file:
            return file.read()
    except OSError as e:
        raise FileError(f"{path}: cannot be read: {e.strerror}") from e


@dataclasses.dataclass
class RecordSource:
    """The records of a split of a prepared dataset, in the order of its source images; `names` are theirs."""

    dataset: str
    split: str
    data_dir: str

    def __post_init__(self):
        cls, config, path = find(self.dataset, self.data_dir)
        wrong = damage(path)
        if wrong:
            raise UserError(f"{self.dataset}: {_to_build(wrong, cls, config, self.data_dir)}")
        builder = cls(data_dir=self.data_dir, config=config)
        try:
            self._records = array_records.Records(builder, self.split)
            parts = tfds.core.ReadInstruction.from_spec(self.split).to_absolute(builder.info.splits)
        except (ValueError, KeyError) as e:
            raise UserError(f"{self.dataset}: {_no_split(self.split, builder.info.splits)}") from e
        known = builder.info.metadata["names"]
        self.names = [name for part in parts for name in known[part.splitname][part.from_:part.to]]
        self.identity = [builder.info.full_name, [
            [part.splitname, part.from_, part.to, builder.info.splits[part.splitname].num_bytes] for part in parts]]

    def __len__(self):
        return len(self._records)

    def __getitem__(self, index):
        return self._read(index, self._records.__getitem__)

    def unread(self, index):
        """The record of which `hr` is read as it is sliced, where it is decoded by region."""
        return self._read(index, self._records.unread)

    def _read(self, index, read):
        index = range(len(self))[index]  # an index out of range is no damage
        try:
            record = read(index)
        except Exception as e:  # the record reader's own, on damage that leaves the file's size as it was
            raise FileError(f"{self.dataset}: record {index} of {self.split} is damaged; run: jsr build {self.dataset} "
                            f"--overwrite --data_dir {self.data_dir}") from e
        binary = ("hr", "lr")
        return {k: v.decode() if isinstance(v, bytes) and k not in binary else v for k, v in record.items()}


@dataclasses.dataclass
class ListedSource:
    """Some of the records of a source, by their numbers there."""

    source: RecordSource
    numbers: list[int]

    @property
    def names(self):
        """Those of the records."""
        known = self.source.names
        return [known[number] for number in self.numbers]

    @property
    def sizes(self):
        """Those of the images, where the source knows them without reading; else None."""
        known = getattr(self.source, "sizes", None)
        return known and [known[number] for number in self.numbers]

    @property
    def identity(self):
        """The identity of the whole source, and the numbers."""
        return [self.source.identity, self.numbers]

    def __len__(self):
        return len(self.numbers)

    def __getitem__(self, index):
        return self.source[self.numbers[index]]

    def unread(self, index):
        """The record as the source's `unread` gives it."""
        return self.source.unread(self.numbers[index])


def _listed_paths(paths, files, dataset):
    return [paths[number] for number in _listed([str(path) for path in paths], files, dataset)] if files else paths


def _names_in(path):
    """The names that a text file lists, {name: None}."""
    try:
        lines = [line.strip() for line in Path(path).read_text(encoding="utf-8").splitlines()]
    except (OSError, ValueError) as e:  # of UTF-8, or of a path with a zero byte
        raise UserError(f"{path}: cannot be read as a list of names ({getattr(e, 'strerror', None) or e})") from e
    wanted = dict.fromkeys(line for line in lines if line)
    if not wanted:
        raise UserError(f"{path}: lists no names; leave the list out to take all")
    return wanted


def _listed(known, path, dataset):
    """The numbers, ascending, of those names that a text file lists."""
    wanted, numbers = _names_in(path), {}
    for number, name in enumerate(known):
        for form in _forms(name):
            numbers.setdefault(form, []).append(number)
    found = {name: numbers.get(name) or numbers.get(os.path.splitext(name)[0]) for name in wanted}
    missing = [name for name in wanted if not found[name]]
    if missing:
        raise UserError(f"{path}: {len(missing):,} of its {len(wanted):,} names are not in {dataset}, the first is "
                        f"{missing[0]!r}")
    return sorted({number for several in found.values() for number in several})


def _forms(name):
    """The names that a list may give a record: its name, from any of its folders on, with and without suffix."""
    parts = Path(name).parts
    below = ["/".join(parts[first:]) for first in range(len(parts))]
    return {name, *below, *(os.path.splitext(form)[0] for form in below)}
