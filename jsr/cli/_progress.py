"""The progress bar of the commands that work through many images."""

import contextlib

from rich import console, progress


@contextlib.contextmanager
def bar():
    """Draws on stderr while the block runs; yields its callback (what is done, images done, images in all)."""
    columns = (progress.TextColumn("{task.description}"), progress.BarColumn(), progress.MofNCompleteColumn(),
               progress.TextColumn("{task.fields[rate]}"), progress.TimeRemainingColumn())
    display, tasks = progress.Progress(*columns, console=console.Console(stderr=True)), {}

    def update(stage, done, total):
        display.start()
        if stage not in tasks:
            tasks[stage] = display.add_task(stage, total=total, rate="")
        elapsed = display.tasks[tasks[stage]].elapsed
        rate = f"{done / elapsed:.1f} images/s" if done and elapsed else ""
        display.update(tasks[stage], completed=done, rate=rate)

    try:
        yield update
    finally:
        if tasks:  # else nothing was drawn, and stopping would leave an empty line
            display.stop()
