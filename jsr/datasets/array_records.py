"""ArrayRecord files of which parts of records are read.

The library reads and checks whole records. One of a photograph of 2040x1356 px has megabytes, of which a crop needs a
tenth, and to read all cost as much CPU time as the rest of a sample. Where records are stored as they are (`OPTIONS`),
the places of a record's fields in the file follow from a few bytes. The file stays one that the library reads.

The file is Riegeli's (its doc/riegeli_records_file_format.md): blocks of 64 KiB, each with a header in front, hold
chunks, here of one record. A record of TFDS is a tf.Example, a protobuf message.
"""

import contextlib
import functools
import os
import struct
import weakref
import zlib

from jsr.datasets import tiled

OPTIONS = "group_size:1,uncompressed"  # of `array_record_module.ArrayRecordWriter`
SUM = "sum"  # the field with `checksum` of the others
_BLOCK, _BLOCK_HEADER = 1 << 16, 24  # bytes
_ROOM = _BLOCK - _BLOCK_HEADER
# Of a chunk: hash of this header, bytes of data, their hash, kind (a byte) and number of records, bytes of these
_CHUNK = struct.Struct("<5Q")
_SIGNATURE, _RECORD = ord("s"), ord("r") | 1 << 8  # kind and number
_AS_IT_IS = 0  # compression
_HEAD = 96  # bytes in which a field's name, kind and size lie
_pread = getattr(os, "pread", None)  # Windows has none, and no ArrayRecord
_BYTES, _INTEGERS = 1, 3  # kinds of a tf.Example's Feature, by their field numbers
_LENGTH_NEXT = 2  # protobuf's wire type of bytes and messages


class Records:
    """The records of a split of a prepared dataset, by their numbers.

    Args:
      builder: its TFDS builder.
      split: "train", or a slice such as "train[:100]".
    """

    def __init__(self, builder, split):
        self._whole = builder.as_data_source(split)
        self._places = [(file, number) for its in builder.info.splits[split].file_instructions
                        for file in [RecordFile(its.filename, its.examples_in_shard)]
                        for number in range(its.skip, its.skip + its.take)]

    def __len__(self):
        return len(self._whole)

    def __getitem__(self, index):
        """A record as TFDS gives it, {feature: bytes or int}; its checksum is compared."""
        return self._whole[index]

    def unread(self, index):
        """The same, but an `hr` of `jsr.datasets.tiled` is a Span, of which the tiles have checksums."""
        file, number = self._places[index]
        with contextlib.suppress(ValueError):
            record = {name: bytes(value) if isinstance(value, Span) and not tiled.is_tiled(value) else value
                      for name, value in file[number].items()}
            if record.pop(SUM, None) == checksum(record):
                return record
        return self[index]  # without such a sum, or damaged, as the library then says


def checksum(record):
    """CRC-32 of a record, {name: bytes or int}, but for the tiles of `jsr.datasets.tiled`, which have their own."""
    found = 0
    for name, value in sorted(record.items()):
        data = value if isinstance(value, Span | bytes) else str(value).encode()
        found = zlib.crc32(tiled.summed(data), zlib.crc32(name.encode(), found))
    return found


