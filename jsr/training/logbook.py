"""A run's logs: metrics.jsonl, TensorBoard event files, pictures."""

import contextlib
import json
import logging
import math
from pathlib import Path
import socket
import sys
import time

from jsr.files import atomic_write, json_rows, writing
from jsr.images import write_png
from jsr.native import environment

log = logging.getLogger("jsr")

_KINDS = ("train", "eval")


class Logbook:
    """The log of one run, in its workdir.

    Args:
      workdir: gets metrics.jsonl, tensorboard/ and pictures/.
      resume_step: entries after this step are dropped: the run that wrote them was cut off and they come again.
      told: hears of every entry too, see `jsr.training.trackers.Told`.
    """

    def __init__(self, workdir, *, resume_step, told=lambda method, *arguments: None):
        self._workdir, self._told = Path(workdir), told
        self._path = self._workdir / "metrics.jsonl"
        self._drop_after(resume_step)
        with writing(self._path):
            self._file = open(self._path, "a", encoding="utf-8", buffering=1)
        self._events = _Events(self._workdir / "tensorboard", resume_step)

    def _drop_after(self, step):
        with writing(self._path):
            rows, damaged = json_rows(self._path)
        whole = [row for row in rows if isinstance(row.get("step"), int) and row.get("kind") in _KINDS]
        if damaged := damaged + len(rows) - len(whole):
            log.warning("%s: %d damaged lines are dropped", self._path, damaged)
        with atomic_write(self._path, "w") as file:
            file.writelines(f"{json.dumps(row)}\n" for row in whole if row["step"] <= step)

    def scalars(self, step, kind, values):
        """Adds {name: number} at `step`; `kind` is "train" or "eval". Numbers that are not finite become null."""
        legal = {name: value if math.isfinite(value) else None for name, value in values.items()}
        with writing(self._path):
            self._file.write(json.dumps({"step": step, "kind": kind, **legal}) + "\n")
        self._events.write(step, *(self._events.summary.scalar(f"{kind}/{name}", value)
                                   for name, value in legal.items() if value is not None))
        self._told("scalars", step, kind, {name: value for name, value in legal.items() if value is not None})

    def picture(self, step, name, image):
        """Adds a uint8 (H, W, 3) picture as pictures/<name>_<step>.png and to TensorBoard."""
        write_png(self._workdir / "pictures" / f"{name}_{step:07d}.png", image)
        self._events.write(step, self._events.summary.image(name, image, dataformats="HWC"))
        self._told("picture", step, name, image)

    def close(self):
        """Flushes and closes the files; raises UserError where one cannot be written."""
        with contextlib.ExitStack() as last:
            last.callback(self._events.close)
            with writing(self._path):
                self._file.close()


class _Events:
    """TensorBoard's event file, written in this thread: of a full disk one that writes in its own only dies.

    Args:
      folder: gets the file.
      resume_step: TensorBoard shows nothing older files have after this step.
    """

    def __init__(self, folder, resume_step):
        tensorboard = _tensorboard()
        self.summary, self._event, self._folder = tensorboard.summary, tensorboard.proto.event_pb2, folder
        with writing(folder):
            folder.mkdir(parents=True, exist_ok=True)
            name = f"events.out.tfevents.{time.time():.6f}.{socket.gethostname()}"
            self._file = tensorboard.record_writer.RecordWriter(str(folder / name))
            self._add(file_version="brain.Event:2")
            if resume_step:
                started = self._event.SessionLog(status=self._event.SessionLog.START)
                self._add(step=resume_step + 1, session_log=started)

    def write(self, step, *summaries):
        """Adds tensorboardX's summaries at a step."""
        with writing(self._folder):
            for summary in summaries:
                self._add(step=step, summary=summary)
            self._file.flush()

    def _add(self, **content):
        self._file.write(self._event.Event(wall_time=time.time(), **content).SerializeToString())

    def close(self):
        with writing(self._folder):
            self._file.close()


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
