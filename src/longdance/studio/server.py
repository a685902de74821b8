"""Starting the studio: where it listens, who may come in, and what is told about that."""

import os
import re
import secrets
import socket
from collections.abc import Callable
from pathlib import Path
from types import FrameType

from longdance.errors import InputError

PORT = 8700


def serve(
    *,
    host: str,
    port: int,
    projects: Path | None,
    token: str | None,
    models: list[Path],
    say: Callable[[str], None],
) -> None:
    """Run the studio until it is interrupted.

    ``models`` are folders beside the shipped ones. ``InputError`` where its packages are missing, for a port that is
    taken, and for a projects folder that cannot be used.
    """
    try:
        import uvicorn

        from longdance.studio.app import create_app
        from longdance.studio.studio import Studio, StudioConfig
    except ImportError as error:
        raise InputError(
            f"the studio needs {error.name}, which is not installed; try pip install 'longdance[studio]'"
        ) from error
    from longdance.models.folders import WEIGHTS, shipped
    from longdance.studio.guard import is_loopback
    from longdance.studio.projects import default_folder

    if token is None and not is_loopback(host):
        token = secrets.token_urlsafe(24)
    if token is not None and not re.fullmatch(r"[A-Za-z0-9_-]{8,200}", token):
        raise InputError("expected a token of 8 to 200 letters, digits, - and _")
    known = {name: WEIGHTS / name for name in shipped()} | {folder.resolve().name: folder for folder in models}
    with _listener(host, port) as listener:
        studio = Studio(StudioConfig(folder=projects or default_folder(), host=host, token=token, models=known))
        try:
            application = create_app(studio)
            address = f"http://{_as_seen(host)}:{listener.getsockname()[1]}/" + (f"?token={token}" if token else "")
            say(f"the studio is open at {address}")
            say(f"projects are kept in {studio.projects.folder}; Ctrl-C closes the studio")
            settings = uvicorn.Config(
                application, log_level="warning", access_log=False, server_header=False,
                timeout_graceful_shutdown=2, limit_concurrency=200, h11_max_incomplete_event_size=64_000,
            )  # fmt: skip
            server = uvicorn.Server(settings)
            stop = server.handle_exit

            def closing(number: int, frame: FrameType | None) -> None:
                studio.closing.set()  # pages that follow what happens would keep the server waiting
                stop(number, frame)

            server.handle_exit = closing
            server.run(sockets=[listener])
        finally:
            studio.close()


def _listener(host: str, port: int) -> socket.socket:
    listener: socket.socket | None = None
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        listener = socket.socket(family, kind, protocol)
        if os.name != "nt":  # where it means that a port may be shared with a stranger
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(128)
    except OSError as error:
        if listener is not None:
            listener.close()
        raise InputError(
            f"expected an address to listen at, got {host} port {port} ({error.strerror}); try another --port"
        ) from error
    return listener


def _as_seen(host: str) -> str:
    """The host as it is written in an address that a browser on this computer can open."""
    if host in ("0.0.0.0", "::"):
        return socket.gethostname()
    return f"[{host}]" if ":" in host else host
