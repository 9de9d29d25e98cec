"""Prepares the datasets of `tfds_builders/`: whole or not at all, resuming an interrupted build."""

import contextlib
import dataclasses
import importlib
import os
from pathlib import Path
import re
import shutil

from jsr import places, results
from jsr.datasets.records import ShardPrepared
from jsr.errors import UserError, nearest
from jsr.files import from_json, no_folder

ON_FIRST_USE = ("photos",)  # embedded datasets, which a training builds; others cost a download
_OURS = re.compile(r"(dataset_info|features|metadata)\.json|LICENSE|.*\.array_record-\d+-of-\d+")  # files of a dataset


@dataclasses.dataclass(frozen=True)
class Dataset:
    """A prepared dataset.

    Attributes:
      name: "<dataset>/<config>".
      path: its folder.
      counts: {split: images}.
      size: bytes of the folder.
      cropped: {name: "300x451 to 300x448"}, height x width, of the images cropped to a multiple of the scale.
      is_new: whether this call built it.
    """

    name: str
    path: Path
    counts: dict
    size: int
    cropped: dict
    is_new: bool


def names():
    """The names of the datasets that have a builder, sorted."""
    return sorted(path.parent.name for path in places.TFDS_BUILDERS.glob("*/*_dataset_builder.py"))


def _taking(setting):
    """The names of the datasets that take a setting."""
    return [name for name in names() if setting in find(f"{name}")[0].SETTINGS]


def default_data_dir():
    """The folder of datasets: $JSR_DATA_DIR, else TFDS's own: $TFDS_DATA_DIR, else ~/tensorflow_datasets.

    Raises:
      UserError: the path's "~" is the home of a user without a name, for example in a container.
    """
    folder = os.environ.get("JSR_DATA_DIR") or os.environ.get("TFDS_DATA_DIR") or "~/tensorflow_datasets"
    try:
        return Path(folder).expanduser()
    except RuntimeError as e:
        raise UserError(f"{folder}: there is no such home folder; set JSR_DATA_DIR to the folder of "
                        "the datasets") from e


def find(dataset, data_dir=None):
    """The builder class, config and folder of "<dataset>[/<config>]"; the config is `hr` where none is given.

    Raises:
      UserError: unknown dataset or config.
    """
    name, _, config = dataset.partition("/")
    if name not in names():
        raise UserError(f"dataset {name!r} is unknown; {nearest(name, names())}")
    builder = importlib.import_module(f"jsr.datasets.builders.{name}.{name}_dataset_builder").Builder
    config = config or builder.BUILDER_CONFIGS[0].name
    if config not in builder.builder_configs:
        raise UserError(f"dataset {name!r} has no config {config!r}; {nearest(config, builder.builder_configs)}")
    return builder, config, Path(data_dir or default_data_dir()).expanduser() / name / config / str(builder.VERSION)


def damage(path):
    """The damage of the dataset in the folder `path`, in a few words; "" where it is whole."""
    path = Path(path)
    if not path.is_dir():
        return "it is not built"
    try:
        with from_json(path / "dataset_info.json") as info, from_json(path / "metadata.json") as about:
            for split in info["splits"]:
                name, lengths = split["name"], [int(length) for length in split["shardLengths"]]
                files = list(path.glob(f"*-{name}.{info['fileFormat']}-*"))
                size, expected = sum(file.stat().st_size for file in files), int(split["numBytes"])
                if len(files) != len(lengths) or size != expected:
                    return (f"the records of {name} are damaged, {size:,} bytes in {len(files)} files instead of "
                            f"{expected:,} in {len(lengths)}")
                if len(about["names"][name]) != sum(lengths) or not isinstance(about["cropped"], dict):
                    return f"its metadata.json is damaged (other names than records of {name})"
    except UserError as e:
        return str(e)
    return ""


