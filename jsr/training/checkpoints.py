"""Run checkpoints: an Orbax folder of steps, each with everything that is needed to resume.

A damaged newest step falls back to the one before: restoring tries the newest first, reports what failed, and sets the
bad step aside as `damaged-<step>` beside the others. A step's metadata have the check sum of its state and of
themselves, "sha256", which Orbax has not: bits that turned over on the disk are damage, too.
"""

import contextlib
import errno
import functools
import gc
import json
import logging
from pathlib import Path
import re
import sys

import jax
import orbax.checkpoint as ocp

from jsr import distributed, trees
from jsr.errors import UserError
from jsr.training.state import by_names

log = logging.getLogger("jsr")


class Checkpoints:
    """The checkpoints of one run.

    Args:
      folder: folder of the steps; made when missing.
      keep: number of the newest steps that stay.
    """

    def __init__(self, folder, *, keep):
        self.folder = Path(folder).absolute()
        self._keep, self._failed = keep, False
        self._manager = self._open()

    def _open(self):
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            # Made in a thread, a folder that cannot be made leaves others waiting for it, and the process never ends.
            at_once = ocp.AsyncOptions(create_directories_asynchronously=False, barrier_sync_fn=self._meet)
            options = ocp.CheckpointManagerOptions(max_to_keep=self._keep, step_prefix=None, create=True,
                                                   async_options=at_once)
            return ocp.CheckpointManager(self.folder, options=options)
        except OSError as e:
            raise UserError(f"{self.folder}: cannot be used for checkpoints: {e.strerror or e}") from e

    def _meet(self, *, key, timeout_ms):
        """Orbax's barrier of its threads. One that an error has ended comes by here, too, and would wait for ever: the
        others of its kind are at an earlier barrier, until `check` has ended this process and all have heard why."""
        self._failed = self._failed or sys.exc_info()[0] is not None
        if not self._failed:
            ocp.multihost.get_barrier_sync_fn()(key=key, timeout_ms=timeout_ms)

    def save(self, step, state, meta):
        """Begins to save in the background.

        Args:
          step: number of the checkpoint; one that exists is left as it is.
          state: pytree of arrays.
          meta: dict that JSON can write.

        Raises:
          UserError: it, or the one before, cannot be written (full disk, no permission).
        """
        if step not in self._manager.all_steps():
            meta, state = json.loads(json.dumps(meta)), by_names(state)
            meta["sha256"] = _digest(state, meta)
            with self._writing():
                self._manager.save(step, args=ocp.args.Composite(state=ocp.args.StandardSave(state),
                                                                 meta=ocp.args.JsonSave(meta)))

    def check(self):
        """Raises UserError as `save` does where what was begun has failed; waits for nothing."""
        if self._failed:
            self.wait()

    def wait(self):
        """Waits until a checkpoint that is being written is on disk; raises UserError as `save` does."""
        with self._writing():
            self._manager.wait_until_finished()

    @contextlib.contextmanager
    def _writing(self):
        try:
            yield
        except (OSError, ValueError, jax.errors.JaxRuntimeError) as e:  # TensorStore reports a full disk as ValueError
            if distributed.is_lost(e) and not _is_full(e):
                raise
            reason = "the disk is full; free some space and run the command again" if _is_full(e) else (
                getattr(e, "strerror", None) or _first_line(e))
            raise UserError(f"{self.folder}: a checkpoint cannot be written: {reason}") from e

    def restore(self, abstract_of):
        """The newest checkpoint that can be read.

        Args:
          abstract_of: from a step to the abstract state expected there (jax.ShapeDtypeStruct with shardings).

        Returns:
          (step, state, meta), or None where there is no checkpoint.

        Raises:
          UserError: there are checkpoints, but none can be read.
        """
        steps = distributed.first(lambda: sorted(self._manager.all_steps(), reverse=True))
        _hush()
        for step in steps:
            problem = ""
            try:
                args = ocp.args.Composite(state=ocp.args.StandardRestore(abstract_of(step)),
                                          meta=ocp.args.JsonRestore())
                restored = self._manager.restore(step, args=args)
                self._check(step, restored.state, restored.meta)
            except Exception as e:  # whatever a damaged folder makes Orbax raise
                problem = _first_line(e)
            problem = next(filter(None, distributed.gather(problem)), "")  # of one process is all processes'
            if not problem:
                return step, restored.state, restored.meta
            aside = self._set_aside(step)
            if distributed.is_first():
                log.warning("checkpoint %d is damaged (%s); set aside as %s, trying the one before", step, problem,
                            aside)
            gc.collect()
        if steps:
            raise UserError(f"{self.folder}: none of its {len(steps)} checkpoints can be read; they were set aside as "
                            "damaged-*; start again in another --workdir")
        return None

    def _check(self, step, state, meta):
        """Takes the check sum out of a step's metadata; ValueError where it is of others."""
        if (digest := meta.pop("sha256", None)) is None:
            if any(re.fullmatch("[0-9a-f]{64}", str(value)) for value in meta.values()):
                raise ValueError("its check sum has another name")
            log.warning("checkpoint %d has no check sum, so that damage in it cannot be told", step)
        elif digest != _digest(state, meta):
            raise ValueError("its check sum is of another state")

    def _set_aside(self, step):
        self._manager.close()
        aside = distributed.first(functools.partial(self._rename, step))
        self._manager = self._open()
        return aside

    def _rename(self, step):
        aside = self.folder.parent / f"damaged-{step}"
        number = 1
        while aside.exists():
            aside, number = self.folder.parent / f"damaged-{step}-{number}", number + 1
        (self.folder / str(step)).rename(aside)
        return str(aside)

    def close(self):
        """Waits and lets go of the folder."""
        self.wait()
        self._manager.close()


def _hush():
    """Keeps Orbax silent about readings that failed, which is said already: what was read beside ends later.

    Its coroutines complain when they are collected, TensorStore's threads when they find the event loop closed, which
    may be much later: the hook stays.
    """
    hook = sys.unraisablehook
    if getattr(hook, "__module__", None) == __name__:
        return

    def heard(what):
        code = getattr(what.object, "cr_code", None)
        if not (code and "orbax" in code.co_filename) and "Event loop is closed" not in str(what.exc_value):
            hook(what)

    sys.unraisablehook = heard


def _digest(state, meta):
    """The check sum of a state and its metadata."""
    leaves = jax.tree_util.tree_leaves_with_path(jax.device_get(state))
    return trees.digest({jax.tree_util.keystr(path): leaf for path, leaf in leaves}, meta)


def _is_full(error):
    return getattr(error, "errno", None) == errno.ENOSPC or "No space left on device" in str(error)


def _first_line(error):
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:200]
