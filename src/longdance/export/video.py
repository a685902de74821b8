"""Video of a dance with its song: MP4 (H.264 and AAC), stills, contact sheets for a quick look."""

import logging
import os
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av.error import FFmpegError
from av.video.reformatter import ColorRange, Colorspace, Interpolation
from PIL import Image, ImageDraw

from longdance.errors import InputError
from longdance.export.figure import mannequin
from longdance.export.job import Job
from longdance.export.overlay import Overlay, font_of_size
from longdance.export.scene import Shot, shoot
from longdance.export.sound import beat_times, song_start
from longdance.export.takes import require_smpl
from longdance.features.audio import stream_blocks
from longdance.files import atomic_write
from longdance.motion.motion import Motion
from longdance.progress import Progress

REGISTER = {
    "format": {
        "mp4": {
            "make": "write", "order": 3, "about": "picture and sound",
            "sound": True, "hands": True, "dancers": True,
        },
    },
}

log = logging.getLogger(__name__)

HIGHEST_DEFAULT_FPS = 30.0
QUALITIES = {"preview": (854, 480), "full": (1280, 720)}
"""Pixels of films by name; where there is no graphics card, time goes with them."""
SOUND_RATE = 48000
SOUND_BLOCK = 1024
"""Samples per AAC packet."""

BT709 = 1
"""The number of ITU-R BT.709 in H.264's tables of primaries, transfer curves and matrices."""


def render_video(
    motion: Motion,
    path: str | os.PathLike,
    *,
    group: Sequence[Motion] = (),
    song_path: str | os.PathLike | None = None,
    start: float | int = 0.0,
    beat_times: Sequence[float] | np.ndarray | None = None,
    width: int = 1280,
    height: int = 720,
    fps: float | int | None = None,
    title: str | None = None,
    painter: str = "auto",
    progress: Progress | None = None,
) -> None:
    """Writes an MP4 of the dance, filmed by a camera that follows, with the song from ``start`` seconds on.

    ``group`` are dancers beside it, of the same length. ``beat_times`` are seconds from the first frame of the motion
    and flash along the bottom. ``fps`` defaults to the motion's, but at most 30. ``painter`` is "gl", "drawing"
    (slower, needs no graphics driver), or "auto": OpenGL where there is some. ``progress(done, total, "video")`` is
    called after every frame; whatever it raises ends the work and is passed on. The file appears under its name only
    when it is complete.

    Raises ``InputError`` for an empty motion, odd sizes, and a song that cannot be read or ends before
    ``start``.
    """
    path = Path(path)
    _check_size(motion, path, width, height)
    if song_path is not None:
        song_path = _checked_song(Path(song_path), start)
    seconds = motion.seconds
    rate = min(motion.fps, HIGHEST_DEFAULT_FPS) if fps is None else float(fps)
    dancers = [_at_rate(each, rate) for each in (motion, *group)]
    motion = dancers[0]
    overlay = Overlay(width, height, title=title, beat_times=beat_times)
    shot = shoot(*dancers, aspect=width / height)
    with (
        _painter(painter, motion, width, height, shot) as brush,
        atomic_write(path) as temporary,
        av.open(str(temporary), "w", format="mp4", options={"movflags": "+faststart"}) as container,
    ):
        pictures = _pictures(brush, dancers, shot, overlay)
        sound = None if song_path is None else _sound(song_path, start, seconds)
        _encode(container, pictures, sound, motion, width, height, progress)


def render_still(
    motion: Motion,
    frame: int,
    path: str | os.PathLike,
    *,
    width: int = 1280,
    height: int = 720,
    painter: str = "auto",
) -> None:
    """Writes one frame as a picture; the ending of ``path`` says the format. Raises ``InputError``."""
    path = Path(path)
    _check_size(motion, path, width, height)
    if not -motion.frames <= frame < motion.frames:
        raise InputError(f"expected a frame below {motion.frames}, got {frame}")
    shot = shoot(motion, aspect=width / height)
    joints, rotations = motion.forward_kinematics()
    with _painter(painter, motion, width, height, shot) as brush:
        picture = brush.draw(joints[frame][None], rotations[frame][None], shot.cameras[frame])
    _save_picture(Image.fromarray(picture), path)


