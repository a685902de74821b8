"""The page in a real browser, against a real server with a tiny model."""

import numpy as np
import pytest
from pygltflib import GLTF2

from longdance.motion.bvh import load_bvh_motion

from .conftest import project_with_song
from .pages import app, downloaded, drag, page_of, ready_takes, until

SKEW_ALLOWED = 0.05
"""Seconds between what is heard and what is seen."""


def test_the_whole_path_from_song_to_file(running, browser, song, tmp_path):
    _, client = running
    with page_of(browser, client, width=1280, height=800) as tab:
        tab.set_input_files("#song-file", {"name": "my <b>song.wav", "mimeType": "audio/wav", "buffer": song})
        until(lambda: app(tab, "app.project?.song.state") == "ready")
        heard = app(tab, "app.project.song")
        assert "my <b>song" in tab.locator("#song-facts").inner_text()  # shown as text
        assert tab.locator("#song-facts b").count() == 0

        # Numbers for a quick dance, and a score laid by dragging: it snaps to the beats.
        tab.click("#more summary")
        for name, value in (("seconds", 4), ("steps", 2)):
            tab.fill(f"#{name}", str(value))
            tab.press(f"#{name}", "Tab")
        tab.select_option("#genre", "breaking")
        beats = np.array(heard["beats"])
        drag(tab, "#score", beats[1] + 0.1, beats[5] - 0.1, 0.5)
        assert tab.locator(".block strong").inner_text() == "Breaking"
        tab.click("#movements li:first-child button")
        until(lambda: app(tab, "app.unsaved") == 0)
        project = client.get(f"/api/projects/{app(tab, 'app.project.id')}").json()
        (block,) = project["score"]["blocks"]
        assert (block["from"], block["to"]) == pytest.approx((beats[1], beats[5]), abs=1e-3)
        assert block["genre"] == "breaking"
        assert len(block["movements"]) == 1
        assert (project["settings"]["seconds"], project["settings"]["genre"]) == (4, "breaking")

        # A generated dance begins to play by itself, in time with the sound.
        tab.click("#generate")
        until(lambda: app(tab, "app.view.clock.playing"))
        skews = []
        until(lambda: _noted(skews, tab.evaluate("window.studio.skew()")) >= 5 or (ready_takes(tab) and _over(tab)))
        until(lambda: ready_takes(tab) == 1)
        tab.keyboard.press("Home")
        tab.keyboard.press(" ")
        until(lambda: _noted(skews, tab.evaluate("window.studio.skew()")) >= 10 or _over(tab))
        assert skews
        assert np.abs(skews).max() < SKEW_ALLOWED
        if app(tab, "app.view.clock.playing"):
            tab.keyboard.press(" ")

        # What stands on the stage is what the files hold.
        (tmp_path / "dance.bvh").write_bytes(downloaded(tab, "bvh"))
        dance = load_bvh_motion(tmp_path / "dance.bvh")
        frame = dance.frames // 2
        tab.evaluate(f"window.studio.app.seek({frame / dance.fps})")
        until(lambda: abs(app(tab, "app.view.first.shownTime") - frame / dance.fps) < 1e-6)
        hips = app(tab, "app.view.first.main.joints[0].position.toArray()")
        np.testing.assert_allclose(hips, dance.root_position[frame], atol=2e-3)
        (tmp_path / "dance.glb").write_bytes(downloaded(tab, "glb"))
        model = GLTF2().load(tmp_path / "dance.glb")
        assert len(model.skins) == len(model.animations) == 1

        # A stretch is selected by dragging and made anew: another take, the first one stays.
        drag(tab, "#lanes-picture", beats[2], beats[5], 0.4)
        assert app(tab, "[app.selection.from, app.selection.to]") == pytest.approx([beats[2], beats[5]], abs=1e-3)
        first = app(tab, "app.shown.takeId")
        tab.click("#redo-stretch")
        until(lambda: ready_takes(tab) == 2)
        assert app(tab, "app.take.parent") == first
        until(lambda: app(tab, "app.track?.final"))
        tab.locator(f'[data-take="{first}"] button[aria-label*="beside"]').click()
        until(lambda: app(tab, "app.view.second.main.scene.visible"))

        # Undone, the new take is gone; done again, it is back.
        tab.click("#undo")
        until(lambda: tab.locator("#takes li").count() == 1)
        tab.keyboard.press("Shift+Z")
        until(lambda: tab.locator("#takes li").count() == 2)


