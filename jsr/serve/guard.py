"""The guard of the page: it lets in only the browser on this machine that was given the token."""

import hmac
import secrets
from urllib.parse import parse_qs

from starlette.requests import Request
from starlette.responses import RedirectResponse

# Nothing from elsewhere, no script or style in a page's text, in nobody's frame
POLICY = ("default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; media-src 'self'; "
          "connect-src 'self'; form-action 'none'; base-uri 'none'; frame-ancestors 'none'")
_HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}
_READING = ("GET", "HEAD")
_OPEN = "/static/"  # style and scripts, which are no secret, so that a refusal can be read
_CLOSE = 1008  # of a WebSocket, "policy violation"


class Guard:
    """ASGI middleware that refuses what does not come from the page itself.

    The token of the address that the terminal shows is traded for a cookie, which pages cannot read and other sites'
    requests do not carry. Host is held against the server's own names, since a name of somebody else's may be made to
    point to this machine; Origin and Sec-Fetch-Site against the page's own, since other ports are the same site.

    Args:
      app: application behind the guard.
      port: port of the server.
      token: token that lets a browser in.
      refused: function of (request, status, text) to the response of a refusal.
    """

    def __init__(self, app, *, port, token, refused):
        self._app, self._token, self._refused = app, token, refused
        self._hosts = {f"127.0.0.1:{port}", f"localhost:{port}"}
        self._cookie, self._session = f"jsr-{port}", secrets.token_urlsafe(32)

    async def __call__(self, scope, receive, send):
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        if scope["type"] != "http":
            await send({"type": "websocket.close", "code": _CLOSE})
            return

        async def hardened(message):
            if message["type"] == "http.response.start":
                given = {name.lower() for name, _ in message["headers"]}
                message["headers"] = [*message["headers"], *(
                    (name.lower().encode(), value.encode()) for name, value in _HEADERS.items()
                    if name.lower().encode() not in given)]
            await send(message)

        request = Request(scope, receive)
        await (self._answer(request) or self._app)(scope, receive, hardened)

    def _answer(self, request):
        """The response to a request that does not get through; None of one that does."""
        headers, reads = request.headers, request.method in _READING
        host, origin = headers.get("host", ""), headers.get("origin")
        if headers.getlist("host") != [host] or host not in self._hosts:
            return self._refused(request, 421, "This page answers to its own address alone. Open the one that "
                                               "`jsr serve` shows in the terminal.")
        navigates = reads and headers.get("sec-fetch-mode") == "navigate"
        if (origin is None and not reads or origin not in (None, f"http://{host}")
                or headers.get("sec-fetch-site", "none") not in ("none", "same-origin") and not navigates):
            return self._refused(request, 403, "Another page asked for this. Open the address that `jsr serve` shows "
                                               "in the terminal.")
        if request.url.path == "/" and reads and (given := parse_qs(request.url.query).get("token")):
            if not _same(given[0], self._token):
                return self._refused(request, 403, "This address is of an earlier `jsr serve`. Open the one that is "
                                                   "in the terminal now.")
            response = RedirectResponse("/", 303)
            response.set_cookie(self._cookie, self._session, httponly=True, samesite="strict", path="/")
            return response
        if request.url.path.startswith(_OPEN) and reads or _same(request.cookies.get(self._cookie, ""), self._session):
            return None
        return self._refused(request, 403, "This browser was not let in yet. Open the address that `jsr serve` shows "
                                           "in the terminal.")


def _same(given, wanted):
    """Whether two secrets are the same, in a time that does not tell where they differ."""
    return hmac.compare_digest(given.encode("utf-8", "surrogatepass"), wanted.encode())
