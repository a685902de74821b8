"""Videos, read back with an independent decoder run."""

import logging

import av
import numpy as np
import pytest
import soundfile
from PIL import Image
from scipy.spatial.transform import Rotation

from longdance.errors import Cancelled, InputError
from longdance.export import painter_gl, scene
from longdance.export.figure import mannequin
from longdance.export.formats import export
from longdance.export.takes import ExportOptions
from longdance.export.video import contact_sheet, render_still, render_video
from longdance.motion.motion import Motion
from longdance.motion.skeleton import SMPL22, SMPL24

SIZE = {"width": 160, "height": 90}


def has_gl():
    try:
        painter_gl._context().release()
    except painter_gl.NoGraphics:
        return False
    return True


needs_gl = pytest.mark.skipif(not has_gl(), reason="no OpenGL 3.3 on this machine")
each_painter = pytest.mark.parametrize("painter", [pytest.param("gl", marks=needs_gl), "drawing"])


def swing(frames=20, fps=30.0, skeleton=SMPL24):
    """Both arms swing up and down while the body sways."""
    seconds = np.arange(frames) / fps
    height = np.full(frames, skeleton.rest_root_height)
    root = np.column_stack((0.1 * np.sin(6 * seconds), height, 0 * seconds))
    rotations = np.tile(np.eye(3), (frames, len(skeleton), 1, 1))
    for side, sign in (("left", 1), ("right", -1)):
        lift = Rotation.from_rotvec(np.outer(sign * 1.2 * np.sin(4 * seconds), (0, 0, 1)))
        rotations[:, skeleton.index(f"{side}_shoulder")] = lift.as_matrix()
    return Motion(root, rotations, fps, skeleton)


@pytest.fixture
def clicks(tmp_path):
    """Four seconds of silence with a click at 1.0 s and every half second after it."""
    rate = 44100
    sound = np.zeros(4 * rate, np.float32)
    for beat in np.arange(1.0, 4.0, 0.5):
        at = round(beat * rate)
        sound[at : at + 200] = 0.8 * np.sin(np.arange(200) * 0.4)
    path = tmp_path / "clicks.wav"
    soundfile.write(path, sound, rate)
    return path


def read(path):
    """Pictures, their times, the sound as mono at its own rate, and the time of its first sample."""
    with av.open(str(path)) as container:
        frames = list(container.decode(video=0))
        pictures = np.stack([frame.to_ndarray(format="rgb24") for frame in frames])
        times = np.array([frame.time for frame in frames])
    with av.open(str(path)) as container:
        if not container.streams.audio:
            return pictures, times, None, None, None
        pieces = list(container.decode(audio=0))
        sound = np.concatenate([piece.to_ndarray().mean(0) for piece in pieces])
        return pictures, times, sound, pieces[0].sample_rate, pieces[0].time


def look_at(path):
    with Image.open(path) as picture:
        return np.asarray(picture)


@each_painter
@pytest.mark.parametrize("skeleton", [SMPL22, SMPL24], ids=["22 joints", "24 joints"])
def test_video_has_the_motion_s_frames(tmp_path, painter, skeleton):
    motion, path = swing(skeleton=skeleton), tmp_path / "new" / "out.mp4"
    seen = []
    render_video(motion, path, painter=painter, progress=lambda *step: seen.append(step), **SIZE)
    pictures, times, sound, _, _ = read(path)
    assert pictures.shape == (20, 90, 160, 3)
    assert np.allclose(times, np.arange(20) / 30, atol=1e-3)
    assert sound is None
    assert seen == [(i + 1, 20, "video") for i in range(20)]
    # The dancer is there and moves.
    assert pictures[0].std() > 15
    assert np.abs(pictures[0].astype(int) - pictures[10]).max() > 60


def test_sixty_frames_a_second_become_thirty_unless_asked_for(tmp_path):
    motion = swing(frames=40, fps=60.0)
    for fps, count in ((None, 20), (60, 40), (24, 16)):
        render_video(motion, tmp_path / "out.mp4", fps=fps, painter="drawing", **SIZE)
        pictures, times, *_ = read(tmp_path / "out.mp4")
        assert len(pictures) == count
        assert times[-1] == pytest.approx((count - 1) / (fps or 30), abs=1e-3)


@pytest.mark.parametrize("start", [0.0, 0.73])
def test_clicks_and_flashes_meet(tmp_path, clicks, start):
    motion, path = swing(frames=75), tmp_path / "out.mp4"
    beats = np.arange(1.0, 4.0, 0.5) - start
    beats = beats[beats < motion.seconds]
    render_video(motion, path, song_path=clicks, start=start, beat_times=beats, painter="drawing", **SIZE)
    pictures, times, sound, rate, first = read(path)
    assert len(sound) / rate == pytest.approx(motion.seconds, abs=0.03)

    loud = np.flatnonzero(np.abs(sound) > 0.25)
    onsets = first + loud[np.diff(loud, prepend=-rate) > 0.2 * rate] / rate
    dot = pictures[:, -6:-4, -6:-4].astype(float).mean((1, 2))[:, 0]
    bar = pictures[:, -1].astype(float).mean(1)[:, 0]
    for signal in (dot, bar):
        rise = np.diff(signal, prepend=signal[0])
        flashes = times[np.flatnonzero(rise > 0.6 * rise.max())]
        assert len(flashes) == len(onsets) == len(beats)
        assert np.abs(flashes - beats).max() < 0.025
        assert np.abs(flashes - onsets).max() < 0.05
    assert np.abs(onsets - beats).max() < 0.005


