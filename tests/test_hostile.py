"""Files and options that mean harm, on the command line: one line that says what is wrong, and nothing left behind.

Every case runs in a process of its own with little memory and time (``hostile_runner``). What was tried is listed in
``docs/hostile-inputs.md``.
"""

import io
import json
import os
import pickle
import re
import struct
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
from tests.conftest import swaying

from longdance.motion.motion import MOST_NUMBERS

pytestmark = pytest.mark.alone

if not hasattr(os, "fork"):
    pytest.skip("needs fork", allow_module_level=True)

RUNNER = Path(__file__).parent / "hostile_runner.py"
LONGEST, LARGEST = 20.0, 700e6
"""Seconds and bytes; a case takes a fraction of a second and a few megabytes unless something is wrong."""
RNG = np.random.default_rng(7)


@pytest.fixture(scope="module")
def longdance():
    """Runs the command line in a folder and returns how that went."""
    process = subprocess.Popen([sys.executable, str(RUNNER)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "ready\n"

    def run(folder: Path, *arguments) -> dict:
        request = {"arguments": [str(argument) for argument in arguments], "folder": str(folder)}
        process.stdin.write(json.dumps(request) + "\n")
        process.stdin.flush()
        return json.loads(process.stdout.readline())

    yield run
    process.stdin.close()
    assert process.wait(timeout=10) == 0
    process.stdout.close()


def names_in(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


def check_refusal(outcome: dict, *, names: str, code: int = 1) -> None:
    """One line that names what is wrong, soon, without a trace of the program and in little memory."""
    told = outcome["stderr"]
    assert outcome["exit_code"] == code, told
    assert "Traceback" not in told
    assert "Warning" not in told
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f]", told)
    errors = [line for line in told.splitlines() if "rror: " in line]
    assert len(errors) == 1, told
    assert names in errors[0]
    assert outcome["stdout"] == ""
    assert outcome["seconds"] < LONGEST
    assert outcome["memory"] < LARGEST


# --- media ---------------------------------------------------------------------------------------------------

TONE = (8000 * np.sin(2 * np.pi * 220 * np.arange(44100 * 2) / 44100)).astype("<i2").tobytes()


def wav(data: bytes = TONE, *, claims: int | None = None, rate: int = 44100, channels: int = 1) -> bytes:
    claims = len(data) if claims is None else claims
    form = struct.pack("<HHIIHH", 1, channels, rate, rate * 2 & 0xFFFFFFFF, channels * 2 & 0xFFFF, 16)
    head = b"RIFF" + struct.pack("<I", min(claims + 36, 0xFFFFFFFF)) + b"WAVEfmt " + struct.pack("<I", 16) + form
    return head + b"data" + struct.pack("<I", claims) + data


SONGS = {
    "empty.wav": b"",
    "words.mp3": b"these are words, not sound\n" * 50,
    "header.wav": wav()[:44],
    "half-a-header.wav": wav()[:30],
    "rate-0.wav": wav(rate=0),
    "rate-1.wav": wav(rate=1),
    "rate-4-billion.wav": wav(rate=0xFFFFFFFF),
    "channels-0.wav": wav(channels=0),
    "channels-65535.wav": wav(channels=65535),
    "garbage.ogg": b"OggS" + RNG.bytes(5000),
    "garbage.mp3": b"ID3\x04\x00\x00\x7f\x7f\x7f\x7f" + RNG.bytes(5000),
    "garbage.flac": b"fLaC" + RNG.bytes(5000),
    "garbage.m4a": struct.pack(">I", 0xFFFFFFFF) + b"ftypM4A " + RNG.bytes(5000),
    "playlist.mp3": b"#EXTM3U\n#EXTINF:10,\nfile:///etc/passwd\n#EXT-X-ENDLIST\n",
    "playlist-of-the-net.mp3": b"#EXTM3U\n#EXTINF:10,\nhttp://127.0.0.1:9/song.ts\n#EXT-X-ENDLIST\n",
    "concat.wav": b"ffconcat version 1.0\nfile /etc/passwd\n",
    "session.wav": b"v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=audio 5004 RTP/AVP 0\n",
    "subtitles.mkv": b"1\n00:00:00,000 --> 00:00:10,000\nla la la\n",
    "\x1b[31mred\x1b]0;title\x07.wav": b"no sound",
    "[bold][red].wav": b"no sound",
    "two\nlines.wav": b"no sound",
}
DANCEABLE = {
    "claims-4-gigabytes.wav": wav(claims=0xFFFFFFFF),
    "cut-short.wav": wav()[:-20000],
    "bell\x07 and\nline.wav": wav(),
    "-o.wav": wav(),
    "..wav": wav(),
    "%s{0}[red].wav": wav(),
    "ünï 音.wav": wav(),
    "a" * 251 + ".wav": wav(),
}


@pytest.fixture(scope="module")
def hostile_songs(tmp_path_factory, longdance, tiny_model):
    """A folder of songs of all kinds, danced to in one call; its outcome."""
    folder = tmp_path_factory.mktemp("hostile")
    songs = folder / "songs"
    songs.mkdir()
    for name, content in (SONGS | DANCEABLE).items():
        (songs / name).write_bytes(content)
    silent_video(songs / "silent.mp4")
    os.mkfifo(songs / "pipe.wav")
    (songs / "folder.wav").mkdir()
    (songs / "circle.wav").symlink_to("circle.wav")
    (songs / "unending.wav").symlink_to("/dev/zero")
    named = [*SONGS, "silent.mp4", "pipe.wav", "circle.wav", "unending.wav", "missing.wav", "n" * 300 + ".wav"]
    paths = [songs / name for name in (*named, *DANCEABLE)] + ["http://127.0.0.1:9/song.mp3", "concat:songs/pipe.wav"]
    how = ("--model", tiny_model, "--steps", 1, "--seconds", 1, "--format", "npz", "-o", "out")
    return folder, longdance(folder, "generate", *paths, *how), named


def silent_video(path: Path) -> None:
    import av

    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=10)
        stream.width, stream.height, stream.pix_fmt = 32, 32, "yuv420p"
        for _ in range(5):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(np.zeros((32, 32, 3), np.uint8))))
        container.mux(stream.encode())


