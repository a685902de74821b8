"""Audio files: every common container is written by the tests themselves and read back."""

import itertools
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
import soundfile
from av.stream import Disposition

from longdance.errors import InputError
from longdance.features import audio

SECONDS = 1.5


def tone(sample_rate: int, frequency: float = 440.0, seconds: float = SECONDS) -> np.ndarray:
    times = np.arange(round(seconds * sample_rate)) / sample_rate
    return (0.5 * np.sin(2 * np.pi * frequency * times)).astype(np.float32)


def strongest_frequency(samples: np.ndarray, sample_rate: int) -> float:
    spectrum = np.abs(np.fft.rfft(samples * np.hanning(len(samples))))
    return float(spectrum.argmax() * sample_rate / len(samples))


def encode(path, codec: str, *, sample_rate: int = 44100, layout: str = "stereo", video: bool = False) -> None:
    with av.open(str(path), "w") as container:
        # Every stream has to be there before the first packet.
        if codec:
            stream = container.add_stream(codec, rate=sample_rate, layout=layout)
        if video:
            pictures = container.add_stream("mpeg4", rate=25)
            pictures.width, pictures.height, pictures.pix_fmt = 64, 64, "yuv420p"
            for _ in range(5):
                frame = av.VideoFrame.from_ndarray(np.zeros((64, 64, 3), np.uint8), format="rgb24")
                container.mux(pictures.encode(frame))
            container.mux(pictures.encode(None))
        if codec:
            channels = len(av.AudioLayout(layout).channels)
            # Packed: PyAV cannot write the planes of eight channels.
            samples = np.repeat(tone(sample_rate), channels)[None]
            frame = av.AudioFrame.from_ndarray(samples, format="flt", layout=layout)
            frame.sample_rate = sample_rate
            resampler = av.AudioResampler(
                stream.format, stream.layout, stream.rate, frame_size=stream.frame_size
            )
            for part in [*resampler.resample(frame), *resampler.resample(None)]:
                container.mux(stream.encode(part))
            container.mux(stream.encode(None))


@pytest.mark.parametrize(
    ("name", "codec", "video"),
    [
        ("a.mp3", "libmp3lame", False),
        ("a.m4a", "aac", False),
        ("a.ogg", "libopus", False),
        ("a.flac", "flac", False),
        ("a.wav", "pcm_s16le", False),
        ("a.mp4", "aac", True),
        ("a.mkv", "libmp3lame", True),
        ("a.webm", "libopus", False),
    ],
)
def test_common_containers_are_decoded_at_the_right_pitch_and_length(tmp_path, name, codec, video):
    rate = 48000 if codec == "libopus" else 44100
    encode(tmp_path / name, codec, sample_rate=rate, video=video)
    samples = audio.decode(tmp_path / name)
    assert samples.dtype == np.float32
    assert len(samples) == pytest.approx(SECONDS * 22050, abs=0.1 * 22050)
    assert strongest_frequency(samples, 22050) == pytest.approx(440.0, abs=2.0)
    assert 0.3 < np.abs(samples[2000:-4000]).max() < 0.7


@pytest.mark.parametrize("rate", [8000, 11025, 44101, 96000])
def test_odd_sample_rates_keep_pitch_and_length(tmp_path, rate):
    soundfile.write(tmp_path / "a.wav", tone(rate), rate)
    samples = audio.decode(tmp_path / "a.wav")
    assert len(samples) == pytest.approx(SECONDS * 22050, abs=40)
    assert strongest_frequency(samples, 22050) == pytest.approx(440.0, abs=2.0)


@pytest.mark.parametrize("channels", [1, 2, 6, 8, 16, 24])
def test_any_number_of_channels_is_mixed_down_or_kept(tmp_path, channels):
    soundfile.write(tmp_path / "a.wav", np.repeat(tone(22050)[:, None], channels, axis=1), 22050)
    np.testing.assert_allclose(audio.decode(tmp_path / "a.wav"), tone(22050), atol=1e-3)
    kept = audio.decode(tmp_path / "a.wav", channels=None)
    np.testing.assert_allclose(kept, np.repeat(tone(22050)[:, None], channels, axis=1), atol=1e-3)


@pytest.mark.parametrize(("name", "codec"), [("a.flac", "flac"), ("a.m4a", "aac"), ("a.opus", "libopus")])
def test_eight_channels_of_any_codec_are_mixed_down(tmp_path, name, codec):
    encode(tmp_path / name, codec, sample_rate=48000, layout="7.1")
    samples = audio.decode(tmp_path / name)
    assert strongest_frequency(samples, 22050) == pytest.approx(440.0, abs=2.0)
    assert audio.decode(tmp_path / name, channels=None).shape[1] == 8
    assert audio.decode(tmp_path / name, channels=2).shape[1] == 2


