"""`jsr models get`: downloads a public model, or a file from an address, into the user's cache folder."""

import argparse
import contextlib
import hashlib
from pathlib import PurePosixPath
import re
import shutil
import urllib.parse

from jsr import command_line, model_file, models, results, terminal, weights
from jsr.cli import _progress
from jsr.errors import UserError, nearest
from jsr.files import atomic_write, sha256, writing
from jsr.metrics import score_weights
from jsr.weights import hub, public, scores
from jsr.weights.download import download

_COMMAND, _MANIFEST = "jsr models get", "downloads.json"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")
_SCORES_ENDING = ".npz"  # of weights of scores
_HASH = re.compile(r"[0-9a-fA-F]{64}|")


def run(args):
    """Downloads a model, converts it, prints its name and hash; returns the exit status."""
    if args.place in scores.table():
        return _get_score_weights(args, scores.table()[args.place])
    console, source = terminal.console(), public.models().get(args.place)
    address = source.address if source else args.place
    _check(args, source)
    name = _name(args, source)
    target = weights.downloads() / f"{name}.safetensors"
    with results.making(target, waiting=_saying(console, f"{name}: waits for another command that downloads it")):
        if target.exists():
            console.print(f"{name} is there already: {target}")
            return 0
        if source:
            console.print(f"licence: {source.licence or 'none stated'}; commercial use: {source.commercial}; see "
                          f"{source.page}")
        expected = args.sha256 or (source.sha256 if source else "")
        with _original(address, target, expected) as (file, taken):
            found = sha256(file) or ""
            if not found.startswith(expected.lower()):  # of a file on the hub
                raise UserError(f"{taken}: its SHA-256 is {found}, not {expected}; it is not taken")
            if not expected:
                console.print(f"SHA-256: {found}, not checked, since none was stated; --sha256 checks later downloads")
            _make(file, target, source)
        _manifest().add("files", target.name, {"source": taken, "source_sha256": found, "sha256": sha256(target)})
        _manifest().save()
    use = f"; try it: jsr upscale photo.jpg -m {name}" if not (source and models.card(source.network).auxiliary) else ""
    console.print(f"{name}: {target}{use}")
    return 0


def _get_score_weights(args, row):
    """As `run`, of the weights of a score, and of the network whose features it compares."""
    if args.name or args.sha256:
        raise UserError(f"{row.name}: its name and SHA-256 are fixed; leave out "
                        f"{'--name' if args.name else '--sha256'}")
    if row.network and row.network not in weights.files():
        run(argparse.Namespace(place=row.network, sha256="", name=None))
    console, target = terminal.console(), score_weights.place(row.name)
    with writing(target.parent):
        target.parent.mkdir(parents=True, exist_ok=True)
    with results.making(target, waiting=_saying(console, f"{row.name}: waits for another command that downloads it")):
        if target.exists():
            console.print(f"{row.name} is there already: {target}")
            return 0
        console.print(f"licence: {row.licence}; see {row.page}")
        with _original(row.address, target, row.sha256) as (file, taken):
            score_weights.save(row.name, _arrays(file), source=taken, source_sha256=row.sha256, licence=row.licence)
    console.print(f"{row.name}: {target}; try it: jsr evaluate --sr DIR --hr DIR --profile \"{row.score}\"")
    return 0


def _arrays(file):
    """{name: array} of weights of a score; pickles are read as `jsr convert` reads them, and never run."""
    from jsr.convert import files, parity

    if file.suffix != ".npz":
        return files.read_state_dict(file).tensors
    try:
        return parity.arrays_in(file)
    except Exception as e:  # zipfile, zlib and NumPy have several for a damaged file
        raise UserError(f"{file}: cannot be read: {e}") from e


def taken_from(path):
    """The address that a downloaded model file came from; "" where nothing tells."""
    with contextlib.suppress(UserError):
        return _manifest().find("files", path.name).get("source", "")
    return ""


def _manifest():
    return results.Manifest(weights.downloads() / _MANIFEST, _COMMAND, {}, overwrite=True)


