"""Augmentations: changes to the samples of a batch, made on the devices before a stage's networks see them.

A row is a name of AUGMENTATIONS, or a dict {name, p, per, ...}: `p` is the probability that it is applied, 1 by
default; "per" says whether each "sample", the default, or the whole "batch" has draws of its own; the rest are options
of the function. Rows are applied in order.

A draw is a function of the key, the row's name and the sample's number in the batch, of nothing else: it depends
neither on the devices nor on the rows before. Only which sample another is mixed with depends on how many are in the
batch. A function gets the images of one sample, {key of the batch: array (H, W, C), or of a clip (T, H, W, C)}, and
those of the sample that it may be mixed with. The images show the same at one or several sizes, and stay aligned.

Most are those of Yoo et al., Rethinking Data Augmentation for Image Super-resolution, CVPR 2020, which introduces
CutBlur, with the defaults of its code (clovaai/cutblur). That draws everything but cutout's pixels and blend's colours
once a batch, as `per` "batch" does here, and a sample's partner may be itself.
"""

import inspect
from typing import Any, NamedTuple
import zlib

import jax
import jax.numpy as jnp
import numpy as np

from jsr.errors import UserError, nearest
from jsr.layers.resize import bicubic_downsample
from jsr.trees import plain


def flip(images, partner, key):
    """Mirrored upside down, left to right, both or neither, each with the same probability."""
    del partner
    upside_down, left_right = jax.random.bernoulli(key, shape=(2,))
    return {name: _mirrored(image, upside_down, left_right) for name, image in images.items()}


def flip_rotate(images, partner, key):
    """One of the eight flips and rotations by right angles, each with the same probability; images must be square."""
    height, width = images["lr"].shape[-3:-1]
    if height != width:
        raise UserError(f"augmentation flip_rotate: needs square images, these are of {width}x{height}; use flip")
    turn, flip_key = jax.random.split(key)
    transpose = jax.random.bernoulli(turn)
    images = {name: jnp.where(transpose, image.swapaxes(-3, -2), image) for name, image in images.items()}
    return flip(images, partner, flip_key)


def permute_rgb(images, partner, key):
    """One of the six orders of the colour channels, each with the same probability."""
    del partner
    order = jax.random.permutation(key, 3)
    return _coloured(images, lambda image: image[..., order])


def scale_intensity(images, partner, key, *, factors=(1.0, 0.7, 0.5)):
    """All values times one of `factors`, each with the same probability: XLSR's (Ayazoglu, CVPRW 2021)."""
    del partner
    factor = jax.random.choice(key, jnp.float32(factors))
    return _coloured(images, lambda image: image * factor)


def blend(images, partner, key, *, lowest=0.6):
    """Mixed with one random colour; the image's share is uniform in [lowest, 1)."""
    del partner
    share_key, colour_key = jax.random.split(key)
    share = jax.random.uniform(share_key, minval=lowest)
    colour = jax.random.uniform(colour_key, images["lr"].shape[-1:])
    return _coloured(images, lambda image: share * image + (1 - share) * colour)


def mixup(images, partner, key, *, alpha=1.2):
    """Mixed with another sample's; the share is of Beta(alpha, alpha)."""
    share = jax.random.beta(key, alpha, alpha)
    return {name: share * image + (1 - share) * partner[name] for name, image in images.items()}


def cutmix(images, partner, key, *, ratio=0.7):
    """A window comes from another sample; its sides are `ratio`, give or take 0.01 (one sigma), of the image's."""
    return _paste(images, partner, _window(key, images, ratio))


def cutmixup(images, partner, key, *, ratio=0.7, alpha=1.2):
    """As `mixup`, but only within a window as in `cutmix`, or only outside, each with the same probability."""
    window_key, swap_key, mix_key = jax.random.split(key, 3)
    where = _window(window_key, images, ratio) ^ jax.random.bernoulli(swap_key)
    return _paste(images, mixup(images, partner, mix_key, alpha=alpha), where)


def cutblur(images, partner, key, *, ratio=0.7):
    """LR shows HR within a window as in `cutmix`, or outside it, each with the same probability; HR stays."""
    del partner
    if images["lr"].shape != images["hr"].shape:
        raise UserError("augmentation cutblur: pastes HR into LR, so that both must have one size; put a network of "
                        "enlarge, such as enlarge/nearest, first in the chain, before a network of scale 1")
    window_key, swap_key = jax.random.split(key)
    where = _window(window_key, images, ratio) ^ jax.random.bernoulli(swap_key)
    return images | _paste({"lr": images["lr"]}, {"lr": images["hr"]}, where)


def cutout(images, partner, key, *, share=0.001):
    """Each LR pixel is black with probability `share`, in all frames of a clip; `mask` is 0 where, in HR, it is."""
    del partner
    kept = jax.random.bernoulli(key, 1 - share, (*images["lr"].shape[-3:-1], 1))
    return images | {"lr": images["lr"] * kept, "mask": images["mask"] * _enlarged(kept, images["mask"])}


