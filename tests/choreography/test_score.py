"""Score files: what may be written, where it lands in a song, and how mistakes are told."""

import numpy as np
import pytest
from typer.testing import CliRunner

from dancers import drawn
from longdance.choreography.dancer import Dancer
from longdance.choreography.generators.edmg import edmg
from longdance.choreography.score import Moment, snap, time_of
from longdance.choreography.score_file import LARGEST_FILE, POSES, load_score, parse_score
from longdance.cli import SOME_FAILED, app
from longdance.diffusion.guidance import Guidance
from longdance.errors import InputError
from longdance.features.song import Song
from longdance.features.text import TextPrompt
from longdance.motion.contacts import foot_contacts
from longdance.motion.layout import LAYOUTS

LAYOUT = LAYOUTS["smpl24"]
SAMPLE_RATE = 22050
FPS = 20.0


def song_of(seconds: float, *, first: float = 0.25, period: float = 0.5) -> Song:
    """Beats every half second from ``first``, bars of four of them."""
    beats = np.arange(first, seconds, period)
    noise = np.random.default_rng(0).normal(0, 0.1, round(seconds * SAMPLE_RATE)).astype(np.float32)
    return Song.from_samples(noise, SAMPLE_RATE, name="made.wav", beat_times=beats, downbeat_times=beats[::4])


def words(genre, movements, text) -> TextPrompt:
    """The words themselves, without any catalogue."""
    said = tuple(part for part in (genre, *movements, text) if part)
    return TextPrompt(genre, tuple(movements), said, np.full((len(said), 4), len(str(said)), np.float32))


def placed(text: str, song: Song, *, otherwise: TextPrompt | None = None, **options):
    score = parse_score(text, name="dance.yaml", **options)
    return score.on(
        song,
        LAYOUT,
        FPS,
        prompts=score.prompts(lambda said: words(*said)),
        otherwise=otherwise or words(None, (), None),
        guidance=Guidance(1.5, 6.0),
    )


def spans(text: str, song: Song, **options) -> list[tuple[float, float, str | None]]:
    timeline, _ = placed(text, song, **options)
    return [(span.begin / FPS, span.end / FPS, span.text.genre) for span in timeline.spans]


# --- where things land ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("moment", "seconds"),
    [
        (Moment("seconds", 3.3), 3.3),
        (Moment("beats", 1), 0.25),
        (Moment("beats", 5), 2.25),
        (Moment("beats", 5.5), 2.5),
        (Moment("beats", 100), 0.25 + 99 * 0.5),
        (Moment("bars", 1), 0.25),
        (Moment("bars", 3), 4.25),
        (Moment("bars", 3, 2), 4.75),
        (Moment("bars", 2.5), 3.25),
        (Moment("bars", 11), 20.25),
    ],
    ids=str,
)
def test_beats_and_bars_count_from_one_and_go_on_beyond_the_song(moment, seconds):
    assert time_of(moment, song_of(10.0)) == pytest.approx(seconds)


@pytest.mark.parametrize(
    ("time", "to", "found"),
    [(3.3, "beat", 3.25), (3.3, "downbeat", 4.25), (3.3, "none", 3.3), (0.1, "beat", 0.0), (9.95, "beat", 10.0)],
)
def test_changes_land_on_beats(time, to, found):
    assert snap(time, song_of(10.0), to) == pytest.approx(found)


def test_units_may_be_mixed_and_named_once():
    text = """
    unit: bars
    timeline:
      - {from: 1, to: 2, genre: salsa}
      - {from: 2, to: beat 9, genre: disco}
      - {from: 0:04.2, to: 6.3 s, genre: breaking}
      - {from: bar 4 beat 1, to: end, genre: modern}
    """
    assert spans(text, song_of(10.0)) == [
        (0.0, 0.25, None),
        (0.25, 2.25, "salsa"),
        (2.25, 4.25, "disco"),
        (4.25, 6.25, "breaking"),
        (6.25, 10.0, "modern"),
    ]


def test_gaps_are_music_alone_or_what_the_file_or_the_call_says():
    text = "timeline: [{from: 2.1, to: 4.1, genre: salsa}]"
    assert spans(text, song_of(6.0)) == [(0.0, 2.25, None), (2.25, 4.25, "salsa"), (4.25, 6.0, None)]
    filled = spans(text, song_of(6.0), otherwise=words("modern", (), None))
    assert [genre for *_, genre in filled] == ["modern", "salsa", "modern"]


