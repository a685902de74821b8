"""Groups made of one dance: who does what when and where, how near they come, and what files hold."""

from dataclasses import replace
from itertools import combinations, pairwise

import numpy as np
import pytest
from tools.export_readers import Fbx, Glb

from conftest import swaying
from longdance.errors import InputError
from longdance.export.formats import export
from longdance.export.groups import CLEARANCE, FORMATIONS, group_of, places
from longdance.export.takes import ExportOptions
from longdance.export.video import render_video
from longdance.motion.body import CAPSULES

BEATS = [0.25 + 0.5 * n for n in range(8)]


@pytest.fixture(scope="module")
def dance():
    """Four seconds that sway, turned away from +z, with arms that reach far and a step to the side."""
    motion = swaying(120, 30.0)
    walk = 0.8 * np.sin(np.arange(120) / 30)[:, None] * [1.0, 0.0, 0.3]
    moving = replace(motion, root_position=motion.root_position + walk, meta={"beat_times": BEATS, "tempo_bpm": 120.0})
    return moving.turn(2.0)


def own(motion, number, motions):
    """Joints of a dancer against the middle of where it dances."""
    joints = motions[number].joints()
    return joints - (joints[:, 0].min(0) + joints[:, 0].max(0)) / 2 * [1, 0, 1]


@pytest.mark.parametrize("formation", FORMATIONS)
@pytest.mark.parametrize("dancers", [2, 3, 8])
def test_places_are_a_neighbour_s_distance_apart_and_alike_on_both_sides(formation, dancers):
    spots = places(dancers, formation)
    gaps = [np.linalg.norm(a - b) for a, b in combinations(spots, 2)]
    assert min(gaps) == pytest.approx(1.0, abs=0.3)
    mirrored = spots * [-1, 1]
    assert all(np.abs(spots - spot).sum(1).min() < 1e-9 for spot in mirrored)
    np.testing.assert_allclose(spots.mean(0), 0, atol=1e-9)


def nearest(motions, shown=range(0, 120, 3)) -> float:
    """Metres between capsules by points along them, in some frames."""
    share = np.linspace(0, 1, 9)[:, None]
    clouds = []
    for motion in motions:
        joints, index = motion.joints()[list(shown)], motion.skeleton.index
        rows = [(joints[:, None, index(c.start)], joints[:, None, index(c.end)], c.radius) for c in CAPSULES.values()]
        clouds.append([(a + share * (b - a), radius) for a, b, radius in rows])
    least = np.inf
    for one, two in combinations(clouds, 2):
        for points, radius in one:
            for others, other_radius in two:
                gap = np.linalg.norm(points[:, :, None] - others[:, None], axis=-1).min() - radius - other_radius
                least = min(least, gap)
    return least


@pytest.mark.parametrize("options", [{}, {"canon": 2.0}, {"mirror_pairs": True}, {"canon": 1.0, "mirror_pairs": True}])
def test_nobody_comes_near_anybody(dance, options):
    for formation, dancers in (("line", 2), ("circle", 4)):
        group = group_of(dance, dancers, formation=formation, **options)
        assert nearest(group) >= CLEARANCE
        assert all(motion.frames == dance.frames for motion in group)


def test_a_dance_that_goes_to_both_sides_needs_more_room_when_it_is_mirrored(dance, monkeypatch):
    wide, narrow = (group_of(dance, 2, mirror_pairs=mirrored) for mirrored in (True, False))
    gaps = [abs(a.root_position[:, 0] - b.root_position[:, 0]).max() for a, b in (wide, narrow)]
    assert gaps[0] > gaps[1] + 0.3
    monkeypatch.setattr("longdance.export.groups.WIDEST", 1.3)
    with pytest.raises(InputError, match="in-place"):
        group_of(dance, 2, mirror_pairs=True)


def test_the_group_faces_forward_and_dances_at_once(dance):
    group = group_of(dance, 3)
    facing = group[0].rotations[:, 0, :, 2].mean(0)
    assert abs(np.arctan2(facing[0], facing[2])) < 1e-6
    for number in (1, 2):
        np.testing.assert_allclose(own(dance, number, group), own(dance, 0, group), atol=1e-9)
    assert group[0].root_position[0, 0] > group[2].root_position[0, 0]  # from the left as they see it