def mixcorrupt(images, partner, key):
    """LR shows HR within a window of a third of its sides, reduced by bicubic, bilinear or nearest, each as likely.

    The reductions are PyTorch's without antialiasing: 4x4, 2x2 or 1 px make one, whatever the scale. As in
    TimothyHTimothy/NADU-DMDR, of a member of AIM 2020's team qwq, which draws once a batch, as `per` "batch" does here.
    """
    del partner
    lr, hr = images["lr"], images["hr"]
    if lr.shape == hr.shape:
        raise UserError("augmentation mixcorrupt: makes LR images from HR images, which must be larger; "
                        "enlarge LR within the network, or leave the augmentation out")
    factor = hr.shape[-2] // lr.shape[-2]
    method_key, *place_keys = jax.random.split(key, 3)
    reductions = [jnp.reshape(bicubic_downsample(hr.reshape(-1, *hr.shape[-3:]), factor), lr.shape),
                  _bilinear_downsample(hr, factor), hr[..., ::factor, ::factor, :]]
    reduced = jnp.stack(reductions)[jax.random.randint(method_key, (), 0, len(reductions))]
    sides = lr.shape[-3:-1]
    return images | {"lr": jnp.where(_rectangle(place_keys, sides, [side // 3 for side in sides]), reduced, lr)}


def one_of(images, partner, key, *, of=()):
    """One of the rows `of` is applied; their `p` are the probabilities, and for what lacks to 1 none is.

    Without any `p` all have the same. The rows have no `per`: it is that of one_of.
    """
    rows = _parsed(of)
    shares = _shares(rows)
    choice_key, draw_key = jax.random.split(key)
    which = jax.random.choice(choice_key, len(shares), p=jnp.float32(shares))
    result = images
    for index, row in enumerate(rows):
        changed = row.call(images, partner, _named(draw_key, row.label))
        result = _where(which == index, changed, result)
    return result


AUGMENTATIONS = {fn.__name__: fn for fn in (
    flip, flip_rotate, permute_rgb, scale_intensity, blend, mixup, cutmix, cutmixup, cutblur, cutout, mixcorrupt,
    one_of)}
_LARGEST = {"alpha": np.inf}  # of an option; that of others is 1


def apply(rows, batch, key, first=0):
    """Augments a batch.

    Args:
      rows: as above.
      batch: dict of arrays; those of rank 4 and 5 are images in [0, 1], float32 (N, H, W, C) and (N, T, H, W, C),
        among them `lr` and `hr`. Others stay as they are.
      key: PRNG key of the step.
      first: the number in the step's batch of the first sample, where only a part of it is given. Samples are mixed
        within the part.

    Returns:
      The batch, where cutout is among the rows with `mask`, float32 (N, H, W, 1) of HR size: 1 where the loss counts.

    Raises:
      UserError: as for `check`.
    """
    rows = _parsed(rows)
    if not rows:
        return batch
    images = {name: value for name, value in batch.items() if value.ndim >= 4}
    if any(row.makes_mask() for row in rows):
        images["mask"] = jnp.ones_like(images["hr"][..., :1])
    count = len(images["lr"])
    for row in rows:
        shift_key, draw_key = jax.random.split(_named(key, row.label))
        shift = jax.random.randint(shift_key, (), 1, max(count, 2))
        numbers = first + jnp.arange(count) if row.per == "sample" else jnp.zeros(count, int)
        keys = jax.vmap(jax.random.fold_in, (None, 0))(draw_key, numbers)
        partners = {name: jnp.roll(image, shift, axis=0) for name, image in images.items()}
        images = jax.vmap(row.maybe)(images, partners, keys)
    return batch | images


def check_rows(rows):
    """Raises UserError for rows that are wrong whatever the images are."""
    for row in _parsed(rows):
        if row.name == "one_of":
            within = row.options.get("of", ())
            check_rows(within)
            _shares(_parsed(within))


def check(rows, scale):
    """Raises UserError for rows that are wrong, or not for a network whose input is `scale` times smaller than HR."""
    lr, hr = (jax.ShapeDtypeStruct((2, side, side, 3), jnp.float32) for side in (8, 8 * scale))
    jax.eval_shape(lambda lr, hr: apply(rows, {"lr": lr, "hr": hr}, jax.random.key(0)), lr, hr)


class _Row(NamedTuple):
    """A row as it is written, but complete; `label` is its name, with a number where it is not the first of it."""

    name: str
    label: str
    p: float | None
    per: str
    options: dict[str, Any]

    def call(self, images, partner, key):
        """The images of a sample, augmented."""
        return AUGMENTATIONS[self.name](images, partner, key, **self.options)

    def maybe(self, images, partner, key):
        """The same with probability p."""
        if self.p in (None, 1):
            return self.call(images, partner, key)
        draw_key, key = jax.random.split(key)
        return _where(jax.random.bernoulli(draw_key, float(self.p)), self.call(images, partner, key), images)

    def makes_mask(self):
        """Whether cutout is it, or in it."""
        return self.name == "cutout" or any(row.makes_mask() for row in _parsed(self.options.get("of", ())))


def _parsed(rows):
    names, parsed = [], []
    for given in map(plain, rows):
        row: dict[str, Any] = {"name": given} if isinstance(given, str) else given
        if not isinstance(row, dict) or "name" not in row:
            raise UserError(f"augmentation {row!r}: give a name, or {{'name': ..., 'p': ...}}")
        options = {option: value for option, value in row.items() if option not in ("name", "p", "per")}
        name, p, per = row["name"], row.get("p"), row.get("per", "sample")
        if name not in AUGMENTATIONS:
            raise UserError(f"augmentation {name!r} is unknown; {nearest(name, AUGMENTATIONS)}")
        if p is not None and not (_is_number(p) and 0 <= p <= 1):
            raise UserError(f"augmentation {name}: p={p!r} must be from 0 to 1")
        if per not in ("sample", "batch"):
            raise UserError(f"augmentation {name}: per={per!r} must be 'sample' or 'batch'")
        label = f"{name}{names.count(name) or ''}"
        names.append(name)
        parsed.append(_Row(name, label, p, per, _checked(name, options)))
    return parsed


def _checked(name, options):
    """The options of a function, numbers as floats."""
    _, _, _, *known = inspect.signature(AUGMENTATIONS[name]).parameters.values()
    defaults = {option.name: option.default for option in known}
    for option, value in options.items():
        if option not in defaults:
            raise UserError(f"augmentation {name}: no option {option!r}; {nearest(option, ['p', 'per', *defaults])}")
        is_list, largest = isinstance(defaults[option], tuple), _LARGEST.get(option, 1)
        if is_list and not (isinstance(value, list) and value):
            raise UserError(f"augmentation {name}: {option}={value!r} must be a list that is not empty")
        numbers: Any = [] if option == "of" else value if is_list else [value]
        if not all(_is_number(number) and 0 < number <= largest for number in numbers):
            raise UserError(f"augmentation {name}: {option}={value!r} must be above 0"
                            f"{f' and up to {largest}' if largest < np.inf else ''}, like {defaults[option]!r}")
    return {option: value if option == "of" else np.float32(value) for option, value in options.items()}


def _shares(rows):
    """The probabilities of the rows of one_of, and the probability of none."""
    given = [row.p for row in rows if row.p is not None]
    if not rows or len(given) not in (0, len(rows)) or sum(given) > 1 + 1e-6 or any(row.per == "batch" for row in rows):
        raise UserError("augmentation one_of: needs rows `of`: either all have a p, in sum at most 1, or none has; "
                        "none has per")
    shares = given or [1 / len(rows)] * len(rows)
    return [*shares, max(1 - sum(shares), 0)]


def _is_number(value):
    return isinstance(value, (int, float)) and not isinstance(value, bool) and np.isfinite(value)


def _named(key, label):
    return jax.random.fold_in(key, zlib.crc32(label.encode()))


def _where(condition, new, old):
    return jax.tree.map(lambda n, o: jnp.where(condition, n, o), new, old)


def _mirrored(image, upside_down, left_right):
    image = jnp.where(upside_down, image[..., ::-1, :, :], image)
    return jnp.where(left_right, image[..., ::-1, :], image)


def _coloured(images, change):
    """The images, changed; a mask is none."""
    return {name: image if name == "mask" else change(image) for name, image in images.items()}


def _window(key, images, ratio):
    """A mask of the window, bool (H, W, 1) of LR size."""
    size_key, *place_keys = jax.random.split(key, 3)
    ratio = jnp.clip(ratio + 0.01 * jax.random.normal(size_key), 0, 1)
    sides = images["lr"].shape[-3:-1]
    return _rectangle(place_keys, sides, [jnp.floor(side * ratio).astype(int) for side in sides])


def _rectangle(keys, sides, lengths):
    """Where a rectangle of these lengths lies, bool (H, W, 1), anywhere in an image as likely; a key for each axis."""
    def span(key, side, length):
        start = jax.random.randint(key, (), 0, side - length + 1)
        return (jnp.arange(side) >= start) & (jnp.arange(side) < start + length)

    rows, columns = map(span, keys, sides, lengths)
    return (rows[:, None] & columns)[..., None]


def _bilinear_downsample(image, factor):
    """(..., H, W, C) to (..., H / factor, W / factor, C): means of the two middle rows and columns of each block."""
    before, after = (factor - 1) // 2, factor // 2
    image = (image[..., before::factor, :, :] + image[..., after::factor, :, :]) / 2
    return (image[..., before::factor, :] + image[..., after::factor, :]) / 2


def _paste(images, others, where):
    """The images, but the others where `where`, bool of LR size, says so."""
    return {name: jnp.where(_enlarged(where, image), others[name], image) for name, image in images.items()}


def _enlarged(where, image):
    """(H, W, 1) of LR size, enlarged to an image's size by repeating."""
    for axis in (0, 1):
        factor, rest = divmod(image.shape[axis - 3], where.shape[axis])
        if rest:
            raise ValueError(f"an image of shape {image.shape} is not a multiple of LR, {where.shape}")
        where = jnp.repeat(where, factor, axis)
    return where