def test_entries_may_be_open_and_in_any_order():
    text = "{snap: none, timeline: [{from: 4, genre: salsa}, {from: 0, genre: disco}, {from: 2, to: 3, genre: modern}]}"
    assert spans(text, song_of(6.0)) == [
        (0.0, 2.0, "disco"), (2.0, 3.0, "modern"), (3.0, 4.0, None), (4.0, 6.0, "salsa")
    ]  # fmt: skip


def test_what_lies_beyond_the_song_is_cut_or_left_out_and_told():
    text = "timeline: [{from: 0, to: 99, genre: salsa}, {from: bar 60, to: bar 70, genre: disco}]"
    timeline, notes = placed(text, song_of(4.0))
    assert [(span.begin, span.end) for span in timeline.spans] == [(0, 80)]
    assert len(notes) == 1
    assert "line 1" in notes[0]
    assert "bar 60" in notes[0]


def test_guidance_of_entry_file_and_call_in_this_order():
    text = """
    guidance: {text: 4}
    timeline:
      - {from: 0, to: 2, genre: salsa, guidance: {music: 2}}
      - {from: 2, to: 4, genre: salsa, guidance: {text: 1.5}}
    """
    timeline, _ = placed(text, song_of(6.0))
    assert [span.guidance for span in timeline.spans] == [Guidance(2, 4), Guidance(1.5, 1.5), Guidance(1.5, 4)]


def test_neighbours_with_the_same_words_are_one_span():
    text = "timeline: [{from: 0, to: 2, genre: salsa}, {from: 2, to: 4, genre: salsa}]"
    assert len(placed(text, song_of(4.0))[0].spans) == 1


def test_a_json_score_is_a_score():
    assert parse_score('{"timeline": [{"from": 0, "to": 2, "genre": "salsa", "text": "slow: and low"}]}').entries[
        0
    ].words == ("salsa", (), "slow: and low")


# --- mistakes ------------------------------------------------------------------------------------------------

MISTAKES = {
    "timeline: [{from: 0, to: 4, genre: salsa}\n": (2, ""),
    "": (None, "empty"),
    "- 1\n": (1, "fields"),
    "timeline: 4\n": (1, "timeline"),
    "timeline: []\n": (1, "timeline"),
    "genre: salsa\n": (1, "timeline"),
    "timeline:\n  - {to: 4}\n": (2, "from"),
    "timeline:\n  - from: 0\n    to: soon\n": (3, "to"),
    "timeline:\n  - from: -2\n": (2, "from"),
    "timeline:\n  - from: beat 0\n": (2, "from"),
    "timeline:\n  - from: 5\n    to: 4\n": (2, "to"),
    "timeline:\n  - from: 0\n    genre: polka of the moon\n": (3, "genre"),
    "timeline:\n  - from: 0\n    gerne: salsa\n": (3, "gerne"),
    "timeline:\n  - from: 0\n    genre: salsa\n    genre: disco\n": (4, "genre"),
    "timeline:\n  - from: 0\n    genre: [salsa]\n": (3, "genre"),
    "timeline:\n  - from: 0\n    movements: {a: b}\n": (3, "movements"),
    "timeline:\n  - from: 0\n    text:\n": (3, "text"),
    "timeline:\n  - from: 0\n    text: " + "la " * 1000 + "\n": (3, "text"),
    "timeline:\n  - from: 0\n    guidance: {text: strong}\n": (3, "text"),
    "timeline:\n  - from: 0\n    guidance: {text: .nan}\n": (3, "text"),
    "timeline:\n  - from: 0\n    guidance: {texts: 3}\n": (3, "texts"),
    "timeline:\n  - from: 0\n    guidance: {until: 2}\n": (3, "until"),
    "timeline:\n  - from: 0\n    guidance: 3\n": (3, "guidance"),
    "unit: hours\ntimeline: [{from: 0}]\n": (1, "unit"),
    "snap: sometimes\ntimeline: [{from: 0}]\n": (1, "snap"),
    "crossfade: -1\ntimeline: [{from: 0}]\n": (1, "crossfade"),
    "timeline:\n  - from: 0\n    poses:\n      - {at: 1, pose: standing on the moon}\n": (4, "pose"),
    "timeline:\n  - from: 0\n    poses:\n      - {at: 1}\n": (4, "poses"),
    "timeline:\n  - from: 0\n    poses:\n      - {at: 1, file: a.npz, frame: 2}\n": (4, "file"),
    "? [a, b]\n: 1\n": (1, ""),
    "timeline:\n  - from: !!python/object/apply:os.system ['true']\n": (2, "from"),
    "timeline:\n  - from: !mine 3\n": (2, "from"),
    "a: &a [1]\ntimeline: *a\n": (1, "anchors"),
    "timeline: [{from: 0}]\n---\ntimeline: [{from: 0}]\n": (2, "document"),
    "timeline: [{from: 0, text: \"\0\"}]": (None, "YAML"),
    "x: " + "[" * 200 + "]" * 200: (1, "nested"),
    "timeline: [" + "1," * 30000 + "]": (1, "larger"),
    "x" * (LARGEST_FILE + 1): (None, "kB"),
}  # fmt: skip


