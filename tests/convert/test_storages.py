"""PyTorch's files without PyTorch: as it reads them, and harmless where it would not. PyTorch is the oracle."""

import collections
import io
import os
import pickle
import random
import resource
import time
import warnings
import zipfile

import jax.numpy as jnp
import numpy as np
import pytest

from jsr.convert import storages
from jsr.errors import UserError

ZIP, OLD = {}, {"_use_new_zipfile_serialization": False}


@pytest.fixture
def torch():
    return pytest.importorskip("torch", reason="PyTorch is an optional extra")


def read(path):
    """What a file holds, with arrays in the places of tensors: {path of keys: array}."""
    with storages.opened(path) as (content, arrays):
        return arrays(dict(leaves(content)))


def leaves(content, path=()):
    if hasattr(content, "shape"):
        yield path, content
    elif isinstance(content, (dict, list, tuple)) and len(path) < 20:
        for key, value in content.items() if isinstance(content, dict) else enumerate(content):
            yield from leaves(value, (*path, key))


def same(torch, found, expected):
    """Whether arrays have the bits of PyTorch's tensors, their types and shapes."""
    expected = dict(leaves(expected))
    return found.keys() == expected.keys() and all(
        found[key].tobytes() == torch.empty(value.numel(), dtype=value.dtype).copy_(
            value.detach().reshape(-1)).view(torch.uint8).numpy().tobytes()  # a copy: one value may have any stride
        and found[key].shape == tuple(value.shape) and found[key].dtype.name == str(value.dtype).partition(".")[2]
        for key, value in expected.items())


def kinds(torch):
    base = torch.arange(24.0)
    module = torch.nn.Sequential(torch.nn.Conv2d(2, 3, 1), torch.nn.BatchNorm2d(3))
    return {
        "types": {str(dtype): torch.tensor([0, 1, 3]).to(dtype) for dtype in (
            torch.float64, torch.float32, torch.float16, torch.bfloat16, torch.int64, torch.int32, torch.int16,
            torch.int8, torch.uint8, torch.bool, torch.complex64, torch.complex128)},
        "views": {"part": base[5:11].view(2, 3), "turned": base.view(4, 6).t(), "steps": base[::5], "all": base,
                  "wide": base[:3, None].expand(3, 4), "overlap": base.as_strided((4, 3), (2, 1), 1),
                  "twice": base[:6], "one": base[7], "none": torch.zeros(0, 3), "half": base[3:9].half()},
        "module": module.state_dict(),
        "training": {"params": module.state_dict(), "epoch": 3, "lr": 1e-4, "best": None, "name": "ä", "done": True,
                     "large": 1 << 40, "size": torch.Size((3, 4)), "dtype": torch.float16, "raw": b"x",
                     "milestones": collections.Counter([3, 3, 4]), "seen": {1, 2}, "device": torch.device("cpu"),
                     "parameter": torch.nn.Parameter(torch.ones(2)),
                     "optimizer": {"state": {0: {"step": torch.tensor(3.0)}}, "groups": [{"betas": (0.9, 0.99)}]}},
        "deep": {"a": [[[({"b": (torch.ones(2), [torch.zeros(1)])},)]]]},
    }


@pytest.mark.parametrize("form", [ZIP, OLD], ids=["zip", "old"])
@pytest.mark.parametrize("kind", ["types", "views", "module", "training", "deep"])
def test_tensors_have_the_bits_that_pytorch_reads(tmp_path, torch, kind, form):
    content = kinds(torch)[kind]
    torch.save(content, tmp_path / "a.pth", **form)
    assert same(torch, read(tmp_path / "a.pth"), torch.load(tmp_path / "a.pth", weights_only=True))


def test_what_is_no_tensor_stays_what_it_is(tmp_path, torch):
    for form in (ZIP, OLD):
        torch.save(kinds(torch)["training"], tmp_path / "a.pth", **form)
        with storages.opened(tmp_path / "a.pth") as (content, _):
            assert [content[key] for key in ("epoch", "lr", "best", "name", "done", "large", "size", "milestones")] == [
                3, 1e-4, None, "ä", True, 1 << 40, (3, 4), {3: 2, 4: 1}]
            assert content["optimizer"]["groups"] == [{"betas": (0.9, 0.99)}]


