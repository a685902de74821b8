"""What the page offers beyond making a take: nothing stale, what lacks, beats, several takes, poses, characters."""

import pytest

from longdance.studio import app as application
from sample_characters import character, write_glb

from .conftest import ended, project_with_song
from .pages import app, drag, page_of, ready_takes, until


@pytest.fixture(scope="module")
def takes(running, song) -> dict:
    """A project with two ready takes of different genres, made together by pairs; tests leave it as it is."""
    _, client = running
    project = project_with_song(client, song)
    address = f"/api/projects/{project['id']}"
    for genre in ("salsa", "breaking"):
        asked = client.post(f"{address}/generate", json={"settings": {"genre": genre, "seed": len(genre)}}).json()
        assert ended(client, asked["job"])["state"] == "done"
    return client.get(address).json()


IN_REACH = ("generate", "redo-stretch", "download-button", "format", "genre", "model", "bones", "score-open")
INSIDE = """(id) => {
    const { left, right, top, bottom, width } = document.getElementById(id).getBoundingClientRect();
    return width > 20 && top >= 0 && left >= 0 && bottom <= innerHeight && right <= innerWidth;
}"""


FULLEST = """(lacks) => {
    const { app } = window.studio;
    app.words.showLacks({ prompt: lacks, formats: {} });
    for (const id of ["job", "suggestion"]) document.getElementById(id).hidden = false;
    document.getElementById("job-stage").textContent = "my take: dancing";
    document.getElementById("suggestion-why").textContent = "Commercial would fit.";
}"""
"""All that the left column may show at once."""


ROWS = "window.movements.clientHeight / window.movements.children[0].offsetHeight"
"""Movements that are seen of the list."""


HIPS = """(() => {
    app.view.pose(2);
    app.view.stage.scene.updateMatrixWorld(true);
    const at = app.view.middle.clone();
    app.view.character.model.getObjectByProperty("isBone", true).getWorldPosition(at);
    return at.toArray();
})()"""
"""Where the root bone of the character is at second 2."""


def saved(tab) -> None:
    until(lambda: app(tab, "app.unsaved") == 0)


def test_nothing_of_the_last_project_is_shown_in_one_without_takes(running, browser, song, takes):
    _, client = running
    empty = project_with_song(client, song)
    with page_of(browser, client, takes["id"]) as tab:
        until(lambda: app(tab, "app.track?.final"))
        drag(tab, "#lanes-picture", 1.0, 2.0, 0.4)
        assert app(tab, "app.selection !== null")
        tab.evaluate(f"location.hash = '{empty['id']}'")
        until(lambda: app(tab, "app.project?.id") == empty["id"])
        assert app(tab, "[app.view.track, app.timeline.take, app.selection, app.timeline.selection]") == [None] * 4
        until(lambda: app(tab, "app.view.first.main.header") is None)  # it stands and waits
        assert tab.locator("#name-a").inner_text() == ""
        assert tab.locator("#takes li").count() == 0
        assert tab.locator("#no-takes").is_visible()


def test_a_take_brings_back_what_it_was_asked_for(running, browser, takes):
    _, client = running
    with page_of(browser, client, takes["id"]) as tab:
        until(lambda: app(tab, "app.track?.final"))
        assert tab.locator("#genre").input_value() == "breaking"
        tab.locator(f'[data-take="{takes["takes"][0]["id"]}"] .open').click()
        until(lambda: tab.locator("#genre").input_value() == "salsa")
        saved(tab)
        settings = client.get(f"/api/projects/{takes['id']}").json()["settings"]
        assert (settings["genre"], settings["seed"]) == ("salsa", 5)
        tab.click("#undo")
        until(lambda: tab.locator("#genre").input_value() == "breaking")