def test_every_bad_song_is_named_and_the_others_are_danced_to(hostile_songs):
    _, outcome, named = hostile_songs
    told = outcome["stderr"]
    assert outcome["exit_code"] == 1, told
    assert "Traceback" not in told
    summary = told[told.index(f"{len(DANCEABLE)} of {len(DANCEABLE) + len(named) + 2} songs danced; failed:") :]
    lines = summary.splitlines()[1:]
    assert len(lines) == len(named) + 2
    for name, line in zip((*named, "127.0.0.1:9/song.mp3", "concat:songs/pipe.wav"), lines, strict=True):
        shown = name.replace("\n", "; ").replace("\x1b", "\\x1b").replace("\x07", "\\x07")
        assert shown in line
        assert re.search("; try |expected ", line), line
    assert outcome["seconds"] < 4 * LONGEST
    assert outcome["memory"] < LARGEST


def test_names_of_songs_cannot_command_the_terminal(hostile_songs):
    _, outcome, _ = hostile_songs
    for output in (outcome["stdout"], outcome["stderr"]):
        assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f]", output)


def test_dances_stay_in_their_folder_under_printable_names(hostile_songs):
    folder, outcome, _ = hostile_songs
    written = [name for name in names_in(folder) if not name.startswith("songs")]
    dances = [name for name in written if name.endswith(".npz")]
    assert len(dances) == len(DANCEABLE)
    assert all(name.isprintable() and name.startswith("out/") and name.count("/") == 2 for name in dances)
    assert len(written) == 2 + 2 * len(dances)  # the folder, the manifest, each dance and its folder, nothing else
    assert outcome["stdout"].splitlines() == [dance for dance in outcome["stdout"].split("\n") if dance]
    assert sorted(outcome["stdout"].splitlines()) == dances


