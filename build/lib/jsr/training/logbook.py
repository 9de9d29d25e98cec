"""What a run writes down as it goes: metrics.jsonl, TensorBoard event files, pictures."""

import json
import math
from pathlib import Path
import sys

from jsr.files import atomic_write, writing
from jsr.images import write_png
from jsr.native import environment


class Logbook:
    """The log of one run, in its workdir.

    Args:
      workdir: gets metrics.jsonl, tensorboard/ and pictures/.
      resume_step: entries after this step are dropped: the run that wrote them was cut off and they come again.
    """

    def __init__(self, workdir, *, resume_step):
        self._workdir = Path(workdir)
        self._path = self._workdir / "metrics.jsonl"
        self._drop_after(resume_step)
        with writing(self._path):
            self._file = open(self._path, "a", encoding="utf-8", buffering=1)
            self._events = _tensorboard().SummaryWriter(str(self._workdir / "tensorboard"),
                                                        purge_step=resume_step + 1 if resume_step else None)

    def _drop_after(self, step):
        kept = []
        for line in self._path.read_text().splitlines() if self._path.exists() else ():
            try:
                entry = json.loads(line)
            except json.JSONDecodeError:  # the line that a kill cut off
                continue
            if entry["step"] <= step:
                kept.append(line + "\n")
        with atomic_write(self._path, "w") as file:
            file.writelines(kept)

    def scalars(self, step, kind, values):
        """Adds {name: number} at `step`; `kind` is "train" or "eval". Numbers that are not finite become null."""
        legal = {name: value if math.isfinite(value) else None for name, value in values.items()}
        with writing(self._path):
            self._file.write(json.dumps({"step": step, "kind": kind, **legal}) + "\n")
        for name, value in legal.items():
            if value is not None:  # the writer only complains of others
                self._events.add_scalar(f"{kind}/{name}", value, step)

    def picture(self, step, name, image):
        """Adds a uint8 (H, W, 3) picture as pictures/<name>_<step>.png and to TensorBoard."""
        write_png(self._workdir / "pictures" / f"{name}_{step:07d}.png", image)
        self._events.add_image(name, image, step, dataformats="HWC")

    def close(self):
        """Flushes and closes the files."""
        self._file.close()
        self._events.close()


def _tensorboard():
    """The module tensorboardX, imported as if PyTorch were not there: it would import it, just to know its tensors."""
    before = {"torch": sys.modules["torch"]} if "torch" in sys.modules else {}
    sys.modules["torch"] = None  # Python's way to say that an import fails
    try:
        with environment("CRC32C_SW_MODE", "auto"):  # which it would set, and leave
            import tensorboardX
        return tensorboardX
    finally:
        del sys.modules["torch"]
        sys.modules.update(before)