def test_song_that_ends_early_is_followed_by_silence(tmp_path, clicks):
    motion, path = swing(frames=60), tmp_path / "out.mp4"
    render_video(motion, path, song_path=clicks, start=3.2, painter="drawing", **SIZE)
    _, _, sound, rate, _ = read(path)
    assert len(sound) / rate == pytest.approx(2.0, abs=0.03)
    assert np.abs(sound[rate:]).max() < 1e-3
    assert np.abs(sound[:rate]).max() > 0.2


@pytest.mark.parametrize("existing", [None, b"an older video"])
def test_cancelling_leaves_nothing_half_written(tmp_path, clicks, existing):
    path = tmp_path / "videos" / "out.mp4"
    path.parent.mkdir()
    if existing:
        path.write_bytes(existing)

    def stop(done, total, what):
        if done == 5:
            raise Cancelled("enough")

    with pytest.raises(Cancelled):
        render_video(swing(), path, song_path=clicks, progress=stop, painter="drawing", **SIZE)
    assert [p.read_bytes() for p in path.parent.iterdir()] == ([existing] if existing else [])


def test_without_graphics_the_figure_is_drawn(tmp_path, monkeypatch, caplog):
    def no_context():
        raise painter_gl.NoGraphics("libEGL.so not loaded")

    monkeypatch.setattr(painter_gl, "_context", no_context)
    with caplog.at_level(logging.WARNING):
        render_video(swing(frames=3), tmp_path / "out.mp4", **SIZE)
    assert "libEGL.so not loaded" in caplog.text
    assert len(read(tmp_path / "out.mp4")[0]) == 3
    with pytest.raises(InputError, match="libegl1"):
        render_video(swing(frames=3), tmp_path / "out.mp4", painter="gl", **SIZE)


@pytest.mark.parametrize("error", [ImportError("no egl"), Exception("no driver")])
def test_systems_without_egl_have_no_graphics(monkeypatch, error):
    def fail(**_):
        raise error

    monkeypatch.setattr(painter_gl.moderngl, "create_context", fail)
    with pytest.raises(painter_gl.NoGraphics):
        painter_gl._context()


@needs_gl
def test_both_painters_show_the_same_picture(tmp_path):
    motion = swing()
    for painter in ("gl", "drawing"):
        render_still(motion, 12, tmp_path / f"{painter}.png", painter=painter, width=320, height=180)
    a, b = (look_at(tmp_path / f"{painter}.png").astype(float) for painter in ("gl", "drawing"))
    assert np.abs(a - b).mean() < 6
    assert np.corrcoef(a.ravel(), b.ravel())[0, 1] > 0.95


@each_painter
def test_figure_covers_the_pixels_its_vertices_fall_on(tmp_path, painter):
    motion, path = swing(), tmp_path / "still.png"
    render_still(motion, 0, path, painter=painter, width=320, height=180)
    picture = look_at(path).astype(float)
    camera = scene.shoot(motion, aspect=320 / 180).cameras[0]
    joints, rotations = motion.forward_kinematics()
    figure = mannequin(SMPL24)
    vertices = figure.pose(joints[0], rotations[0])
    suit = vertices[figure.colour_groups == 1]
    columns, rows = ((camera.project(suit)[0] * (0.5, -0.5) + 0.5) * (320, 180)).astype(int).T
    teal = picture[..., 1] - picture[..., 0] > 25
    covered = np.zeros(teal.shape, bool)
    covered[rows, columns] = True
    assert (teal & covered).sum() > 0.8 * covered.sum()
    assert teal[:, : columns.min() - 3].sum() == teal[:, columns.max() + 4 :].sum() == 0


def test_contact_sheet_shows_the_whole_video(tmp_path):
    render_video(swing(), tmp_path / "out.mp4", painter="drawing", title="Swing – test", **SIZE)
    contact_sheet(tmp_path / "out.mp4", tmp_path / "sheet.png", count=6, tile_width=160)
    sheet = look_at(tmp_path / "sheet.png")
    assert sheet.shape == (2 * 90, 3 * 160, 3)
    assert sheet[90:, 320:].std() > 15


def test_quality_says_how_large_a_film_is(tmp_path):
    for quality, (width, height) in {"preview": (854, 480), "full": (1280, 720)}.items():
        export(swing(frames=2), tmp_path / "out.mp4", options=ExportOptions(quality=quality))
        assert read(tmp_path / "out.mp4")[0].shape == (2, height, width, 3)
    with pytest.raises(InputError, match="quality among preview, full"):
        export(swing(frames=2), tmp_path / "bad.mp4", options=ExportOptions(quality="fine"))
    assert not (tmp_path / "bad.mp4").exists()


def test_unusable_input_is_named(tmp_path, clicks):
    out, text = tmp_path / "out.mp4", tmp_path / "notes.txt"
    text.write_text("no song")
    for options, message in (
        ({"song_path": tmp_path / "missing.mp3"}, "missing.mp3"),
        ({"song_path": text}, "notes.txt"),
        ({"song_path": clicks, "start": 9.0}, "smaller start"),
        ({"song_path": clicks, "start": -1.0}, "at least 0 seconds"),
        ({"width": 161}, "even width"),
        ({"fps": 0}, "fps"),
        ({"painter": "oil"}, "painter"),
    ):
        with pytest.raises(InputError, match=message):
            render_video(swing(frames=2), out, **(SIZE | options))
    with pytest.raises(InputError, match="empty motion"):
        render_video(swing().slice(0, 0), out)
    with pytest.raises(InputError, match=r"notes\.txt"):
        contact_sheet(text, tmp_path / "sheet.png")
    with pytest.raises(InputError, match="frame below 20"):
        render_still(swing(), 20, tmp_path / "still.png")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["clicks.wav", "notes.txt"]
