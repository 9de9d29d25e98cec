"""The trial of converted weights: a stored photograph, degraded for the network's task, must come out well.

It finds what no tensor tells and one look does: the range of the values inside, a skip, a dilation. The photograph is a
part of scikit-image's `astronaut`, NASA's portrait of Eileen Collins, in the public domain.
"""

import contextlib
import dataclasses
from importlib import resources
import io
import shlex
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from PIL import Image

from jsr import models
from jsr.convert import parity
from jsr.convert.conversion import Converted, fit, read
from jsr.convert.identify import rules_of, variant
from jsr.errors import UserError
from jsr.layers.padding import crop_to, pad_to_multiple
from jsr.metrics import psnr

FAR = 8.0  # dB that an output may be below plain enlargement; networks that draw details lose about 3
RANGES = (1.0, 255.0)  # of the values inside a network, where no tensor tells
_SIDE = 64  # of the image that the network sees, at most; px
_QUALITY = 40  # of the JPEG file that is restored


@dataclasses.dataclass(frozen=True)
class Tried:
    """Weights as one of the networks that they fit.

    Attributes:
      fields: what the network differs in from the one recognised, {} of that.
      converted: Converted.
      gain: dB that the photograph is nearer to itself than by plain enlargement, or than the JPEG file of it.
    """

    fields: dict
    converted: Converted
    gain: float


def settle(source, match, *, reference=None) -> tuple[Converted, dict[str, Any] | None]:
    """Converts weights to the network, of those that they fit, which treats a photograph as its task says.

    Args:
      source: jsr.convert.conversion.Source.
      match: Match, as recognised or as the user says; other values of the fields that it assumed are tried.
      reference: path of the original's output, see jsr.convert.parity.certify; it decides in the photograph's place.

    Returns:
      (Converted, certificate or None); its notes say what was tried.

    Raises:
      UserError: see `fit`; the photograph comes out more than the rules' FAR dB, 8 by default, below plain
        with every candidate; or none of them is what the reference says.
    """
    first = fit(source, match)
    far = getattr(rules_of(first.match), "FAR", FAR)
    if models.card(first.model).auxiliary or far is None:
        return first, parity.certify(first.model, first.variables, reference) if reference else None
    tried = [Tried({}, first, gain(first.model, first.variables))]
    for fields in _others(first, is_far=bool(reference) or tried[0].gain < -far):
        its = fit(source, _with(first, fields))
        tried.append(Tried(fields, its, gain(its.model, its.variables)))
    tried.sort(key=lambda its: -its.gain)
    if reference:
        return _proved(tried, reference)
    near = [its for its in tried if its.gain >= -far]
    if not near:
        raise UserError(f"{source.path}: as {first.match.model} x{first.match.scale} it makes a photograph "
                        f"{-tried[0].gain:.1f} dB worse than plain enlargement{_also(tried[1:])}: either the weights "
                        "are another network's with the same names, or hardly trained; --reference can prove them "
                        "right")
    best = near[0].converted
    return dataclasses.replace(best, notes=(*best.notes, *_notes(near, tried, best))), None


def of_file(path):
    """The network of PyTorch weights, as they, and the photograph, say themselves which it is.

    Args:
      path: see jsr.convert.conversion.read.

    Returns:
      (Source, Converted).

    Raises:
      UserError: see `read` and `settle`, or they are not recognised.
    """
    source = read(path)
    if source.match is None:
        raise UserError(f"{path}: neither a model file of jsr's nor weights of a network that jsr recognises "
                        f"({source.keys()}); name the network: jsr convert {shlex.quote(str(path))} MODEL.safetensors "
                        "--arch MODEL_ID --scale N")
    return source, settle(source, source.match)[0]


