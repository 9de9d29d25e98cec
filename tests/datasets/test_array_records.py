"""Parts of records: the bytes that the library reads."""

import pickle
import shutil

from array_record.python import array_record_module
import numpy as np
import pytest
import tensorflow_datasets as tfds
from tensorflow_datasets.proto import tf_example_pb2

from jsr.data import pipeline
from jsr.data.sources import open_source
from jsr.datasets import array_records
from jsr.datasets.build import build, find
from jsr.errors import UserError


def write(path, records, options=array_records.OPTIONS):
    writer = array_record_module.ArrayRecordWriter(str(path), options)
    for record in records:
        writer.write(record)
    writer.close()


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory):
    data_dir = tmp_path_factory.mktemp("data")
    build("photos/aim22_t1", data_dir=data_dir)
    return data_dir


def shard(data_dir):
    return next((data_dir / "photos/aim22_t1").glob("*/*train*record*"))


def whole(record):
    return {key: bytes(value) if isinstance(value, array_records.Span) else value for key, value in record.items()}


@pytest.mark.parametrize("split", ["train", "validation", "train[1:3]+validation[:1]"])
def test_the_same_as_the_library(data_dir, split):
    source = open_source("photos/aim22_t1", split, data_dir)
    again = pickle.loads(pickle.dumps(source))
    assert len(source) > 1
    for index in range(len(source)):
        part = again.unread(index)
        assert isinstance(part["hr"], array_records.Span)
        assert whole(part) == source[index]
        assert {key: type(value) for key, value in whole(part).items()} == {
            key: type(value) for key, value in source[index].items()}


def test_tfds_itself_reads_the_dataset(data_dir):
    folder = shard(data_dir).parent
    names = [row["name"].decode() for row in tfds.builder_from_directory(folder).as_data_source("train")]
    assert names == open_source("photos/aim22_t1", "train", data_dir).names


def test_slices_of_every_place(data_dir):
    hr = open_source("photos/aim22_t1", "train", data_dir).unread(0)["hr"]
    data, rng = bytes(hr), np.random.default_rng(0)
    assert len(hr) == len(data) > 10 * (1 << 16)
    for _ in range(300):
        first, last = sorted(rng.integers(0, len(data) + 1, 2).tolist())
        assert hr[first:last] == data[first:last]
    assert hr[-5:] == data[-5:] and hr[len(data):] == b""


def test_records_that_end_near_a_block(tmp_path):
    """A block has room for 65,512 bytes, and its header may stand within a chunk's or a field's."""
    for size in range(2 * 65_512 - 220, 2 * 65_512 - 20, 3):
        examples = [tf_example_pb2.Example() for _ in range(2)]
        for number, example in enumerate(examples):
            example.features.feature["hr"].bytes_list.value.append(np.random.default_rng(number).bytes(size))
            example.features.feature["height"].int64_list.value.append(300 * number)
        write(tmp_path / f"{size}", [example.SerializeToString() for example in examples])
        file = array_records.RecordFile(tmp_path / f"{size}", 2)
        for number in range(2):
            assert whole(file[number]) == {"hr": np.random.default_rng(number).bytes(size), "height": 300 * number}


def test_compressed_and_damaged_files_are_left_to_the_library(data_dir, tmp_path):
    source, path = open_source("photos/aim22_t1", "train", data_dir), shard(data_dir)
    reader = array_record_module.ArrayRecordReader(str(path))
    records = reader.read_all()
    reader.close()
    write(tmp_path / "compressed", records, "group_size:1")
    (tmp_path / "short").write_bytes(path.read_bytes()[:1 << 16])
    (tmp_path / "zeros").write_bytes(bytes(1 << 16))
    for name in ("compressed", "short", "zeros"):
        with pytest.raises(ValueError, match="is compressed|ends too early|is no record"):
            array_records.RecordFile(tmp_path / name, len(records))[0]
    shutil.copytree(data_dir, tmp_path / "data")
    shutil.copy(tmp_path / "compressed", shard(tmp_path / "data"))
    cls, config, _ = find("photos/aim22_t1", tmp_path / "data")
    found = array_records.Records(cls(data_dir=tmp_path / "data", config=config), "train").unread(0)
    assert found["hr"] == source[0]["hr"]


def test_a_flipped_byte_is_found_when_its_tile_is_read(data_dir, tmp_path):
    shutil.copytree(data_dir, tmp_path / "data")
    path = shard(tmp_path / "data")
    record = open_source("photos/aim22_t1", "train", tmp_path / "data").unread(2)
    harmed = bytearray(path.read_bytes())
    harmed[harmed.index(record["hr"][len(record["hr"]) - 300:]) + 100] ^= 1
    path.write_bytes(harmed)
    crops = pipeline.PairedCrops(crop=(record["height"], record["width"]), scale=4)
    with pytest.raises(UserError, match=rf"\(hr, in .*{path.name}\): damaged or truncated image; replace or remove"):
        crops(record, np.random.default_rng(0))


def test_a_flipped_byte_of_any_field_is_found(data_dir, tmp_path):
    """Of a JPEG file Pillow notices few."""
    shutil.copytree(data_dir, tmp_path / "data")
    path, whole_file = shard(tmp_path / "data"), shard(data_dir).read_bytes()
    record = open_source("photos/aim22_t1", "train", data_dir).unread(2)
    fields = [record["lr"][-40:], record["degradation"].encode(), record["name"].encode(), bytes(record["hr"][:34])]
    for field in fields:
        harmed = bytearray(whole_file)
        harmed[harmed.index(field, harmed.index(record["degradation"].encode())) + 12] ^= 0x81
        path.write_bytes(harmed)
        with pytest.raises(UserError, match="record 2 of train is damaged; run: jsr build photos/aim22_t1 --overwrite"):
            open_source("photos/aim22_t1", "train", tmp_path / "data").unread(2)
