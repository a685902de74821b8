"""From a request to a dance by plan, and back by its plan's file and its edits."""

from dataclasses import replace

import numpy as np
import pytest
from typer.testing import CliRunner

from choreography.generators.test_lodge import global_of, local_of
from choreography.test_dancer import checkpoint_of
from longdance.choreography.edits.phrase import change_phrase, dance_again, dance_plan
from longdance.choreography.generators.edmg import edmg
from longdance.choreography.generators.lodge import lodge
from longdance.choreography.phrases.plan import Plan
from longdance.choreography.phrases.plan_file import plan_text, write_plan
from longdance.choreography.request import DanceRequest
from longdance.choreography.score_file import parse_score
from longdance.cli import app
from longdance.errors import InputError


@pytest.fixture(scope="module")
def model():
    return edmg(checkpoint_of())


def dance(model, song, **asked):
    return model.generate(song, **({"genre": "salsa", "phrases": 1.0, "library": "small", "steps": 2} | asked))


@pytest.fixture
def danced(model, song, shelf):
    return dance(model, song)


def test_without_phrases_a_library_changes_nothing(model, song, shelf):
    short = {"steps": 2, "genre": "salsa"}
    one, other = model.generate(song, **short), model.generate(song, **short, phrases=0.0, library="small")
    assert np.array_equal(one.rotations, other.rotations)
    assert "plan" not in one.meta


def test_strict_dances_are_recorded_frames_that_nothing_touches(model, song, danced):
    prepared = model.prepare(DanceRequest(song=song, genre="salsa", phrases=1.0, library="small"))
    assert np.array_equal(danced.rotations, prepared.laid.motion.rotations)
    assert danced.frames == song.frames(model.fps)
    assert danced.meta["phrases"] == 1.0
    assert Plan.of_record(danced.meta["plan"]) == prepared.laid.plan


def test_the_less_strictly_the_further_from_the_plan(model, song, danced):
    apart = []
    for strictness in (1.0, 0.7, 0.2):
        made = dance(model, song, phrases=strictness, trm=False, cleanup=False, steps=8)
        assert made.meta["plan"] == danced.meta["plan"]
        apart.append(float(np.abs(made.rotations - danced.rotations).mean()))
    assert apart[0] == 0 < apart[1] < apart[2]


def test_raw_dances_are_the_networks_alone(model, song, shelf):
    assert DanceRequest(phrases=1.0).raw().phrases == 0


def test_genres_without_phrases_are_danced_by_the_network_and_said_so(model, song, shelf):
    made = dance(model, song, genre="breaking")
    assert "plan" not in made.meta
    assert any("no phrases of breaking" in note for note in made.meta["notes"])


def test_an_unknown_library_is_refused_before_the_song_is_opened(model, shelf):
    with pytest.raises(InputError, match="expected a library among"):
        dance(model, "no such song.mp3", library="smal")


def test_a_plan_that_is_written_is_danced_again_the_same(model, song, danced, tmp_path):
    write_plan(danced, tmp_path / "plan.yaml")
    again = dance(model, song, score=tmp_path / "plan.yaml", seed=5)
    assert np.allclose(again.rotations, danced.rotations, atol=1e-9)
    one, other = (Plan.of_record(each.meta["plan"]).blocks for each in (danced, again))
    assert [(b.beat, b.beats, b.phrase, b.counts, b.mirrored) for b in one] == [
        (b.beat, b.beats, b.phrase, b.counts, b.mirrored) for b in other
    ]


def test_a_score_may_name_a_few_phrases_and_leave_the_rest_to_the_planner(model, song, library, shelf):
    name = library.phrases[2].name
    score = parse_score(f"unit: beats\nsnap: none\ntimeline:\n  - {{from: 9, to: 13, phrase: '{name}', mirror: yes}}\n")
    blocks = Plan.of_record(dance(model, song, score=score).meta["plan"]).blocks
    [chosen] = [block for block in blocks if block.locked]
    assert (chosen.beat, chosen.beats, chosen.phrase, chosen.mirrored) == (8, 4, name, True)
    assert len(blocks) > 4


@pytest.mark.parametrize(
    ("entry", "said"),
    [("from: 1, mirror: yes", "expected a phrase"), ("from: 1, phrase: a, mirror: perhaps", "yes or true or no"),
     ("from: 1, phrase: a, counts: 0", "from 1 to 64")],
)  # fmt: skip
def test_mistakes_in_phrases_of_a_score_are_named(entry, said):
    with pytest.raises(InputError, match=said):
        parse_score(f"unit: beats\ntimeline:\n  - {{{entry}}}\n")