@pytest.mark.parametrize("text", MISTAKES, ids=lambda text: repr(text[:60]))
def test_mistakes_name_file_line_and_field(text):
    line, said = MISTAKES[text]
    with pytest.raises(InputError) as caught:
        parse_score(text, name="dance.yaml")
    message = str(caught.value)
    assert "dance.yaml" in message
    assert said in message
    if line is not None:
        assert f"line {line}" in message


def test_a_bomb_of_aliases_is_refused_at_once():
    lines = ["a0: &a0 [x]"] + [f"a{i}: &a{i} [{', '.join(f'*a{i - 1}' for _ in range(9))}]" for i in range(1, 9)]
    with pytest.raises(InputError, match=r"line 1: expected no anchors"):
        parse_score("\n".join(lines))


def test_files_that_cannot_be_read_are_named(tmp_path):
    for content in (b"timeline:\n - \xff\xfe", b"\x00" * 10, b"x" * (LARGEST_FILE + 1)):
        (tmp_path / "dance.yaml").write_bytes(content)
        with pytest.raises(InputError, match=r"dance\.yaml"):
            load_score(tmp_path / "dance.yaml")
    with pytest.raises(InputError, match=r"missing\.yaml"):
        load_score(tmp_path / "missing.yaml")
    with pytest.raises(InputError, match="could not read"):
        load_score(tmp_path)


@pytest.mark.parametrize(
    "second",
    ["{from: 3, to: 5, genre: disco}", "{from: bar 2, to: 9, genre: disco}", "{from: 1.5, to: 2, genre: disco}"],
)
def test_overlaps_name_both_lines(second):
    text = f"timeline:\n  - {{from: 1, to: 4, genre: salsa}}\n  - {second}\n"
    with pytest.raises(InputError, match=r"line 2.*line 3"):
        placed(text, song_of(10.0))


def test_overlaps_in_one_unit_are_told_before_a_song_is_decoded():
    with pytest.raises(InputError, match=r"line 1.*line 2"):
        parse_score("timeline: [{from: bar 1, to: bar 5},\n {from: bar 4 beat 3, to: bar 6}]")


def test_entries_that_hold_no_beat_are_told():
    text = "timeline:\n  - {from: 1.2, to: 1.3, genre: salsa}\n"
    with pytest.raises(InputError, match=r"line 2.*snap: none"):
        placed(text, song_of(10.0))
    assert spans("{snap: none, timeline: [{from: 1.2, to: 1.3, genre: salsa}]}", song_of(4.0))[1] == (1.2, 1.3, "salsa")


def test_words_that_cannot_be_understood_name_the_line():
    def refuse(said):
        raise InputError("no such words")

    with pytest.raises(InputError, match=r"line 2: no such words"):
        parse_score("timeline:\n  - {from: 0, text: x}").prompts(refuse)


# --- poses ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", POSES)
def test_named_poses_stand_on_the_floor(name):
    motion = POSES[name]()
    still = motion.joints().repeat(4, axis=0)
    assert foot_contacts(still, 30.0, skeleton=motion.skeleton, joint_names=LAYOUT.contact_joints).all()
    assert motion.joints()[..., 1].min() == pytest.approx(0.02, abs=0.01)


def test_poses_at_the_songs_end_are_met_and_those_beyond_it_are_told():
    text = "timeline:\n - from: 0\n   poses: [{at: 4, pose: crouch},\n    {at: 9, pose: stand}]\n"
    timeline, notes = placed(text, song_of(4.0))
    assert [pose.frame for pose in timeline.poses] == [4 * FPS - 1]
    assert len(notes) == 1
    assert "line 4" in notes[0]