def test_unsigned_and_big_endian_and_compressed_archives(tmp_path, torch):
    path = tmp_path / "a.pth"
    torch.save({"a": torch.tensor([1, 65535], dtype=torch.uint16), "b": torch.tensor([1 << 40, 3], dtype=torch.uint64)},
               path)
    assert same(torch, read(path), torch.load(path, weights_only=True))
    content = {key: value for key, value in kinds(torch)["types"].items()}
    torch.save(content, path)
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            archive.writestr(name, b"big" if name.endswith("byteorder") else data)
    assert same(torch, read(path), torch.load(path, weights_only=True))
    assert read(path)["torch.float32",].tolist() != [0, 1, 3]


def test_an_archive_without_check_sums_is_read(tmp_path, torch):
    before = torch.serialization.get_crc32_options()
    try:
        torch.serialization.set_crc32_options(False)
        torch.save({"a": torch.ones(3)}, tmp_path / "a.pth")
    finally:
        torch.serialization.set_crc32_options(before)
    assert read(tmp_path / "a.pth")["a",].tolist() == [1, 1, 1]


def pickled_old(torch, content, key="0"):
    """The bytes of an old file with one storage, 0 to 5, whose pickle is `content`, protocol 2 without its end."""
    values = np.arange(6, dtype=np.float32).tobytes()
    parts = (0x1950A86A20F9469CFC6C, 1001, {"little_endian": True})
    return b"".join(pickle.dumps(part, 2) for part in parts) + b"\x80\x02" + content + b"." + pickle.dumps(
        [key], 2) + (6).to_bytes(8, "little") + values


STORAGE = b"(X\x07\0\0\0storagectorch\nFloatStorage\nX\x01\0\0\0" + b"0X\x03\0\0\0cpuK\x06%stQ"


@pytest.mark.parametrize("tensor, values", [
    (b"ctorch._utils\n_rebuild_tensor\n(" + STORAGE % b"N" + b"K\x01K\x02K\x02\x86K\x02K\x01\x86tR", [[1, 2], [3, 4]]),
    (b"ctorch._utils\n_rebuild_tensor\n(" + STORAGE % b"(X\x01\0\0\0vK\x02K\x03t" + b"K\x01K\x02\x85K\x01\x85tR",
     [3, 4]),  # a view of a storage, as before 0.4
    (b"ctorch\nFloatTensor\n)\x81(" + STORAGE % b"N" + b"K\x03K\x02\x85K\x01\x85tb", [3, 4]),  # 0.1
])
def test_forms_of_the_first_pytorch(tmp_path, torch, tensor, values):
    path = tmp_path / "a.pth"
    path.write_bytes(pickled_old(torch, b"}U\x01a" + tensor + b"s"))  # U: a string of Python 2
    assert read(path)["a",].tolist() == values
    assert same(torch, read(path), torch.load(path, weights_only=True))


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
@pytest.mark.parametrize("form", [ZIP, OLD], ids=["zip", "old"])
def test_protocols_of_pickle(tmp_path, torch, protocol, form):
    content = kinds(torch)["training"]
    torch.save(content, tmp_path / "a.pth", pickle_protocol=protocol, **form)
    assert same(torch, read(tmp_path / "a.pth"), content)


class Evil:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


@pytest.mark.parametrize("form", [ZIP, OLD], ids=["zip", "old"])
def test_a_module_that_was_pickled_whole_gives_its_tensors_and_runs_nothing(tmp_path, torch, form):
    module = torch.nn.Sequential(torch.nn.Conv2d(2, 3, 1), torch.nn.BatchNorm2d(3, dtype=torch.float64),
                                 torch.nn.Sequential(torch.nn.PReLU()))
    module[0].half()
    module[2].register_buffer("passing", torch.ones(2), persistent=False)
    module[2].register_buffer("mask", torch.ones(3, dtype=torch.bool))
    expected = module.state_dict()
    module[0].register_forward_hook(Evil(tmp_path / "ran"))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that the source of a module is not kept
        torch.save(module, tmp_path / "a.pth", **form)
    found = read(tmp_path / "a.pth")
    assert same(torch, found, expected) and [key for key, in found] == list(expected)
    assert not (tmp_path / "ran").exists()


