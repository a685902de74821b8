import numpy as np
import pytest

from longdance.choreography.phrases.laying import LONGEST_JOIN, lay
from longdance.choreography.phrases.library import Cut, Library, TakeFacts
from longdance.choreography.phrases.plan import HOLD, Block, Plan
from longdance.choreography.phrases.preview import preview
from longdance.choreography.phrases.rests import rests_of
from longdance.choreography.phrases.shelf import open_library
from made_up_phrases import clicking, stepping

FPS = 30.0


def plan_of(library, *names, beats=8, mirrored=()):
    blocks, beat = [], 0.0
    for number, name in enumerate(names):
        length = 4 if name == HOLD else beats
        counts = 0 if name == HOLD else min(beats, library.phrase(name).counts)
        blocks.append(Block(beat=beat, beats=length, phrase=name, counts=counts, mirrored=number in mirrored))
        beat += length
    return Plan(library=library.name, blocks=tuple(blocks))


def eights(library, clip):
    return [phrase.name for phrase in library.phrases if phrase.name.startswith(clip) and phrase.counts == 8]


def laid(library, song, *names, frames=900, **options):
    return lay(plan_of(library, *names, **options), library, song, frames=frames, fps=FPS)


def test_the_body_rests_on_the_beats_of_the_song(library, song):
    made = laid(library, song, eights(library, "one")[0], eights(library, "two")[1], eights(library, "three")[0])
    rests = rests_of(made.motion.joints(), FPS) / FPS
    beats = song.beat_times[:24]
    nearest = np.abs(beats[:, None] - rests[None]).min(1)
    assert np.median(nearest) < 0.02
    assert (nearest < 0.05).mean() > 0.9


def test_phrases_that_follow_each_other_in_a_take_have_no_join(library, song):
    first, _, later = eights(library, "one")[:3]  # phrases begin four beats apart
    assert not laid(library, song, first, later).joins
    assert len(laid(library, song, first, eights(library, "two")[0]).joins) == 1
    assert len(laid(library, song, first, later, mirrored=(1,)).joins) == 1


def test_outside_of_joins_every_pose_is_a_recorded_one(library, song):
    names = [eights(library, "one")[0], eights(library, "two")[1]]
    made = laid(library, song, *names, frames=300, mirrored=(1,))
    [join] = made.joins
    takes = [library.motion(0), library.motion(1).mirror()]
    for take, part in zip(takes, (slice(20, join.begin), slice(join.end, 270)), strict=True):
        # Local rotations of all joints but the root, against the nearest recorded frames.
        ours, theirs = made.motion.rotations[part, 1:], take.rotations[:, 1:]
        apart = [np.abs(pose - theirs).max((1, 2, 3)).min() for pose in ours]
        assert np.max(apart) < 0.06  # frames in between: half a frame of the fastest limb
    recorded = made.recorded
    assert not recorded[join.begin : join.end].any()
    assert recorded[: join.begin].all()


def test_joins_are_short_and_smooth(library, song):
    made = laid(library, song, eights(library, "one")[0], eights(library, "two")[1], eights(library, "three")[0])
    joints = made.motion.joints()
    step = np.linalg.norm(np.diff(joints, axis=0), axis=-1).max(1) * FPS
    inside = made.recorded[1:]
    for join in made.joins:
        assert 8 <= join.end - join.begin <= LONGEST_JOIN * FPS + 1
        assert step[join.begin - 1 : join.end].max() < 2.0 * step[inside].max()


def test_feet_that_stand_on_both_sides_stay_through_a_join(library, song):
    made = laid(library, song, eights(library, "one")[0], eights(library, "one")[3])
    [join] = made.joins
    ankles = [made.motion.skeleton.index(f"{side}_ankle") for side in ("left", "right")]
    path = made.motion.joints()[join.begin - 1 : join.end + 1, ankles][..., [0, 2]]
    assert np.linalg.norm(path - path[0], axis=-1).max() < 0.02


