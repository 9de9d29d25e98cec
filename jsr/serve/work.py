"""The queue of the page: pictures go the way of `jsr upscale`, one after the other; it can stand still and go on."""

import collections
import dataclasses
import functools
import json
import logging
import math
import os
from pathlib import Path
import shutil
import threading
import time

from jsr.errors import UserError
from jsr.files import atomic_write
from jsr.inference import choice, upscale_folder
from jsr.inference.settings import Settings
from jsr.serve.offers import Offer
from jsr.serve.uploads import Shelf, Source, told

log = logging.getLogger("jsr")

MOST_RESULT = 1_500_000_000  # px of a result, of a clip's frame
MOST_SCALE = 16
_KEPT = 3  # networks that stay loaded
_ENOUGH = 0.02  # of a file, done, from which on the time left is told
WAITING, WORKING, DONE, FAILED, CANCELLED = "waiting", "working", "done", "failed", "cancelled"


@dataclasses.dataclass
class Task:
    """One source that goes through one model.

    Attributes:
      id: id by which the page names it.
      source, offer, settings: the work to do.
      folder: folder of the result, under the name that `jsr upscale` would give it beside the picture.
      state: WAITING, WORKING, DONE, FAILED or CANCELLED.
      share: 0..1 that is done.
      seconds: seconds of work so far, pauses left out.
      result: file of the result, once it is DONE.
      height, width: size of the result, px.
      did: work done, in words.
      notes: data that the file lost, and other remarks.
      error: why it FAILED, one line.
    """

    id: str
    source: Source
    offer: Offer
    settings: Settings
    folder: Path
    state: str = WAITING
    share: float = 0.0
    seconds: float = 0.0
    result: Path | None = None
    height: int = 0
    width: int = 0
    did: str = ""
    notes: tuple[str, ...] = ()
    error: str = ""


