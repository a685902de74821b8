"""What stands before every request: whose host and origin it names, the token, the size of what it sends."""

import hmac
import ipaddress
import json
import socket
from http.cookies import CookieError, SimpleCookie
from urllib.parse import parse_qs, urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

COOKIE = "longdance-studio"
LARGEST_BODY = 2_000_000
"""Bytes of a request that is no upload."""
CHANGING = ("POST", "PUT", "PATCH", "DELETE")
POLICY = (
    "default-src 'self'; img-src 'self' data: blob:; media-src 'self' blob:; worker-src 'self' blob:; "
    "connect-src 'self' blob:; object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)
HEADERS = {
    "content-security-policy": POLICY,
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "cross-origin-resource-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
}


class TooLarge(HTTPException):
    """More was sent than is taken."""

    def __init__(self) -> None:
        super().__init__(413, "more was sent than is taken; try a smaller file")


def is_loopback(host: str) -> bool:
    """Whether a name or address means this computer alone."""
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host.lower() == "localhost"


class Guard:
    """Lets a request through to ``app`` if it is meant for this studio, comes from its own page, and may come in.

    A page of somebody else that is open in the same browser can send requests to loopback addresses; names that it
    makes point here (DNS rebinding) show in Host, its own name in Origin.
    """

    def __init__(self, app: ASGIApp, *, host: str, token: str | None, largest_upload: int):
        self._app, self._token, self._largest_upload = app, token, largest_upload
        self._only_loopback = is_loopback(host)
        self._names = {"localhost"}
        if not self._only_loopback:
            self._names |= {host.lower(), socket.gethostname().lower(), socket.getfqdn().lower()}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request, as ASGI has it."""
        if scope["type"] != "http":
            return await self._app(scope, receive, send)
        headers = Headers(scope=scope)
        cookie: str | None = None
        wrong = self._wrong_place(scope, headers)
        if wrong is None and self._token is not None:
            shown = parse_qs(scope["query_string"].decode("latin-1")).get("token", [""])[0]
            if shown and self._is_token(shown):
                cookie = f"{COOKIE}={self._token}; HttpOnly; SameSite=Strict; Path=/"
            elif not self._has_token(headers):
                wrong = 401, "expected the studio's token; open the address that it printed when it was started"
        upload = scope["path"] == "/api/projects" or scope["path"].endswith("/character")
        limit = self._largest_upload if upload else LARGEST_BODY
        if wrong is None and not _fits(headers, limit):
            wrong = 413, f"expected at most {limit // 1_000_000} MB, got more; try a smaller file"

        async def answer(message: Message) -> None:
            if message["type"] == "http.response.start":
                told = MutableHeaders(scope=message)
                for key, value in HEADERS.items():
                    told.setdefault(key, value)
                told.setdefault("cache-control", "no-store" if scope["path"].startswith("/api/") else "no-cache")
                if cookie is not None:
                    told.append("set-cookie", cookie)
            await send(message)

        if wrong is not None:
            return await refuse(answer, *wrong)
        received = 0

        async def counted() -> Message:
            nonlocal received
            message = await receive()
            received += len(message.get("body", b""))
            if received > limit:
                raise TooLarge
            return message

        await self._app(scope, counted, answer)

    def _wrong_place(self, scope: Scope, headers: Headers) -> tuple[int, str] | None:
        hosts = headers.getlist("host")
        if len(hosts) != 1 or not self._is_ours(hosts[0]):
            return 421, "expected this studio's own address; open the one that it printed when it was started"
        if scope["method"] in CHANGING:
            origin = headers.get("origin")
            if origin is not None and urlsplit(origin).netloc.lower() != hosts[0].lower():
                return 403, "expected a request from the studio's own page"
            if headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none"):
                return 403, "expected a request from the studio's own page"
        return None

    def _is_ours(self, host: str) -> bool:
        try:
            name = urlsplit(f"//{host}").hostname or ""
        except ValueError:
            return False
        if is_loopback(name) or name in self._names:
            return True
        if self._only_loopback:
            return False
        try:  # an address cannot be made to point elsewhere, as a name can
            ipaddress.ip_address(name)
        except ValueError:
            return False
        return True

    def _is_token(self, shown: str) -> bool:
        return hmac.compare_digest(shown.encode(), (self._token or "").encode())

    def _has_token(self, headers: Headers) -> bool:
        kind, _, shown = headers.get("authorization", "").partition(" ")
        if kind.lower() == "bearer" and self._is_token(shown.strip()):
            return True
        try:
            morsel = SimpleCookie(headers.get("cookie", "")).get(COOKIE)
        except CookieError:
            return False
        return morsel is not None and self._is_token(morsel.value)


def _fits(headers: Headers, limit: int) -> bool:
    length = headers.get("content-length", "0")
    return length.isascii() and length.isdigit() and int(length) <= limit


async def refuse(send: Send, status: int, why: str) -> None:
    """Answer with an error, as ASGI has it."""
    body = json.dumps({"error": why}).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