def test_escape_in_the_search_brings_the_list_back_and_untrained_genres_say_so(running, browser, takes):
    _, client = running
    with page_of(browser, client, takes["id"], width=1280, height=800) as tab:
        until(lambda: app(tab, "app.project !== null"))
        names = "[...document.querySelectorAll('#movements .name')].map((name) => name.textContent)"
        listed = tab.evaluate(names)
        tab.keyboard.press("/")
        tab.keyboard.type("pirouette")
        until(lambda: tab.evaluate(names) != listed)
        tab.keyboard.press("Escape")
        until(lambda: tab.evaluate(names) == listed)
        assert tab.locator("#search").input_value() == ""

        # The tiny model learnt two genres; all others say that it did not, and can be left out.
        tab.select_option("#genre", "")
        known = app(tab, "app.models[0].genres")
        options = "[...document.querySelectorAll('#genre option')].filter(({ value }) => value)"
        marked = tab.evaluate(f"{options}.filter(({{ textContent }}) => textContent.includes('not learnt')).length")
        assert marked == tab.evaluate(f"{options}.length") - len(known)
        tab.check("#only-trained")
        assert tab.evaluate(f"{options}.length") == len(known)
        assert tab.locator("#movements li").count() == len(known)
        assert tab.locator("#movements .preview").count() == len(known)
        tab.click("#undo")
        saved(tab)


def test_a_second_tab_sees_new_takes_and_both_see_the_queue(running, browser, song):
    _, client = running
    project = project_with_song(client, song)
    with page_of(browser, client, project["id"]) as one, page_of(browser, client, project["id"]) as other:
        until(lambda: app(other, "app.project !== null"))
        until(lambda: app(one, "app.project !== null"))
        one.select_option("#how-many", "3")
        one.click("#generate")
        until(lambda: app(other, "app.project.takes.length") == 3)
        until(lambda: ready_takes(other) == 3)
        seeds = [take["record"]["seed"] for take in client.get(f"/api/projects/{project['id']}").json()["takes"]]
        assert seeds == [0, 1, 2]

        # A star for one, another rejected; lists can leave them out.
        ids = app(other, "app.project.takes.map(({ id }) => id)")
        other.locator(f'[data-take="{ids[0]}"] button[aria-label^="Give a star"]').click()
        until(lambda: app(one, "app.project.takes[0].mark") == "star")
        one.locator(f'[data-take="{ids[1]}"] button[aria-label^="Reject"]').click()
        until(lambda: app(other, "app.project.takes[1].mark") == "reject")
        one.select_option("#takes-filter", "kept")
        assert one.locator(f'[data-take="{ids[1]}"]').count() == 0


def test_what_waits_says_behind_what(running, browser, song):
    studio, client = running
    project = project_with_song(client, song)
    address = f"/api/projects/{project['id']}"
    first = client.post(f"{address}/generate", json={"settings": {"steps": 1000}}).json()
    second = client.post(f"{address}/generate", json={"settings": {"steps": 2}}).json()
    with page_of(browser, client, project["id"]) as tab:
        until(lambda: "waiting behind a dance" in tab.locator("#queue").inner_text())
        # No promise that the model does not keep: this edit-less model streams, and says what it is doing.
        until(lambda: "take 1" in tab.locator("#job-stage").inner_text())
        tab.locator("#queue button").click()
        until(lambda: tab.locator("#queue li").count() == 0)
        tab.click("#cancel")
        until(lambda: not tab.locator("#job").is_visible())
    assert {ended(client, asked["job"])["state"] for asked in (first, second)} == {"cancelled"}
    assert {studio.dancing, studio.media, studio.files} == set(studio.lanes)  # downloads never hold up listening


def test_what_this_computer_lacks_is_said_where_it_is_missed(running, browser, takes, monkeypatch):
    _, client = running
    lacks = {"prompt": "words of your own need a thing: pip install thing", "formats": {"usd": "USD needs a thing"}}
    monkeypatch.setattr(application, "what_lacks", lambda: lacks)
    with page_of(browser, client, takes["id"]) as tab:
        until(lambda: app(tab, "app.project !== null"))
        assert tab.locator("#prompt").is_disabled()
        assert tab.locator("#prompt").is_hidden()
        tab.click("#prompt-lacks summary")
        assert "pip install thing" in tab.locator("#prompt-lacks").inner_text()
        assert tab.locator('#format option[value="usd"]').is_disabled()
        assert "USD needs a thing" in tab.locator("#format-lacks").inner_text()