def test_modules_without_end_and_values_without_end_are_refused(tmp_path, torch):
    module, path = torch.nn.Linear(2, 2), tmp_path / "a.pth"
    module.mask = torch.nn.Parameter(torch.ones(1).expand(1 << 40))
    torch.save(module, path)
    with pytest.raises(UserError, match="more values than a file of its size can hold"):
        read(path)
    module.mask = None
    module._modules["itself"] = module
    torch.save(module, path)
    with pytest.raises(UserError, match="a.pth: holds modules within modules without end"):
        read(path)


def archive_of(path, pickled, **members):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in {"data.pkl": pickled, "version": "3\n", **members}.items():
            archive.writestr(f"a/{name.replace('__', '/')}", data)


def tensor(shape, strides, count=4, offset=b"K\0"):
    def numbers(values):
        return b"(" + b"".join(b"\x8a\x08" + value.to_bytes(8, "little", signed=True) for value in values) + b"t"
    return (b"\x80\x02}X\x01\0\0\0actorch._utils\n_rebuild_tensor_v2\n((X\x07\0\0\0storagectorch\nFloatStorage\n"
            b"X\x01\0\0\0" + b"0X\x03\0\0\0cpu\x8a\x08" + count.to_bytes(8, "little") + b"tQ" + offset
            + numbers(shape) + numbers(strides) + b"\x89}tRs.")


@pytest.mark.parametrize("pickled, values, message", [
    (tensor([4], [1]), bytes(16), None),
    (tensor([0, 5], [1, 1]), bytes(16), None),
    (tensor([5], [1]), bytes(16), "damaged"),
    (tensor([4], [1], offset=b"K\x01"), bytes(16), "damaged"),
    (tensor([2, 3], [3, 1]), bytes(16), "damaged"),
    (tensor([-4], [1]), bytes(16), "damaged"),
    (tensor([4], [-1]), bytes(16), "damaged"),
    (tensor([4], [1], offset=b"J\xff\xff\xff\xff"), bytes(16), "damaged"),
    (tensor([4], [1, 1]), bytes(16), "damaged"),
    (tensor([4], [1]), bytes(12), "damaged"),
    (tensor([4], [1]), bytes(20), "damaged"),
    (tensor([1 << 40], [1], count=1 << 40), bytes(16), "damaged"),
    (tensor([1 << 40], [0]), bytes(16), "more values than a file"),
    (tensor([1 << 20, 1 << 20], [0, 0]), bytes(16), "more values than a file"),
    (tensor([1 << 21], [1], count=1 << 21), bytes(1 << 23), "more values than a file"),  # compressed
    (b"\x80\x02cone\nThing\n)R\x72\xff\xff\xff\x7f.", b"", "holds more than tensors .one.Thing."),  # a memo so long
    (b"\x80\x05\x96" + (1 << 40).to_bytes(8, "little") + b".", b"", "damaged"),
    (b"\x80\x04\x8e" + (1 << 62).to_bytes(8, "little") + b"x.", b"", "damaged"),
    (b"\x80\x02" + b"\x85" * 100_000 + b".", b"", "damaged"),
    (b"\x80\x02}N" + b"\x85" * 100_000 + b"Ns.", b"", "damaged"),  # a key whose hash would go so deep
    (b"\x80\x02]q\0h\0a.", b"", "read"),  # itself
    (b"\x80\x02" + b"(" * 300_000 + b".", b"", "damaged"),
    (b"\x80\x02" + b"".join(b"c%d\nT\n" % number for number in range(20_000)) + b".", b"", "more than tensors .0.T."),
])
def test_what_is_claimed_is_held_against_the_file(tmp_path, pickled, values, message):
    path = tmp_path / "a.pth"
    archive_of(path, pickled, data__0=values, byteorder="little")
    before, start = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.process_time()
    if message in (None, "read"):
        read(path)
    else:
        with pytest.raises(UserError, match=f"a.pth: .*{message}") as error:
            read(path)
        assert "\n" not in str(error.value)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 300_000  # KB
    assert time.process_time() - start < 20


