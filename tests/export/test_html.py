"""The web page: all inside, safe to open, and in a browser in time with the sound."""

import base64
import html
import json
import re
from dataclasses import replace

import numpy as np
import pytest
from tools.export_readers import Glb

from longdance.errors import InputError
from longdance.export.formats import export
from longdance.export.takes import ExportOptions
from longdance.features.audio import decode, write_audio
from sample_motions import wandering

TITLE = '<script>alert("salsa")</script> & more'
CLICK = 0.75


@pytest.fixture(scope="module")
def dance():
    motion = wandering(np.random.default_rng(3), frames=90, fps=30.0)
    return replace(motion, meta={"genre": TITLE, "start": 0.5, "beat_times": [0.25, 0.75, 1.25, 99.0]})


@pytest.fixture(scope="module")
def page(dance, tmp_path_factory):
    """A page whose sound has one click at ``CLICK``."""
    folder = tmp_path_factory.mktemp("page")
    samples = np.zeros(4 * 44100, dtype=np.float32)
    at = round((0.5 + CLICK) * 44100)
    samples[at : at + 200] = 0.9 * np.sin(np.arange(200))
    write_audio(folder / "click.wav", samples, 44100)
    export(dance, folder / "dance.html", song_path=folder / "click.wav")
    return folder / "dance.html"


def element(text: str, name: str) -> str:
    return re.search(rf'<script type="[^"]*" id="{name}">(.*?)</script>', text, re.DOTALL)[1]


def test_the_dance_inside_is_the_dance(page, dance, tmp_path):
    (tmp_path / "inside.glb").write_bytes(base64.b64decode(element(page.read_text(), "dancer")))
    found, fps = Glb(tmp_path / "inside.glb").joints()
    assert fps == pytest.approx(30)
    for joint, name in enumerate(dance.skeleton.names):
        np.testing.assert_allclose(found[name], dance.joints()[:, joint], atol=1e-4)


def test_the_sound_inside_is_as_long_as_the_dance(page, dance, tmp_path):
    (tmp_path / "inside.mp3").write_bytes(base64.b64decode(element(page.read_text(), "song")))
    samples = decode(tmp_path / "inside.mp3", sample_rate=48000)
    assert len(samples) / 48000 == pytest.approx(dance.seconds, abs=0.06)
    assert np.abs(samples).argmax() / 48000 == pytest.approx(CLICK, abs=0.04)


def test_facts_and_title_end_no_element(page):
    text = page.read_text()
    facts = json.loads(element(text, "facts"))
    assert facts["title"] == TITLE
    assert facts["beats"] == [0.25, 0.75, 1.25]
    assert TITLE not in text
    assert html.escape(TITLE) in text


def test_nothing_is_loaded_from_elsewhere(page):
    text = page.read_text()
    markup = text[: text.index('<script type="module">')] + text[text.rindex("</script>") :]
    assert not re.search(r"\b(src|href)\s*=|url\(|@import|https?:", markup)
    assert "MIT License" in text


def test_without_a_song_the_page_is_silent(dance, tmp_path):
    export(dance, tmp_path / "mute.html")
    text = (tmp_path / "mute.html").read_text()
    assert json.loads(element(text, "facts"))["sound"] is None
    assert 'id="song"' not in text


def test_a_song_that_is_none_leaves_no_page(dance, tmp_path):
    (tmp_path / "song.mp3").write_bytes(b"no music")
    with pytest.raises(InputError):
        export(dance, tmp_path / "dance.html", song_path=tmp_path / "song.mp3")
    assert [path.name for path in tmp_path.iterdir()] == ["song.mp3"]


def test_a_browser_plays_it_in_time_with_the_sound(browser, page, dance):
    tab = browser.new_page(viewport={"width": 480, "height": 360})
    said, asked = [], []
    tab.on("console", lambda message: said.append(message.text))
    tab.on("pageerror", lambda error: said.append(str(error)))
    tab.on("request", lambda request: asked.append(request.url))
    tab.goto(page.as_uri())
    tab.wait_for_function("window.longdance && window.longdance.ready", timeout=60000)
    assert tab.title() == TITLE

    # A key moves the picture to where the dance is at that time.
    tab.evaluate("longdance.player.seek(1.5)")
    tab.wait_for_function("Math.abs(longdance.shownTime() - 1.5) < 1e-6")
    np.testing.assert_allclose(tab.evaluate("longdance.hips()"), dance.root_position[45], atol=1e-4)

    # Playing, the picture's clock stays with the song's.
    tab.keyboard.press("Space")
    tab.wait_for_function("longdance.sound.currentTime > 1.8")
    skews = []
    for _ in range(10):
        tab.wait_for_timeout(60)
        skews.append(tab.evaluate("longdance.player.time() - longdance.sound.currentTime"))
    assert np.abs(skews).max() < 0.05
    tab.wait_for_function("!longdance.player.playing")  # ends by itself

    # What the browser decodes has the click where the dance's song has it.
    heard = tab.evaluate(
        """async () => {
            const data = await (await fetch(longdance.sound.src)).arrayBuffer();
            const sound = await new OfflineAudioContext(1, 48000, 48000).decodeAudioData(data);
            const samples = sound.getChannelData(0);
            let loudest = 0;
            samples.forEach((value, i) => { if (Math.abs(value) > Math.abs(samples[loudest])) loudest = i; });
            return loudest / sound.sampleRate;
        }"""
    )
    assert heard == pytest.approx(CLICK, abs=0.04)
    assert not said
    assert all(url.startswith(("file:", "blob:", "data:")) for url in asked)
    tab.close()


def test_a_group_is_on_the_page(browser, tmp_path):
    dance = wandering(np.random.default_rng(5), frames=45, fps=30.0)
    export(dance, tmp_path / "group.html", options=ExportOptions(dancers=3, formation="v"))
    page = browser.new_page(viewport={"width": 320, "height": 240})
    page.goto((tmp_path / "group.html").as_uri())
    page.wait_for_function("window.longdance && window.longdance.ready")
    assert page.evaluate("window.longdance.dancers()") == 3
    assert page.evaluate("window.longdance.facts.reach") > 0.5
    page.close()