def build(dataset, *, data_dir=None, manual_dir=None, num_workers=None, beam="", overwrite=False, shard=None,
          announce=lambda line: None, progress=lambda stage, done, total: None, **settings):
    """Prepares a dataset unless it is there already and whole.

    A damaged one is built anew, and kept until the new one is whole. Processes that want the same dataset wait for the
    first of them. What a build that was killed, or that met damaged images, had finished is used by the next.

    Args:
      dataset: "<dataset>[/<config>]", as in "photos/aim22_t1".
      data_dir: folder of datasets; `default_data_dir()` where None or "".
      manual_dir: folder with source files that the user has already, for the datasets that can use one.
      num_workers: processes, see `jsr.parallel.map_unordered`.
      beam: "" works on this machine; else a runner of Apache Beam, see `jsr.datasets.beam.map_unordered`.
      overwrite: builds again where the dataset is there.
      shard: jsr.shards.Shard of the images that alone are prepared, for a later build to use; None for all, and the
        dataset.
      announce: called with lines for the user.
      progress: called with (activity, images done, images in all).
      **settings: keys of the builder's SETTINGS; None leaves one as the dataset has it, or at its default.

    Returns:
      Dataset; None of a shard of one that is not there yet.

    Raises:
      UserError: unknown dataset, sources missing or damaged, no place to write; a setting that the dataset does not
        take, or that it was built otherwise with.
    """
    cls, config, path = find(dataset, data_dir)
    if manual_dir is not None:
        if not cls.MANUAL_DOWNLOAD_INSTRUCTIONS:
            raise UserError(f"{cls.name}: takes no files of your own; leave out --manual_dir")
        if not Path(manual_dir).is_dir():
            raise UserError(f"{manual_dir}: {no_folder(manual_dir)} (--manual_dir)")
    settings = {key: value for key, value in settings.items() if value is not None}
    for key in settings.keys() - cls.SETTINGS.keys():
        raise UserError(f"{cls.name}: takes no --{key}; it is for {', '.join(_taking(key))}")
    cls.check(config, {**cls.SETTINGS, **settings})
    is_new = overwrite or bool(damage(path))
    if is_new:
        _refuse_foreign(path, overwrite)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as e:
            raise UserError(f"{path.parent}: cannot be made: {e.strerror}; choose another place with --data_dir") from e
        attributes = dict(manual_dir=manual_dir, num_workers=num_workers, beam=beam, settings=settings,
                          announce=announce, progress=progress, shard=shard)
        if shard:
            with results.only_shard(path.parent / f"{path.name}.json", shard):
                _prepare(cls, config, path, False, attributes)
                return None
        with results.locked(path.parent / ".lock"):
            if _aside(path).exists() and not path.exists():  # a build that was to replace it was killed
                _aside(path).rename(path)
            is_new = overwrite or bool(damage(path))  # another process may have built it meanwhile
            if is_new:
                _build(cls, config, path, overwrite, announce, attributes)
    builder = cls(data_dir=path.parents[2], config=config)
    info = builder.info
    rests = builder.parts_dir, _aside(path)  # of a build that was killed
    if not is_new and any(map(os.path.lexists, rests)):
        with contextlib.suppress(UserError), results.locked(path.parent / ".lock", busy=str):  # else it is at work
            for rest in rests:
                shutil.rmtree(rest, ignore_errors=True)
    other = {key: info.metadata[key] for key, value in settings.items() if info.metadata[key] != value}
    if other:
        flags = ", ".join(f"--{key} {value}" for key, value in other.items())
        raise UserError(f"{path}: is there already, with {flags}; "
                        "--overwrite builds it anew, --data_dir elsewhere keeps both")
    return Dataset(name=f"{cls.name}/{config}", path=path, is_new=is_new, cropped=info.metadata["cropped"],
                   counts={name: split.num_examples for name, split in info.splits.items()},
                   size=sum(file.stat().st_size for file in path.iterdir()))


def _build(cls, config, path, overwrite, announce, attributes):
    if path.exists():
        announce(f"{path}: built anew, {'--overwrite' if overwrite else damage(path)}")
        shutil.rmtree(_aside(path), ignore_errors=True)
        path.rename(_aside(path))
    try:
        _prepare(cls, config, path, overwrite, attributes)
    except BaseException:
        if _aside(path).exists() and not path.exists():
            _aside(path).rename(path)
        raise
    shutil.rmtree(_aside(path), ignore_errors=True)


def _aside(path):
    """The place of an old dataset until its replacement is whole."""
    return path.with_name(f"replaced.{path.name}")


def _refuse_foreign(path, overwrite):
    """Raises UserError where a folder in a dataset's place holds what no build has put there."""
    foreign = sorted(p.name for p in path.iterdir() if not _OURS.fullmatch(p.name)) if path.is_dir() else [path.name]
    if os.path.lexists(path) and foreign and not overwrite:
        raise UserError(f"{path}: is no whole dataset, and holds {foreign[0]}, which no build made; move that away, "
                        "choose another --data_dir, or --overwrite")


def foresee(dataset, *, data_dir=None, overwrite=False):
    """Foretells the result of `build`, without building.

    Args:
      dataset, data_dir, overwrite: see `build`.

    Returns:
      (path of the dataset, results.WRITE, REPLACE or PASS_OVER).

    Raises:
      UserError: unknown dataset, or what is there must not be replaced.
    """
    *_, path = find(dataset, data_dir)
    if not overwrite and not damage(path):
        return path, results.PASS_OVER
    _refuse_foreign(path, overwrite)
    return path, results.REPLACE if os.path.lexists(path) else results.WRITE


def _prepare(cls, config, path, overwrite, attributes):
    for leftover in path.parent.glob(f"incomplete.*_{path.name}") if not attributes["shard"] else ():
        shutil.rmtree(leftover)  # of a build that was killed
    builder = cls(data_dir=path.parents[2], config=config)
    for name, value in attributes.items():
        setattr(builder, name, value)
    if overwrite:
        shutil.rmtree(builder.parts_dir, ignore_errors=True)
    try:
        builder.download_and_prepare()
    except ShardPrepared as e:
        attributes["announce"](f"{cls.name}/{config}: {e.count:,} {cls.UNIT} of shard {attributes['shard']}")
    except (OSError, RuntimeError) as e:
        if isinstance(e, RuntimeError) and str(path.parent) not in str(e):  # else the record writer's, on a full disk
            raise
        raise UserError(f"{path.parent}: cannot be written: {e}") from e
