"""The common base of all datasets of HR images, and of pairs of HR and LR images."""

import abc
import functools
import os
from pathlib import Path
import shutil
import sys
import types

from absl import logging
import numpy as np
from rich.filesize import decimal
import tensorflow_datasets as tfds
from tensorflow_datasets.proto import tf_example_pb2

from jsr import degradations, parallel
from jsr.datasets import array_records, beam, records
from jsr.errors import UserError

HR = "hr"  # the config without LR images; every other one is named after its degradation protocol
IMAGE_PROTOCOLS = tuple(name for name, protocol in degradations.PROTOCOLS.items() if not protocol.video)
_ERRORS_NAMED = 10


def configs(*protocols):
    """The BuilderConfigs of a dataset: `hr`, and one for each protocol."""
    return [tfds.core.BuilderConfig(name=HR, description="HR images."), *(
        tfds.core.BuilderConfig(name=name, description=f"HR images and the LR images of the protocol {name}.")
        for name in protocols)]


class _Writer(tfds.core.ExampleWriter):
    """Writes the same bytes in every process: TFDS leaves the order of record fields to protobuf, which draws it.

    The records of ArrayRecord files are not compressed once more, and have a checksum of their own, so that parts of
    them can be read.
    """

    def write(self, path, examples):
        examples = ((key, _finished(example)) for key, example in examples)
        if self.file_format != tfds.core.FileFormat.ARRAY_RECORD:
            return super().write(path, examples)
        from array_record.python import array_record_module  # which Windows has not
        writer = array_record_module.ArrayRecordWriter(os.fspath(path), array_records.OPTIONS)
        for _, example in examples:
            writer.write(example)
        writer.close()


def _finished(example):
    example = tf_example_pb2.Example.FromString(example)
    features = example.features.feature
    record = {name: getattr(field, field.WhichOneof("kind")).value[0] for name, field in features.items()}
    features[array_records.SUM].int64_list.value.append(array_records.checksum(record))
    return example.SerializeToString(deterministic=True)