class RecordFile:
    """The records of a shard, by their numbers in it; threads may share it, and it can be pickled.

    Args:
      path: the file. It is opened once, so that a file that replaces it does not matter.
      count: number of its records.
    """

    def __init__(self, path, count):
        self._path, self._count = path, count

    def __reduce__(self):
        return RecordFile, (self._path, self._count)

    def __getitem__(self, number):
        """{feature: bytes, int, or a Span for values of more than a block}.

        Raises:
          ValueError: the record is not stored as it is, or the file is damaged.
        """
        return dict(_features(self._records[number]))

    @functools.cached_property
    def _records(self):
        """The Spans of the records."""
        file, start, found = Span(_Open(self._path), 0, 0), 0, []
        while len(found) < self._count:
            head = file.at(start, _CHUNK.size + 1 + 20)
            if len(head) < _CHUNK.size:
                raise ValueError("ends too early")
            _, size, _, kind, decoded = _CHUNK.unpack_from(head)
            if kind == _RECORD:
                if head[_CHUNK.size] != _AS_IT_IS:
                    raise ValueError("is compressed")
                _, at = _varint(head, _CHUNK.size + 1)
                length, at = _varint(head, at)
                if length != decoded or at - _CHUNK.size + length != size:
                    raise ValueError("is no record")
                found.append(file.part(start + at, length))
            elif kind & 0xff != _SIGNATURE:
                raise ValueError("is no record")
            start += _CHUNK.size + size
        return found


class Span:
    """Bytes in a file that are read as they are sliced; `bytes` gives all of them.

    Args:
      file: the open file.
      start: the first byte, block headers not counted.
      size: number of bytes.
    """

    def __init__(self, file, start, size):
        self._file, self._start, self._size = file, start, size

    def __len__(self):
        return self._size

    def __str__(self):
        return str(self._file.path)

    def __bytes__(self):
        return self[:]

    def __getitem__(self, part):
        """The bytes of a slice without a step, fewer where the file ends earlier."""
        first, last, _ = part.indices(self._size)
        return self.at(first, last - first)

    def part(self, first, size):
        """The Span of `size` bytes from `first` on."""
        return Span(self._file, self._start + first, size)

    def at(self, first, size):
        """`size` bytes from `first` on, also beyond the end of this Span."""
        if size <= 0:
            return b""
        first += self._start
        (block, begin), headers = divmod(first, _ROOM), (first + size - 1) // _ROOM - first // _ROOM
        data = _pread(self._file.number, size + headers * _BLOCK_HEADER, block * _BLOCK + _BLOCK_HEADER + begin)
        if not headers:
            return data
        view, head = memoryview(data), _ROOM - begin
        return b"".join([view[:head], *(view[at:at + _ROOM] for at in range(
            head + _BLOCK_HEADER, len(data), _BLOCK))])


class _Open:
    """An open file, closed when nothing refers to it any more."""

    def __init__(self, path):
        self.path, self.number = path, os.open(path, os.O_RDONLY)
        weakref.finalize(self, os.close, self.number)


def _features(record):
    """(name, value) of the features in the Span of a tf.Example."""
    (_, features), = _fields(record)
    for _, entry in _fields(features):
        (_, name), (_, feature) = _fields(entry)
        (kind, values), = _fields(feature)
        if kind == _BYTES:
            (_, value), = _fields(values)
            yield bytes(name).decode(), value if isinstance(value, Span) else bytes(value)
        elif kind == _INTEGERS:
            (_, packed), = _fields(values)
            yield bytes(name).decode(), _varint(packed, 0)[0]
        else:
            raise ValueError("has another kind of field")


def _fields(message):
    """(field number, content) of the fields of a protobuf message, all of them bytes or messages.

    Contents of more than a block are Spans, others are read at once: bytes, as a memoryview.
    """
    at = 0
    while at < len(message):
        head = message[at:at + _HEAD]
        size, begin = _varint(head, 1)
        if head[0] & 7 != _LENGTH_NEXT or at + begin + size > len(message):
            raise ValueError("is no message")
        first, at = at + begin, at + begin + size
        if isinstance(message, Span) and size > _BLOCK:
            yield head[0] >> 3, message.part(first, size)
        else:
            yield head[0] >> 3, memoryview(message[first:at])


def _varint(data, at):
    """(protobuf's integer in `data` from `at` on, the place behind it)."""
    value = shift = 0
    while True:
        if at >= len(data):
            raise ValueError("ends too early")
        value |= (data[at] & 0x7f) << shift
        shift, at = shift + 7, at + 1
        if not data[at - 1] & 0x80:
            return value, at