def test_in_canon_each_does_two_beats_later_what_the_one_before_did(dance):
    first, second, third = group_of(dance, 3, canon=2.0)
    for late, shift in ((second, 30), (third, 60)):
        now = late.root_position[shift + 8 :] - first.root_position[8:-shift]
        np.testing.assert_allclose(now, np.broadcast_to(now[0], now.shape), atol=1e-3)
        np.testing.assert_allclose(late.rotations[shift + 8 :], first.rotations[8:-shift], atol=2e-3)
        np.testing.assert_allclose(late.rotations[: shift - 8], np.broadcast_to(first.rotations[0], late.rotations[: shift - 8].shape), atol=1e-6)  # fmt: skip  # noqa: E501
    by_tempo = group_of(replace(dance, meta={"tempo_bpm": 120.0}), 2, canon=2.0)[1]
    np.testing.assert_allclose(by_tempo.rotations, second.rotations, atol=1e-9)
    drifting = [0.2, 0.8, 1.2, 2.0, 2.5, 3.3]
    late = group_of(replace(dance, meta={"beat_times": drifting}), 2, canon=1.0)[1]
    for before, beat in pairwise(drifting[2:]):  # what fell on a beat falls on the next
        a, b = round(before * 30), round(beat * 30)
        np.testing.assert_allclose(late.rotations[b], first.rotations[a], atol=0.06)


def test_pairs_mirror_each_other(dance):
    group = group_of(dance, 4, mirror_pairs=True, formation="line")
    index = group[0].skeleton.mirror_index
    for left, right in ((0, 3), (1, 2)):
        flipped = group[left].joints()[:, index] * [-1, 1, 1]
        np.testing.assert_allclose(flipped, group[right].joints(), atol=1e-9)


def test_glb_holds_a_skin_and_a_skeleton_of_each_dancer_and_one_mesh(dance, tmp_path):
    options = ExportOptions(dancers=3, canon=2.0, formation="v", hands=False)
    export(dance, tmp_path / "group.glb", options=options)
    glb, group = Glb(tmp_path / "group.glb"), group_of(dance, 3, canon=2.0, formation="v")
    assert len(glb.gltf.skins) == 3
    assert len(glb.gltf.meshes) == len(glb.gltf.animations) == 1
    assert len({tuple(skin.joints) for skin in glb.gltf.skins}) == 3
    assert len({joint for skin in glb.gltf.skins for joint in skin.joints}) == 72
    places_found, _ = glb.joints()
    for number, motion in enumerate(group, 1):
        for joint, name in enumerate(motion.skeleton.names):
            called = name if number == 1 else f"{name}_{number}"
            np.testing.assert_allclose(places_found[called], motion.joints()[:, joint], atol=1e-4, err_msg=called)


def test_fbx_holds_them_too(dance, tmp_path):
    export(dance, tmp_path / "group.fbx", options=ExportOptions(dancers=2, mirror_pairs=True, naming="mixamo"))
    fbx, group = Fbx(tmp_path / "group.fbx"), group_of(dance, 2, mirror_pairs=True)
    assert len(fbx.stack_names) == 1
    found = fbx.joints()[0]
    for name, motion in (("mixamorig:LeftHand", group[0]), ("mixamorig:LeftHand_2", group[1])):
        wanted = motion.joints()[:, motion.skeleton.index("left_wrist")]
        np.testing.assert_allclose(found[name], wanted, atol=1e-4)
    kinds = [(row[0], row[1][2]) for row in fbx.objects.values()]
    assert kinds.count(("Deformer", b"Skin")) == 2


@pytest.mark.parametrize("painter", ["auto", "drawing"])
def test_pictures_show_every_dancer(dance, tmp_path, painter):
    av = pytest.importorskip("av")
    group = [motion.slice(0, 2) for motion in group_of(dance, 3)]
    render_video(group[0], tmp_path / "group.mp4", group=group[1:], width=320, height=180, painter=painter)
    with av.open(str(tmp_path / "group.mp4")) as container:
        picture = next(container.decode(video=0)).to_ndarray(format="rgb24").astype(int)
    suit = (picture[..., 1] - picture[..., 0] > 30).any(0)  # columns with the shirts' green
    assert np.count_nonzero(np.diff(suit.astype(int)) == 1) == 3


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("a.bvh", {"dancers": 2}), ("a.vmd", {"dancers": 3}), ("a.glb", {"dancers": 9}),
        ("a.glb", {"dancers": 2, "formation": "square"}), ("a.glb", {"dancers": 2, "canon": -1.0}),
        ("a.glb", {"dancers": 2, "canon": 4.0, "loop": True}), ("a.glb", {"dancers": 2, "rig": "a.glb"}),
    ],
)  # fmt: skip
def test_what_cannot_be_is_refused(dance, tmp_path, name, options):
    with pytest.raises(InputError):
        export(dance, tmp_path / name, options=ExportOptions(**options))
    assert not list(tmp_path.iterdir())


def test_takes_and_dances_without_beats_make_no_group_or_canon(dance, tmp_path):
    with pytest.raises(InputError, match="one dance"):
        export({"a": dance, "b": dance}, tmp_path / "a.glb", options=ExportOptions(dancers=2))
    with pytest.raises(InputError, match="beats or a tempo"):
        export(replace(dance, meta={}), tmp_path / "a.glb", options=ExportOptions(dancers=2, canon=1.0))
