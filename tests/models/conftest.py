"""Reading the goldens that tests/golden/_swin.py writes."""

import json
from pathlib import Path
import types

import numpy as np
import pytest

from jsr import convert, models


@pytest.fixture
def golden():
    """A function of (stem, case) to a case's model, abstract variables, rules, state_dict, lr and outputs."""

    def read(stem, case):
        arrays = np.load(Path(__file__).parents[1] / "golden" / f"{stem}.npz")
        about = json.loads(str(arrays["about"]))["cases"][case]
        sizes = [int(np.prod(shape)) for _, shape, _ in about["tensors"]]
        parts = np.split(arrays[f"{case}/state_dict"], np.cumsum(sizes)[:-1])
        model = models.create(about["model"], **about["fields"])
        return types.SimpleNamespace(
            model=model,
            abstract=models.abstract(about["model"], **about["fields"]),
            rules=convert.formats(model)["official"],
            state_dict={key: part.reshape(shape).astype(dtype)
                        for (key, shape, dtype), part in zip(about["tensors"], parts, strict=True)},
            lr=arrays[f"{case}/lr"].astype(np.float32) / 255,
            outputs={name: arrays[f"{case}/{name}"] for name in about["outputs"]})

    return read