def test_a_hold_comes_to_rest_and_goes_on(library, song):
    made = laid(library, song, eights(library, "one")[0], HOLD, eights(library, "two")[0])
    speed = np.linalg.norm(np.diff(made.motion.joints(), axis=0), axis=-1).mean(1) * FPS
    begin, end = (round(float(song.beat_times[beat]) * FPS) for beat in (10, 12))
    assert speed[begin : end - 12].max() < 0.3 * speed[:200].mean()
    assert speed[end + 10 : end + 100].mean() > 0.5 * speed[:200].mean()


def test_beats_before_the_first_bar_are_danced_where_the_take_has_them(library, song):
    """A bar before the first phrase: its take is danced on the way to it, and with nothing before it it waits."""
    late, none = (name for name in (eights(library, "one")[1], eights(library, "one")[0]))
    assert library.phrase(late).marks[0] > 4 * 18 > library.phrase(none).marks[0]
    speeds = []
    for name in (late, none):
        plan = Plan(library=library.name, blocks=(Block(beat=3, beats=8, phrase=name, counts=8),))
        joints = lay(plan, library, song, frames=200, fps=FPS).motion.joints()
        speed = np.linalg.norm(np.diff(joints, axis=0), axis=-1).mean(1)
        speeds.append(speed[:30].mean() / speed[60:150].mean())
    assert speeds[0] > 0.7
    assert speeds[1] < 0.2


def test_nobody_hangs_in_the_air_while_a_pose_is_held(library, song):
    """A take that leaps half a second after its last count is held before or after the leap, not in it."""
    take = stepping(100.0)
    at = 0.6 * 8 + 0.45  # the ninth rest of the take, and as long as a dancer takes to settle
    moments = np.arange(take.frames) / FPS
    take.root_position[:, 1] += 0.3 * np.clip(1 - np.abs(moments - at) / 0.2, 0, None)
    facts = TakeFacts(clip="leap", genre="salsa", movements=())
    phrase = Cut(facts, take, [tuple(18.0 * np.arange(9))], ["leap:0"])
    leaping = Library.of("leaping", [phrase], licence="made up")
    blocks = (Block(beat=0, beats=8, phrase="leap:0", counts=8), Block(beat=8, beats=8, phrase=HOLD))
    made = lay(Plan(library="leaping", blocks=blocks), leaping, song, frames=300, fps=FPS)
    assert made.motion.joints()[-1, :, 1].min() < 0.05


def test_marks_move_only_to_where_beats_are_met_better():
    """Fast takes have rests between their counts that pulling at every mark wipes out."""
    shipped = open_library()
    names = [phrase.name for phrase in shipped.phrases if phrase.name.startswith("85_03") and phrase.counts == 8]
    beats = clicking(30.0, bpm=128.0)
    made = lay(plan_of(shipped, *names[4:9:2]), shipped, beats, frames=400, fps=FPS)
    rests = rests_of(made.motion.joints(), FPS) / FPS
    nearest = np.abs(beats.beat_times[:25, None] - rests[None]).min(1)
    assert (nearest < 0.05).mean() > 0.5


def test_a_mirrored_phrase_is_the_mirror_image(library, song):
    [name] = eights(library, "two")[:1]
    one, other = (laid(library, song, name, frames=200, mirrored=way).motion for way in ((), (0,)))
    flipped = one.mirror()
    assert np.abs(flipped.rotations - other.rotations).max() < 1e-6


def test_a_preview_begins_in_the_middle_of_the_stage(library):
    phrase = library.phrases[0]
    shown = preview(library, phrase)
    assert np.abs(shown.root_position[0, [0, 2]]).max() == 0
    assert shown.meta["beat_times"][-1] == pytest.approx((phrase.marks[-1] - np.floor(phrase.marks[0])) / FPS, abs=1e-3)