@pytest.mark.slow
def test_hours_of_silence_do_not_take_hours(tmp_path, longdance, tiny_model):
    """Two hours in a file of a megabyte."""
    import av

    with av.open(str(tmp_path / "silence.flac"), "w") as container:
        stream = container.add_stream("flac", rate=8000, layout="mono", format="s16")
        block = av.AudioFrame.from_ndarray(np.zeros((1, 8000 * 60), np.int16), format="s16", layout="mono")
        block.sample_rate = 8000
        for number in range(120):
            block.pts = number * 8000 * 60
            container.mux(stream.encode(block))
        container.mux(stream.encode(None))
    assert (tmp_path / "silence.flac").stat().st_size < 2e6
    how = ("--model", tiny_model, "--steps", 1, "--seconds", 1, "--format", "npz", "-o", "dance.npz")
    outcome = longdance(tmp_path, "generate", "silence.flac", *how)
    assert outcome["exit_code"] == 0, outcome["stderr"]
    assert outcome["seconds"] < LONGEST
    assert outcome["memory"] < LARGEST


# --- dances --------------------------------------------------------------------------------------------------

DANCE = swaying(60, 30.0)


def dance_bytes(tmp_path: Path, ending: str) -> bytes:
    DANCE.save(tmp_path / f"good.{ending}")
    content = (tmp_path / f"good.{ending}").read_bytes()
    (tmp_path / f"good.{ending}").unlink()
    return content


def npy(description: str, shape: tuple[int, ...], data: bytes = b"") -> bytes:
    header = f"{{'descr': '{description}', 'fortran_order': False, 'shape': {shape!r}, }}".encode()
    header += b" " * (63 - (10 + len(header)) % 64) + b"\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header + data


class Harm:
    """Leaves a file behind if anybody unpickles it."""

    def __reduce__(self):
        return (open, ("harm", "w"))


def with_arrays(tmp_path: Path, **arrays) -> bytes:
    """A dance file with some arrays of its own; those that are None are left out."""
    path = tmp_path / "made.npz"
    DANCE.save(path)
    with np.load(path) as archive:
        kept = dict(archive) | arrays
    np.savez_compressed(path, **{key: value for key, value in kept.items() if value is not None})
    content = path.read_bytes()
    path.unlink()
    return content


def with_members(tmp_path: Path, **members: bytes) -> bytes:
    """A dance file with some members of its archive replaced, whatever they are."""
    path, made = tmp_path / "plain.npz", tmp_path / "made.npz"
    DANCE.save(path)
    with zipfile.ZipFile(path) as archive, zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as out:
        for name in archive.namelist():
            out.writestr(name, members.get(name.removesuffix(".npy"), archive.read(name)))
    content = made.read_bytes()
    path.unlink()
    made.unlink()
    return content


