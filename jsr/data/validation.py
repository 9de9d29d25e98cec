"""The pairs that networks are validated on."""

from pathlib import Path

from jsr import degradations, images
from jsr.data import mix
from jsr.datasets import records
from jsr.errors import UserError


def eval_pairs(source, *, scale, degrade="", fixed=None):
    """Yields (name, lr, hr) of every record.

    Args:
      source: random-access records (jsr.data.sources).
      scale: HR size over LR size; HR rows and columns beyond a multiple of it are cropped, bottom and right.
      degrade: "" takes the stored LR; a protocol's name makes it from the HR.
      fixed: parameters of `degrade` to set, {name: value}, see `jsr.degradations.draw`.

    Yields:
      the record's name without its folder, uint8 (H, W, 3) and uint8 (H * scale, W * scale, 3).

    Raises:
      UserError: a damaged image, a size that does not fit its pair, no LR and no `degrade`.
    """
    for index in range(len(source)):
        record = source[index]
        name = record["name"]
        hr = images.read_rgb(record["hr"], name=f"{name} (hr)")
        try:
            hr = degradations.crop_to_multiple(hr, scale)
        except ValueError as e:
            raise UserError(f"{name}: {e}; remove it") from e
        if degrade:
            lr = degradations.degrade(degrade, hr, seed=Path(name).stem, **(fixed or {})).decode()
        elif "lr" in record:
            lr = records.lr_image(record)
        else:
            raise UserError(f"{name}: the dataset stores no LR images; name the degradation that makes them "
                            "(--config.data.eval.degrade=aim22_t1)")
        if (lr.shape[0] * scale, lr.shape[1] * scale) != hr.shape[:2]:
            raise UserError(f"{name}: LR is {lr.shape[1]}x{lr.shape[0]} and HR {hr.shape[1]}x{hr.shape[0]}, "
                            f"not {scale} times as large")
        yield Path(name).name, lr, hr


def count(recipe):
    """The number of pairs."""
    return len(mix.validation_source(recipe))


def pairs(recipe):
    """The pairs that a recipe is evaluated on, as `eval_pairs` yields them."""
    data, source = recipe.data.eval, mix.validation_source(recipe)
    return eval_pairs(source, scale=recipe.scale, degrade=data.degrade, fixed=mix.fixed(data, "data.eval"))
