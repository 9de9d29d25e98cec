"""Experiment trackers, such as Weights & Biases, which hear what a run writes into its logbook.

A tracker is a class that is made without arguments and has the four methods of `Wandb`. `jsr train --tell` names one of
`TRACKERS`, or a guest's, "mypkg.module:Name". It works in a thread of its own (`Told`): no training waits for it, or
ends because of it.
"""

import importlib.util
import logging
import os
from pathlib import Path
import queue
import secrets
import threading

from jsr import guests
from jsr.errors import MissingLibrary, UserError, install, nearest
from jsr.files import atomic_write

log = logging.getLogger("jsr")

_METHODS = ("begin", "scalars", "picture", "end")
WAITING = 1000  # calls that a tracker may be behind
LAST_S = 60.0  # that a run waits at its end for what is still to be told


class Wandb:
    """Weights & Biases, by its own library and its own settings: WANDB_MODE=offline, WANDB_PROJECT, WANDB_ENTITY...

    The run's id lies in its folder, wandb.txt, so that a run that is resumed goes on there.
    """

    library, extra = "wandb", "wandb"

    def begin(self, recipe, workdir, step):
        """Begins a run, or goes on with one.

        Args:
          recipe: the recipe as plain data.
          workdir: Path of the run's folder.
          step: steps that are done already. What was told of later ones comes again.
        """
        import wandb

        path = workdir / "wandb.txt"
        if not path.exists():
            with atomic_write(path, "w") as file:
                file.write(secrets.token_hex(4))
        settings = wandb.Settings(console="off", silent=True, disable_git=True, save_code=False,
                                  finish_timeout=LAST_S)
        if wandb.setup().settings.mode in ("online", "shared") and not wandb.login(prompt=False):  # else it would ask
            raise UserError("nobody is logged in: `wandb login`, or set WANDB_MODE=offline")
        self._image = wandb.Image
        self._run = wandb.init(project=os.environ.get("WANDB_PROJECT", "jsr"), id=path.read_text(), resume="allow",
                               name=os.environ.get("WANDB_NAME", recipe["recipe"]), config=recipe, dir=workdir,
                               settings=settings)
        self._run.define_metric("*", step_metric="step")

    def scalars(self, step, kind, values):
        """Takes {name: number} of a step; kind is "train", "eval" or, once, "report": the finished model's scores."""
        self._run.log({"step": step, **{f"{kind}/{name}": value for name, value in values.items()}})

    def picture(self, step, name, image):
        """Takes a uint8 (H, W, 3) picture of a step."""
        self._run.log({"step": step, f"pictures/{name}": self._image(image)})

    def end(self, status):
        """Ends the run: "finished", "interrupted", which may be resumed, or "failed"."""
        self._run.finish(exit_code=int(status != "finished"))


TRACKERS = {"wandb": Wandb}


def find(name):
    """The class of a tracker by its name; raises UserError where there is none, or its library is not installed."""
    if guests.is_function(name):
        guests.bring(name)
        return guests.attribute(name, lambda its: isinstance(its, type) and all(hasattr(its, m) for m in _METHODS),
                                f"a class with {', '.join(_METHODS)} (jsr.training.trackers)")
    if name not in TRACKERS:
        raise UserError(f"--tell {name}: no such tracker; {nearest(name, TRACKERS)}; your own is mypkg.module:Name")
    if importlib.util.find_spec(TRACKERS[name].library) is None:
        raise MissingLibrary(f"--tell {name}: needs the package {TRACKERS[name].library}: "
                             f"{install(TRACKERS[name].extra)}")
    return TRACKERS[name]


class Told:
    """A tracker in a thread of its own: told(method, *arguments) returns at once.

    The first error of the tracker is one warning, after which it is told nothing more; so is a tracker that falls
    behind by more than `WAITING` calls, or needs more than `LAST_S` at the end.

    Args:
      name: as `find` takes it; "" tells nobody.
    """

    def __init__(self, name):
        self._name, self._calls, self._quiet = name, queue.Queue(WAITING), not name
        if name:
            self._thread = threading.Thread(target=self._work, args=[find(name)], name="tracker", daemon=True)
            self._thread.start()

    def __call__(self, method, *arguments):
        if self._quiet:
            return
        try:
            self._calls.put_nowait((method, arguments))
        except queue.Full:
            self._give_up(f"it is {WAITING} calls behind")

    def begin(self, recipe, workdir, step):
        """Tells of a run's begin, see `Wandb.begin`."""
        self("begin", recipe, Path(workdir), step)

    def end(self, status):
        """Tells of the end, see `Wandb.end`, and waits until that is done; a run that never began is not told of."""
        self("end", status)
        if not self._quiet:
            self._thread.join(LAST_S)
            if self._thread.is_alive():
                self._give_up(f"it did not end within {LAST_S:g} s")

    def _work(self, kind):
        try:
            tracker, begun = kind(), False
            while not self._quiet:
                method, arguments = self._calls.get()
                if method == "begin" or begun:
                    getattr(tracker, method)(*arguments)
                    begun = True
                if method == "end":
                    return
        except (Exception, SystemExit) as e:  # whatever the code of others raises
            words = (str(e).strip().splitlines() or [""])[0]
            self._give_up(words if isinstance(e, UserError) else f"{type(e).__name__}: {words}")

    def _give_up(self, why):
        if not self._quiet:
            self._quiet = True
            log.warning("--tell %s: is told nothing more of this run (%s); the training goes on", self._name, why)