def _check(args, source):
    """Raises UserError for what cannot be downloaded."""
    try:
        urllib.parse.urlsplit(args.place)
    except ValueError as e:
        raise UserError(f"{args.place}: is not an address: {e}") from e
    if not _HASH.fullmatch(args.sha256):
        raise UserError(f"--sha256 {args.sha256}: a SHA-256 has 64 digits and letters from a to f")
    if source and not source.address:
        raise UserError(f"{source.name}: no program can download it: fetch it by hand from {source.page}, then "
                        f"`jsr convert FILE {weights.downloads() / source.name}.safetensors`")
    if not source and "://" not in args.place and not args.place.startswith(hub.SCHEME):
        if args.place in weights.files():
            raise UserError(f"{args.place}: exists already, {weights.files()[args.place]}")
        hint = nearest(args.place, public.models())
        raise UserError(f"{args.place}: no public model has this name; {f'{hint} ' if hint.startswith('did') else ''}"
                        "`jsr models public` lists them; an address begins with https:// or hf:")


def _name(args, source):
    """A model's name here; UserError where that is no name, or another's."""
    given = "--name" if args.name else "its name"
    name = args.name or (source.name if source else PurePosixPath(urllib.parse.urlsplit(args.place).path).stem)
    problem = ""
    if not _NAME.fullmatch(name):
        problem = "has other characters than letters, digits, . _ and -"
    elif (weights.SHIPPED / f"{name}.safetensors").exists():
        problem = "belongs to a model that jsr ships"
    elif name in models.STEMS:
        problem = "belongs to a network"
    elif name in public.models() and not (source and source.name == name):
        problem = "belongs to a public model"
    if problem:
        raise UserError(f"{args.place}: {given} {name!r} {problem}; choose another: --name NAME")
    return name


@contextlib.contextmanager
def _original(address, target, expected):
    """Yields (Path of the file as its makers offer it, the address with what names its version)."""
    if address.startswith(hub.SCHEME):
        yield hub.pull(address)
        return
    file = _place_of(address, target)
    with writing(file.parent):
        file.parent.mkdir(parents=True, exist_ok=True)
    try:
        if not file.exists():
            with _progress.bar("MB") as progress:
                download(address, file, expected=expected, progress=lambda done, total: progress(
                    "downloading", done / 1e6, (total or done) / 1e6))
        yield file, address
    except UserError as e:
        file.unlink(missing_ok=True)
        raise UserError(str(e).replace(str(file), address)) from e
    else:
        file.unlink()
    finally:
        for folder in (file.parent, file.parent.parent):  # where neither the file nor a part of it is left
            with contextlib.suppress(OSError):
                folder.rmdir()


def _place_of(address, target):
    """The Path of a download from an address: a folder for each, so that no two are taken for one another."""
    name = PurePosixPath(urllib.parse.unquote(urllib.parse.urlsplit(address).path)).name
    if not name.endswith((*hub.ENDINGS, _SCORES_ENDING)):
        raise UserError(f"{address}: weights end in {', '.join(hub.ENDINGS)}; name such a file itself")
    name = re.sub(r"[^A-Za-z0-9_.+-]", "_", name)[-100:]
    return target.parent / "originals" / hashlib.sha256(address.encode()).hexdigest()[:16] / name


def _make(file, target, source):
    """Makes a model file from the downloaded file."""
    from jsr.cli import convert
    from jsr.convert import files

    if files.is_model_file(file):
        model_file.load_members(file)
        with open(file, "rb") as original, atomic_write(target) as copy:
            shutil.copyfileobj(original, copy)
        return
    words = [str(file), str(target)]
    if source:
        words += ["--arch", source.network, "--scale", str(source.scale), "--licence", source.licence]
    parser = command_line.Parser(prog="jsr convert")
    convert.add_arguments(parser)
    convert.run(parser.parse_args(words))


def _saying(console, text):
    """A function that prints a text when it is first called."""
    said = []

    def say():
        if not said:
            said.append(text)
            console.print(text)

    return say
