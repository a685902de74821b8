"""Dances sent live by the VMC protocol: one OSC bundle a frame, for avatars with Unity's humanoid bones.

Unity's axes are left-handed, y up, the avatar faces +z: our x is mirrored. Rotations are local, relative to the T pose.
Root holds the travel on the floor, Hips the height above it. Places of bones are those of our own skeleton.
Source: Virtual Motion Capture Protocol, specification for Marionettes, 2.5; Open Sound Control 1.0.
"""

import socket
import struct
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from queue import Queue
from threading import Thread

import numpy as np

from longdance.errors import InputError
from longdance.export.hands import Hands, offset_of
from longdance.export.naming import NAMINGS
from longdance.export.takes import require_smpl
from longdance.motion.directions import quaternion_track
from longdance.motion.motion import Motion

LOOPBACK, PORT = "127.0.0.1", 39539
"""Where receivers (Marionettes) listen unless told otherwise."""
TO_UNITY = np.diag([-1.0, 1.0, 1.0])
NO_TURN = (0.0, 0.0, 0.0, 1.0)
LOADED, CALIBRATED, NORMAL = 1, 3, 0
"""A model is there and its bones are sent; the state and mode of calibration."""
AHEAD = 8
"""Pieces that are made ahead of what is sent."""


def address_of(written: str) -> tuple[str, int]:
    """Host and port of ``HOST:PORT``, ``:PORT`` or ``PORT``; without a host it is this computer. ``InputError``."""
    host, _, port = written.strip().rpartition(":")
    if not port.isdecimal() or not 0 < int(port) < 65536:
        raise InputError(f"expected HOST:PORT, or a PORT of this computer such as {PORT}, got {written!r}")
    return host.strip("[]") or LOOPBACK, int(port)


def bone_tracks(motion: Motion, hands: Hands | None = None) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Unity's names of bones to places (frames, 3) in metres and quaternions (frames, 4) x, y, z, w in its axes.

    Both are relative to the parent; "root" is the avatar itself; fingers where there are ``hands``. ``InputError`` for
    a skeleton without SMPL's names.
    """
    require_smpl(motion)
    skeleton, names = motion.skeleton, NAMINGS["vrm"]
    travel = motion.root_position * [1.0, 0.0, 1.0]
    still = np.tile(NO_TURN, (motion.frames, 1))
    tracks = {"root": (travel @ TO_UNITY, still)}
    for joint, name in enumerate(skeleton.names):
        if name.endswith("hand"):  # fingers are not the hand
            continue
        place = motion.root_position - travel if joint == 0 else np.tile(skeleton.offsets[joint], (motion.frames, 1))
        word = names[name][0].upper() + names[name][1:]
        tracks[word] = (place @ TO_UNITY, quaternion_track(TO_UNITY @ motion.rotations[:, joint] @ TO_UNITY))
    for joint, turns in (hands.more(motion) if hands is not None else {}).items():
        place = np.tile(offset_of(joint), (motion.frames, 1))
        tracks[_finger(joint)] = (place @ TO_UNITY, quaternion_track(TO_UNITY @ turns @ TO_UNITY))
    return tracks


def _finger(joint: str) -> str:
    """Unity's name of a finger joint; it calls the smallest finger little."""
    side, _, word = joint.partition("_")
    finger = "Little" if word.startswith("pinky") else word[:-1].title()
    return f"{side.title()}{finger}{('Proximal', 'Intermediate', 'Distal')[int(word[-1]) - 1]}"


def bundles(motion: Motion, *, begin: float = 0.0, hands: Hands | None = None) -> Iterator[bytes]:
    """The bundle of each frame; ``begin`` is the time of the first one. ``hands`` go on from piece to piece."""
    tracks = bone_tracks(motion, hands)
    for frame in range(motion.frames):
        messages = [message("/VMC/Ext/OK", LOADED, CALIBRATED, NORMAL)]
        for name, (places, turns) in tracks.items():
            where = "/VMC/Ext/Root/Pos" if name == "root" else "/VMC/Ext/Bone/Pos"
            messages.append(message(where, name, *map(float, places[frame]), *map(float, turns[frame])))
        messages.append(message("/VMC/Ext/T", begin + frame / motion.fps))
        yield bundle(messages)


def message(address: str, *values: str | int | float) -> bytes:
    """An OSC message of strings, 32-bit integers and 32-bit floats."""
    tags, data = ",", b""
    for value in values:
        if isinstance(value, str):
            tags, data = tags + "s", data + _text(value)
        else:
            kind = "i" if isinstance(value, int) else "f"
            tags, data = tags + kind, data + struct.pack(f">{kind}", value)
    return _text(address) + _text(tags) + data


def bundle(messages: list[bytes]) -> bytes:
    """Messages that are meant for now, and at once."""
    return b"#bundle\0" + struct.pack(">Q", 1) + b"".join(struct.pack(">I", len(each)) + each for each in messages)


def _text(words: str) -> bytes:
    data = words.encode()
    return data + b"\0" * (4 - len(data) % 4)


@dataclass(frozen=True)
class Played:
    """What was sent."""

    frames: int
    seconds: float
    waited: float
    """Seconds that the dance stood because its next piece was not made yet."""


def play(
    pieces: Iterable[Motion],
    send: Callable[[bytes], object],
    *,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
    begun: Callable[[], None] | None = None,
    fingers: bool = True,
) -> Played:
    """Send a dance in its own time, the pieces as they come; they are made while others are sent.

    A piece that comes late stops the dance, which then goes on where it stood. ``begun`` is called before the first
    frame; ``fingers`` adds hands by rule. What making a piece raises is passed on.
    """
    frames, length, waited, due, hands = 0, 0.0, 0.0, None, None
    for piece in _made_ahead(pieces):
        now = clock()
        if due is None:
            due, hands = now, Hands(piece.meta.get("genre")) if fingers else None
            if begun is not None:
                begun()
        elif now > due:
            waited, due = waited + now - due, now
        for data in bundles(piece, begin=length, hands=hands):
            if (left := due - clock()) > 0:
                sleep(left)
            send(data)
            due += 1 / piece.fps
        frames, length = frames + piece.frames, length + piece.seconds
    return Played(frames, length, waited)


def _made_ahead(pieces: Iterable[Motion]) -> Iterator[Motion]:
    """The pieces, up to ``AHEAD`` of them made in a thread of their own before they are asked for."""
    made: Queue[Motion | BaseException | None] = Queue(AHEAD)

    def make() -> None:
        try:
            for piece in pieces:
                made.put(piece)
            made.put(None)
        except BaseException as error:  # to be raised where the pieces are taken
            made.put(error)

    Thread(target=make, daemon=True).start()
    while (piece := made.get()) is not None:
        if isinstance(piece, BaseException):
            raise piece
        yield piece


@contextmanager
def sender(host: str, port: int) -> Iterator[Callable[[bytes], object]]:
    """Context of what sends datagrams there; ``InputError`` for a host that is not known."""
    try:
        kind, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_DGRAM)[0]
    except OSError as error:
        raise InputError(f"{host}: expected a host that can be found ({error.strerror})") from error
    with socket.socket(kind, socket.SOCK_DGRAM) as out:
        yield lambda data: out.sendto(data, address)
