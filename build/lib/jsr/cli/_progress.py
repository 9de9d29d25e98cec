"""The progress bar of the commands that work through many images."""

import contextlib

from rich import console, progress


@contextlib.contextmanager
def bar(unit="images"):
    """Draws on stderr while the block runs; yields its callback (what is done, units done, units in all, note="")."""
    columns = (progress.TextColumn("{task.description}{task.fields[note]}"), progress.BarColumn(),
               progress.TextColumn("{task.fields[count]}"), progress.TextColumn("{task.fields[rate]}"),
               progress.TimeRemainingColumn())
    display, tasks = progress.Progress(*columns, console=console.Console(stderr=True)), {}

    def update(stage, done, total, note=""):
        display.start()
        if stage not in tasks:
            tasks[stage] = display.add_task(stage, total=total, rate="", count="", note="")
        elapsed = display.tasks[tasks[stage]].elapsed
        rate = f"{done / elapsed:.3g} {unit}/s" if done and elapsed else ""
        count = f"{done}/{total}" if isinstance(total, int) else f"{done:.1f}/{total:.1f} {unit}"
        display.update(tasks[stage], completed=done, total=total, rate=rate, count=count, note=note)

    try:
        yield update
    finally:
        if tasks:  # else nothing was drawn, and stopping would leave an empty line
            display.stop()
