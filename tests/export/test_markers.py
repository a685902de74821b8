"""Beats, bars, sections and phrases in files of marks, read by programs that are not ours."""

import csv
import re
import runpy
import sys
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from tools.export_readers import Glb

from conftest import swaying
from longdance.errors import InputError
from longdance.export.formats import export
from longdance.export.markers import markers
from longdance.export.takes import ExportOptions

BEATS = [0.3 + 0.5 * n for n in range(20)]


@pytest.fixture
def dance():
    """Ten seconds with an upbeat of one beat, then bars of four, two sections and a plan of two phrases."""
    meta = {
        "start": 7.0, "genre": "salsa", "song": "song.wav", "beat_times": BEATS, "meter": 4,
        "downbeat_times": BEATS[1::4],
        "sections": [{"begin": 0.0, "end": 4.8, "label": "A"}, {"begin": 4.8, "end": 10.0, "label": "B"}],
        "plan": {"phrases": [
            {"phrase": "mambo|x", "from": 0.8, "to": 4.8}, {"phrase": "hold", "from": 4.8, "to": 9.8}, {"no": 1}, 3,
        ]},
    }  # fmt: skip
    return replace(swaying(300, 30.0), meta=meta)


def test_beats_are_counted_in_bars_and_an_upbeat_before_them(dance):
    found = markers(dance)
    assert [mark.name for mark in found if mark.kind == "beat"][:6] == ["0.4", "1.1", "1.2", "1.3", "1.4", "2.1"]
    bars = [mark for mark in found if mark.kind == "bar"]
    assert [(mark.seconds, mark.bar) for mark in bars] == [(BEATS[1 + 4 * n], n + 1) for n in range(5)]
    assert [round(mark.length, 6) for mark in bars] == [2.0, 2.0, 2.0, 2.0, 1.2]
    assert [mark.name for mark in found if mark.kind == "phrase"] == ["phrase mambo|x", "phrase hold"]
    assert [mark.kind for mark in found if mark.seconds == 4.8] == ["section", "phrase", "bar", "beat"]
    alone = markers(replace(dance, meta={"beat_times": BEATS, "plan": "none", "sections": [{"begin": "x"}]}))
    assert {(mark.kind, mark.bar) for mark in alone} == {("beat", None)}