def test_every_flipped_bit_of_an_archive_is_told_or_changes_nothing(tmp_path, torch):
    content, path = {"params": {"a": torch.arange(64.0), "b": torch.ones(3, 3).half()}}, tmp_path / "a.pth"
    torch.save(content, path)
    data, told = path.read_bytes(), 0
    rng = random.Random(1)
    for _ in range(300):
        changed, at = bytearray(data), rng.randrange(len(data))
        changed[at] ^= 1 << rng.randrange(8)
        path.write_bytes(changed)
        try:
            assert same(torch, read(path), content), at
        except UserError:
            told += 1
    assert told > 100


OPS = bytes(code for code in range(256) if chr(code) in "(.]}" or chr(code).isalnum() or 0x80 <= code <= 0x98)


def mutated(data, rng):
    """Bytes with some changed, removed, repeated or exchanged for instructions of pickle."""
    data = bytearray(data)
    for _ in range(rng.choice((1, 1, 1, 2, 3, 8))):
        at, other = rng.randrange(len(data)), rng.randrange(len(data))
        match rng.randrange(6):
            case 0:
                data[at] ^= 1 << rng.randrange(8)
            case 1:
                data[at] = rng.choice(OPS)
            case 2:
                data[at] = rng.choice((0, 1, 2, 127, 128, 255))
            case 3:
                del data[at:at + rng.choice((1, 2, 9, 40))]
            case 4:
                data[at:at] = data[other:other + rng.choice((1, 2, 5, 20, 60))]
            case 5:
                data[at:at + 4] = data[other:other + 4]
        data = data or bytearray(b".")
    return bytes(data)


# Protocols, archives, devices: see the module
LISTED = ("Unsupported operand", "invalid header or archive is corrupted", "Attempting to deserialize object on",
          "don't know how to restore data location of")


@pytest.mark.parametrize("count", [300, pytest.param(10_000, marks=pytest.mark.slow)])
def test_what_pytorch_refuses_is_refused_and_what_both_read_is_equal(tmp_path, torch, count):
    seed = count
    print("seed", seed)
    rng, path, seen = random.Random(seed), tmp_path / "a.pth", collections.Counter()
    files = []
    for kind in ("views", "module", "training"):
        for form in (ZIP, OLD):
            torch.save(kinds(torch)[kind], buffer := io.BytesIO(), **form)
            files.append(buffer.getvalue())
    for number in range(count):
        data = rng.choice(files)
        if data.startswith(storages.ZIP) and rng.random() < 0.75:  # the archive is whole, what it holds is not
            with zipfile.ZipFile(io.BytesIO(data)) as old, zipfile.ZipFile(path, "w") as archive:
                which = rng.choice(("data.pkl", "data.pkl", "data.pkl", "version", "byteorder", "data/0"))
                for name in old.namelist():
                    content = old.read(name)
                    archive.writestr(name, mutated(content, rng) if name.endswith(which) else content)
        else:
            path.write_bytes(mutated(data, rng))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of pickle protocols that PyTorch does not write
            try:
                expected = torch.load(path, weights_only=True)
                refusal = ""
            except Exception as e:
                refusal = str(e)
        try:
            found = read(path)
        except UserError:
            seen["both refuse" if refusal else "PyTorch reads"] += 1
            continue
        seen["read"] += 1
        if refusal:
            assert any(form in refusal for form in LISTED), (number, refusal)
        else:
            assert same(torch, found, expected), number
    print(dict(seen))
    assert seen["read"] > 0.02 * count and seen["PyTorch reads"] < 0.1 * count


def test_jax_has_the_type_that_numpy_lacks(tmp_path, torch):
    torch.save({"a": torch.ones(2).bfloat16()}, tmp_path / "a.pth")
    assert read(tmp_path / "a.pth")["a",].dtype == jnp.bfloat16
