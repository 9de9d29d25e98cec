"""Downloads files, which are whole and right or absent; a broken download is resumed by the next."""

import contextlib
import hashlib
import http.client
import os
import urllib.error
import urllib.parse
import urllib.request

from rich.filesize import decimal

import jsr
from jsr.errors import UserError
from jsr.files import sha256, writing

_CHUNK = 1 << 20
_SILENCE_S = 30  # without a byte, after which a connection counts as broken
_HERE = {"localhost", "127.0.0.1", "::1"}
_FILES_OF = {"github.com": "githubusercontent.com", "huggingface.co": "hf.co"}  # hosts that keep files of others


def download(address, target, *, expected="", progress=lambda done, total: None):
    """Downloads a file.

    What has come lies in `<target>.<key>.part` until it is whole and right. The key is of the address and of what the
    server says of its file, so that what came of another file is never gone on with. A proxy is taken from the
    environment (https_proxy, http_proxy, no_proxy).

    Args:
      address: https, or http where the hash is known. A redirect is followed to an encrypted address of the same host,
        of one that keeps its files, or, where the hash is known, of any host.
      target: Path of the file, in a folder that is there. One process at a time may download it.
      expected: SHA-256 of the file, in hexadecimal, or its first digits; "" where not known.
      progress: called with the bytes that are there, and those in all, None where the server does not say.

    Returns:
      The SHA-256 of the file.

    Raises:
      UserError: no connection, another answer than the file, another host, an end too early, another hash, or a place
        that cannot be written.
    """
    pinned = len(expected) == 64
    if problem := _refused(address, pinned):
        raise UserError(f"{address}: {problem}")
    response = _opened(address, pinned)
    with contextlib.ExitStack() as closing:
        closing.enter_context(response)
        total = response.length  # None of chunked transfers
        tag = response.headers.get("ETag") or response.headers.get("Last-Modified") or ""
        key = hashlib.sha256(f"{address}\n{tag}\n{total}".encode()).hexdigest()[:16]
        part = target.with_name(f"{target.name}.{key}.part")
        _forget(target, but=part)
        done = part.stat().st_size if part.exists() and (tag or pinned) else 0
        if done and done != total:
            response.close()
            response = closing.enter_context(_opened(address, pinned, start=done, tag=tag))
            if response.status != http.HTTPStatus.PARTIAL_CONTENT or not response.headers.get(
                    "Content-Range", "").startswith(f"bytes {done}-"):
                done, total = 0, response.length  # the server sends all of it
        if not done or done != total:
            done = _received(address, response, part, done, total, progress)
    found = sha256(part) or ""
    if not found.startswith(expected.lower()):
        part.unlink()
        raise UserError(f"{address}: its SHA-256 is {found}, not {expected}: it was changed, damaged on its way, or is "
                        "another file; nothing of it is kept")
    with writing(target):
        os.replace(part, target)
    return found


def _received(address, response, part, done, total, progress):
    """Appends a response to the first `done` bytes of a part; returns how many bytes there are."""
    with writing(part), open(part, "r+b" if done else "wb") as file:
        file.seek(done)
        while True:
            progress(done, total)
            try:
                chunk = response.read(_CHUNK)
            except (OSError, http.client.HTTPException) as e:
                raise UserError(_broken(address, done, total, _reason(e))) from e
            if not chunk:
                break
            file.write(chunk)
            done += len(chunk)
        file.truncate()
        file.flush()
        os.fsync(file.fileno())
    if total is not None and done < total:
        raise UserError(_broken(address, done, total, "the server closed it"))
    return done


def _opened(address, pinned, start=0, tag=""):
    """The response of a server, from a byte on where it can do so."""
    request = urllib.request.Request(address, headers={"User-Agent": f"jsr/{jsr.__version__}"})
    if start:
        request.add_header("Range", f"bytes={start}-")
        if tag and not tag.startswith("W/"):
            request.add_header("If-Range", tag)
    host = urllib.parse.urlsplit(address).hostname
    try:
        return urllib.request.build_opener(_Redirects(pinned)).open(request, timeout=_SILENCE_S)
    except urllib.error.HTTPError as e:
        with e:
            if start and e.code == http.HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
                return _opened(address, pinned)
            reason = " ".join(str(e.reason).split())
            raise UserError(f"{address}: {host} answers {e.code} {reason}; the file may have moved, or needs a login: "
                            "look in a browser, and name the file's address") from None
    except UserError:  # of a redirect
        raise
    except (OSError, http.client.HTTPException, ValueError) as e:
        raise UserError(f"{address}: no connection to {host}{_through(request)}: {_reason(e)}; `jsr convert` makes a "
                        "model of a file that you have") from e


class _Redirects(urllib.request.HTTPRedirectHandler):
    """Follows redirects to where a file may come from, and raises UserError for others."""

    def __init__(self, pinned):
        self._pinned = pinned

    def redirect_request(self, req, fp, code, msg, headers, newurl):
        """Follows a redirect as urllib does; UserError for one that must not be followed."""
        if problem := _not_followed(urllib.parse.urlsplit(req.full_url), urllib.parse.urlsplit(newurl), self._pinned):
            raise UserError(f"{req.full_url}: leads to {newurl}, {problem}")
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def _not_followed(old, new, pinned):
    """Why a redirect from one address, as parts, to another is not followed; "" where it is."""
    host, other = old.hostname, new.hostname or ""
    if new.scheme != "https" and not (new.scheme == "http" and {host, other} <= _HERE):
        return "which is not encrypted and not followed"
    if host != other and not pinned and not f".{other}".endswith(f".{_FILES_OF.get(host, host)}"):
        return "another host; it is followed where the file's hash is known: --sha256 HASH"
    return ""


def _refused(address, pinned):
    """Why an address is not opened, "" where it is."""
    parts = urllib.parse.urlsplit(address)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        return "is no address of a file in the web; use one that begins with https://"
    if parts.scheme == "http" and parts.hostname not in _HERE and not pinned:
        return "is not encrypted, so that the file could be exchanged on its way; use https, or give its --sha256 HASH"
    return ""


def _forget(target, *, but):
    """Removes what came of other files for the same place."""
    for part in target.parent.glob(f"{target.name}.*.part"):
        if part != but:
            part.unlink(missing_ok=True)


def _broken(address, done, total, reason):
    of = f" of {decimal(total)}" if total else ""
    return f"{address}: the connection broke after {decimal(done)}{of} ({reason}); the same command goes on from there"


def _reason(error):
    """The text of a connection's error, without numbers and class names."""
    error = getattr(error, "reason", error)
    if isinstance(error, TimeoutError):
        return f"no answer for {_SILENCE_S} s"
    return str(getattr(error, "strerror", None) or error or type(error).__name__)


def _through(request):
    """The proxy that a request goes through, without user and password; "" of none."""
    proxy = urllib.request.getproxies().get(request.type)
    if not proxy or urllib.request.proxy_bypass(request.host):
        return ""
    return f" through the proxy {proxy.rpartition('@')[2]} ({request.type}_proxy)"