FRAMES, JOINTS = 60, 24
MANY = MOST_NUMBERS // 72 + 1
DANCES = {
    "empty": lambda tmp: b"",
    "words": lambda tmp: b"hello",
    "cut short": lambda tmp: dance_bytes(tmp, "npz")[:-300],
    "a changed byte": lambda tmp: bytearray(dance_bytes(tmp, "npz")).replace(b"PK\x03\x04", b"PK\x03\x05", 1),
    "terabytes by its header": lambda tmp: with_members(tmp, poses=npy("<f8", (10**10, JOINTS, 3))),
    "a negative length": lambda tmp: with_members(tmp, poses=npy("<f8", (-5, JOINTS, 3))),
    "zeros packed a thousandfold": lambda tmp: with_members(
        tmp,
        poses=npy("|i1", (MANY, JOINTS, 3), bytes(MANY * 72)),
        trans=npy("|i1", (MANY, 3), bytes(MANY * 3)),
    ),
    "a description of megabytes": lambda tmp: with_members(tmp, meta=npy("<U5000000", (), bytes(20_000_000))),
    "pickled poses": lambda tmp: with_arrays(tmp, poses=np.array([Harm()], dtype=object)),
    "a pickled description": lambda tmp: with_arrays(tmp, meta=np.array([Harm()], dtype=object)),
    "a pickle": lambda tmp: pickle.dumps(Harm()),
    "no poses": lambda tmp: with_arrays(tmp, poses=None),
    "not numbers": lambda tmp: with_arrays(tmp, trans=np.full((FRAMES, 3), np.nan)),
    "infinite numbers": lambda tmp: with_arrays(tmp, poses=np.full((FRAMES, JOINTS, 3), np.inf)),
    "too few joints": lambda tmp: with_arrays(tmp, poses=np.zeros((FRAMES, 5, 3))),
    "no frame": lambda tmp: with_arrays(tmp, poses=np.zeros((0, JOINTS, 3)), trans=np.zeros((0, 3))),
    "fps 0": lambda tmp: with_arrays(tmp, fps=np.float64(0)),
    "fps nan": lambda tmp: with_arrays(tmp, fps=np.float64("nan")),
    "fps 1e9": lambda tmp: with_arrays(tmp, fps=np.float64(1e9)),
    "fps 1e-9": lambda tmp: with_arrays(tmp, fps=np.float64(1e-9)),
    "parents behind their joints": lambda tmp: with_arrays(tmp, parents=np.arange(JOINTS)[::-1].copy()),
    "one name for all joints": lambda tmp: with_arrays(tmp, joint_names=np.array(["hip"] * JOINTS)),
    "20000 joints": lambda tmp: with_arrays(
        tmp,
        joint_names=np.array([f"bone{joint}" for joint in range(20000)]),
        parents=np.arange(-1, 19999),
        offsets=np.ones((20000, 3), np.int8),
        poses=np.zeros((FRAMES, 20000, 3), np.int8),
    ),
    "joints of no body": lambda tmp: with_arrays(tmp, joint_names=np.array([f"bone{n}" for n in range(JOINTS)])),
    "bones without length": lambda tmp: with_arrays(tmp, offsets=np.zeros((JOINTS, 3))),
    "bones of kilometres": lambda tmp: with_arrays(tmp, offsets=np.full((JOINTS, 3), 9e5)),
    "a description cut short": lambda tmp: with_arrays(tmp, meta=np.array("{")),
    "a description nested deeply": lambda tmp: with_arrays(tmp, meta=np.array("[" * 100_000)),
    "a description of other kinds": lambda tmp: with_arrays(
        tmp, meta=np.array(json.dumps({"song": ["/etc/passwd"], "start": "soon", "beat_times": ["x"], "notes": 5}))
    ),
}


@pytest.mark.parametrize("kind", DANCES)
def test_a_dance_that_is_none_is_refused(kind, tmp_path, longdance):
    (tmp_path / "in").mkdir()
    content = DANCES[kind](tmp_path)
    (tmp_path / "in" / "a dance.npz").write_bytes(content)
    outcome = longdance(tmp_path, "export", "in/a dance.npz", "-o", "out/dance.html")
    check_refusal(outcome, names="in/a dance.npz")
    assert [name for name in names_in(tmp_path) if name not in ("in", "in/a dance.npz", "out")] == []


def test_what_is_no_file_is_no_dance(tmp_path, longdance):
    (tmp_path / "folder.npz").mkdir()
    os.mkfifo(tmp_path / "pipe.npz")
    (tmp_path / "circle.npz").symlink_to("circle.npz")
    for name in ("folder.npz", "pipe.npz", "circle.npz", "missing.npz", "n" * 300 + ".npz", "../../../etc/passwd"):
        check_refusal(longdance(tmp_path, "export", name, "-o", "out.bvh"), names=name)
    assert names_in(tmp_path) == ["circle.npz", "folder.npz", "pipe.npz"]


def test_names_inside_an_archive_lead_nowhere(tmp_path, longdance):
    DANCE.save(tmp_path / "dance.npz")
    with zipfile.ZipFile(tmp_path / "dance.npz", "a") as archive:
        archive.writestr("../../outside.npy", b"x")
    outcome = longdance(tmp_path, "export", "dance.npz", "-o", "dance.bvh")
    assert outcome["exit_code"] == 0, outcome["stderr"]
    assert names_in(tmp_path) == ["dance.bvh", "dance.npz"]
    assert not (tmp_path.parents[1] / "outside.npy").exists()


