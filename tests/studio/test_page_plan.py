"""The plan of a take on the page: looking at phrases, and every change of them, by pointer and by keys."""

import numpy as np
import pytest

from longdance.choreography.phrases.shelf import FOLDER_VARIABLE, open_library

from .conftest import ended, project_with_plan, project_with_song
from .pages import app, page_of, until

PHRASES = "app.take.record.plan.phrases.map(({ phrase, mirrored }) => [phrase, mirrored])"
NEWEST = "app.take?.id === app.project?.takes.at(-1)?.id"
INKED = """(() => {
    const canvas = document.getElementById("phrase-picture");
    window.studio.app.plan.view.stage.render();
    const gl = canvas.getContext("webgl2");
    const dots = new Uint8Array(4 * canvas.width * canvas.height);
    gl.readPixels(0, 0, canvas.width, canvas.height, gl.RGBA, gl.UNSIGNED_BYTE, dots);
    return [...dots.filter((_, at) => at % 4 === 0)];
})()"""
"""Red of all dots of the small window."""


TAKE_LANE = """(([second, height]) => {
    const { timeline } = window.studio.app;
    Object.defineProperty(window, "devicePixelRatio", { value: 2, configurable: true }); // drawn without half tones
    timeline.fit();
    const pen = timeline.canvas.getContext("2d");
    const at = Math.round(timeline.x(second) * devicePixelRatio);
    const dots = pen.getImageData(at - 14, Math.round(height * devicePixelRatio), 28, 4).data;
    return Array.from({ length: dots.length / 4 }, (_, dot) => [...dots.slice(4 * dot, 4 * dot + 3)]);
})"""
"""Colours around a second of the song, ``height`` pixels below the timeline's upper edge."""
STRIPE, LINE = (255, 210, 122), (195, 195, 195)
"""Of what was made anew, and over phrases."""


@pytest.fixture
def planned(running) -> dict:
    """A project with a take of salsa phrases."""
    return project_with_plan(running[1])


def shown_plan(tab, takes: int = 1) -> list:
    """The plan of the newest of so many takes once that is shown, ready and there to be played."""
    until(lambda: app(tab, "app.project?.takes.length") == takes)
    until(lambda: app(tab, NEWEST) and app(tab, "app.take.state") == "ready" and app(tab, "Boolean(app.track?.final)"))
    return app(tab, PHRASES)


def block(tab, number: int):
    return tab.locator("#plan .block").nth(number - 1)


def test_phrases_are_chosen_swapped_moved_repeated_and_mirrored(running, browser, planned):
    _, client = running
    with page_of(browser, client, planned["id"], width=1280, height=800) as tab:
        old = shown_plan(tab)
        assert tab.locator("#plan .block").count() == len(old)
        assert tab.locator("#phrase").is_hidden()
        block(tab, 2).click()
        until(lambda: tab.locator("#phrase-list button").count() > 100)
        fits = app(tab, "app.plan.fits.map(({ cost }) => cost)")
        assert fits == sorted(fits)

        # Of another genre, by name, and searched for.
        tab.select_option("#phrase-genre", "disco")
        until(lambda: tab.locator("#phrase-list button").count() == open_library().genres["disco"])
        tab.select_option("#phrase-sort", "name")
        names = [row.get_attribute("data-phrase") for row in tab.locator("#phrase-list button").all()]
        assert sorted(names) == sorted(
            phrase.name for phrase in open_library().phrases if open_library().facts(phrase).genre == "disco"
        )
        tab.fill("#phrase-search", names[-1])
        assert tab.locator("#phrase-list button").first.get_attribute("data-phrase") == names[-1]
        tab.locator(f'#phrase-list [data-phrase="{names[-1]}"]').click()
        swapped = shown_plan(tab, takes=2)
        assert swapped[1][0] == names[-1]
        assert [swapped[0], *swapped[2:]] == [old[0], *old[2:]]
        assert app(tab, "app.take.parent") == planned["takes"][0]["id"]
        assert app(tab, "app.timeline.take.redone.length") > 0  # what was made anew is striped

        # The same phrase is still chosen in the new take: mirrored, and repeated in place of the next one.
        tab.click("#phrase-mirror")
        mirrored = shown_plan(tab, takes=3)
        assert mirrored == [swapped[0], [swapped[1][0], not swapped[1][1]], *swapped[2:]]
        tab.click("#phrase-repeat")
        repeated = shown_plan(tab, takes=4)
        assert repeated[1:3] == [mirrored[1]] * 2
        tab.click("#phrase-earlier")
        moved = shown_plan(tab, takes=5)
        assert moved == [repeated[1], repeated[0], *repeated[2:]]
        assert app(tab, "app.plan.chosen") == 1
        tab.click("#undo")
        until(lambda: tab.locator("#takes li").count() == 4)


def test_a_phrase_is_dragged_to_another_place_and_moved_by_keys(running, browser, planned):
    _, client = running
    with page_of(browser, client, planned["id"], width=1280, height=800) as tab:
        old = shown_plan(tab)
        boxes = [block(tab, number).bounding_box() for number in (1, 3)]
        tab.mouse.move(boxes[0]["x"] + 30, boxes[0]["y"] + 15)
        tab.mouse.down()
        tab.mouse.move(boxes[1]["x"] + 30, boxes[1]["y"] + 15)
        tab.mouse.move(boxes[1]["x"] + boxes[1]["width"] - 10, boxes[1]["y"] + 15)
        assert tab.locator("#plan-mark").is_visible()
        tab.mouse.up()
        dragged = shown_plan(tab, takes=2)
        assert dragged == [old[1], old[2], old[0], *old[3:]]

        # Arrows lead from phrase to phrase; with Shift they take it along; Enter opens its tools, Esc closes them.
        tab.keyboard.press("Escape")
        block(tab, 1).focus()
        tab.keyboard.press("ArrowRight")
        assert tab.evaluate("document.activeElement.dataset.number") == "2"
        tab.keyboard.press("Enter")
        assert tab.locator("#phrase").is_visible()
        tab.keyboard.press("Shift+ArrowRight")
        assert shown_plan(tab, takes=3) == [dragged[0], dragged[2], dragged[1], *dragged[3:]]
        tab.locator("#phrase-search").focus()
        tab.keyboard.press("Escape")
        assert tab.locator("#phrase").is_hidden()
        assert tab.evaluate("document.activeElement.dataset.number") == "3"