def test_an_edit_changes_its_phrase_and_moves_what_follows(model, song, danced, library):
    plan = Plan.of_record(danced.meta["plan"])
    number = 3
    made = change_phrase(danced, model, DanceRequest(song=song), phrase=number, mirrored=True)
    begin, end = (round(float(at) * danced.fps) for at in plan.times(song)[number - 1])
    before, after = slice(0, begin - 20), slice(end + 20, danced.frames)
    assert np.array_equal(made.rotations[before], danced.rotations[before])
    assert np.array_equal(made.root_position[before], danced.root_position[before])
    assert np.allclose(made.rotations[after, 1:], danced.rotations[after, 1:], atol=1e-6)
    assert not np.allclose(made.rotations[begin + 10 : end - 10], danced.rotations[begin + 10 : end - 10], atol=0.01)
    assert made.meta["edits"][-1]["phrase"] == number
    back = change_phrase(made, model, DanceRequest(song=song), phrase=number, mirrored=True)
    assert np.allclose(back.joints(), danced.joints(), atol=1e-6)


def test_what_was_edited_otherwise_stays_when_a_phrase_changes(model, song, danced):
    touched = replace(danced, rotations=danced.rotations.copy())
    touched.rotations[-30:, 5] = np.eye(3)
    made = change_phrase(touched, model, DanceRequest(song=song), phrase=1, mirrored=True)
    assert np.array_equal(made.rotations[-30:, 5], touched.rotations[-30:, 5])


def test_a_dance_without_a_plan_has_no_phrases_to_change(model, song):
    plain = model.generate(song, steps=2, genre="salsa")
    with pytest.raises(InputError, match="found no plan"):
        change_phrase(plain, model, DanceRequest(song=song), phrase=1, repeat=True)
    with pytest.raises(InputError, match="found no plan"):
        plan_text(plain)


def test_a_plan_changed_block_by_block_is_danced(model, song, danced):
    plan = Plan.of_record(danced.meta["plan"]).locked(1).mirrored(2)
    made = dance_plan(danced, model, DanceRequest(song=song), plan=plan)
    assert Plan.of_record(made.meta["plan"]) == plan
    looser = dance(model, song, phrases=0.6)
    softer = dance_plan(looser, model, DanceRequest(song=song, steps=2), plan=plan)
    end = round(float(plan.times(song)[0, 1]) * made.fps) - 20
    assert np.array_equal(softer.rotations[:end], looser.rotations[:end])


def test_what_a_changed_plan_made_anew_is_noted(model, song, danced):
    plan = Plan.of_record(danced.meta["plan"])
    made = dance_plan(danced, model, DanceRequest(song=song), plan=plan.mirrored(3))
    begin, end = plan.times(song)[2]
    [*_, (first, last)] = made.meta["edits"][-1]["redo"]
    assert last <= end + 0.6
    assert first >= begin - 0.6
    assert dance_plan(danced, model, DanceRequest(song=song), plan=plan).meta["edits"][-1]["redo"] == []


def test_danced_again_with_another_seed_locked_phrases_stay(model, song, danced):
    plan = Plan.of_record(danced.meta["plan"]).locked(2)
    made = dance_again(danced, model, DanceRequest(song=song, seed=9), plan=plan)
    new = Plan.of_record(made.meta["plan"])
    assert plan.block(2) in new.blocks
    assert [block.phrase for block in new.blocks] != [block.phrase for block in plan.blocks]
    assert made.meta["edits"][-1]["seed"] == new.seed == 9
    # The seed that it was danced with draws the same plan; then the next one is taken.
    other = Plan.of_record(dance_again(danced, model, DanceRequest(song=song), plan=plan).meta["plan"])
    assert other.blocks != plan.blocks
    assert other.seed > 0
    with pytest.raises(InputError, match="no phrases of breaking"):
        dance_again(danced, model, DanceRequest(song=song, genre="breaking"), plan=plan)


def test_lodge_takes_its_cues_from_the_plan(song, shelf):
    model = lodge(local_of(), global_of())
    strict = model.prepare(DanceRequest(song=song, genre="salsa", phrases=1.0, library="small")).laid
    made = [
        model.generate(song, genre="salsa", library="small", phrases=level, steps=4, cleanup=False, soft_level=level)
        for level in (0.9, 0.1)
    ]
    assert all(each.meta["cues"]["soft_level"] == level for each, level in zip(made, (0.9, 0.1), strict=True))
    wanted = strict.motion.rotations[:, 1 : len(model.checkpoint.layout.skeleton)]
    near, far = (float(np.abs(each.rotations[:, 1:] - wanted).mean()) for each in made)
    assert near < far


def test_commands_ask_for_what_goes_together(tmp_path):
    run = lambda *words: CliRunner().invoke(app, [*words])  # noqa: E731
    (tmp_path / "song.wav").write_bytes(b"")
    written = run("generate", str(tmp_path / "song.wav"), "--plan-out", str(tmp_path / "plan.yaml"))
    assert written.exit_code == 2
    assert "--phrases" in written.output
    for words in (["--phrase", "1"], ["--swap", "a"], ["--repeat"], ["--phrase", "1", "--from", "2", "--mirror"]):
        assert run("edit", str(tmp_path / "d.npz"), "-o", str(tmp_path / "e.npz"), *words).exit_code == 2
