"""One web page that plays a dance with its song: skeleton, mannequin, sound and program are all inside it.

The program is built from ``viewer/viewer.js`` by ``tools/build_viewer.sh`` and shipped, three.js with it (MIT).
"""

import base64
import html
import io
import json
import os
import string
from importlib.resources import files

import av
import numpy as np

from longdance.export.glb import glb_bytes
from longdance.export.job import Job
from longdance.export.sound import SOUND_RATE, beat_times, song_stretch
from longdance.export.takes import Body, Take, body
from longdance.features.audio import mix_down
from longdance.files import atomic_write
from longdance.motion.motion import Motion
from longdance.progress import Progress

REGISTER = {
    "format": {
        "html": {
            "make": "write", "order": 9, "about": "a page that plays the dance with its song",
            "aliases": ("htm",), "sound": True, "hands": True, "dancers": True,
        },
    },
}  # fmt: skip

SOUND_BITS_PER_SECOND = 160_000


def save_html(
    motion: Motion,
    dancers: list[Take],
    figure: Body,
    path: str | os.PathLike,
    *,
    song_path: str | os.PathLike | None = None,
    title: str | None = None,
    progress: Progress | None = None,
) -> None:
    """Write the page of one dancer or a group, which ``motion`` leads; without a song it plays silently.

    ``InputError`` for a song that cannot be read.
    """
    report = progress or (lambda done, total, what: None)
    report(0, 2, "sound")
    song = "" if song_path is None else _mp3(song_stretch(motion, song_path))
    report(1, 2, "page")
    facing = motion.rotations[:, 0, :, 2].mean(0)
    facts = {
        "title": title or "dance",
        "fps": motion.fps,
        "seconds": motion.seconds,
        "beats": [round(beat, 4) for beat in beat_times(motion)],
        "sound": "audio/mpeg" if song else None,
        "hips": dancers[0].smpl_joints.index(0),
        "reach": round(_reach(dancers), 2),
        "front": float(np.arctan2(facing[0], facing[2])),
    }
    folder = files("longdance.export") / "viewer"
    page = string.Template((folder / "page.html").read_text(encoding="utf-8")).substitute(
        title=html.escape(title or "dance"),
        # No text from outside may end the element that it is in.
        facts=json.dumps(facts).replace("<", "\\u003c"),
        dancer=base64.b64encode(glb_bytes([dancers], figure)).decode(),
        song=f'<script type="text/plain" id="song">{base64.b64encode(song).decode()}</script>' if song else "",
        program=(folder / "viewer.min.js").read_text(encoding="utf-8"),
    )
    with atomic_write(path) as temporary:
        temporary.write_text(page, encoding="utf-8")
    report(2, 2, "page")


def _reach(dancers: list[Take]) -> float:
    """Metres along the floor from the middle of a group to its farthest dancer, 0 of one dancer."""
    pelvis = dancers[0].smpl_joints.index(0)
    places = np.stack([take.translations[pelvis] for take in dancers])[..., [0, 2]]
    return float(np.linalg.norm(places - places.mean(0), axis=-1).max())


def _mp3(samples: np.ndarray) -> bytes:
    """MP3 of (samples, channels); more than two channels are mixed down."""
    if samples.shape[1] > 2:
        samples = mix_down(samples, SOUND_RATE)[:, None]
    layout = "stereo" if samples.shape[1] == 2 else "mono"
    file = io.BytesIO()
    with av.open(file, "w", format="mp3") as container:
        stream = container.add_stream("libmp3lame", rate=SOUND_RATE, layout=layout, options={"compression_level": "7"})
        stream.bit_rate = SOUND_BITS_PER_SECOND
        for begin in range(0, len(samples), SOUND_RATE):
            block = np.ascontiguousarray(np.clip(samples[begin : begin + SOUND_RATE], -1, 1).T, dtype=np.float32)
            frame = av.AudioFrame.from_ndarray(block, format="fltp", layout=layout)
            frame.sample_rate, frame.pts = SOUND_RATE, begin
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return file.getvalue()


def write(job: Job) -> None:
    """Write the page of one dance."""
    dancers = job.casts()[0]
    figure = body(job.motion, dancers[0])
    save_html(job.motion, dancers, figure, job.path, song_path=job.song_path, title=job.title, progress=job.progress)