def test_beats_are_set_right_by_buttons_and_taps(running, browser, song):
    _, client = running
    project = project_with_song(client, song)
    tempo, beats = project["song"]["tempo_bpm"], project["song"]["beats"]
    with page_of(browser, client, project["id"], width=1280, height=800) as tab:
        until(lambda: app(tab, "app.project !== null"))
        tab.keyboard.press("a")  # a block, to be snapped anew
        saved(tab)
        tab.click("#beats-button")
        tab.click("#beats-half")
        until(lambda: app(tab, "app.project.song.tempo_bpm") == pytest.approx(tempo / 2, rel=0.01))
        assert "set right" in tab.locator("#beats-button").inner_text()
        block = app(tab, "app.project.score.blocks[0]")
        laid = app(tab, "app.project.song.beats")
        assert min(abs(block["from"] - beat) for beat in [0, *laid]) < 1e-6
        tab.click("#beats-heard")
        until(lambda: app(tab, "app.project.song.beats") == beats)
        tab.click('[data-shift="0.5"]')
        until(lambda: app(tab, "app.project.song.corrected"))
        tab.click("#beats-three")
        until(lambda: app(tab, "app.project.song.meter") == 3)
        own = {"name": "own.txt", "mimeType": "text/plain", "buffer": b"0.5\n1.25\n2\n2.75"}
        tab.set_input_files("#beats-file", own)
        until(lambda: app(tab, "app.project.song.beats") == [0.5, 1.25, 2, 2.75])
        # Taps by key, at times that the test sets: 100 a minute.
        tab.keyboard.press("Escape")
        for number in range(5):
            tab.evaluate(f"performance.now = () => {1e6 + 600 * number}")
            tab.keyboard.press("t")
        tab.evaluate("delete performance.now")
        assert tab.locator("#taps-told").inner_text() == "5 taps: 100 BPM"


def test_a_pose_is_dragged_kept_and_danced_through(running, browser, song):
    studio, client = running
    project = project_with_song(client, song)
    address = f"/api/projects/{project['id']}"
    asked = client.post(f"{address}/generate", json={}).json()
    assert ended(client, asked["job"])["state"] == "done"
    with page_of(browser, client, project["id"], width=1280, height=800) as tab:
        until(lambda: app(tab, "app.track?.final"))
        tab.click("#posing summary")
        tab.evaluate("window.studio.app.seek(1.5)")
        tab.click("#pose")
        until(lambda: app(tab, "app.poser.handles.every(({ visible }) => visible)"))
        hand = "app.poser.handles.find(({ userData }) => userData.joint === 'right_wrist').position"
        tab.evaluate("window.studio.view.stage.controls.enabled = false")
        before = app(tab, f"{hand}.toArray()")
        box = tab.locator("#picture").bounding_box()
        x, y = app(tab, f"(() => {{ const p = {hand}.clone().project(app.view.stage.camera); return [p.x, p.y]; }})()")
        at = box["x"] + (x + 1) / 2 * box["width"], box["y"] + (1 - y) / 2 * box["height"]
        tab.mouse.move(*at)
        tab.mouse.down()
        tab.mouse.move(at[0], at[1] - 25)
        tab.mouse.up()
        until(lambda: app(tab, f"{hand}.y") > before[1] + 0.03)
        tab.click("#keep-pose")
        assert app(tab, "app.timeline.poses.length") == 1
        wanted = app(tab, "app.poser.keys[0].pose")
        tab.click("#in-between")
        until(lambda: ready_takes(tab) == 2)
        made = app(tab, "app.project.takes[1]")
        assert (made["what"], made["parent"]) == ("pose", asked["take"])
        assert made["record"]["edits"][-1]["redo"]
    from longdance.motion.motion import Motion

    first, dance = (Motion.load(studio.projects.take_file(project["id"], take)) for take in (asked["take"], made["id"]))
    frame = round(1.5 * dance.fps)
    assert dance.root_position[frame] == pytest.approx(wanted["root"], abs=1e-4)
    wrist = dance.skeleton.index("right_wrist")
    assert dance.joints()[frame, wrist, 1] > first.joints()[frame, wrist, 1] + 0.03
    assert abs(dance.joints()[0] - first.joints()[0]).max() < 1e-4  # beyond the stretch all stays