def test_a_locked_phrase_stays_in_a_new_plan(running, browser, planned):
    _, client = running
    with page_of(browser, client, planned["id"], width=1280, height=800) as tab:
        old = shown_plan(tab)
        block(tab, 3).click()
        tab.click("#phrase-lock")
        until(lambda: app(tab, "app.take.record.plan.phrases[2].locked"))
        assert "locked" in block(tab, 3).get_attribute("aria-label")
        assert app(tab, "app.project.takes.length") == 1
        tab.click("#plan-again")
        new = shown_plan(tab, takes=2)
        beat = planned["takes"][0]["record"]["plan"]["phrases"][2]["beat"]
        kept = app(tab, f"app.take.record.plan.phrases.find(({{ beat }}) => beat === {beat})")
        assert ([kept["phrase"], kept["mirrored"]], kept["locked"]) == (old[2], True)
        assert new != old
        tab.locator("#plan .block.locked").click()
        tab.click("#phrase-lock")
        until(lambda: tab.locator("#plan .block.locked").count() == 0)


def test_a_phrase_dances_beside_what_the_pointer_or_the_keyboard_is_on(running, browser, planned):
    _, client = running
    with page_of(browser, client, planned["id"], width=1280, height=800) as tab:
        old = shown_plan(tab)
        view = tab.locator("#phrase-view")
        assert view.is_hidden()
        block(tab, 2).hover()
        until(view.is_visible)
        assert tab.locator("#phrase-view-name").inner_text().startswith(old[1][0])
        before = tab.evaluate(INKED)
        begun = app(tab, "app.plan.view.pictures")
        until(lambda: app(tab, "app.plan.view.pictures") > begun + 3)
        assert np.abs(np.subtract(before, tab.evaluate(INKED))).max() > 40  # it moves
        tab.mouse.move(640, 200)
        until(view.is_hidden)

        block(tab, 2).click()
        until(lambda: tab.locator("#phrase-list button").count() > 100)
        row = tab.locator("#phrase-list button").nth(1)
        row.hover()
        until(lambda: tab.locator("#phrase-view-name").inner_text().startswith(row.get_attribute("data-phrase")))
        tab.mouse.move(640, 200)
        until(view.is_hidden)
        row.focus()
        until(view.is_visible)


def near(tab, second: float, height: float, colour: tuple) -> bool:
    """Whether some dot there has nearly this colour."""
    dots = np.array(tab.evaluate(TAKE_LANE, [second, height]))
    return bool((np.abs(dots - colour).max(1) < 40).any())


def test_the_lane_of_the_take_marks_phrases_and_what_was_made_anew(running, browser, planned):
    _, client = running
    address, take = f"/api/projects/{planned['id']}", planned["takes"][0]["id"]
    wish = {"what": "redo", "from": 6.0, "to": 9.0, "seed": 3}
    asked = client.post(f"{address}/takes/{take}/edit", json=wish).json()
    assert ended(client, asked["job"])["state"] == "done"
    rows = planned["takes"][0]["record"]["plan"]["phrases"]
    with page_of(browser, client, planned["id"], width=1280, height=800, told=("willReadFrequently",)) as tab:
        shown_plan(tab, takes=2)
        [(begin, end)] = app(tab, "app.timeline.take.redone.map(({ from, to }) => [from, to])")
        assert (begin, end) == pytest.approx((6.0, 9.0), abs=0.3)
        assert near(tab, (begin + end) / 2, 178, STRIPE)
        assert not near(tab, 3.0, 178, STRIPE)
        assert not near(tab, 12.0, 178, STRIPE)
        for row in rows[:-1]:
            assert near(tab, (row["from"] + row["to"]) / 2, 161, LINE)


def test_a_take_without_a_plan_has_no_such_lane(running, browser, danced):
    _, client = running
    with page_of(browser, client, danced["id"], width=1280, height=800) as tab:
        until(lambda: app(tab, "app.track?.final"))
        for name in ("#plan", "#plan-again", "#phrase"):
            assert tab.locator(name).is_hidden()


def test_a_library_of_ones_own_is_chosen_in_the_form(running, browser, song, tmp_path, monkeypatch):
    _, client = running
    clips = {take.clip for take in open_library().takes if take.genre != "salsa"}
    open_library().without(clips).save(tmp_path / "mine.npz")
    monkeypatch.setenv(FOLDER_VARIABLE, str(tmp_path))
    project = project_with_song(client, song)
    with page_of(browser, client, project["id"]) as tab:
        until(lambda: app(tab, "app.project !== null"))
        tab.evaluate("document.getElementById('more').open = true")
        assert tab.locator("#library").is_disabled()
        tab.locator("#phrases").fill("1")
        tab.locator("#phrases").dispatch_event("change")
        assert [option.inner_text() for option in tab.locator("#library option").all()] == ["open (shipped)", "mine"]
        tab.select_option("#library", "mine")
        until(lambda: app(tab, "app.unsaved") == 0)
    assert client.get(f"/api/projects/{project['id']}").json()["settings"]["library"] == "mine"