def contact_sheet(
    video_path: str | os.PathLike, png_path: str | os.PathLike, *, count: int = 16, tile_width: int = 400
) -> None:
    """Writes ``count`` evenly spaced frames of a video as one picture, each with its time in seconds.

    Raises ``InputError`` for a file that is no video.
    """
    video_path = Path(video_path)
    if not video_path.is_file():
        raise InputError(f"expected a video, got {video_path}, which does not exist")
    try:
        with av.open(str(video_path)) as container:
            tiles = _tiles(container, count, tile_width)
    except (FFmpegError, IndexError) as error:
        raise InputError(f"expected a video, got {video_path}: {error}") from error
    columns = int(np.ceil(np.sqrt(len(tiles))))
    rows = -(-len(tiles) // columns)
    wide, high = tiles[0].size
    sheet = Image.new("RGB", (columns * wide, rows * high))
    for i, tile in enumerate(tiles):
        sheet.paste(tile, (i % columns * wide, i // columns * high))
    _save_picture(sheet, Path(png_path))


# --- pictures -----------------------------------------------------------------------------------------------


def _painter(kind: str, motion: Motion, width: int, height: int, shot: Shot):
    if kind not in ("auto", "gl", "drawing"):
        raise InputError(f"expected painter auto, gl or drawing, got {kind}")
    if kind != "drawing":
        from longdance.export.painter_gl import GlPainter, NoGraphics

        try:
            return GlPainter(mannequin(motion.skeleton), width, height, shot.key_direction)
        except NoGraphics as error:
            if kind == "gl":
                raise InputError(
                    f"expected OpenGL 3.3 through EGL, got none ({error}); "
                    "install libegl1 and libgl1 or take the painter 'drawing'"
                ) from error
            log.warning(
                "no OpenGL (%s): drawing without it, which is slower; libegl1 and libgl1 bring it", error
            )
    from longdance.export.painter_drawing import DRAWING_CELL, DrawingPainter

    return DrawingPainter(mannequin(motion.skeleton, cell=DRAWING_CELL), width, height, shot.key_direction)


def _pictures(brush, dancers: Sequence[Motion], shot: Shot, overlay: Overlay) -> Iterator[np.ndarray]:
    joints, rotations = (np.stack(each, 1) for each in zip(*(m.forward_kinematics() for m in dancers), strict=True))
    fps = dancers[0].fps
    for frame, camera in enumerate(shot.cameras):
        picture = brush.draw(joints[frame], rotations[frame], camera).copy()
        overlay.draw(picture, frame / fps, frame_seconds=1 / fps)
        yield picture


def _at_rate(motion: Motion, fps: float) -> Motion:
    """The motion at ``fps``: frames are left out where that does it, so that the video hides no jitter."""
    if not 1 <= fps <= 240:
        raise InputError(f"expected fps from 1 to 240, got {fps:g}")
    every = motion.fps / fps
    if every >= 1 and abs(every - round(every)) < 1e-6:
        step = round(every)
        return Motion(
            motion.root_position[::step], motion.rotations[::step], fps, motion.skeleton, motion.meta
        )
    return motion.resample(fps)


# --- sound --------------------------------------------------------------------------------------------------


def _checked_song(path: Path, start: float | int) -> Path:
    # Decodes as far as the first sound that will be heard, so that nothing is rendered for an unusable song.
    next(_decoded(path, start))
    return path


def _decoded(path: Path, start: float | int) -> Iterator[np.ndarray]:
    """Stereo sound (2, samples) float32 at ``SOUND_RATE``, piece by piece, from ``start`` seconds on."""
    for block in stream_blocks(path, sample_rate=SOUND_RATE, block_seconds=1.0, channels=2, start=start):
        yield block.T


def _sound(path: Path, start: float | int, seconds: float) -> Iterator[np.ndarray]:
    """Blocks (2, ``SOUND_BLOCK`` or less) of exactly ``seconds`` of sound, silent after the song's end."""
    left = round(seconds * SOUND_RATE)
    held = np.zeros((2, 0), np.float32)
    for piece in _decoded(path, start):
        held = np.concatenate((held, piece), axis=1)
        while held.shape[1] >= SOUND_BLOCK and left > 0:
            yield held[:, : min(SOUND_BLOCK, left)]
            held = held[:, SOUND_BLOCK:]
            left -= SOUND_BLOCK
        if left <= 0:
            return
    while left > 0:
        padded = np.zeros((2, min(SOUND_BLOCK, left)), np.float32)
        padded[:, : held.shape[1]] = held[:, : padded.shape[1]]
        yield padded
        held = held[:, SOUND_BLOCK:]
        left -= SOUND_BLOCK


# --- encoding -----------------------------------------------------------------------------------------------


def _encode(container, pictures, sound, motion: Motion, width: int, height: int, progress) -> None:
    rate = Fraction(motion.fps).limit_denominator(1001)
    video = container.add_stream("libx264", rate=rate, options={"preset": "veryfast", "crf": "20", "bf": "0"})
    video.width, video.height, video.pix_fmt = width, height, "yuv420p"
    context = video.codec_context
    context.color_primaries = context.color_trc = context.colorspace = BT709
    context.color_range = ColorRange.MPEG
    video.time_base = context.time_base = 1 / rate
    audio = None
    if sound is not None:
        audio = container.add_stream("aac", rate=SOUND_RATE, layout="stereo")
        audio.codec_context.bit_rate = 192_000
    written = 0

    def take(index: int, picture: np.ndarray) -> None:
        nonlocal sound, written
        frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
        frame = frame.reformat(
            format="yuv420p",
            dst_colorspace=Colorspace.ITU709,
            dst_color_range=ColorRange.MPEG,
            interpolation=Interpolation.POINT,  # twice as fast, and nothing here shows the difference
        )
        frame.pts, frame.time_base = index, 1 / rate
        container.mux(video.encode(frame))
        # Sound goes in step with the pictures, so that the muxer never has to hold much of either.
        while sound is not None and written <= (index + 1) / rate * SOUND_RATE:
            block = next(sound, None)
            if block is None:
                sound = None
            else:
                _encode_sound(container, audio, block, written)
                written += block.shape[1]

    # While one picture is encoded the next is drawn.
    with ThreadPoolExecutor(max_workers=1) as worker:
        waiting: deque[Future] = deque()
        for index, picture in enumerate(pictures):
            waiting.append(worker.submit(take, index, picture))
            if len(waiting) > 2:
                waiting.popleft().result()
            if progress is not None:
                progress(index + 1, motion.frames, "video")
        for future in waiting:
            future.result()
    container.mux(video.encode(None))
    for block in sound or ():
        _encode_sound(container, audio, block, written)
        written += block.shape[1]
    if audio is not None:
        container.mux(audio.encode(None))


def _encode_sound(container, audio, block: np.ndarray, position: int) -> None:
    frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(block), format="fltp", layout="stereo")
    frame.sample_rate, frame.pts, frame.time_base = SOUND_RATE, position, Fraction(1, SOUND_RATE)
    container.mux(audio.encode(frame))


# --- small things -------------------------------------------------------------------------------------------


def _check_size(motion: Motion, path: Path, width: int, height: int) -> None:
    if motion.frames == 0:
        raise InputError(f"expected at least one frame to render to {path}, got an empty motion")
    require_smpl(motion)
    if width % 2 or height % 2 or min(width, height) < 32:
        raise InputError(f"expected an even width and height of at least 32 pixels, got {width} x {height}")


def _tiles(container, count: int, tile_width: int) -> list[Image.Image]:
    stream = container.streams.video[0]
    total = stream.frames or round(float(container.duration / av.time_base * stream.average_rate))
    wanted = {int((i + 0.5) * total / count) for i in range(count)}
    tile_height = round(tile_width * stream.height / stream.width)
    tiles = []
    for index, frame in enumerate(container.decode(stream)):
        if index in wanted:
            tile = frame.to_image().resize((tile_width, tile_height), Image.Resampling.LANCZOS)
            ImageDraw.Draw(tile).text(
                (6, tile_height - 8),
                f"{frame.time:.2f} s",
                (255, 255, 255),
                font_of_size(tile_height / 14),
                anchor="ls",
            )
            tiles.append(tile)
    return tiles


def _save_picture(picture: Image.Image, path: Path) -> None:
    try:
        with atomic_write(path) as temporary:
            picture.save(temporary)
    except ValueError as error:  # Pillow knows no format of that name
        raise InputError(f"expected a picture file such as .png, got {path}") from error


# --- several dances -----------------------------------------------------------------------------------------


def render_side_by_side(
    motions: Mapping[str, Motion],
    path: str | os.PathLike,
    *,
    song_path: str | os.PathLike | None = None,
    start: float | int = 0.0,
    width: int = 640,
    height: int = 480,
    painter: str = "auto",
    progress: Progress | None = None,
) -> None:
    """Writes an MP4 of several dances next to each other, each with its name, as long as the shortest.

    ``width`` and ``height`` are those of one dance. Up to three stand in a row. Dances are on one skeleton.
    Raises ``InputError`` as ``render_video`` does, and for no dance or skeletons that differ.
    """
    path = Path(path)
    if not motions:
        raise InputError(f"{path}: expected dances to show, got none")
    _check_size(min(motions.values(), key=lambda motion: motion.frames), path, width, height)
    if len({motion.skeleton.names for motion in motions.values()}) > 1:
        raise InputError(f"{path}: expected dances on one skeleton; export those with other joints apart")
    if song_path is not None:
        song_path = _checked_song(Path(song_path), start)
    fps = min(HIGHEST_DEFAULT_FPS, *(motion.fps for motion in motions.values()))
    rated = [_at_rate(motion, fps) for motion in motions.values()]
    frames = min(motion.frames for motion in rated)
    # All face the same way, so that one set of lamps does for all.
    rated = [motion.slice(0, frames) for motion in rated]
    rated = [motion.turn(-shoot(motion, aspect=width / height).yaw) for motion in rated]
    shots = [shoot(motion, aspect=width / height) for motion in rated]
    columns = len(rated) if len(rated) <= 3 else int(np.ceil(np.sqrt(len(rated))))
    rows = -(-len(rated) // columns)
    with (
        _painter(painter, rated[0], width, height, shots[0]) as brush,
        atomic_write(path) as temporary,
        av.open(str(temporary), "w", format="mp4", options={"movflags": "+faststart"}) as container,
    ):
        tiles = [
            _pictures(brush, [motion], shot, Overlay(width, height, title=name, beat_times=None))
            for name, motion, shot in zip(motions, rated, shots, strict=True)
        ]

        def pictures() -> Iterator[np.ndarray]:
            for parts in zip(*tiles, strict=True):
                whole = np.zeros((rows * height, columns * width, 3), np.uint8)
                for number, part in enumerate(parts):
                    top, left = number // columns * height, number % columns * width
                    whole[top : top + height, left : left + width] = part
                yield whole

        sound = None if song_path is None else _sound(song_path, start, frames / fps)
        _encode(container, pictures(), sound, rated[0], columns * width, rows * height, progress)


def write(job: Job) -> None:
    """Write the film of one dance, or of a group."""
    quality = job.options.quality
    if quality not in QUALITIES:
        raise InputError(f"expected a quality among {', '.join(QUALITIES)}, got {quality}")
    width, height = QUALITIES[quality]
    render_video(
        job.motion,
        job.path,
        group=job.group[1:],
        song_path=job.song_path,
        start=song_start(job.motion),
        beat_times=beat_times(job.motion) or None,
        width=width,
        height=height,
        title=job.title,
        progress=job.progress,
    )
