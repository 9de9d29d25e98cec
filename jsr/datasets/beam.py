"""The work of a build on a cluster, by Apache Beam, where `jsr.parallel` has the processes of one machine."""

import json
from pathlib import Path
import tempfile

from jsr.errors import UserError, install


def map_unordered(work, items, *, runner, folder):
    """As `jsr.parallel.map_unordered`, for work that makes files; the outcomes come when all is done.

    Args:
      work: function of one item to the path of the file that it made, picklable. An item may be done more than once.
      items: picklable.
      runner: a runner of Beam and options of its pipeline, "FlinkRunner,flink_master=HOST:8081,parallelism=64".
      folder: folder of the files, at the same path on this machine and on all workers.

    Yields:
      (item, path), or (item, UserError) where `work` raised one.

    Raises:
      UserError: Beam is missing, `runner` is none or failed, or the workers' files are not to be seen here.
    """
    try:
        import apache_beam as beam
    except ImportError:
        raise UserError(f"--beam {runner}: needs Apache Beam; {install('beam')}") from None
    items, folder = list(items), Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".outcomes-", dir=folder) as outcomes:
        try:
            with beam.Pipeline(options=_options(beam, runner)) as pipeline:
                lines = (pipeline | beam.Create(list(enumerate(items))) | beam.Reshuffle() | beam.Map(_outcome, work))
                lines | beam.io.WriteToText(f"{outcomes}/part")
        except Exception as e:  # runners have many of their own
            reason = " ".join(str(e).split())
            raise UserError(f"--beam {runner}: failed ({reason}); the same command again continues from here") from e
        lines = [line for file in sorted(Path(outcomes).iterdir()) for line in file.read_text().splitlines()]
    for number, path, error in map(json.loads, lines):
        yield items[number], UserError(error) if error else _visible(Path(path), runner)


def _options(beam, runner):
    name, *more = runner.split(",")
    return beam.options.pipeline_options.PipelineOptions([f"--runner={name}", *(f"--{option}" for option in more)])


def _outcome(numbered, work):
    """The outcome for one item as a line; runs on a worker."""
    number, item = numbered
    try:
        return json.dumps([number, str(work(item)), ""])
    except UserError as e:
        return json.dumps([number, "", str(e)])


def _visible(path, runner):
    if not path.exists():
        raise UserError(f"--beam {runner}: a worker wrote {path}, which this machine cannot see; choose a --data_dir "
                        "on a file system that this machine and all workers share")
    return path