def test_poses_come_from_dances_beside_the_score(tmp_path):
    dance = POSES["crouch"]()
    dance.save(tmp_path / "low.npz")
    text = "timeline:\n - from: 0\n   poses:\n    - {at: beat 3, file: low.npz, %s}\n"
    (tmp_path / "dance.yaml").write_text(text % "frame: 0")
    pose = load_score(tmp_path / "dance.yaml").entries[0].poses[0]
    assert pose.root_height == pytest.approx(dance.root_position[0, 1])
    np.testing.assert_allclose(pose.rotations, dance.rotations[0], atol=1e-6)
    for wrong in ("frame: 1", "frame: 0.5", "time: 8", "ease: 1", "frame: 0, time: 0"):
        (tmp_path / "dance.yaml").write_text(text % wrong)
        with pytest.raises(InputError, match="line 4"):
            load_score(tmp_path / "dance.yaml")
    (tmp_path / "dance.yaml").write_text((text % "frame: 0").replace("low", "high"))
    with pytest.raises(InputError, match=r"line 4.*high\.npz"):
        load_score(tmp_path / "dance.yaml")


# --- dances --------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def model() -> Dancer:
    from choreography.test_dancer import checkpoint_of

    return drawn(edmg(checkpoint_of()), stretch=2)


def dance(model, song, **options):
    return model.generate(song, **{"steps": 3, "trm": False, "cleanup": False, **options})


def same(first, second) -> bool:
    return np.array_equal(first.root_position, second.root_position) and np.array_equal(
        first.rotations, second.rotations
    )


def test_a_score_of_one_entry_is_the_plain_call(model):
    song = song_of(5.0)
    text = "timeline: [{from: 0, to: 2, genre: salsa}, {from: 2, genre: salsa}]"
    assert same(dance(model, song, score=parse_score(text)), dance(model, song, genre="salsa"))


def test_a_dance_follows_its_score_and_says_so(model, tmp_path):
    song = song_of(12.0)
    (tmp_path / "dance.yaml").write_text("timeline: [{from: 0, to: 6.1, genre: salsa}, {from: 6.1, genre: disco}]")
    changed = dance(model, song, score=tmp_path / "dance.yaml")
    salsa, disco = (dance(model, song, genre=genre) for genre in ("salsa", "disco"))

    def apart(other):
        return np.abs(changed.rotations - other.rotations).max((1, 2, 3))

    assert apart(salsa)[:40].max() < 0.05 < apart(salsa)[140:].max()
    assert apart(disco)[:40].max() > 0.05
    assert changed.meta["score"] == "dance.yaml"
    assert [(part["from"], part["to"], part["genre"]) for part in changed.meta["timeline"]] == [
        (0.0, 6.25, "salsa"), (6.25, 12.0, "disco")
    ]  # fmt: skip
    assert dance(model, song, score=tmp_path / "dance.yaml", cleanup=True).frames == 240


def test_key_poses_are_met_wherever_the_dance_faces(model):
    song = song_of(8.0)
    text = "timeline: [{from: 0, genre: salsa, poses: [{at: 3.3, pose: crouch}, {at: 6.8, pose: arms up, ease: 0.1}]}]"
    motion = dance(model, song, score=parse_score(text))
    for frame, name in ((65, "crouch"), (135, "arms up")):
        pose = POSES[name]()
        np.testing.assert_allclose(motion.rotations[frame, 1:], pose.rotations[0, 1:], atol=1e-4)
        np.testing.assert_allclose(motion.rotations[frame, 0, 1], [0, 1, 0], atol=1e-4)  # upright, turned at will
        assert motion.root_position[frame, 1] == pytest.approx(pose.root_position[0, 1], abs=1e-4)
    free = dance(model, song, genre="salsa")
    assert np.abs(motion.rotations[65] - free.rotations[65]).max() > 0.1


def test_the_command_line_follows_a_score_and_names_its_mistakes(tmp_path):
    (tmp_path / "dance.yaml").write_text("timeline:\n  - {from: 0, to: 4, genre: polka of the moon}\n")
    result = CliRunner().invoke(app, ["generate", str(tmp_path / "song.wav"), "--score", str(tmp_path / "dance.yaml")])
    assert result.exit_code == SOME_FAILED
    assert isinstance(result.exception, InputError)
    assert "line 2, field 'timeline[1].genre'" in str(result.exception)
