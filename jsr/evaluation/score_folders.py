"""Folders of images compared with folders of images: the pairs of files, and the scores of one pair."""

import collections
import dataclasses
import itertools
from pathlib import Path
import re

from jsr import degradations, metrics
from jsr.degradations.degrade_folder import record_of
from jsr.degradations.enlarge import enlarge
from jsr.errors import UserError
from jsr.images import read_rgb

# What tools add to an image's name: 0801x4, 0801_SwinIR, 0801-out, "0801 (1)".
_ADDED = re.compile(r"x\d.*|[^0-9A-Za-z].*", re.DOTALL)
# What sets add to say which of several an image is: img_001_SRF_4_HR, Canon_001_LR4, SR_0801.
_ROLE = re.compile(r"^(?:[hls]r|[hl]q|gt)[ ._-]+|[ ._-]+(?:srf[ ._-]?\d+|(?:[hls]r|[hl]q|gt)(?:x?\d+)?)$")


def match(made, references, *, what="SR", reference="HR"):
    """Pairs files by stem; else, where only one pairing is possible, by stems that are alike.

    Two are alike but for letter case; without the words that say which image of a scene it is (img_001_SRF_4_HR and
    img_001_SRF_4_SR, Canon_001_HR and Canon_001_LR4, SR_0801); but for zeros before a number (0001 and 1); and with
    something added to the one to pair (0801x4). Of several names that a longer one begins with the longest counts.

    Args:
      made: paths of the files to pair, which may have something added.
      references: paths whose stems are the names.
      what, reference: names of the two in messages.

    Returns:
      (pairs, problems): {reference path: made path}, and one line for each file that is left over, naming it.
    """
    problems = []
    names, files = (_by_stem(paths, problems) for paths in (references, made))
    pairs = {names.pop(stem): files.pop(stem) for stem in sorted(names.keys() & files.keys())}
    alike = [(form, collections.defaultdict(list)) for form in (str.casefold, _scene, _plain_numbers)]
    for name, (form, table) in itertools.product(names, alike):
        table[form(name)].append(name)
    fits, claims = {stem: _fitting(stem, alike) for stem in files}, collections.defaultdict(list)
    for stem, fitting in fits.items():
        for name in fitting:
            claims[name].append(stem)
    for stem, fitting in fits.items():
        rivals = [files[rival].name for rival in sorted({r for name in fitting for r in claims[name]} - {stem})]
        if len(fitting) == 1 and not rivals:
            pairs[names[fitting[0]]] = files[stem]
        elif fitting:
            candidates = " or ".join(names[name].name for name in fitting)
            others = f", as could {' and '.join(rivals)}" if rivals else ""
            problems.append(f"{files[stem]}: could belong to {candidates}{others}; give the right one that file's name")
        else:
            problems.append(f"{files[stem]}: no {reference} image has this name")
    problems += [f"{path}: no {what} image has this name" for name, path in names.items()
                 if path not in pairs and not claims[name]]
    return pairs, problems


def _fitting(stem, alike):
    """The names that a stem may mean, most often one: the longest, and of these those that are most alike."""
    for end in range(len(stem), 0, -1):
        if end == len(stem) or _ADDED.fullmatch(stem, end):
            for form, table in alike:
                if form(stem[:end]) in table:
                    return table[form(stem[:end])]
    return []


def _scene(name):
    """A name in small letters, without the words that say which image of a scene it is."""
    name, before = name.casefold(), ""
    while name != before:
        name, before = _ROLE.sub("", name) or name, name
    return name


def _plain_numbers(name):
    return re.sub(r"\d+", lambda number: str(int(number[0])), _scene(name))


def _by_stem(paths, problems):
    """{stem: path} of the paths whose stem is theirs alone; the others become problems."""
    groups = collections.defaultdict(list)
    for path in paths:
        groups[path.stem].append(path)
    problems += [f"{path}: has the same name as {group[0].name}; remove one of them"
                 for group in groups.values() for path in group[1:]]
    return {stem: group[0] for stem, group in groups.items() if len(group) == 1}


def match_below(made, references, made_dir, reference_dir, **words):
    """Pairs files at any depth as `match` does: within folders of one name, or by name alone where folders differ.

    Args:
      made, references: paths below `made_dir` and `reference_dir`.
      made_dir, reference_dir: folders. Where the folders below one of them are all below the other too, files of
        different folders are never paired.
      words: see `match`.

    Returns:
      (pairs, problems), as in `match`.
    """
    in_made, in_references = _by_folder(made, made_dir), _by_folder(references, reference_dir)
    if not (in_made.keys() <= in_references.keys() or in_references.keys() <= in_made.keys()):
        return match(made, references, **words)
    pairs, problems = {}, []
    for folder in sorted(in_made.keys() | in_references.keys()):
        found, wrong = match(in_made.get(folder, []), in_references.get(folder, []), **words)
        pairs |= found
        problems += wrong
    return pairs, problems


