"""Score files into the timeline and back."""

import pytest

from longdance.choreography.score_file import parse_score
from longdance.errors import InputError
from longdance.studio.forms import Block, Blocks
from longdance.studio.scores import read, written
from longdance.studio.states import HEARD, Laid, ProjectState, SongState

BEATS = [0.5 * beat for beat in range(40)]


@pytest.fixture
def project() -> ProjectState:
    laid = Laid(tempo_bpm=120.0, beats=BEATS, downbeats=BEATS[::4])
    song = SongState(name="a", state="ready", seconds=20.0)
    return ProjectState(id="0" * 16, name="a", created="", updated="", song=song, laid={HEARD: laid})


def test_what_is_written_is_read_by_the_command_and_comes_back(project):
    blocks = [
        Block(id="a", begin=1.25, end=4.5, genre="salsa", movements=["cross-body lead"]),
        Block(id="b", begin=4.5, end=9.0, prompt="slow: and “heavy”"),
    ]
    text = written(Blocks(blocks=blocks))
    entries = parse_score(text).entries
    assert [entry.words.genre for entry in entries] == ["salsa", None]
    told = [block.model_dump(exclude={"id"}) for block in read(text, project).blocks]
    assert told == [block.model_dump(exclude={"id"}) for block in blocks]


def test_bars_and_beats_lie_where_the_song_has_them(project):
    text = "unit: bars\ngenre: salsa\ntimeline:\n- {from: 2, to: 3, genre: breaking}\n- {from: beat 13}\n"
    blocks = read(text, project).blocks
    assert [(block.begin, block.end, block.genre) for block in blocks] == [(2, 4, "breaking"), (6, 20, "salsa")]
    assert len({block.id for block in blocks}) == 2


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("timeline: []", "entry"),
        ("timeline: [{from: 30, to: 40, genre: salsa}]", "within the song"),
        ("timeline: [{from: 0, to: 4, guidance: {music: 2}}]", "words alone"),
        ("timeline: [{from: 0, to: 4, genre: nonsense}]", "nonsense"),
        ("- [", "YAML"),
    ],
)
def test_what_the_timeline_has_no_place_for_is_refused(project, text, word):
    with pytest.raises(InputError, match=word):
        read(text, project)