HIP = "ROOT hip\n{\nOFFSET 0 0 0\nCHANNELS 3 Zrotation Xrotation Yrotation\nEnd Site\n{\nOFFSET 0 1 0\n}\n}\n"


def one_hip(frames: object = 1, frame_time: object = 0.03, numbers: str = "0 0 0\n") -> str:
    return f"HIERARCHY\n{HIP}MOTION\nFrames: {frames}\nFrame Time: {frame_time}\n{numbers}"


def nested(count: int) -> str:
    joint = "{} b{}\n{{\nOFFSET 0 1 0\nCHANNELS 3 Zrotation Xrotation Yrotation\n"
    body = "".join(joint.format("JOINT" if number else "ROOT", number) for number in range(count)) + "}\n" * count
    return f"HIERARCHY\n{body}MOTION\nFrames: 1\nFrame Time: 0.03\n{'0 ' * 3 * count}\n"


def own_with_offsets(tmp_path: Path, offset: str) -> bytes:
    return re.sub(rb"OFFSET \S+ \S+ \S+", b"OFFSET " + offset.encode(), dance_bytes(tmp_path, "bvh"))


BVHS = {
    "empty": lambda tmp: "",
    "zeros": lambda tmp: "\0" * 10000,
    "noise": lambda tmp: RNG.bytes(20000),
    "UTF-16": lambda tmp: one_hip().encode("utf-16"),
    "a line of megabytes": lambda tmp: "HIERARCHY " + "x" * 5_000_000,
    "a billion channels": lambda tmp: one_hip().replace("CHANNELS 3", "CHANNELS 999999999"),
    "fewer channels than none": lambda tmp: one_hip().replace("CHANNELS 3", "CHANNELS -3"),
    "more frames than atoms": lambda tmp: one_hip(frames=10**80),
    "fewer frames than none": lambda tmp: one_hip(frames=-3),
    "no frame": lambda tmp: one_hip(frames=0, numbers=""),
    "no time": lambda tmp: one_hip(frame_time=0),
    "a time that is no number": lambda tmp: one_hip(frame_time="nan"),
    "no number": lambda tmp: one_hip(numbers="nan 0 0\n"),
    "a huge number": lambda tmp: one_hip(numbers="1e300 0 0\n"),
    "5000 joints deep": lambda tmp: nested(5000),
    "braces": lambda tmp: "HIERARCHY\n" + "{" * 100_000,
    "a name for the terminal": lambda tmp: one_hip().replace("OFFSET 0 0 0", "OFFSET \x1b]0;title\x07"),
    "bones of light years": lambda tmp: own_with_offsets(tmp, "1e300 1e300 1e300"),
    "bones of atoms": lambda tmp: own_with_offsets(tmp, "1e-300 1e-300 0"),
    "a cut hierarchy": lambda tmp: dance_bytes(tmp, "bvh")[:3000],
    "cut frames": lambda tmp: dance_bytes(tmp, "bvh")[:-500],
}


@pytest.mark.parametrize("kind", BVHS)
def test_a_bvh_that_is_none_is_refused(kind, tmp_path, longdance):
    content = BVHS[kind](tmp_path)
    (tmp_path / "a dance.bvh").write_bytes(content.encode() if isinstance(content, str) else content)
    check_refusal(longdance(tmp_path, "export", "a dance.bvh", "-o", "out.npz"), names="a dance.bvh")
    assert names_in(tmp_path) == ["a dance.bvh"]


# --- characters ----------------------------------------------------------------------------------------------


def glb(chunk: bytes, *, claims: int | None = None) -> bytes:
    length = len(chunk) if claims is None else claims
    return b"glTF" + struct.pack("<II", 2, 20 + len(chunk)) + struct.pack("<I", length) + b"JSON" + chunk


