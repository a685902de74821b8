"""The page in a real browser, against a real server with a tiny model."""

import contextlib
import shutil

import pytest

from .conftest import project_with_song
from .conftest import until as soon

FLAGS = ("--no-sandbox", "--use-angle=swiftshader", "--enable-unsafe-swiftshader")
PATIENCE = 240.0
"""Seconds: drawing without a graphics card beside a process that computes is slow."""


def until(check):
    """What ``check`` returns as soon as it is true."""
    return soon(check, patience=PATIENCE)


@pytest.fixture(scope="module")
def browser():
    playwright = pytest.importorskip("playwright.sync_api")
    program = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if program is None:
        pytest.skip("needs a Chromium browser")
    with playwright.sync_playwright() as starter:
        started = starter.chromium.launch(
            executable_path=program, args=[*FLAGS, "--autoplay-policy=no-user-gesture-required"]
        )
        yield started
        started.close()


@contextlib.contextmanager
def page_of(browser, client, project: str = "", *, width: int = 640, height: int = 480, told: str | None = None):
    """A tab with the studio; what its console holds fails the test, but for an error that says ``told``."""
    said, asked = [], []
    # Half a pixel for each: a quarter of the drawing.
    tab = browser.new_page(viewport={"width": width, "height": height}, device_scale_factor=0.5)
    tab.set_default_timeout(1000 * PATIENCE)
    tab.on("console", lambda message: said.append(message.text) if message.type in ("error", "warning") else None)
    tab.on("pageerror", lambda error: said.append(str(error)))
    tab.on("request", lambda request: asked.append(request.url))
    tab.goto(f"{client.base_url}/#{project}" if project else f"{client.base_url}/")
    # The page's policy forbids strings of program, which waiting inside the page would need.
    until(lambda: tab.evaluate("Boolean(window.studio)"))
    try:
        yield tab
        assert [line for line in said if told is None or told not in line] == []
        assert all(url.startswith((str(client.base_url), "blob:", "data:")) for url in asked)
    finally:
        tab.close()


def app(tab, expression: str):
    """The value of an expression in which ``app`` is the page's studio."""
    return tab.evaluate(f"(() => {{ const app = window.studio.app; return {expression}; }})()")


def test_a_job_is_followed_across_a_reload_and_cancelled(running, browser, song):
    _, client = running
    project = project_with_song(client, song)
    client.patch(f"/api/projects/{project['id']}", json={"settings": {"steps": 1000}})
    with page_of(browser, client, project["id"]) as tab:
        until(lambda: app(tab, "app.project !== null"))
        tab.keyboard.press("g")
        until(lambda: app(tab, "app.runningJob?.state") == "running")
        tab.reload()
        until(lambda: tab.evaluate("Boolean(window.studio?.app.runningJob)"))
        until(lambda: app(tab, "app.runningJob.state") == "running")
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
        assert app(tab, "app.takeId") == danced["takes"][0]["id"]
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


def test_what_goes_wrong_is_told(running, browser, tmp_path):
    _, client = running
    (tmp_path / "notes.txt").write_text("not a song")
    with page_of(browser, client, told="Expected a song") as tab:
        tab.set_input_files("#song-file", str(tmp_path / "notes.txt"))
        until(lambda: app(tab, "app.project?.song.state") == "failed")
        until(lambda: tab.locator("#error-text").inner_text().startswith("Expected a song"))
        assert tab.locator("#generate").is_disabled()
