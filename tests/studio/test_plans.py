"""Plans of takes by recorded phrases: what a page is told of them, and what it can change."""

import json
import struct

import numpy as np
import pytest

from longdance.choreography.phrases.plan import Plan
from longdance.choreography.phrases.shelf import FOLDER_VARIABLE, open_library
from longdance.motion.motion import Motion
from studio.conftest import ended, project_with_plan


@pytest.fixture(scope="module")
def planned(running) -> dict:
    """A project with a take of salsa phrases; its first take is not to be changed."""
    return project_with_plan(running[1])


def changed(running, project: dict, **wish) -> tuple[dict, dict, Motion, Motion]:
    """The take as it was while it was being made and is after it, and the dances before and after."""
    studio, client = running
    address, parent = f"/api/projects/{project['id']}", project["takes"][0]["id"]
    asked = client.post(f"{address}/takes/{parent}/plan", json=wish)
    assert asked.status_code == 202, asked.text
    number = asked.json()["take"]
    early = next(take for take in client.get(address).json()["takes"] if take["id"] == number)
    told = ended(client, asked.json()["job"])
    assert told["state"] == "done", told
    take = next(take for take in client.get(address).json()["takes"] if take["id"] == number)
    files = [studio.projects.take_file(project["id"], each) for each in (parent, number)]
    return early, take, *(Motion.load(file) for file in files)


def blocks(take: dict) -> list[tuple]:
    return [(row["phrase"], row["beats"], row["mirrored"]) for row in take["record"]["plan"]["phrases"]]


def test_libraries_and_their_phrases_are_told(running, tmp_path, monkeypatch):
    _, client = running
    open_library().without({take.clip for take in open_library().takes[1:]}).save(tmp_path / "mine.npz")
    (tmp_path / "broken.npz").write_bytes(b"nothing")
    monkeypatch.setenv(FOLDER_VARIABLE, str(tmp_path))
    told = client.get("/api/libraries").json()
    assert told == [{"name": name, "shipped": name == "open"} for name in ("open", "broken", "mine")]
    card = client.get("/api/libraries/mine").json()
    one = open_library().phrase(card["phrases"][0]["name"])
    assert card["phrases"][0]["counts"] == one.counts
    assert card["phrases"][0]["genre"] == open_library().facts(one).genre
    refused = client.get("/api/libraries/broken")
    assert refused.status_code == 422
    assert str(tmp_path) not in refused.text
    for name in ("none", "..%2Fmine", "%2Fetc%2Fpasswd"):
        assert client.get(f"/api/libraries/{name}").status_code == 404


def test_a_phrase_is_given_out_as_the_page_plays_it(running):
    _, client = running
    phrase = open_library().phrases[0]
    answers = [
        client.get("/api/libraries/open/motion", params={"phrase": phrase.name, "mirrored": mirrored})
        for mirrored in (False, True)
    ]
    headers = [json.loads(each.content[4 : 4 + struct.unpack("<I", each.content[:4])[0]]) for each in answers]
    lasts = (phrase.marks[-1] - phrase.marks[0]) / 30
    assert headers[0]["frames"] / headers[0]["fps"] == pytest.approx(lasts, abs=0.1)
    assert headers[0]["final"]
    assert answers[0].content != answers[1].content
    refused = client.get("/api/libraries/open/motion", params={"phrase": "x"})
    assert refused.status_code == 422
    assert "expected a phrase" in refused.json()["error"]


def test_phrases_that_fit_come_first(running, planned):
    _, client = running
    address = f"/api/projects/{planned['id']}/takes/{planned['takes'][0]['id']}/phrases"
    found = client.get(f"{address}/2", params={"genre": "salsa"}).json()
    assert len(found) == open_library().genres["salsa"]
    assert [each["cost"] for each in found] == sorted(each["cost"] for each in found)
    own = next(at for at, each in enumerate(found) if each["name"] == blocks(planned["takes"][0])[1][0])
    assert own < len(found) / 4  # the planner chose it with the music in mind
    assert len(client.get(f"{address}/2").json()) == len(open_library().phrases)
    assert client.get(f"{address}/99").status_code == 422


