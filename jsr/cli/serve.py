"""Open a page in the browser: upscale pictures and clips by hand, and watch runs train.

  jsr serve                     # the page; runs in runs/, where there are any
  jsr serve runs/               # runs anywhere below a folder, or a run's own folder
  jsr serve --out better        # results are put into this folder too, as they are done
  jsr serve --no-browser        # prints the address, as for `ssh -L 8000:127.0.0.1:8000`, with --port 8000

Drop pictures, folders and clips; choose one model, or up to three to see beside each other; compare before and after,
and look at pixels 1:1. What comes out are the bytes that `jsr upscale` writes. The page is for this machine alone: it
is bound to 127.0.0.1, the address that is printed lets one browser in, and nothing is sent or fetched elsewhere.

What is dropped lies in a temporary folder (TMPDIR says where), which goes when the command ends; save results before.
Needs [web].
"""

import argparse
from pathlib import Path

from jsr import terminal
from jsr.errors import UserError, install


def add_arguments(parser):
    """Adds the command's arguments to an argparse parser."""
    parser.add_argument("runs", metavar="RUNS", nargs="*", type=Path,
                        help="folder of a run, or one that holds runs (default: runs, where it is there)")
    parser.add_argument("-o", "--out", metavar="FOLDER", type=Path, help="folder that results are put into too")
    parser.add_argument("--port", metavar="N", type=int, default=0, help="port of 127.0.0.1 (default: a free one)")
    parser.add_argument("--browser", action=argparse.BooleanOptionalAction, default=True,
                        help="open the page in the browser")


def run(args):
    """Serves until it is stopped; returns the exit status."""
    for folder in args.runs:
        if not folder.is_dir():
            raise UserError(f"{folder}: no such folder; name one that holds runs")
    if args.out and args.out.exists() and not args.out.is_dir():
        raise UserError(f"{args.out}: is no folder; name one, which is made where there is none")
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