class ImagesBuilder(tfds.core.ShardBasedBuilder, skip_registration=True):
    """Base of the builders: a subclass names its source images, this class makes records of them.

    Records are stored in the order of the sources, whatever the number of processes. They hold encoded bytes, so that
    neither building nor reading needs TensorFlow. Finished parts are kept beside the dataset until it is whole, so that
    a build that was interrupted, or that met damaged images, continues when it is run again.

    Attributes:
      manual_dir: folder of source files that the user has already, or None.
      num_workers: processes, see `jsr.parallel.map_unordered`.
      beam: a runner of Apache Beam that does the work instead, see `jsr.datasets.beam.map_unordered`; "" is none.
      shard: jsr.shards.Shard of the sources that are prepared, then it raises records.ShardPrepared; None of all.
      announce: called with lines for the user.
      progress: called with (what is done, images done, images in all).
      settings: {name: value} for the names in SETTINGS, which are kept in the dataset's metadata.
    """

    SETTINGS = {}  # what the user may choose, with defaults: options of `jsr build`
    UNIT = "images"  # what the sources are
    PER_SHARD = 32  # TFDS holds the records of a shard in memory while it writes: 150 MB of 2K photographs
    LICENCE = ""  # of the images, one line: what a model file says of its training data
    VERSION = tfds.core.Version("1.4.0")
    RELEASE_NOTES = {
        "1.0.0": "First version.",
        "1.1.0": "What made an LR image is one field, `degradation`. HR images are TIFF files decoded by region.",
        "1.2.0": "The metadata holds the names of the records.",
        "1.3.0": "An LR image's record names what encoded and what decodes it.",
        "1.4.0": "Parts of records can be read. HR images that Zstandard hardly compresses are stored as they are.",
    }

    manual_dir = None
    num_workers = None
    beam = ""
    shard = None
    announce = staticmethod(logging.info)
    progress = staticmethod(lambda stage, done, total: None)
    settings = types.MappingProxyType({})

    def __init_subclass__(cls, **kwargs):
        # Not registered by name: TFDS has a div2k of its own, which an import of ours must not replace.
        super().__init_subclass__(skip_registration=True, **kwargs)
        # TFDS would follow the module's name from the package's folder to the builder's, which may lie beside the
        # package, and do without README.md and checksums.tsv where it finds no folder.
        file = getattr(sys.modules[cls.__module__], "__file__", None)
        if file:  # else a notebook's
            cls.code_path = tfds.core.Path(file)
            cls.pkg_dir_path = cls.code_path.parent

    def __init__(self, *, file_format="array_record", **kwargs):
        super().__init__(file_format=file_format, **kwargs)

    @classmethod
    def check(cls, config, settings):
        """Raises UserError where a config cannot be built with these settings, all of SETTINGS."""

    @abc.abstractmethod
    def _sources(self, dl_manager):
        """{split: [jsr.datasets.records.Original, ...]}; a missing or damaged image is reported when it is read."""

    def _example_writer(self):
        return _Writer(self.info.file_format)

    @property
    def protocol(self):
        """The degradation protocol of this config, "" for `hr`."""
        return "" if self.builder_config.name == HR else self.builder_config.name

    @property
    def parts_dir(self):
        """Folder of the finished parts of an unfinished build."""
        return Path(self.data_dir_root) / self.name / f".{self.builder_config.name}-{self.version}.parts"

    def _info(self):
        values = {"name": "", "hr": b"", "height": 0, "width": 0, "source_height": 0, "source_width": 0}
        if self.protocol:
            values |= {"lr": b"", "degradation": ""}
        # tfds.features.Text stores any bytes; Image would decode them, with another JPEG decoder than ours.
        features = {k: np.int32 if isinstance(v, int) else tfds.features.Text() for k, v in values.items()}
        return self.dataset_info_from_configs(features=tfds.features.FeaturesDict(features),
                                              metadata=tfds.core.MetadataDict(cropped={}, names={}, **self.SETTINGS))

    def _shard_iterators_per_split(self, dl_manager):
        splits = self._sources(dl_manager)
        sources = [source for split in splits.values() for source in split]
        record_bytes = sum(source.record_bytes() for source in sources) * self._growth()
        self._check_disk(len(sources), int(2 * record_bytes))  # parts, then records
        if self.shard:
            own = [source for source in sources if self.shard.has(source.name)]
            self._prepare(own)
            raise records.ShardPrepared(len(own))
        parts = self._prepare(sources)
        self._check_overlap(splits, parts)
        found = {split: [(parts[source], number, name) for source in listed
                         for number, name in enumerate(records.names(parts[source]))]
                 for split, listed in splits.items()}
        bare = [split for split, listed in found.items() if not listed]
        if bare:
            chosen = ", ".join(f"--{key} {value}" for key, value in self._chosen().items() if value != "")
            raise UserError(f"{self.info.full_name}: not built, since its "
                            f"{f'settings ({chosen}) leave' if chosen else 'config leaves'} no image of {bare[0]}")
        self.info.metadata["names"] = {split: [name for *_, name in listed] for split, listed in found.items()}
        for key, value in self._chosen().items():
            self.info.metadata[key] = value
        number_in_all = sum(map(len, found.values()))
        written = iter(range(1, number_in_all + 1))

        def examples(shard):
            for part, number, name in shard:
                record = records.load(part, number)
                self._note_crop(record)
                yield name, record
                self.progress("writing", next(written), number_in_all)

        return {name: [functools.partial(examples, split[i:i + self.PER_SHARD])
                       for i in range(0, len(split), self.PER_SHARD)] for name, split in found.items()}

    def _growth(self):
        """Bytes of the records by the settings over bytes of whole images."""
        return 1

    def _chosen(self):
        """The settings, all of SETTINGS."""
        return {**self.SETTINGS, **self.settings}

    def _note_crop(self, record):
        before, after = "{source_height}x{source_width}".format(**record), "{height}x{width}".format(**record)
        if before != after:
            self.info.metadata["cropped"][record["name"]] = f"{before} to {after}"

    def _prepare(self, sources):
        """{source: its part} for all sources; raises UserError that names the bad ones when all others are done."""
        parts, errors = {}, []
        work = self._work()
        self.progress("preparing", 0, len(sources))
        outcomes = (beam.map_unordered(work, sources, runner=self.beam, folder=self.parts_dir) if self.beam
                    else parallel.map_unordered(work, sources, num_workers=self.num_workers))
        for source, outcome in outcomes:
            if isinstance(outcome, UserError):
                errors.append(str(outcome))
            else:
                parts[source] = outcome
            self.progress("preparing", len(parts) + len(errors), len(sources))
        if errors:
            errors.sort()
            for error in errors[_ERRORS_NAMED:]:
                self.announce(error)
            named = "; ".join(errors[:_ERRORS_NAMED])
            more = f"; and {len(errors) - _ERRORS_NAMED} more" if len(errors) > _ERRORS_NAMED else ""
            raise UserError(f"{self.info.full_name}: not built, {len(errors)} of {len(sources)} {self.UNIT} "
                            f"cannot be used: {named}{more}. Mend them and run the same command again; "
                            "it continues from here")
        return parts

    def _check_overlap(self, splits, parts):
        """Raises UserError where two splits have the same source."""
        place, twice = {}, []
        for split, listed in splits.items():
            for source in listed:
                first = place.setdefault(records.content(parts[source]), (split, source.name))
                if first[0] != split:
                    twice.append(f"{source.name} of {split} is {first[1]} of {first[0]}")
        if twice:
            more = f", and so are {len(twice) - 1} more" if len(twice) > 1 else ""
            raise UserError(f"{self.info.full_name}: not built, its splits overlap: {twice[0]}, "
                            f"the same bytes{more}. Remove them from one split and run the same command again")

    def _work(self):
        """The function, picklable, that makes the part of a source."""
        return functools.partial(records.prepare, protocol=self.protocol, folder=self.parts_dir)

    def _check_disk(self, count, need, what=None):
        """Announces the disk need, bytes; raises UserError where the disk has less."""
        root = Path(self.data_dir_root)
        free = shutil.disk_usage(root).free
        self.announce(f"{self.info.full_name}: {count} {what or self.UNIT}, needs about {decimal(need)} in {root} "
                      f"({decimal(free)} free)")
        if need > free:
            raise UserError(f"{root}: needs about {decimal(need)} and has {decimal(free)} free; make room or choose "
                            "another folder with --data_dir")

    def _post_download_and_prepare_hook(self):
        shutil.rmtree(self.parts_dir, ignore_errors=True)

    def _log_download_bytes(self):
        """Silent: TFDS prints here; `announce` says it."""

    def _log_download_done(self):
        """Silent: TFDS prints here; the caller says it."""