def test_a_phrase_is_swapped_and_only_that_is_made_anew(running, planned):
    old, library = blocks(planned["takes"][0]), open_library()
    at, clips = 1, [name.split(":")[0] for name, *_ in old]
    # Phrases that go on in one take are laid on the beats together.
    run = [k for k in range(len(old)) if len(set(clips[min(k, at) : max(k, at) + 1])) == 1]
    assert len(run) < len(old)
    other = next(
        phrase.name for phrase in library.phrases
        if phrase.counts == old[at][1] and library.facts(phrase).genre == "disco"
    )  # fmt: skip
    early, take, before, after = changed(running, planned, do="swap", number=at + 1, phrase=other, mirrored=True)
    assert blocks(early) == blocks(take) == [*old[:at], (other, old[at][1], True), *old[at + 1 :]]
    for one, row in zip(early["record"]["plan"]["phrases"], take["record"]["plan"]["phrases"], strict=True):
        assert (one["from"], one["to"]) == pytest.approx((row["from"], row["to"]), abs=0.05)
    assert (take["parent"], take["what"], take["start"]) == (planned["takes"][0]["id"], "plan", 0.0)
    rows = planned["takes"][0]["record"]["plan"]["phrases"]
    begin, end = rows[run[0]]["from"], rows[run[-1]]["to"]
    apart = np.flatnonzero(np.abs(after.rotations[:, 1:] - before.rotations[:, 1:]).max((1, 2, 3)) > 1e-6) / after.fps
    assert begin - 0.4 < apart.min()
    assert apart.max() < end + 0.4
    redone = take["record"]["edits"][-1]["redo"]
    assert min(map(min, redone)) == pytest.approx(apart.min(), abs=0.04)
    assert max(map(max, redone)) == pytest.approx(apart.max(), abs=0.04)


def test_phrases_are_moved_repeated_and_mirrored(running, planned):
    old = blocks(planned["takes"][0])
    _, moved, *_ = changed(running, planned, do="move", number=1, to=3)
    assert blocks(moved) == [old[1], old[2], old[0], *old[3:]]
    _, repeated, *_ = changed(running, planned, do="repeat", number=1)
    assert blocks(repeated)[:2] == [old[0], (old[0][0], old[1][1], old[0][2])]
    _, mirrored, before, after = changed(running, planned, do="mirror", number=1)
    assert blocks(mirrored)[0] == (*old[0][:2], not old[0][2])
    assert blocks(mirrored)[1:] == old[1:]
    middle = round(planned["takes"][0]["record"]["plan"]["phrases"][0]["to"] / 2 * before.fps)
    # Left and right are exchanged, wherever the dancer now stands; by itself it meets the beats a little otherwise.
    own = before.slice(middle, middle + 1)
    apart = [np.abs(after.rotations[middle, 1:] - seen.rotations[0, 1:]).mean() for seen in (own.mirror(), own)]
    assert apart[0] < 0.2 * apart[1]


def test_a_locked_phrase_stays_when_the_take_is_danced_again(running, planned):
    _, client = running
    first = planned["takes"][0]
    address = f"/api/projects/{planned['id']}/takes/{first['id']}/plan"
    told = client.patch(f"{address}/2", params={"locked": True}).json()
    assert [row["locked"] for row in told["record"]["plan"]["phrases"]][:3] == [False, True, False]
    assert len(client.get(f"/api/projects/{planned['id']}").json()["takes"]) >= 1  # a lock makes no take
    _, take, *_ = changed(running, planned, do="again", seed=5)
    kept, rows = told["record"]["plan"]["phrases"][1], take["record"]["plan"]["phrases"]
    stayed = next(row for row in rows if row["beat"] == kept["beat"])
    assert (stayed["phrase"], stayed["mirrored"], stayed["locked"]) == (kept["phrase"], kept["mirrored"], True)
    assert blocks(take) != blocks(first)
    assert Plan.of_record(take["record"]["plan"]).seed == 5
    client.patch(f"{address}/2", params={"locked": False})
    assert client.patch(f"{address}/99", params={"locked": True}).status_code == 422


@pytest.mark.parametrize(
    ("wish", "said"),
    [
        ({"do": "swap", "number": 1}, "name of a phrase"),
        ({"do": "swap", "number": 1, "phrase": "x"}, "expected a phrase of the library"),
        ({"do": "mirror"}, "number of a phrase"),
        ({"do": "mirror", "number": 999}, "from 1 to"),
        ({"do": "move", "number": 1}, "a place from 1"),
        ({"do": "repeat", "number": 0}, "number"),
        ({"do": "dissolve", "number": 1}, "do"),
        ({"do": "again", "surprise": 1}, "surprise"),
    ],
)
def test_changes_that_cannot_be_are_refused_at_once(running, planned, wish, said):
    _, client = running
    address = f"/api/projects/{planned['id']}"
    takes = len(client.get(address).json()["takes"])
    answer = client.post(f"{address}/takes/{planned['takes'][0]['id']}/plan", json=wish)
    assert answer.status_code == 422
    assert said in answer.json()["error"]
    assert len(client.get(address).json()["takes"]) == takes


def test_a_take_without_a_plan_says_so(running, danced):
    _, client = running
    address = f"/api/projects/{danced['id']}/takes/{danced['takes'][0]['id']}"
    answers = [
        client.post(f"{address}/plan", json={"do": "again"}), client.get(f"{address}/phrases/1"),
        client.patch(f"{address}/plan/1", params={"locked": True}),
    ]  # fmt: skip
    assert {answer.status_code for answer in answers} == {409}
    assert "no plan" in answers[0].json()["error"]


def test_the_library_is_one_of_those_there_are(running, danced):
    _, client = running
    answer = client.patch(f"/api/projects/{danced['id']}", json={"settings": {"library": "../mine"}})
    assert answer.status_code == 422
    assert "expected a library among open" in answer.json()["error"]