def test_camera_metronome_volume_and_score_files(running, browser, song):
    _, client = running
    project = project_with_song(client, song)
    with page_of(browser, client, project["id"], width=1280, height=800) as tab:
        until(lambda: app(tab, "app.project !== null"))
        tab.select_option("#camera", "above")
        assert app(tab, "app.view.stage.camera.position.y") > 4
        tab.select_option("#camera", "left")
        assert abs(app(tab, "app.view.stage.camera.position.x")) > 3
        volume = "document.getElementById('volume')"
        tab.evaluate(f"Object.assign({volume}, {{ value: 0.25 }}).dispatchEvent(new Event('input'))")
        assert app(tab, "app.view.sound.volume") == pytest.approx(0.25)
        tab.click("#metronome")
        tab.keyboard.press(" ")
        until(lambda: app(tab, "app.metronome.clicks") >= 2)
        tab.keyboard.press(" ")

        tab.keyboard.press("a")
        saved(tab)
        with tab.expect_download() as waiting:
            tab.click("#score-save")
        text = waiting.value.path().read_bytes()
        blocks = app(tab, "app.project.score.blocks.map(({ from, to }) => [from, to])")
        tab.locator(".block").focus()
        tab.keyboard.press("Delete")
        saved(tab)
        tab.set_input_files("#score-file", {"name": "score.yaml", "mimeType": "text/yaml", "buffer": text})
        until(lambda: app(tab, "app.project.score.blocks.length") == 1)
        back = app(tab, "app.project.score.blocks.map(({ from, to }) => [from, to])")
        assert back[0] == pytest.approx(blocks[0], abs=1e-3)


QUALITIES = """(() => {
    const { stage } = window.studio.app.view;
    const seen = () => [stage.quality, stage.lamp.castShadow, stage.renderer.getPixelRatio()];
    const draw = (pictures, seconds) => {
        for (let picture = 0; picture < pictures; picture += 1) stage.easeWork(seconds);
        return seen();
    };
    Object.defineProperty(window, "devicePixelRatio", { value: 3, configurable: true });
    stage.setQuality(2);
    return [seen(), draw(12, 0.1), draw(12, 0.1), draw(50, 0.1), draw(200, 0.02), draw(300, 0.02), draw(500, 0.02)];
})()"""


def test_a_picture_made_coarser_by_slow_frames_becomes_fine_again(running, browser, takes):
    _, client = running
    with page_of(browser, client, takes["id"]) as tab:
        until(lambda: app(tab, "app.track?.final"))
        fine, middle, coarse = [2, True, 2], [1, True, 1], [0, False, 0.5]
        # Twice too slow: a finer picture waits for eight swift seconds.
        assert tab.evaluate(QUALITIES) == [fine, middle, coarse, coarse, coarse, middle, fine]


def test_layouts_keep_what_is_needed_in_reach(running, browser, takes):
    _, client = running
    address = f"/api/projects/{takes['id']}"
    with page_of(browser, client, takes["id"], width=1280, height=800) as tab:
        until(lambda: app(tab, "app.track?.final"))
        # Six in the list, as far as the layout goes.
        tab.evaluate(
            "(() => { const app = window.studio.app; const { takes } = app.project; while (takes.length < 6)"
            " takes.push({ ...takes[0], id: `copy${takes.length}` }); app.draw(); })()"
        )
        for width, height, movements in ((1280, 800, 5), (1024, 768, 4)):
            tab.set_viewport_size({"width": width, "height": height})
            # The lanes and the list settle after the window did.
            until(lambda: all(tab.evaluate(INSIDE, name) for name in IN_REACH))
            assert tab.evaluate("(({ scrollHeight, clientHeight }) => scrollHeight > clientHeight)(window.takes)")
            for lacks in (None, "words of your own need a thing that takes several lines to tell: pip install thing"):
                tab.evaluate(FULLEST, lacks)
                until(lambda least=movements: tab.evaluate(ROWS) >= least)
            assert tab.evaluate("document.documentElement.scrollWidth") <= width
    assert len(client.get(address).json()["takes"]) == 2


