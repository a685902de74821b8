"""What tests of the page need: a tab that is watched, times on the timeline, values of the page's own."""

import contextlib

from .conftest import until as soon

PATIENCE = 240.0
"""Seconds: drawing without a graphics card beside a process that computes is slow."""

DRIVER = "GL Driver Message"
"""Notes of the graphics driver on its own speed are not the page's."""


def until(check):
    """What ``check`` returns as soon as it is true."""
    return soon(check, patience=PATIENCE)


@contextlib.contextmanager
def page_of(browser, client, project: str = "", *, width: int = 640, height: int = 480, told: tuple[str, ...] = ()):
    """A tab with the studio; what its console holds fails the test, but for errors that say one of ``told``."""
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
        unexpected = [line for line in said if not any(each in line for each in (DRIVER, *told))]
        assert not unexpected, f"the page's console says {unexpected}"
        abroad = [url for url in asked if not url.startswith((str(client.base_url), "blob:", "data:"))]
        assert not abroad, f"the page asks for {abroad}"
    finally:
        tab.close()


def app(tab, expression: str):
    """The value of an expression in which ``app`` is the page's studio."""
    return tab.evaluate(f"(() => {{ const app = window.studio.app; return {expression}; }})()")


def drag(tab, lane: str, begin: float, end: float, height: float) -> None:
    """Drag on a lane between two times of the song; ``height`` is the share of the lane's height."""
    tab.evaluate("window.studio.app.timeline.fit()")
    box = tab.locator(lane).bounding_box()
    xs = [box["x"] + app(tab, f"app.timeline.x({time})") for time in (begin, (begin + end) / 2, end)]
    y = box["y"] + height * box["height"]
    tab.mouse.move(xs[0], y)
    tab.mouse.down()
    tab.mouse.move(xs[1], y)
    tab.mouse.move(xs[2], y)
    tab.mouse.up()


def ready_takes(tab) -> int:
    return app(tab, "app.project.takes.filter(({ state }) => state === 'ready').length")


def downloaded(tab, form: str) -> bytes:
    tab.select_option("#format", form)
    with tab.expect_download() as waiting:
        tab.click("#download-button")
    return waiting.value.path().read_bytes()