FBX = b"Kaydara FBX Binary  \x00\x1a\x00" + struct.pack("<I", 7400)
CHARACTERS = {
    "words.glb": b"hello",
    "empty.vrm": b"",
    "claims.glb": glb(b"{}  ", claims=0xFFFFFFF0),
    "nothing.glb": glb(b"{}  "),
    "deep.glb": glb(b"[" * 100_000),
    "accessor.glb": glb(
        json.dumps(
            {
                "asset": {"version": "2.0"},
                "nodes": [{"name": "Hips", "children": [0]}],
                "accessors": [{"count": 10**12, "componentType": 5126, "type": "MAT4"}],
                "skins": [{"joints": [0], "inverseBindMatrices": 0}],
            }
        ).encode()
    ),
    "noise.fbx": FBX + RNG.bytes(5000),
    "claims.fbx": FBX + struct.pack("<IIIB", 0xFFFFFFFF, 0xFFFFFFFF, 0xFFFFFFFF, 255) + b"x" * 300,
    "words.fbx": b"; FBX 7.4.0 project file\n",
    "deep.bvh": nested(3000).encode(),
}


@pytest.mark.parametrize("name", CHARACTERS)
def test_a_character_that_is_none_is_refused(name, tmp_path, longdance):
    DANCE.save(tmp_path / "dance.npz")
    (tmp_path / name).write_bytes(CHARACTERS[name])
    outcome = longdance(tmp_path, "export", "dance.npz", "--rig", name, "-o", f"out{Path(name).suffix}")
    check_refusal(outcome, names=name)
    assert names_in(tmp_path) == sorted(["dance.npz", name])


# --- scores --------------------------------------------------------------------------------------------------


def entry(field: str) -> str:
    return f"timeline:\n  - from: 0\n    genre: salsa\n    {field}\n"


SCORES = {
    "empty": "",
    "noise": RNG.bytes(5000),
    "another encoding": "timeline: [{from: 0, genre: café}]".encode("latin-1"),
    "aliases of aliases": "b0: &b0 [x, x]\n" + "".join(f"b{n + 1}: &b{n + 1} [*b{n}, *b{n}]\n" for n in range(40)),
    "an anchor": "timeline: &x []\n",
    "deep": "[" * 100_000,
    "long": "#" + "x" * 300_000,
    "an object": "!!python/object/apply:os.system ['touch harm']\n",
    "an object within": "timeline:\n  - from: !!python/object/apply:os.system ['touch harm']\n",
    "a list": "- 1\n",
    "a number": "42\n",
    "another field": "tmeline: []\n",
    "a field twice": "timeline: []\ntimeline: []\n",
    "two documents": "timeline: []\n---\ntimeline: []\n",
    "a merged map": "<<: {timeline: []}\n",
    "zeros": "timeline: \0\n",
    "tabs": "timeline:\n\t- from: 0\n",
    "a time of another kind": "timeline:\n  - from: {a: 1}\n",
    "a huge time": "timeline:\n  - from: 1e308\n    genre: salsa\n",
    "a time of digits": f"timeline:\n  - from: {'9' * 5000}\n",
    "a time before": "timeline:\n  - from: -5\n    genre: salsa\n",
    "a time that is no number": "timeline:\n  - from: .nan\n    genre: salsa\n",
    "a crossfade of ages": "crossfade: 99999999\n" + entry("snap: beat"),
    "endless guidance": entry("guidance: {text: .inf}"),
    "huge guidance": entry("guidance: {text: 1e30}"),
    "a genre for the terminal": 'timeline:\n  - {from: 0, genre: "\\e]0;title\\a"}\n',
    "a pose elsewhere": entry("poses: [{at: 0.5, file: ../../../../etc/passwd, frame: 0}]"),
    "a pose that hangs": entry("poses: [{at: 0.5, file: pipe.npz, frame: 0}]"),
    "a pose beyond": entry("poses: [{at: 0.5, file: dance.npz, frame: 99999999999}]"),
}


@pytest.mark.parametrize("kind", SCORES)
def test_a_score_that_is_none_is_refused_before_a_song_is_heard(kind, tmp_path, longdance, tiny_model):
    os.mkfifo(tmp_path / "pipe.npz")
    DANCE.save(tmp_path / "dance.npz")
    content = SCORES[kind]
    (tmp_path / "a score.yaml").write_bytes(content.encode() if isinstance(content, str) else content)
    before = names_in(tmp_path)
    outcome = longdance(tmp_path, "generate", "missing.wav", "--model", tiny_model, "--score", "a score.yaml")
    check_refusal(outcome, names="a score.yaml")
    assert names_in(tmp_path) == before


