"""Starting the page on 127.0.0.1, and ending it without leaving anything."""

import contextlib
import secrets
import socket
import threading
import webbrowser

import uvicorn

from jsr.errors import UserError
from jsr.serve.app import Page
from jsr.serve.uploads import Shelf
from jsr.serve.work import Queue

HOST = "127.0.0.1"
_PATIENCE = 3  # s that answers may take after Ctrl+C


def serve(run_folders=(), *, out=None, port=0, browser=True, say=print):
    """Serves the page until Ctrl+C or SIGTERM.

    Args:
      run_folders: folders that hold runs, Paths.
      out: folder into which results are copied too, a Path; None is none.
      port: port of 127.0.0.1; 0 takes a free one.
      browser: whether to open it in the browser.
      say: gets the lines for the terminal.

    Raises:
      UserError: the port is taken.
    """
    listening = _listening(port)
    token = secrets.token_urlsafe(32)
    port = listening.getsockname()[1]
    address = f"http://{HOST}:{port}/?token={token}"

    def ready():
        say(f"jsr serve: {address}")
        say("for this machine's browser alone, which the address lets in; Ctrl+C ends it")
        if browser:
            threading.Thread(target=webbrowser.open, args=[address], daemon=True).start()

    with listening, contextlib.closing(Shelf()) as shelf:
        app = Page(shelf, Queue(shelf, out), run_folders, ready).app(port, token)
        uvicorn.Server(uvicorn.Config(
            app, log_level="warning", access_log=False, server_header=False, proxy_headers=False, ws="none",
            timeout_graceful_shutdown=_PATIENCE)).run(sockets=[listening])


def _listening(port):
    listening = socket.socket()
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((HOST, port))
        listening.listen()
    except (OSError, OverflowError) as e:
        listening.close()
        raise UserError(f"--port {port}: {getattr(e, 'strerror', None) or e}; leave it out to take a free one") from e
    return listening
