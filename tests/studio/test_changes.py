"""Laying down what to dance, changing takes, and taking it back."""

import numpy as np
import pytest

from longdance.motion.motion import Motion
from studio.conftest import ended, project_with_song


@pytest.fixture(scope="module")
def scored(running, song) -> dict:
    """A project danced after a timeline of two blocks."""
    _, client = running
    project = project_with_song(client, song)
    blocks = [
        {"id": "a", "from": 0, "to": 1.25, "genre": "salsa", "movements": [], "prompt": None},
        {"id": "b", "from": 1.25, "to": 3, "genre": "disco", "movements": []},
    ]
    address = f"/api/projects/{project['id']}"
    asked = client.post(f"{address}/generate", json={"score": {"blocks": blocks}})
    told = ended(client, asked.json()["job"])
    assert told["state"] == "done", told
    return client.get(address).json()


def edited(running, project: dict, **wish) -> tuple[dict, Motion, Motion]:
    """The new take, and the dances before and after an edit of the first take."""
    studio, client = running
    address, parent = f"/api/projects/{project['id']}", project["takes"][0]["id"]
    asked = client.post(f"{address}/takes/{parent}/edit", json=wish)
    assert asked.status_code == 202, asked.text
    told = ended(client, asked.json()["job"])
    assert told["state"] == "done", told
    takes = {take["id"]: take for take in client.get(address).json()["takes"]}
    files = [studio.projects.take_file(project["id"], take) for take in (parent, told["take"])]
    return takes[told["take"]], *(Motion.load(file) for file in files)


def test_the_timeline_leads_the_dance(scored):
    timeline = scored["takes"][0]["record"]["timeline"]
    assert [part["genre"] for part in timeline] == ["salsa", "disco"]
    assert [part["from"] for part in timeline] == [0.0, pytest.approx(1.25, abs=0.04)]
    assert scored["score"]["blocks"][1]["from"] == 1.25


def test_blocks_count_from_the_song_s_beginning_wherever_a_dance_begins(running, scored):
    _, client = running
    address = f"/api/projects/{scored['id']}"
    asked = client.post(f"{address}/generate", json={"settings": {"start": 0.5, "seconds": 2.0}})
    told = ended(client, asked.json()["job"])
    assert told["state"] == "done", told
    take = next(each for each in client.get(address).json()["takes"] if each["id"] == told["take"])
    assert take["start"] == 0.5
    assert [part["from"] for part in take["record"]["timeline"]] == [0.0, pytest.approx(0.75, abs=0.04)]
    client.post(f"{address}/undo")


def test_a_stretch_is_made_anew_and_the_rest_stays(running, scored):
    take, before, after = edited(running, scored, what="redo", **{"from": 1.0, "to": 2.0}, seed=3)
    assert take["parent"] == scored["takes"][0]["id"]
    assert take["what"] == "redo"
    moved = np.abs(after.root_position - before.root_position).max(axis=1) > 1e-6
    at = np.flatnonzero(moved) / before.fps
    assert len(at)
    assert at.min() >= 1.0 - 1e-6
    assert at.max() < 2.0


def test_key_frames_are_kept_by_in_betweening(running, scored):
    _, before, after = edited(running, scored, what="in_between", keep=[[1.0, 1.0], [2.0, 2.0]])
    for second in (1.0, 2.0):
        frame = round(second * before.fps)
        np.testing.assert_allclose(after.rotations[frame], before.rotations[frame], atol=1e-5)
    assert not np.allclose(after.rotations, before.rotations, atol=1e-3)


def test_a_dance_goes_on(running, scored):
    take, before, after = edited(running, scored, what="go_on", seconds=1.0)
    assert take["seconds"] == pytest.approx(before.seconds + 1.0, abs=0.05)
    np.testing.assert_allclose(after.root_position[: before.frames], before.root_position, atol=1e-5)


def test_left_and_right_are_exchanged(running, scored):
    _, before, after = edited(running, scored, what="mirror")
    np.testing.assert_allclose(after.root_position, before.root_position * [-1, 1, 1], atol=1e-5)


def test_another_tempo_no_longer_fits_the_song(running, scored):
    _, client = running
    take, before, after = edited(running, scored, what="tempo", bpm=100.0)
    assert after.seconds == pytest.approx(before.seconds * take["record"]["edits"][-1]["tempo_from"] / 100.0, abs=0.05)
    address = f"/api/projects/{scored['id']}/takes/{take['id']}/download"
    refused = client.get(address, params={"format": "bvh", "with_song": True})
    assert refused.status_code == 422
    assert "tempo" in refused.json()["error"]


def test_something_else_from_a_beat_on_and_two_takes_in_one(running, scored):
    other, before, after = edited(running, scored, what="from_here_on", at=1.5, genre="disco")
    early = slice(0, round(1.2 * before.fps))
    np.testing.assert_allclose(after.root_position[early], before.root_position[early], atol=1e-5)
    blended, first, both = edited(running, scored, what="blend", at=1.5, other=other["id"])
    assert blended["state"] == "ready"
    np.testing.assert_allclose(both.root_position[:5], first.root_position[:5], atol=1e-5)


