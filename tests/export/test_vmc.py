"""Dances sent by the VMC protocol, received by another library's OSC on this computer."""

import socket
import threading
import time

import numpy as np
import pytest
from scipy.spatial.transform import Rotation
from typer.testing import CliRunner

from conftest import swaying
from longdance.cli import app
from longdance.errors import InputError
from longdance.export import vmc
from longdance.motion.motion import Motion
from sample_motions import wandering

pytestmark = pytest.mark.alone

osc = pytest.importorskip("pythonosc.osc_bundle")

UNITY_PARENTS = {
    "Hips": "root", "Spine": "Hips", "Chest": "Spine", "UpperChest": "Chest", "Neck": "UpperChest", "Head": "Neck",
} | {
    f"{side}{bone}": above if above in ("Hips", "UpperChest") else side + above
    for side in ("Left", "Right")
    for bone, above in (("UpperLeg", "Hips"), ("LowerLeg", "UpperLeg"), ("Foot", "LowerLeg"), ("Toes", "Foot"),
                        ("Shoulder", "UpperChest"), ("UpperArm", "Shoulder"), ("LowerArm", "UpperArm"),
                        ("Hand", "LowerArm"))
}  # fmt: skip
OURS = {"Hips": "pelvis", "Head": "head", "LeftHand": "left_wrist", "RightFoot": "right_ankle", "LeftToes": "left_foot",
        "RightLowerArm": "right_elbow"}  # fmt: skip


def parsed(data: bytes) -> list[tuple[str, list]]:
    return [(message.address, message.params) for message in osc.OscBundle(data)]


def unity_places(messages) -> dict[str, np.ndarray]:
    """Places in Unity's world by its own rules, through matrices of left-handed axes."""
    local = {params[0]: (np.array(params[1:4]), Rotation.from_quat(params[4:8]).as_matrix())
             for address, params in messages if address.endswith("/Pos")}  # fmt: skip
    world = {"root": local["root"]}
    for name, parent in UNITY_PARENTS.items():
        place, turn = world[parent]
        world[name] = (place + turn @ local[name][0], turn @ local[name][1])
    return {name: place for name, (place, _) in world.items()}


def test_every_frame_is_one_bundle_with_the_protocol_s_messages_in_unity_s_axes():
    dance = wandering(np.random.default_rng(2), frames=9, fps=30.0)
    joints = dance.joints()
    sent = [parsed(data) for data in vmc.bundles(dance, begin=4.0)]
    assert len(sent) == 9
    for frame, messages in enumerate(sent):
        addresses = [address for address, _ in messages]
        assert addresses[:2] == ["/VMC/Ext/OK", "/VMC/Ext/Root/Pos"]
        assert addresses[-1] == "/VMC/Ext/T"
        assert messages[0][1] == [1, 3, 0]
        assert messages[-1][1] == [pytest.approx(4 + frame / 30)]
        bones = {params[0] for address, params in messages if address == "/VMC/Ext/Bone/Pos"}
        assert bones == set(UNITY_PARENTS)
        found = unity_places(messages)
        for bone, joint in OURS.items():
            wanted = joints[frame, dance.skeleton.index(joint)] * [-1, 1, 1]
            np.testing.assert_allclose(found[bone], wanted, atol=1e-5, err_msg=bone)
        assert found["root"][1] == 0


def test_an_avatar_that_faces_forward_raises_its_left_arm_on_unity_s_left():
    still = Motion(np.array([[0.0, 1.0, 0.0]]), np.tile(np.eye(3), (1, 24, 1, 1)), 30.0)
    still.rotations[:, still.skeleton.index("left_shoulder")] = Rotation.from_euler("z", 80, degrees=True).as_matrix()
    found = unity_places(parsed(next(vmc.bundles(still))))
    assert found["LeftHand"][0] < found["LeftUpperArm"][0] < 0 < found["RightHand"][0]
    assert found["LeftHand"][1] > found["Head"][1]
    assert found["LeftToes"][2] > found["LeftFoot"][2]


class Clock:
    """Time that passes only while somebody sleeps."""

    def __init__(self):
        self.now, self.sent = 100.0, []

    def sleep(self, seconds):
        self.now += seconds

    def send(self, data):
        self.sent.append((self.now, parsed(data)[-1][1][0]))