def _by_folder(paths, root):
    groups = collections.defaultdict(list)
    for path in paths:
        groups[path.parent.relative_to(root)].append(path)
    return groups


def names_below(paths, root):
    """{path: name}: the stem where it is that of one path alone, else with the folders below `root` in front."""
    stems = collections.Counter(path.stem for path in paths)
    return {path: path.stem if stems[path.stem] == 1 else path.relative_to(root).with_suffix("").as_posix()
            for path in paths}


@dataclasses.dataclass(frozen=True)
class Pair:
    """Paths of one image to score: SR, HR and, for the baseline, LR with its QP (or None); its name, else the stem."""

    sr: Path
    hr: Path
    lr: Path | None = None
    qp: int | None = None
    name: str = ""


def score_pair(pair, *, keys, crop_border=0, scale=None, degradation="", fixed=None, baseline="bicubic",
               kernel="pillow_bicubic"):
    """Scores one image, and a plain upscaling beside it where there is an LR or a degradation to make one.

    Args:
      pair: Pair.
      keys: "metric[profile]" each.
      crop_border: px cut off each side first.
      scale: HR size over LR size; HR rows and columns beyond a multiple of it are cropped, bottom and right.
      degradation: key of jsr.degradations.PROTOCOLS that makes the LR of a pair without one; "" for no baseline.
      fixed: parameters of `degradation` to set, {name: value}, see `jsr.degradations.draw`.
      baseline: name of the plain upscaling in the result.
      kernel: key of jsr.degradations.enlarge.KERNELS that does it.

    Returns:
      {name, sr, hr, cropped: "HxW" before the crop or "", ours: {key: value}}, of a pair with a QP also qp and, with a
      baseline, <baseline>: {...} and made: what made its LR image, the record of jsr.degradations.Degraded, {} where
      that is not known. An LR file of `jsr degrade` is decoded as its record says.

    Raises:
      UserError: an image that cannot be read, sizes that do not fit, too small for a metric.
    """
    whole, sr = read_rgb(pair.hr), read_rgb(pair.sr)
    try:
        hr = degradations.crop_to_multiple(whole, scale or 1)
    except ValueError as e:
        raise UserError(f"{pair.hr}: {e}, the scale") from e
    if sr.shape != hr.shape:
        raise UserError(f"{pair.sr}: is {_size(sr)}, its HR {pair.hr.name} {_size(hr)} (height x width); "
                        "they must agree")
    shown, made = {"ours": sr}, {}
    if pair.lr:
        shown[baseline], made["made"] = _enlarge(pair, hr, scale, kernel)
    elif degradation:
        settings = (fixed or {}) | ({"qp": pair.qp} if pair.qp else {})
        degraded = degradations.degrade(degradation, hr, seed=pair.hr.stem, **settings)
        shown[baseline], made["made"] = enlarge(degraded.decode(), scale, kernel), degraded.record
    try:
        scores = {who: metrics.score(image, hr, keys, crop_border) for who, image in shown.items()}
    except ValueError as e:
        raise UserError(f"{pair.sr}: {e}") from e
    return {"name": pair.name or pair.hr.stem, **({"qp": pair.qp} if pair.qp else {}),
            "sr": str(pair.sr), "hr": str(pair.hr),
            "cropped": _size(whole) if hr.shape != whole.shape else "", **made, **scores}


def _enlarge(pair, hr, scale, kernel):
    try:
        data = pair.lr.read_bytes()
    except OSError as e:
        raise UserError(f"{pair.lr}: cannot be read: {e.strerror}") from e
    made = record_of(pair.lr, data)
    lr = degradations.decode(data, made or None, name=pair.lr)
    scale = scale or max(hr.shape[0] // lr.shape[0], 1)
    if (lr.shape[0] * scale, lr.shape[1] * scale) != hr.shape[:2]:
        raise UserError(f"{pair.lr}: is {_size(lr)}, its HR {pair.hr.name} {_size(hr)} (height x width), "
                        f"not {scale} times as large")
    return enlarge(lr, scale, kernel), made


def _size(image):
    return f"{image.shape[0]}x{image.shape[1]}"