@pytest.mark.parametrize(
    ("wish", "status", "said"),
    [
        ({"what": "redo"}, 422, "from and to"),
        ({"what": "redo", "from": 2, "to": 1}, 422, "to after from"),
        ({"what": "redo", "from": 50, "to": 60}, 422, "danced from"),
        ({"what": "blend", "at": 1}, 422, "other"),
        ({"what": "blend", "at": 1, "other": "../../x"}, 404, "no such take"),
        ({"what": "tempo", "bpm": 1e9}, 422, "bpm"),
        ({"what": "dissolve"}, 422, "what"),
        ({"what": "mirror", "surprise": 1}, 422, "surprise"),
        ({"what": "redo", "from": 0, "to": 1, "genre": "polka of mars"}, 422, "genre"),
        ({"what": "redo", "from": 0, "to": 1, "model": "/etc"}, 422, "model"),
    ],
)
def test_edits_that_cannot_be_are_refused_at_once(running, danced, wish, status, said):
    _, client = running
    answer = client.post(f"/api/projects/{danced['id']}/takes/{danced['takes'][0]['id']}/edit", json=wish)
    assert answer.status_code == status
    assert said in answer.json()["error"]
    assert len(client.get(f"/api/projects/{danced['id']}").json()["takes"]) == 1


@pytest.mark.parametrize(
    ("blocks", "said"),
    [
        ([{"from": 0, "to": 2}, {"from": 1, "to": 3}], "blocks 1 and 2 overlap"),
        ([{"from": 0, "to": 1}, {"from": 3, "to": 2}], "block 2"),
        ([{"from": 0, "to": 1, "genre": "polka of mars"}], "block 1"),
        ([{"from": -1, "to": 1}], "block 1.from"),
        ([{"from": 0, "to": "soon"}], "block 1.to"),
        ([{"from": 0, "to": 1, "poses": []}], "block 1.poses"),
        ([{"from": i, "to": i + 0.5} for i in range(501)], "500"),
    ],
)
def test_a_wrong_timeline_names_block_and_field(running, danced, blocks, said):
    _, client = running
    answer = client.patch(f"/api/projects/{danced['id']}", json={"score": {"blocks": blocks}})
    assert answer.status_code == 422
    assert said in answer.json()["error"]


@pytest.mark.parametrize(
    "settings",
    [{"model": "../edmg"}, {"steps": 0}, {"steps": 10**9}, {"seed": -1}, {"start": -1}, {"colour": 1},
     {"genre": "xyzzy"}, {"text_guidance": 1e300}, {"seconds": 0}, {"movements": ["x"] * 21}, {"prompt": "x" * 501}],
)  # fmt: skip
def test_wrong_settings_are_named_and_change_nothing(running, danced, settings):
    _, client = running
    answer = client.patch(f"/api/projects/{danced['id']}", json={"settings": settings})
    assert answer.status_code == 422
    assert next(iter(settings)) in answer.json()["error"]
    assert client.get(f"/api/projects/{danced['id']}").json()["settings"] == danced["settings"]


def test_changes_are_undone_and_redone(running, song):
    _, client = running
    project = project_with_song(client, song)
    address = f"/api/projects/{project['id']}"
    before = client.get(address).json()
    client.patch(address, json={"settings": {"genre": "salsa"}})
    client.patch(address, json={"score": {"blocks": [{"from": 0, "to": 2, "genre": "disco"}]}})
    client.patch(address, json={"name": "names are not undone"})
    changed = client.get(address).json()
    assert changed["history"]["undo"] == before["history"]["undo"] + 2
    client.post(f"{address}/undo")
    undone = client.post(f"{address}/undo").json()
    assert undone["settings"] == before["settings"]
    assert undone["score"] == before["score"]
    assert undone["name"] == "names are not undone"
    client.post(f"{address}/redo")
    redone = client.post(f"{address}/redo").json()
    assert (redone["settings"], redone["score"]) == (changed["settings"], changed["score"])
    refused = client.post(f"{address}/redo")
    assert refused.status_code == 409
    assert "nothing to redo" in refused.json()["error"]
    # A new step after going back makes what was undone unreachable.
    client.post(f"{address}/undo")
    assert client.patch(address, json={"settings": {"seed": 4}}).json()["history"]["redo"] == 0


def test_a_deleted_take_comes_back(running, scored):
    studio, client = running
    address, take = f"/api/projects/{scored['id']}", scored["takes"][0]["id"]
    assert client.delete(f"{address}/takes/{take}").status_code == 204
    assert take not in [each["id"] for each in client.get(address).json()["takes"]]
    assert client.get(f"{address}/takes/{take}/motion").status_code == 404
    back = client.post(f"{address}/undo").json()
    assert take in [each["id"] for each in back["takes"]]
    assert client.get(f"{address}/takes/{take}/motion").status_code == 200
    assert studio.projects.take_file(scored["id"], take).exists()


def test_takes_and_projects_are_renamed(running, danced):
    _, client = running
    address = f"/api/projects/{danced['id']}/takes/{danced['takes'][0]['id']}"
    named = client.patch(address, json={"name": "../../etc/the best\x00 one"}).json()
    assert named["name"] == "the best one"
    answer = client.get(f"{address}/download", params={"format": "npz"})
    assert "the%20best%20one.npz" in answer.headers["content-disposition"]
    client.patch(address, json={"name": danced["takes"][0]["name"]})