class Queue:
    """Does Tasks in a thread of its own, in the order in which they came.

    Args:
      shelf: shelf of the sources.
      out: folder into which results are copied too; None is none.

    Attributes:
      shelf, out: as given.
      tasks: {id: Task}.
      paused: whether the work stands still.
      version: goes up with everything that changes.
    """

    def __init__(self, shelf: Shelf, out: Path | None = None):
        self.shelf, self.out = shelf, out
        self.tasks: dict[str, Task] = {}
        self.paused, self.version = False, 1
        self._changed, self._closing = threading.Condition(), False
        self._networks, self._speeds = collections.OrderedDict(), {}
        self._since = 0.0  # when the task at work went on
        self._thread = threading.Thread(target=self._work, name="jsr serve", daemon=True)
        self._thread.start()

    def add(self, source: Source, offer: Offer, settings: Settings) -> Task:
        """Adds a task; one that is there and did not fail stays the only one of its kind."""
        with self._changed:
            for task in self.tasks.values():
                if (task.source.id, task.offer, task.settings) == (source.id, offer, settings) and task.state in (
                        WAITING, WORKING, DONE):
                    return task
            identity, folder = self.shelf.new_folder()
            task = self.tasks[identity] = Task(identity, source, offer, settings, folder)
            self._tell()
            return task

    def cancel(self, identity: str):
        """Cuts a task short; nothing half-written stays."""
        with self._changed:
            task = self.tasks.get(identity)
            if task and task.state in (WAITING, WORKING):
                if task.state == WAITING:
                    shutil.rmtree(task.folder, ignore_errors=True)
                task.state = CANCELLED
                self._tell()

    def remove(self, source_id: str):
        """Removes a source with its tasks and their results."""
        with self._changed:
            for task in [task for task in self.tasks.values() if task.source.id == source_id]:
                self.cancel(task.id)
                del self.tasks[task.id]
                shutil.rmtree(task.folder, ignore_errors=True)
            self.shelf.remove(source_id)
            self._tell()

    def pause(self, paused: bool):
        """Lets the work stand still, also within a picture, or go on."""
        with self._changed:
            if paused != self.paused:
                now = time.monotonic()
                for task in self.tasks.values():
                    if task.state == WORKING and paused:
                        task.seconds += now - self._since
                self.paused, self._since = paused, now
                self._tell()

    def changed(self):
        """Says that something has changed that the page shows."""
        with self._changed:
            self._tell()

    def close(self):
        """Ends the work; waits for the band at work."""
        with self._changed:
            self._closing = True
            self._changed.notify_all()
        self._thread.join(timeout=20)

    def state(self) -> dict:
        """All that the page shows of it, ready for JSON."""
        with self._changed:
            tasks = collections.defaultdict(list)
            for task in self.tasks.values():
                tasks[task.source.id].append(self._row(task))
            left = [row["left"] for rows in tasks.values() for row in rows if row["state"] in (WAITING, WORKING)]
            return {
                "version": self.version, "paused": self.paused, "out": str(self.out or ""),
                "left": None if not left or None in left else sum(left),
                "sources": [{field: getattr(source, field) for field in (
                    "id", "name", "within", "format", "height", "width", "frames", "bits", "bytes", "clip")}
                    | {"tasks": tasks[source.id]} for source in list(self.shelf.sources.values())]}

    def _row(self, task):
        return {"id": task.id, "model": task.offer.name, "asked": _asked(task.settings), "state": task.state,
                "share": round(task.share, 3), "left": self._left(task), "did": task.did, "notes": list(task.notes),
                "error": task.error, "height": task.height, "width": task.width,
                "name": task.result.name if task.result else "",
                "bytes": task.result.stat().st_size if task.result and task.result.exists() else 0}

    def _left(self, task):
        """Seconds until a task is done, once the queue has come to it; None where that is not known yet."""
        if task.state == WORKING and task.share > _ENOUGH:
            spent = task.seconds + (0 if self.paused else time.monotonic() - self._since)
            return round(spent * (1 - task.share) / task.share, 1)
        speed = self._speeds.get(task.offer.id)
        if task.state not in (WAITING, WORKING) or not speed:
            return None
        return round(_pixels(task.source) / speed, 1)

    def _tell(self):
        self.version += 1
        self._changed.notify_all()

    def _work(self):
        while True:
            with self._changed:
                while not self._closing and (self.paused or self._next() is None):
                    self._changed.wait()
                if self._closing:
                    return
                task = self._next()
                task.state, self._since = WORKING, time.monotonic()
                self._tell()
            self._do(task)

    def _next(self):
        return next((task for task in self.tasks.values() if task.state == WAITING), None)

    def _do(self, task):
        found = {}
        try:
            found = self._upscaled(task) | {"state": DONE, "share": 1.0}
        except upscale_folder.Stopped:
            pass
        except UserError as e:
            found = {"state": FAILED, "error": told(e, task.folder, task.source.path.parent, self.shelf.folder)}
        except Exception as e:  # a mistake of ours must not end the queue
            log.exception("jsr serve: %s", task.source.name)
            found = {"state": FAILED, "error": f"{task.source.name}: failed unexpectedly, {type(e).__name__}: {e}; "
                                               "this is a mistake in jsr, please report it"}
        with self._changed:
            if task.state == WORKING:
                seconds = task.seconds + time.monotonic() - self._since
                for name, value in found.items():
                    setattr(task, name, value)
                if task.state == DONE and not task.did.endswith("copied unchanged"):
                    self._speeds[task.offer.id] = _pixels(task.source) / max(seconds, 1e-3)
            if task.state != DONE:
                shutil.rmtree(task.folder, ignore_errors=True)
            self._tell()

    def _check(self, task):
        """Waits while the queue is paused; raises Stopped where the task, or all, shall end."""
        with self._changed:
            while self.paused and task.state == WORKING and not self._closing:
                self._changed.wait()
            if self._closing or task.state != WORKING:
                raise upscale_folder.Stopped

    def _progressed(self, task, files, pixels, total):
        with self._changed:
            task.share = min(pixels / total, 1.0) if total else 0.0
            self.version += 1

    def _upscaled(self, task):
        """Does what `jsr upscale PICTURE` does; returns what becomes of the Task's fields."""
        source, settings = task.source, task.settings
        picture = task.folder / source.name
        os.link(source.path, picture)
        networks, named = self._loaded(task.offer, settings)
        choose = functools.partial(choice.choose, size=choice.Size(**settings.size), named=named)
        jobs, errors, _ = upscale_folder.find_jobs([picture], choose=choose)
        if errors := errors or [job.problem for job in jobs if job.problem]:
            raise errors[0]
        plan = jobs[0].plan
        if math.prod(plan.after) * (1 if plan.clip else plan.frames) > MOST_RESULT:
            raise UserError(f"{source.name}: would become {plan.after[1]:,} x {plan.after[0]:,} px, more than the page "
                            "makes; choose a smaller size, or use `jsr upscale`")
        entries, errors = upscale_folder.upscale_files(
            jobs, networks, dataclasses.asdict(settings), mark=True, progress=functools.partial(self._progressed, task),
            check=functools.partial(self._check, task))
        if errors:
            raise errors[0]
        (entry,) = entries.values()
        picture.unlink()
        result = jobs[0].target
        notes = [told(note, task.folder) for note in entry["notes"]]
        if entry.get("tiling") == "approximate":
            notes.append("made in tiles that see less of the picture than the network would; seams are faded")
        notes += self._delivered(task, result)
        return {"result": result, "did": entry["did"], "notes": tuple(notes), "height": plan.after[0],
                "width": plan.after[1]}

    def _loaded(self, offer, settings):
        """(networks, named) of an offer, kept for the next picture."""
        stamp = offer.file and offer.file.stat().st_mtime_ns
        key = offer.id, stamp, json.dumps(dataclasses.asdict(settings) | {"size": {}}, sort_keys=True)
        if key not in self._networks:
            self._networks[key] = settings.networks([offer.file] if offer.file else [], offer.name)
            while len(self._networks) > _KEPT:
                self._networks.popitem(last=False)
        self._networks.move_to_end(key)
        return self._networks[key]

    def _delivered(self, task, result):
        """Copies a result into the folder for results; returns what is to be said of that."""
        if self.out is None:
            return []
        folder = self.out / task.source.within
        places = [folder / result.name, folder / with_model(result.name, task.offer.name)]
        for number, place in enumerate(places):
            try:
                with open(result, "rb") as file, atomic_write(place, replace=False) as copy:
                    shutil.copyfileobj(file, copy)
                return [] if not number else [f"is {place.name} in the folder, where {result.name} was another file"]
            except UserError as e:
                problem = e
        return [f"was not put into the folder: {problem}"]


