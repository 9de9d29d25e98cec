"""The images below a folder, in folders and in archives, and the images of a dataset's splits."""

import dataclasses
from pathlib import Path
import re
import tarfile
import zipfile

from jsr import images, listing
from jsr.datasets.records import Original, refuse_large
from jsr.errors import UserError
from jsr.files import no_folder

_PACKED = (".tar.gz", ".tgz", ".tar.xz", ".tar.bz2", ".rar", ".7z")  # nothing in them can be read by itself
_WILD = {"{name}": "(?P<name>[^/]+)", "{number}": r"(?P<name>\d+)", "*": "[^/]*", "?": "[^/]"}


@dataclasses.dataclass(frozen=True)
class TarMember(Original):
    """A source image in a .tar archive: where its bytes are."""

    offset: int = 0
    size: int = 0

    def read(self):
        """The file's bytes; raises UserError where the archive is missing, cut off or unreadable."""
        refuse_large(self, self.size)
        try:
            with open(self.path, "rb") as file:
                file.seek(self.offset)
                data = file.read(self.size)
        except OSError as e:
            raise UserError(f"{self}: cannot be read: {e.strerror}") from e
        if len(data) < self.size:
            raise UserError(f"{self}: damaged archive (it ends too early); fetch it again")
        return data

    def record_bytes(self):
        """A guess at the bytes of its record."""
        return self._record_bytes(self.size)


@dataclasses.dataclass
class Found:
    """The images below a folder.

    Attributes:
      files: [(path, Original)], as if archives were folders; files in folders come before members of archives.
      unusable: archives that may hold images, each with the reason: "a.tgz must be unpacked first".
      passed: jsr.listing.PassedOver, all else in the folders; of archives what they hold besides images is not counted.
    """

    files: list
    unusable: list
    passed: listing.PassedOver

    def matching(self, pattern):
        """{name: Original}, sorted, of the files whose path ends like `pattern`; of the same name, the first.

        Args:
          pattern: as in "DIV8K/{name}.*": `*` and `?` as in a shell, not across "/"; {name} becomes the image's name,
            {number} only if it is of digits. Case does not matter.
        """
        parts = re.split(r"(\{name\}|\{number\}|\*|\?)", pattern)
        ends = re.compile(f"(?:.*/)?{''.join(_WILD.get(part, re.escape(part)) for part in parts)}", re.IGNORECASE)
        named = {}
        for path, source in self.files:
            match = ends.fullmatch(path)
            if match:
                named.setdefault(match["name"], source)
        return dict(sorted(named.items()))


def images_below(folder):
    """Found: the images in a folder, the folders in it, and the .zip and .tar archives in them.

    Hidden files, and links to what is taken anyway, are left out.

    Raises:
      UserError: no such folder.
    """
    folder = Path(folder).absolute()
    if not folder.is_dir():
        raise UserError(f"{folder}: {no_folder(folder)}")
    files, archived, unusable, passed = [], [], [], listing.PassedOver()
    for path in listing.files_below(folder, passed):
        suffix = path.suffix.lower()
        if suffix in images.EXTENSIONS:
            files.append((path.as_posix(), Original(path.stem, str(path))))
        elif suffix in _LISTINGS:
            try:
                archived += [(f"{path.with_suffix('').as_posix()}/{source.member}", source)
                             for source in _LISTINGS[suffix](path) if _is_image(source.member)]
            except Exception as e:  # zipfile and tarfile have several for a damaged archive
                unusable.append(f"{path.name} is damaged ({e}), fetch it again")
        elif path.name.lower().endswith(_PACKED):
            unusable.append(f"{path.name} must be unpacked first")
        else:
            passed.add(path)
    return Found(files + archived, unusable, passed)


def _is_image(member):
    is_hidden = any(part.startswith(".") for part in member.split("/"))  # macOS packs a ._name beside each name
    return not is_hidden and member.lower().endswith(images.EXTENSIONS)


def _in_zip(path):
    with zipfile.ZipFile(path) as archive:
        return [Original(Path(name).stem, str(path), name) for name in sorted(archive.namelist())]


def _in_tar(path):
    with tarfile.open(path, "r:") as archive:
        members, end = [], -1
        for member in archive:
            if member.offset <= end or member.size < 0:  # tarfile would read on without end
                raise tarfile.ReadError("its members lie in one another")
            members.append(member)
            end = member.offset
        members.sort(key=lambda member: member.name)
        return [TarMember(Path(member.name).stem, str(path), member.name.removeprefix("./"), member.offset_data,
                          member.size) for member in members if member.isfile()]


_LISTINGS = {".zip": _in_zip, ".tar": _in_tar}