# --- models, stores, data sets -------------------------------------------------------------------------------


def edited(record: dict, path: str, value: object) -> str:
    """JSON of a record with one field changed, such as ``network.width``."""
    record = json.loads(json.dumps(record))
    *way, last = path.split(".")
    inner = record
    for key in way:
        inner = inner[key]
    inner[last] = value
    return json.dumps(record)


CHECKPOINTS = {
    "a network of terabytes": lambda record, tensors: (edited(record, "network.width", 10**9), tensors),
    "a million layers": lambda record, tensors: (edited(record, "network.blocks", 10**6), tensors),
    "negative sizes": lambda record, tensors: (edited(record, "window", -5), tensors),
    "no sizes": lambda record, tensors: (edited(record, "network", {}), tensors),
    "an unknown field": lambda record, tensors: (edited(record, "network.execute", "import os"), tensors),
    "another format": lambda record, tensors: (edited(record, "format", 99), tensors),
    "fps nan": lambda record, tensors: (edited(record, "fps", float("nan")), tensors),
    "deep JSON": lambda record, tensors: ("[" * 100_000, tensors),
    "a pickle for tensors": lambda record, tensors: (json.dumps(record), pickle.dumps(Harm())),
    "a header of exabytes": lambda record, tensors: (json.dumps(record), struct.pack("<Q", 2**62) + tensors[8:]),
    "cut tensors": lambda record, tensors: (json.dumps(record), tensors[: len(tensors) // 2]),
    "no tensors": lambda record, tensors: (json.dumps(record), b""),
}


@pytest.mark.parametrize("kind", CHECKPOINTS)
def test_a_model_that_is_none_is_refused(kind, tmp_path, longdance, tiny_model):
    record = json.loads((tiny_model / "config.json").read_text())
    del record["tensors_sha256"]  # whoever forges a file forges its checksum
    config, tensors = CHECKPOINTS[kind](record, (tiny_model / "model.safetensors").read_bytes())
    folder = tmp_path / "a model"
    folder.mkdir()
    (folder / "config.json").write_text(config)
    (folder / "model.safetensors").write_bytes(tensors)
    before = names_in(tmp_path)
    check_refusal(longdance(tmp_path, "generate", "missing.wav", "--model", "a model"), names="a model")
    assert names_in(tmp_path) == before


def saved(array: np.ndarray) -> bytes:
    file = io.BytesIO()
    np.save(file, array, allow_pickle=True)
    return file.getvalue()


STORES = {
    "takes of another kind": ("store.json", lambda content: edited(json.loads(content), "takes", [{}]).encode()),
    "a layout of another kind": ("store.json", lambda content: edited(json.loads(content), "layout", []).encode()),
    "pickled motion": ("motion.npy", lambda content: saved(np.array([Harm()], dtype=object))),
    "petabytes of motion": ("motion.npy", lambda content: npy("<f4", (10**14, 151))),
    "cut motion": ("motion.npy", lambda content: content[: len(content) // 2]),
    "no music": ("music.npy", lambda content: b""),
    "deep JSON": ("store.json", lambda content: b"[" * 100_000),
}


@pytest.mark.parametrize("kind", STORES)
def test_a_store_that_is_none_is_refused(kind, tmp_path, longdance, small_store):
    folder = tmp_path / "a store"
    folder.mkdir()
    name, change = STORES[kind]
    for path in small_store.iterdir():
        content = path.read_bytes()
        (folder / path.name).write_bytes(change(content) if path.name == name else content)
    outcome = longdance(tmp_path, "train", "tiny", "--data", "a store", "-o", "run", "steps=1")
    check_refusal(outcome, names="a store")
    assert not (tmp_path / "run").exists()
    assert not (tmp_path / "harm").exists()


def test_a_data_set_cannot_run_code(tmp_path, longdance):
    from official_formats import write_aistpp

    name = "gBR_sBM_cAll_d04_mBR0_ch01"
    source = write_aistpp(tmp_path / "source", {name: ("train", 3.0)})
    (source / "motions" / f"{name}.pkl").write_bytes(pickle.dumps(Harm()))
    outcome = longdance(tmp_path, "prepare", "aistpp", "--source", "source", "-o", "store", "--workers", 1)
    assert outcome["exit_code"] == 1
    assert "Traceback" not in outcome["stderr"]
    assert name in outcome["stderr"]
    assert not (tmp_path / "harm").exists()
    assert not (tmp_path / "store" / "store.json").exists()


def test_a_folder_of_bad_bvh_files_is_told_file_by_file(tmp_path, longdance):
    (tmp_path / "source").mkdir()
    (tmp_path / "source" / "deep.bvh").write_text(nested(2000))
    (tmp_path / "source" / "noise.bvh").write_bytes(RNG.bytes(5000))
    (tmp_path / "source" / "circle.bvh").symlink_to("circle.bvh")
    outcome = longdance(tmp_path, "prepare", "bvh", "--source", "source", "-o", "store", "--workers", 1)
    assert outcome["exit_code"] == 1
    assert "Traceback" not in outcome["stderr"]
    assert all(name in outcome["stderr"] for name in ("deep.bvh", "noise.bvh"))
    assert outcome["seconds"] < LONGEST
    assert not (tmp_path / "store" / "store.json").exists()


# --- options -------------------------------------------------------------------------------------------------

OPTIONS = [
    *((2, option, "nan") for option in ("--start", "--seconds", "--bpm", "--fps")),
    *((2, option, "inf") for option in ("--start", "--seconds", "--music-guidance", "--text-guidance")),
    (1, "--start", "1e300"),
    (2, "--seed", "9" * 40),
    (2, "--steps", "99999999"),
    (1, "--device", "cuda:99"),
    (1, "--sampler", "../x"),
    (1, "--genre", "\x1b[31m"),
    (2, "--format", "npz,../x"),
    (2, "-o", "song.wav"),
    (1, "-o", "song.wav/x"),
    (1, "-o", "/proc/x"),
    (1, "-o", "o" * 300),
]


@pytest.mark.parametrize(("code", "option", "value"), OPTIONS, ids=lambda value: repr(value)[:20])
def test_options_beyond_reason_are_refused(code, option, value, tmp_path, longdance, tiny_model):
    (tmp_path / "song.wav").write_bytes(wav())
    how = ("--model", tiny_model, "--steps", 1, "--seconds", 1, "--format", "npz")
    outcome = longdance(tmp_path, "generate", "song.wav", *how, option, value)
    assert outcome["exit_code"] == code, outcome["stderr"]
    assert "Traceback" not in outcome["stderr"]
    assert "Warning" not in outcome["stderr"]
    assert "\x1b" not in outcome["stderr"]
    assert outcome["seconds"] < LONGEST
    assert names_in(tmp_path) == ["song.wav"]


@pytest.mark.parametrize(
    "arguments",
    [
        ("--redo", "nan:nan"),
        ("--redo", "1e300:1e301"),
        ("--redo", "1:0"),
        ("--redo", "::"),
        ("--from", "1e300"),
        ("--extend", "inf"),
        ("--joints", "\x1b[31m,tail"),
        ("--blend", "dance.npz", "--at", "nan"),
        ("--tempo", "nan"),
    ],
    ids=" ".join,
)
def test_edits_beyond_reason_are_refused(arguments, tmp_path, longdance, tiny_model):
    (tmp_path / "song.wav").write_bytes(wav())
    DANCE.save(tmp_path / "dance.npz")
    how = ("--song", "song.wav", "--model", tiny_model, "--steps", 1, "-o", "out.npz")
    outcome = longdance(tmp_path, "edit", "dance.npz", *how, *arguments)
    assert outcome["exit_code"] in (1, 2), outcome["stderr"]
    assert "Traceback" not in outcome["stderr"]
    assert "\x1b" not in outcome["stderr"]
    assert outcome["seconds"] < LONGEST
    assert names_in(tmp_path) == ["dance.npz", "song.wav"]