def _noted(skews: list[float], skew: float | None) -> int:
    """How many were noted, this one with them."""
    if skew is not None:
        skews.append(skew)
    return len(skews)


def _over(tab) -> bool:
    return not app(tab, "app.view.clock.playing")


def test_a_job_is_followed_across_a_reload_and_cancelled(running, browser, song):
    _, client = running
    project = project_with_song(client, song)
    client.patch(f"/api/projects/{project['id']}", json={"settings": {"steps": 1000}})
    with page_of(browser, client, project["id"]) as tab:
        until(lambda: app(tab, "app.project !== null"))
        tab.keyboard.press("g")
        until(lambda: app(tab, "app.jobs.running?.state") == "running")
        tab.reload()
        until(lambda: tab.evaluate("Boolean(window.studio?.app.jobs.running)"))
        until(lambda: app(tab, "app.jobs.running.state") == "running")
        assert tab.locator("#job").is_visible()
        tab.click("#cancel")
        until(lambda: app(tab, "app.project.takes[0].state") == "cancelled")
        until(lambda: not tab.locator("#job").is_visible())
        assert "cancelled" in tab.locator("#takes").inner_text()


def test_a_studio_that_was_closed_shows_its_projects_again(running, browser, danced):
    _, client = running
    with page_of(browser, client) as tab:
        tab.locator("#project-list .open", has_text=danced["name"]).last.wait_for()
        tab.goto(f"{client.base_url}/#{danced['id']}")
        until(lambda: app(tab, "app.track?.final"))
        assert app(tab, "app.shown.takeId") == danced["takes"][0]["id"]
        assert app(tab, "app.track.frames") == danced["takes"][0]["frames"]


def test_blocks_are_laid_moved_and_removed_by_keys(running, browser, song):
    _, client = running
    project = project_with_song(client, song)
    beats = project["song"]["beats"]
    with page_of(browser, client, project["id"]) as tab:
        until(lambda: app(tab, "app.project !== null"))
        tab.keyboard.press("a")
        blocks = "app.project.score.blocks"
        begin = app(tab, f"{blocks}[0].from")
        tab.locator(".block").focus()
        tab.keyboard.press("ArrowRight")
        assert app(tab, f"{blocks}[0].from") == pytest.approx(min(beat for beat in beats if beat > begin + 1e-3))
        ends = app(tab, f"{blocks}[0].to")
        tab.keyboard.press("Shift+ArrowLeft")
        assert app(tab, f"{blocks}[0].to") == pytest.approx(max(beat for beat in beats if beat < ends - 1e-3))
        tab.keyboard.press("Delete")
        assert app(tab, f"{blocks}.length") == 0
        tab.keyboard.press("z")
        until(lambda: app(tab, f"{blocks}.length") == 1)

        # Moving the playhead, and selecting from it.
        tab.keyboard.press("Home")
        for key in ("ArrowRight", "ArrowRight", "[", "ArrowRight", "ArrowRight", "]"):
            tab.keyboard.press(key)
        chosen = app(tab, "[app.selection.from, app.selection.to]")
        assert beats.index(chosen[1]) - beats.index(chosen[0]) == 2


def test_search_forgives_typing_errors(running, browser, song):
    _, client = running
    project = project_with_song(client, song)
    with page_of(browser, client, project["id"]) as tab:
        until(lambda: app(tab, "app.project !== null"))
        tab.keyboard.press("/")
        tab.keyboard.type("six stpe")
        tab.locator("#movements .name", has_text="six").first.click()
        until(lambda: app(tab, "app.unsaved") == 0)
        settings = client.get(f"/api/projects/{project['id']}").json()["settings"]
        assert settings["genre"] == "breaking"
        assert any("six" in name for name in settings["movements"])


def test_a_damaged_upload_leaves_no_project_and_says_why(running, browser, tmp_path):
    _, client = running
    before = len(client.get("/api/projects").json())
    (tmp_path / "notes.txt").write_text("not a song")
    # The project may be gone before the page has looked at it.
    with page_of(browser, client, told=("Expected a song", "404")) as tab:
        tab.set_input_files("#song-file", str(tmp_path / "notes.txt"))
        until(lambda: tab.locator("#projects-error").inner_text().startswith("Expected a song"))
        assert app(tab, "app.project") is None
        assert tab.locator("#generate").is_disabled()
    assert len(client.get("/api/projects").json()) == before