def gain(model, variables):
    """PSNR in dB, over all colours, that a network's output has above plain enlargement of the stored photograph.

    Args:
      model: a network that gives images.
      variables: its variables.

    Returns:
      -inf where a value is not finite. At x1 it is the gain over a JPEG file of quality 40. Grey networks see the
      photograph's grey, those of four channels an opaque alpha, those of clips a still.
    """
    card, channels = models.card(model), getattr(model, "channels", models.card(model).in_channels)
    hr, lr = pair(model.scale)
    image = _channels(lr, channels)[None].astype(np.float32) / 255
    if card.frames:
        image = np.repeat(image[:, None], 5 if card.frames == "all" else card.frames, axis=1)
    with jax.default_matmul_precision("highest"):
        found = models.outputs(jax.jit(model.apply)(variables, pad_to_multiple(jnp.asarray(image), card.padding)))["sr"]
    sr = np.asarray(crop_to(found, *hr.shape[:2]), np.float64)[0]
    sr = sr[len(sr) // 2] if sr.ndim == 4 else sr
    if not np.isfinite(sr).all():
        return -np.inf
    sr, plain = np.rint(sr.clip(0, 1) * 255).astype(np.uint8), _resized(lr, len(hr))
    target, plain = (_channels(each, sr.shape[-1]) for each in (hr, plain))
    return psnr(sr, target) - psnr(plain, target)


def pair(scale):
    """(HR, LR) of the photograph's middle, uint8 (H, W, 3): by Pillow's bicubic, or at x1 by JPEG."""
    with Image.open(io.BytesIO(resources.files("jsr.convert").joinpath("trial.webp").read_bytes())) as file:
        image = np.asarray(file.convert("RGB"))
    side = min(_SIDE, len(image) // scale)
    corner = (len(image) - side * scale) // 2
    hr = image[corner:corner + side * scale, corner:corner + side * scale]
    if scale > 1:
        return hr, _resized(hr, side)
    buffer = io.BytesIO()
    Image.fromarray(hr).save(buffer, "JPEG", quality=_QUALITY)
    return hr, np.asarray(Image.open(buffer))


def _resized(image, side):
    """Pillow's bicubic."""
    return np.asarray(Image.fromarray(image).resize((side, side), Image.Resampling.BICUBIC))


def _channels(image, number):
    """An RGB image with one channel, its grey, or with alpha as the fourth."""
    if number == 1:
        return np.asarray(Image.fromarray(image).convert("L"))[..., None]
    return image if number == 3 else np.concatenate([image, np.full_like(image[..., :1], 255)], -1)


def _others(first, *, is_far):
    """Fields of other networks with the same tensors: the siblings in the rules, other ranges where it is far."""
    assumed = {text.partition(" ")[0] for text in first.match.assumed}
    siblings = [{}, *(fields for fields in getattr(rules_of(first.match), "SIBLINGS", ()) if assumed >= {*fields})]
    ranges = [{}, *(dict(img_range=value) for value in RANGES if is_far and "img_range" in assumed)]
    found = []
    for fields in (one | other for one in siblings for other in ranges):
        fields = {key: value for key, value in fields.items() if getattr(first.model, key) != value}
        if fields and fields not in found:
            found.append(fields)
    return found


def _with(first, fields):
    """The Match of a Converted with other fields, under the id that has most of them."""
    own = {field.name: getattr(first.model, field.name) for field in dataclasses.fields(first.model)
           if field.name not in ("scale", "dtype", "parent", "name")}
    assumed = tuple(text for text in first.match.assumed if text.partition(" ")[0] not in fields)
    stem = first.match.model.partition("/")[0]
    return dataclasses.replace(first.match, **dict(zip(("model", "scale", "fields"), variant(
        stem, first.match.scale, own | fields), strict=True)), assumed=assumed)


def _proved(tried, reference):
    """The first that gives the reference's output, and its certificate; the last one's error where none does."""
    *others, last = tried
    for its in others:
        with contextlib.suppress(UserError):
            return _certified(its, reference)
    return _certified(last, reference)


def _certified(its, reference):
    """The Converted of a Tried that gives the reference's output, and its certificate; UserError where it does not."""
    converted = its.converted
    certificate = parity.certify(converted.model, converted.variables, reference)
    taken = [f"the reference says: {_text(its.fields)}"] if its.fields else []
    return dataclasses.replace(converted, notes=(*converted.notes, *taken)), certificate


def _notes(near, tried, best):
    """A line on the trials and their results."""
    how = "over the JPEG file of it" if best.model.scale == 1 else "over bicubic"
    if len(near) > 1:
        yield (f"one of: {'; '.join(f'{_text(its.fields)} ({its.gain:+.1f} dB {how})' for its in near)}; the first is "
               "taken, --reference proves which is right")
    else:
        rest = [its for its in tried if its is not near[0]]
        yield (f"tried on a photograph: {near[0].gain:+.1f} dB {how}"
               f"{f', with {_text(near[0].fields)}' if rest else ''}{_also(rest)}")


def _also(rest):
    """A clause on others that were tried."""
    return "".join(f"; with {_text(its.fields)} {its.gain:+.1f} dB" for its in rest)


def _text(fields):
    return ", ".join(f"{key} {value}" for key, value in fields.items()) or "what was assumed"
