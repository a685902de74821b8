"""Film a character that dances in the studio, for the gallery: an animated WebP, taken by Chromium (playwright).

    longdance export dance.npz -o character.glb --naming mixamo
    python tools/film_character.py character.glb --long-legs -o docs/images/gallery/character.webp
"""

import argparse
import base64
import io
import shutil
import tempfile
import threading
import time
from pathlib import Path

import httpx
import uvicorn
from make_gallery import RATE, write_picture
from PIL import Image
from playwright.sync_api import sync_playwright
from pygltflib import GLTF2

from longdance.studio.app import create_app
from longdance.studio.studio import Studio, StudioConfig

PICTURE = """(second) => {
    const { view } = window.studio.app;
    view.clock.at = second;
    view.pose(second);
    view.stage.move(view.place(), 0.08);
    view.stage.controls.update();
    view.stage.render();
    return document.getElementById("picture").toDataURL("image/jpeg", 0.95);
}"""
FLAGS = ["--no-sandbox", "--use-angle=swiftshader", "--enable-unsafe-swiftshader"]


def main() -> None:
    """Dance by recorded phrases to the demo song in a studio of its own, put the character in, take its pictures."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("character", type=Path)
    parser.add_argument("--long-legs", action="store_true", help="make legs and forearms longer, and tint it")
    parser.add_argument("--genre", default="freestyle")
    parser.add_argument("--start", type=float, default=8.0)
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("-o", "--out", required=True, type=Path)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        character = asked.character
        if asked.long_legs:
            character = long_legged(asked.character, Path(folder) / "character.glb")
        studio = Studio(StudioConfig(folder=Path(folder) / "projects"))
        server = uvicorn.Server(uvicorn.Config(create_app(studio), port=0, log_level="warning"))
        thread = threading.Thread(target=server.run)
        thread.start()
        while not server.started:
            time.sleep(0.05)
        address = f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
        try:
            with httpx.Client(base_url=address, timeout=600) as client:
                project = danced(client, character, asked)
            write_picture(pictures(f"{address}/#{project}", asked), asked.out)
        finally:
            server.should_exit = True
            thread.join()
    print(f"{asked.out}: {asked.out.stat().st_size / 1e3:.0f} kB")


def danced(client: httpx.Client, character: Path, asked: argparse.Namespace) -> str:
    """A project with a take and the character."""
    project = client.post("/api/projects/demo").json()["id"]
    path = f"/api/projects/{project}"
    until(lambda: client.get(path).json()["song"]["state"] == "ready")
    wish = {"genre": asked.genre, "phrases": 1, "model": "edmg-fast", "seconds": asked.start + asked.seconds + 1}
    client.post(f"{path}/generate", json={"settings": wish}).raise_for_status()
    until(lambda: client.get(path).json()["takes"][0]["state"] == "ready")
    client.post(f"{path}/character", files={"character": (character.name, character.read_bytes())}).raise_for_status()
    return project


def pictures(address: str, asked: argparse.Namespace) -> list[Image.Image]:
    """The dancer's frames."""
    with sync_playwright() as starter:
        browser = starter.chromium.launch(executable_path=shutil.which("chromium"), args=FLAGS)
        tab = browser.new_page(viewport={"width": 900, "height": 640}, device_scale_factor=0.9)
        tab.set_default_timeout(300_000)
        tab.goto(address)
        until(lambda: tab.evaluate("Boolean(window.studio?.app.view.character.model)"))
        tab.evaluate(f"window.studio.app.seek({asked.start}); window.studio.view.front()")
        frames = []
        for number in range(round(asked.seconds * RATE)):
            told = tab.evaluate(PICTURE, asked.start + number / RATE)
            picture = Image.open(io.BytesIO(base64.b64decode(told.partition(",")[2]))).convert("RGB")
            width = 400
            frames.append(picture.resize((width, round(picture.height * width / picture.width))))
        browser.close()
    return frames


def long_legged(source: Path, target: Path) -> Path:
    """The character with legs and forearms a third longer, tinted."""
    model = GLTF2().load(source)
    for node in model.nodes:
        name = node.name or ""
        if node.translation and "UpLeg" not in name and any(part in name for part in ("Leg", "Foot", "Hand")):
            node.translation = [1.33 * value for value in node.translation]
    for material in model.materials:
        colour = material.pbrMetallicRoughness.baseColorFactor
        material.pbrMetallicRoughness.baseColorFactor = [colour[1], colour[0] * 0.5, colour[2] * 0.6, 1.0]
    model.save(target)
    return target


def until(check) -> None:
    """Wait until ``check`` is true."""
    while not check():
        time.sleep(0.2)


if __name__ == "__main__":
    main()