def test_csv_columns(dance, tmp_path):
    export(dance, tmp_path / "beats.csv", options=ExportOptions(start=0.8, seconds=5.0))
    with open(tmp_path / "beats.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == ["seconds", "frame", "song_seconds", "kind", "name", "length", "bar", "beat"]
    beats = [row for row in rows if row["kind"] == "beat"]
    np.testing.assert_allclose([float(row["seconds"]) for row in beats], np.arange(10) * 0.5, atol=1e-9)
    np.testing.assert_allclose([float(row["song_seconds"]) for row in beats], 7.8 + np.arange(10) * 0.5)
    assert [int(row["frame"]) for row in beats] == list(range(0, 150, 15))
    assert [row["beat"] for row in beats] == ["1", "2", "3", "4", "1", "2", "3", "4", "1", "2"]


@pytest.mark.parametrize(
    "beats",
    [BEATS, [0.0, *BEATS], list(np.round(np.cumsum(0.5 + 0.1 * np.sin(np.arange(30))) - 0.4, 4)), [0.004, 0.5, 1.1]],
    ids=("even", "at once", "drifting", "early"),
)
def test_midi_beats_are_quarters_and_lie_where_the_beats_are(dance, tmp_path, beats):
    mido = pytest.importorskip("mido")
    meta = dance.meta | {"beat_times": beats, "downbeat_times": beats[1::4]}
    long = replace(swaying(1200, 60.0), meta=meta)
    export(long, tmp_path / "beats.mid")
    file, now, bars, heard = mido.MidiFile(tmp_path / "beats.mid"), 0.0, [], []
    for message in file:  # in seconds, by mido's own reading of the tempo map
        now += message.time
        if message.type == "note_on" and message.velocity:
            heard.append((now, message.note))
        elif message.type == "marker" and message.text.startswith("bar"):
            bars.append(now)
    assert [note for _, note in heard[:6]] == [77, 76, 77, 77, 77, 76][: len(heard)]
    np.testing.assert_allclose([time for time, _ in heard], beats, atol=1.5e-3)
    np.testing.assert_allclose(bars, beats[1::4], atol=2e-3)
    # Downbeats lie on the lines that the signatures draw: one bar of what comes before, then four quarters each.
    tick, signatures, quarters = 0, [], []
    for message in file.tracks[0]:
        tick += message.time
        if message.type == "time_signature":
            signatures.append((tick, message.numerator, message.denominator))
    tick = 0
    for message in file.tracks[2]:
        tick += message.time
        if message.type == "note_on" and message.velocity:
            quarters.append(tick)
    assert np.ptp(np.diff(quarters)) == 0
    assert np.diff(quarters)[0] == file.ticks_per_beat
    assert signatures[-1] == (quarters[1], 4, 4)
    assert signatures[0][1] * file.ticks_per_beat * 4 / signatures[0][2] == quarters[1]


def test_midi_of_an_even_song_has_one_tempo_and_needs_two_beats(dance, tmp_path):
    mido = pytest.importorskip("mido")
    noise = np.random.default_rng(0).uniform(-5e-4, 5e-4, 20)
    export(replace(dance, meta=dance.meta | {"beat_times": list(np.array(BEATS) + noise)}), tmp_path / "a.mid")
    tempi = [m for m in mido.MidiFile(tmp_path / "a.mid").tracks[0] if m.type == "set_tempo"]
    assert [round(mido.tempo2bpm(message.tempo)) for message in tempi[1:]] == [120]
    with pytest.raises(InputError, match="two beats"):
        export(replace(dance, meta={"beat_times": [1.0]}), tmp_path / "b.mid")
    with pytest.raises(InputError, match=r"c\.csv: expected beats"):
        export(replace(dance, meta={}), tmp_path / "c.csv")
    assert [path.name for path in tmp_path.iterdir()] == ["a.mid"]


EVENT = re.compile(
    r"^(\d{3})  001      V     C        (\S{11}) (\S{11}) (\S{11}) (\S{11})  \n"
    r" \|C:ResolveColor(\w+) \|M:(.*) \|D:(\d+)$",
    re.MULTILINE,
)


def frame_of(code: str, base: int) -> int:
    hours, minutes, seconds, frames = map(int, code.split(":"))
    assert frames < base
    return ((hours * 60 + minutes) * 60 + seconds) * base + frames


@pytest.mark.parametrize(
    ("fps", "rate", "base"), [(None, 30, 30), (24.0, 24, 24), (29.97002997, 30000 / 1001, 30), (20.0, 24, 24)]
)
def test_edl_marks_as_resolve_writes_them_itself(dance, tmp_path, fps, rate, base):
    export(dance, tmp_path / "beats.edl", options=ExportOptions(fps=fps))
    text = (tmp_path / "beats.edl").read_bytes().decode().replace("\r\n", "\n")
    assert text.startswith("TITLE: salsa\nFCM: NON-DROP FRAME\n")
    events = EVENT.findall(text)
    assert [int(event[0]) for event in events] == list(range(1, len(events) + 1))
    assert len(events) == text.count("|M:") == 21  # one a beat, and the first section
    found = {name: frame_of(begin, base) - 3600 * base for _, begin, *_, name, _ in events}
    assert all(event[1] == event[3] and frame_of(event[2], base) == frame_of(event[1], base) + 1 for event in events)
    assert found["0.4"] == round(0.3 * rate)
    assert found["section B, phrase hold, bar 3"] == round(4.8 * rate)
    assert next(event[7] for event in events if event[6] == "section A") == str(round(4.8 * rate))
    assert "phrase mambox, bar 1" in found


def test_edl_of_many_beats_keeps_to_three_digits(dance, tmp_path):
    beats = [round(0.25 * n, 4) for n in range(1100)]
    long = replace(swaying(2800, 10.0), meta={"beat_times": beats, "downbeat_times": beats[::4], "meter": 4})
    export(long, tmp_path / "beats.edl", options=ExportOptions(fps=25))
    text = (tmp_path / "beats.edl").read_text()
    assert "LEFT OUT" in text
    assert len(EVENT.findall(text)) == 275


def test_glb_holds_beats_for_programs(dance, tmp_path):
    export(dance, tmp_path / "dance.glb", options=ExportOptions(start=0.8, mesh=False))
    extras = Glb(tmp_path / "dance.glb").gltf.animations[0].extras
    np.testing.assert_allclose(extras["beat_times"], np.arange(19) * 0.5, atol=1e-9)
    np.testing.assert_allclose(extras["downbeat_times"], np.arange(5) * 2.0, atol=1e-9)
    assert [row["label"] for row in extras["sections"]] == ["A", "B"]


class Recorded:
    """Stands for Blender's module: remembers what is set and called."""

    def __init__(self):
        self.marks, self.sounds, self.read, self.actions = [], [], [], set()
        render = SimpleNamespace(fps=24, fps_base=1.0)
        strip = SimpleNamespace(frame_final_end=10_000, frame_start=0)
        new_sound = lambda name, path, channel, frame_start: self.sounds.append((path, frame_start)) or strip  # noqa: E731
        self.strip = strip
        editor = SimpleNamespace(strips=SimpleNamespace(new_sound=new_sound))
        self.scene = SimpleNamespace(
            render=render, sequence_editor=editor, frame_set=lambda frame: None,
            timeline_markers=SimpleNamespace(new=lambda name, frame: self.marks.append((name, frame))),
        )  # fmt: skip

    def module(self):
        def gltf(filepath):
            self.read.append((filepath, self.scene.render.fps / self.scene.render.fps_base))
            self.actions.add(SimpleAction())

        data = SimpleNamespace(actions=self.actions, objects=set())
        ops = SimpleNamespace(import_scene=SimpleNamespace(gltf=gltf))
        context = SimpleNamespace(scene=self.scene, space_data=None)
        return SimpleNamespace(context=context, data=data, ops=ops, path=SimpleNamespace(abspath=lambda path: path))


class SimpleAction:
    frame_range = (0.0, 299.0)


@pytest.mark.parametrize("fps", [30.0, 30000 / 1001])
def test_the_script_sets_blender_up(dance, tmp_path, monkeypatch, fps):
    dance = replace(dance, fps=fps)
    for ending in ("glb", "blender.py"):
        export(dance, tmp_path / f"beats.{ending}", options=ExportOptions(mesh=False) if ending == "glb" else None)
    (tmp_path / "beats.wav").write_bytes(b"")
    blender = Recorded()
    monkeypatch.setitem(sys.modules, "bpy", blender.module())
    monkeypatch.setattr(sys, "argv", ["blender"])
    runpy.run_path(str(tmp_path / "beats.blender.py"))
    scene = blender.scene
    assert scene.render.fps / scene.render.fps_base == pytest.approx(fps, rel=1e-9)
    assert blender.read == [(str(tmp_path / "beats.glb"), pytest.approx(fps))]
    assert (scene.frame_start, scene.frame_end) == (0, 299)
    assert blender.sounds == [(str(tmp_path / "beats.wav"), 0)]
    assert ("bar 1", round(0.8 * fps)) in blender.marks
    assert ("1.2", round(1.3 * fps)) in blender.marks
    assert not [name for name, _ in blender.marks if name == "1.1"]  # the bar says it
