"""Open a page in the browser: upscale pictures and clips by hand, and watch runs train.

  jsr serve                     # the page; runs in runs/, where there are any
  jsr serve runs/               # runs anywhere below a folder, or a run's own folder
  jsr serve --out better        # results also go into this folder, as they are done
  jsr serve --no-browser        # only prints the address, as for `ssh -L 8000:127.0.0.1:8000` with --port 8000

Drop pictures, folders and clips; choose one model, or up to three to compare side by side; compare before and after,
and look at pixels 1:1. Results are the very bytes that `jsr upscale` writes. The page is for this machine alone: it is
bound to 127.0.0.1, the printed address lets one browser in, and nothing is sent or fetched elsewhere.

Dropped files lie in a temporary folder (in TMPDIR), which is removed when the command ends; save results before.
This needs the extra [web].
"""

import argparse
from pathlib import Path

from jsr import terminal
from jsr.errors import UserError, install


def add_arguments(parser):
    """Adds the command's arguments to an argparse parser."""
    parser.add_argument("runs", metavar="RUNS", nargs="*", type=Path,
                        help="folder of a run, or one that holds runs (default: runs, if it exists)")
    parser.add_argument("-o", "--out", metavar="FOLDER", type=Path, help="folder for copies of the results")
    parser.add_argument("--port", metavar="N", type=int, default=0, help="port of 127.0.0.1 (default: a free one)")
    parser.add_argument("--browser", action=argparse.BooleanOptionalAction, default=True,
                        help="open the page in the browser")


def run(args):
    """Serves until it is stopped; returns the exit status."""
    for folder in args.runs:
        if not folder.is_dir():
            raise UserError(f"{folder}: no such folder; name one that holds runs")
    if args.out and args.out.exists() and not args.out.is_dir():
        raise UserError(f"{args.out}: is no folder; name a folder, or a new one, which jsr makes")
    try:
        from jsr.serve import server
    except ImportError as e:
        if (e.name or "").split(".")[0] not in ("jinja2", "starlette", "uvicorn"):
            raise
        raise UserError(f"{e.name} is not installed; {install('web')}") from e
    from jsr.device import check_settings, use_compile_cache

    check_settings()
    use_compile_cache()
    server.serve(args.runs or [folder for folder in [Path("runs")] if folder.is_dir()], out=args.out, port=args.port,
                 browser=args.browser, say=terminal.console().print)
    return 0