def test_a_character_of_ones_own_dances_and_is_remembered(running, browser, song, tmp_path, rng):
    _, client = running
    project = project_with_song(client, song)
    address = f"/api/projects/{project['id']}"
    asked = client.post(f"{address}/generate", json={}).json()
    assert ended(client, asked["job"])["state"] == "done"
    write_glb(character("mixamo", rng), tmp_path / "hero.glb")
    with page_of(browser, client, project["id"], width=1280, height=800) as tab:
        until(lambda: app(tab, "app.track?.final"))
        tab.set_input_files("#character-file", str(tmp_path / "hero.glb"))
        until(lambda: app(tab, "Boolean(app.view.character.model)"))
        until(lambda: not app(tab, "app.view.first.main.mesh.visible"))
        tab.reload()
        until(lambda: tab.evaluate("Boolean(window.studio?.app.view.character.model)"))
        # It is where the dance is: its hips follow those of the take.
        tab.evaluate("window.studio.app.seek(2)")
        place = app(tab, HIPS)
        body = app(tab, "app.view.first.hips(app.view.middle.clone()).toArray()")
        assert place[::2] == pytest.approx(body[::2], abs=0.3)
        tab.click("#character-away")
        until(lambda: app(tab, "app.view.first.main.mesh.visible"))
    assert client.get(address).json()["character"] is None


def test_a_file_that_is_no_character_is_refused(running, danced):
    _, client = running
    address = f"/api/projects/{danced['id']}/character"
    for name, content in (("hero.glb", b"no such thing"), ("hero.fbx", b"glTF"), ("hero.png", b"\x89PNG")):
        answer = client.post(address, files={"character": (name, content)})
        assert answer.status_code == 422
        assert "expected" in answer.json()["error"]
    assert client.get(f"/api/projects/{danced['id']}").json()["character"] is None


def test_the_demo_song_is_a_button_away_and_a_genre_is_suggested(running, browser):
    _, client = running
    with page_of(browser, client) as tab:
        tab.click("#demo")
        until(lambda: app(tab, "app.project?.song.state") == "ready")
        until(lambda: tab.locator("#suggestion").is_visible())
        suggested = app(tab, "app.project.song.suggested.genre")
        assert suggested
        tab.click("#suggestion-use")
        until(lambda: tab.locator("#genre").input_value() == suggested)
        until(lambda: tab.locator("#suggestion").is_hidden())
    project = next(each for each in client.get("/api/projects").json() if each["name"] == "Demo song")
    client.delete(f"/api/projects/{project['id']}")


def test_recorded_phrases_dance_where_the_slider_says_so(running, browser, song):
    _, client = running
    project = project_with_song(client, song)
    with page_of(browser, client, project["id"]) as tab:
        until(lambda: app(tab, "app.project !== null"))
        tab.select_option("#genre", "salsa")
        tab.evaluate("document.getElementById('more').open = true")
        assert tab.locator("#phrases").input_value() == "0"
        tab.locator("#phrases").fill("1")
        tab.locator("#phrases").dispatch_event("change")
        saved(tab)
        tab.click("#generate")
        until(lambda: ready_takes(tab) == 1)
        until(lambda: app(tab, "app.timeline.take?.phrases.length > 0"))
    [take] = client.get(f"/api/projects/{project['id']}").json()["takes"]
    assert take["record"]["plan"]["phrases"]