def test_frames_leave_in_their_own_time_and_a_late_piece_stops_the_dance():
    clock, pieces = Clock(), [swaying(15, 30.0), swaying(15, 30.0)]

    def late():
        yield pieces[0]
        while len(clock.sent) < 15:
            time.sleep(0.001)
        clock.now += 2.0
        yield pieces[1]

    played = vmc.play(late(), clock.send, clock=lambda: clock.now, sleep=clock.sleep)
    at, told = np.array(clock.sent).T
    np.testing.assert_allclose(told, np.arange(30) / 30, atol=1e-6)
    np.testing.assert_allclose(np.diff(at[:15]), 1 / 30, atol=1e-9)
    np.testing.assert_allclose(np.diff(at[15:]), 1 / 30, atol=1e-9)
    assert (played.frames, played.seconds) == (30, pytest.approx(1.0))
    assert played.waited == pytest.approx(2.0, abs=0.05)
    assert at[15] - at[14] == pytest.approx(2.0, abs=0.05)


def test_what_the_maker_raises_ends_the_dance():
    def broken():
        yield swaying(3, 30.0)
        raise InputError("the song is damaged")

    with pytest.raises(InputError, match="damaged"):
        vmc.play(broken(), lambda data: None, sleep=lambda seconds: None)


@pytest.mark.parametrize(
    ("written", "found"),
    [("39539", ("127.0.0.1", 39539)), (":1", ("127.0.0.1", 1)), ("10.0.0.7:39540", ("10.0.0.7", 39540)),
     ("[::1]:39539", ("::1", 39539)), ("box.local:80", ("box.local", 80))],
)  # fmt: skip
def test_addresses(written, found):
    assert vmc.address_of(written) == found


@pytest.mark.parametrize("written", ["", "host", "host:", "1:99999", "host:-1", "0"])
def test_addresses_without_a_port_are_refused(written):
    with pytest.raises(InputError, match="HOST:PORT"):
        vmc.address_of(written)


@pytest.fixture
def receiver():
    """A socket on loopback that keeps what comes."""
    taken, here = [], socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    here.bind(("127.0.0.1", 0))
    here.settimeout(0.05)
    done = threading.Event()

    def listen():
        while not done.is_set():
            try:
                taken.append(here.recv(65536))
            except TimeoutError:
                continue

    thread = threading.Thread(target=listen)
    thread.start()
    yield here.getsockname()[1], taken
    done.set()
    thread.join()
    here.close()


def test_the_command_plays_a_dance_on_this_computer(receiver, tmp_path):
    port, taken = receiver
    swaying(12, 60.0).save(tmp_path / "dance.npz")
    made = CliRunner().invoke(app, ["play", str(tmp_path / "dance.npz"), "--vmc", str(port), "--seconds", "0.15"])
    assert made.exit_code == 0, made.output
    time.sleep(0.2)
    assert [parsed(data)[-1][1][0] for data in taken] == [pytest.approx(n / 60) for n in range(9)]


def test_the_command_dances_to_a_song_while_it_plays(receiver, tmp_path, tiny_model):
    from longdance.features.audio import write_audio

    port, taken = receiver
    song = tmp_path / "song.wav"
    write_audio(song, np.sin(np.arange(2 * 22050) / 20) * (np.arange(2 * 22050) % 11025 < 2000) * 0.5, 22050)
    made = CliRunner().invoke(app, ["play", str(song), "--vmc", f"127.0.0.1:{port}", "--model", str(tiny_model)])
    assert made.exit_code == 0, made.output
    time.sleep(0.2)
    assert len(taken) == pytest.approx(60, abs=1)


def test_without_an_address_a_page_opens(tmp_path, monkeypatch):
    opened = []
    monkeypatch.setattr("webbrowser.open", opened.append)
    swaying(12, 30.0).save(tmp_path / "dance.npz")
    made = CliRunner().invoke(app, ["play", str(tmp_path / "dance.npz"), "-o", str(tmp_path / "page.html")])
    assert made.exit_code == 0, made.output
    assert opened == [(tmp_path / "page.html").resolve().as_uri()]
    assert "<html" in (tmp_path / "page.html").read_text()