def with_model(name, model):
    """The name of a result where another model's has the same: "photo_x4.jpg" to "photo_x4_MODEL.jpg"."""
    stem, dot, ending = name.rpartition(".")
    return f"{stem}_{model}{dot}{ending}"


def unique(names: list[tuple[str, str, str]]) -> list[str]:
    """Paths within one folder, no two alike.

    Args:
      names: (folders, name, model) of each.
    """
    taken, found = set(), []
    for within, name, model in names:
        alike = _numbered(name, model)
        path = next(path for each in alike if (path := "/".join(filter(None, (within, each)))) not in taken)
        taken.add(path)
        found.append(path)
    return found


def _numbered(name, model):
    yield name
    yield with_model(name, model)
    number = 2
    while True:
        yield with_model(name, f"{model}_{number}")
        number += 1


def _pixels(source):
    return source.height * source.width * source.frames


def _asked(settings):
    """The request, in a few words; "" of nothing."""
    size = str(choice.Size(**settings.size)) if settings.size else ""
    strength = f"strength {settings.strength:.0%}" if settings.strength < 1 else ""
    return ", ".join(filter(None, (size, strength)))


def settings_of(size: dict, strength: float) -> Settings:
    """The Settings that a page asks for; raises UserError for what is out of range."""
    fields = {field.name: field.type for field in dataclasses.fields(choice.Size)}
    if not isinstance(size, dict) or len(size) > 1 or not size.keys() <= fields.keys():
        raise UserError("size: give one of scale, width, height, longest and megapixels")
    for name, value in size.items():
        whole = name in ("width", "height", "longest")
        if isinstance(value, bool) or not isinstance(value, int if whole else (int, float)) or not (
                0 < value < math.inf):
            raise UserError(f"{name}: give a {'whole ' * whole}number above 0")
        if name == "scale" and value > MOST_SCALE:
            raise UserError(f"scale: give at most {MOST_SCALE}; 2 is twice as wide and as high")
    if isinstance(strength, bool) or not isinstance(strength, (int, float)) or not 0 <= strength <= 1:
        raise UserError("strength: give a number from 0 to 1")
    values = {name: float(value) if name in ("scale", "megapixels") else value for name, value in size.items()}
    return Settings(size=values, strength=float(strength))