def test_channels_that_cancel_give_the_louder_one(tmp_path):
    left = np.concatenate([np.zeros(3000, np.float32), tone(22050, seconds=4.0)])
    for right in (-left, -0.9 * left, -1.1 * left):
        soundfile.write(tmp_path / "a.wav", np.stack([left, right], axis=1), 22050, subtype="FLOAT")
        louder = left if np.abs(right).max() <= np.abs(left).max() else right
        np.testing.assert_allclose(audio.decode(tmp_path / "a.wav")[15000:], louder[15000:], atol=1e-6)


def test_channels_that_do_not_cancel_are_averaged(rng):
    independent = rng.standard_normal((50000, 6)).astype(np.float32)
    one_silent = np.stack([tone(22050), np.zeros(len(tone(22050)), np.float32)], axis=1)
    for samples in (independent, one_silent):
        np.testing.assert_allclose(audio.mix_down(samples, 22050), samples.mean(axis=1), atol=1e-6)


def test_a_change_between_mean_and_louder_channel_makes_no_click(rng):
    sound = tone(22050, seconds=6.0)
    sign = np.where(np.arange(len(sound)) < len(sound) // 2, 1.0, -1.0).astype(np.float32)
    mixed = audio.mix_down(np.stack([sound, sign * sound], axis=1), 22050)
    assert len(mixed) == len(sound)
    steps = np.abs(np.diff(mixed))
    assert steps.max() < 1.1 * np.abs(np.diff(sound)).max()
    np.testing.assert_allclose(mixed[: 2 * 22050], sound[: 2 * 22050], atol=1e-6)
    np.testing.assert_allclose(np.abs(mixed[4 * 22050 :]), np.abs(sound[4 * 22050 :]), atol=1e-6)


def test_the_mix_does_not_depend_on_how_the_samples_are_cut(rng):
    samples = rng.standard_normal((40000, 2)).astype(np.float32)
    samples[20000:, 1] = -samples[20000:, 0]
    expected = audio.mix_down(samples, 22050)
    mixed = audio.MixDown(22050)
    edges = [0, 1, 700, 9000, 9001, 30000, 40000]
    parts = [mixed(samples[a:b]) for a, b in itertools.pairwise(edges)]
    np.testing.assert_allclose(np.concatenate([*parts, mixed.rest()]), expected, atol=1e-6)


def delayed_video(path, *, delay: float, picture: str = "video") -> None:
    """A tone of one second that begins ``delay`` seconds after the first picture."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("aac", rate=44100, layout="mono")
        if picture == "cover":
            pictures = container.add_stream("mjpeg", rate=1)
            pictures.width, pictures.height, pictures.pix_fmt = 64, 64, "yuvj420p"
            pictures.disposition = Disposition.attached_pic
        elif picture == "video":
            pictures = container.add_stream("mpeg4", rate=25)
            pictures.width, pictures.height, pictures.pix_fmt = 64, 64, "yuv420p"
        if picture:
            for number in range(1 if picture == "cover" else 60):
                shown = av.VideoFrame.from_ndarray(np.zeros((64, 64, 3), np.uint8), format="rgb24")
                shown.pts, shown.time_base = number, Fraction(1, 25)
                container.mux(pictures.encode(shown))
            container.mux(pictures.encode(None))
        samples = tone(44100, seconds=1.0)
        for begin in range(0, len(samples), 1024):
            frame = av.AudioFrame.from_ndarray(samples[None, begin : begin + 1024], format="fltp", layout="mono")
            frame.sample_rate, frame.pts = 44100, begin + round(delay * 44100)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv", "a.mov"])
@pytest.mark.parametrize("delay", [0.0, 0.7])
def test_sound_that_begins_after_the_picture_keeps_its_time(tmp_path, name, delay):
    delayed_video(tmp_path / name, delay=delay)
    samples = audio.decode(tmp_path / name)
    first = np.flatnonzero(np.abs(samples) > 0.05)[0] / 22050
    assert first == pytest.approx(delay, abs=0.05)
    stretch = audio.decode(tmp_path / name, start=0.5, seconds=0.6)
    np.testing.assert_array_equal(stretch, samples[11025 : 11025 + round(0.6 * 22050)])
    both = audio.decode(tmp_path / name, channels=2)
    assert both.shape == (len(samples), 2)


@pytest.mark.parametrize("picture", ["", "cover"])
def test_time_stamps_of_sound_without_moving_pictures_do_not_count(tmp_path, picture):
    delayed_video(tmp_path / "a.mp4", delay=0.7, picture=picture)
    samples = audio.decode(tmp_path / "a.mp4")
    assert np.flatnonzero(np.abs(samples) > 0.05)[0] / 22050 < 0.05


@pytest.fixture
def shared_cases(shared_data) -> Path:
    """Files that made earlier versions fail."""
    return shared_data.parent / "cases"


@pytest.mark.parametrize("name", ["eight_channels.wav", "surround71.flac", "antiphase.wav", "delayed.mp4"])
def test_songs_of_the_cases_are_heard(shared_cases, name):
    samples = audio.decode(shared_cases / name)
    assert np.sqrt(np.mean(np.square(samples))) > 0.01
    if name == "delayed.mp4":
        assert np.flatnonzero(np.abs(samples) > 1e-3)[0] / 22050 == pytest.approx(1.476, abs=0.05)
    if name == "antiphase.wav":
        left = audio.decode(shared_cases / name, channels=None)[:, 0]
        np.testing.assert_allclose(samples[22050:], left[22050:], atol=1e-6)


def test_wav_samples_survive_unchanged(tmp_path, rng):
    samples = rng.uniform(-1, 1, 30000).astype(np.float32)
    audio.write_audio(tmp_path / "a.wav", samples, 22050)
    np.testing.assert_allclose(audio.decode(tmp_path / "a.wav"), samples, atol=2 / 32768)


def test_blocks_joined_equal_the_whole(tmp_path):
    encode(tmp_path / "a.mp3", "libmp3lame")
    blocks = list(audio.stream_blocks(tmp_path / "a.mp3", sample_rate=22050, block_seconds=0.3))
    assert {len(block) for block in blocks[:-1]} == {6615}
    np.testing.assert_array_equal(np.concatenate(blocks), audio.decode(tmp_path / "a.mp3"))


def test_a_stretch_equals_the_same_part_of_the_whole(tmp_path, rng):
    audio.write_audio(tmp_path / "a.wav", rng.uniform(-1, 1, 44100).astype(np.float32), 22050)
    whole = audio.decode(tmp_path / "a.wav")
    part = audio.decode(tmp_path / "a.wav", start=0.5, seconds=0.25)
    np.testing.assert_array_equal(part, whole[11025 : 11025 + round(0.25 * 22050)])


@pytest.mark.parametrize("suffix", [".wav", ".flac", ".ogg"])
def test_long_and_loud_sound_is_written_clipped_and_nothing_else_is_left_behind(tmp_path, suffix):
    samples = 3 * np.stack([tone(44100, seconds=20), tone(44100, 660, seconds=20)], axis=1)
    audio.write_audio(tmp_path / f"a{suffix}", samples, 44100)
    info = soundfile.info(tmp_path / f"a{suffix}")
    assert (info.frames, info.channels, info.samplerate) == (len(samples), 2, 44100)
    assert [path.name for path in tmp_path.iterdir()] == [f"a{suffix}"]


def test_damaged_numbers_in_float_files_become_silence(tmp_path):
    samples = tone(22050)
    samples[100:110] = np.nan
    soundfile.write(tmp_path / "a.wav", samples, 22050, subtype="FLOAT")
    assert np.isfinite(audio.decode(tmp_path / "a.wav")).all()


def test_a_truncated_file_gives_what_is_there(tmp_path):
    encode(tmp_path / "a.mp3", "libmp3lame")
    data = (tmp_path / "a.mp3").read_bytes()
    (tmp_path / "cut.mp3").write_bytes(data[: len(data) // 2])
    assert 0.4 * 22050 < len(audio.decode(tmp_path / "cut.mp3")) < SECONDS * 22050


def test_unusable_files_are_named_in_the_error(tmp_path):
    (tmp_path / "empty.mp3").touch()
    (tmp_path / "text.mp3").write_text("la la la " * 500)
    (tmp_path / "noise.m4a").write_bytes(np.random.default_rng(0).bytes(20000))
    encode(tmp_path / "silent_film.mp4", "", video=True)
    soundfile.write(tmp_path / "nothing.wav", np.zeros(0), 22050)
    for name in ("missing.wav", "empty.mp3", "text.mp3", "noise.m4a", "silent_film.mp4", "nothing.wav"):
        with pytest.raises(InputError, match=name):
            audio.decode(tmp_path / name)
    with pytest.raises(InputError, match="folder"):
        audio.decode(tmp_path)


def test_a_start_beyond_the_end_or_below_zero_is_refused(tmp_path):
    audio.write_audio(tmp_path / "a.wav", tone(22050), 22050)
    with pytest.raises(InputError, match="smaller start"):
        audio.decode(tmp_path / "a.wav", start=5.0)
    with pytest.raises(InputError, match="start"):
        audio.decode(tmp_path / "a.wav", start=-1.0)


def test_writing_refuses_unknown_endings_and_shapes(tmp_path):
    with pytest.raises(InputError, match="mp5"):
        audio.write_audio(tmp_path / "a.mp5", tone(22050), 22050)
    with pytest.raises(InputError, match="shape"):
        audio.write_audio(tmp_path / "a.wav", np.zeros((2, 2, 2)), 22050)


def test_resampling_keeps_a_tone():
    samples = audio.resample(tone(48000), 48000, 22050)
    assert len(samples) == round(SECONDS * 22050)
    np.testing.assert_allclose(samples[500:-500], tone(22050)[500:-500], atol=0.01)
