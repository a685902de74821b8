"""Draws the mannequin on its stage with Pillow and numpy alone, for machines without OpenGL.

A coarser mannequin, lit once per triangle and painted back to front at twice the size around the body, then
shrunk.
"""

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

from longdance.export import scene
from longdance.export.figure import ACCENT, SKIN, SUIT, Mannequin
from longdance.export.scene import Camera
from longdance.motion.filters import smoothstep

DRAWING_CELL = 0.022
"""Finest edge in metres of the mesh for this painter."""

OVERSAMPLING = 2
SHADOW_PIXELS_PER_METRE = 60
SHADOW_REACH = 1.9
"""Half the side, in metres, of the floor square around the dancer on which the shadow is drawn."""

GRID_REACH = 8
"""Metres around the dancer up to which grid lines are drawn."""


class DrawingPainter:
    """Draws what ``GlPainter`` draws, without a graphics driver."""

    def __init__(self, figure: Mannequin, width: int, height: int, key: np.ndarray):
        self.figure, self.size, self.key = figure, (width, height), key
        base = np.zeros((3, 3))
        for group, name in ((SKIN, "skin"), (SUIT, "suit"), (ACCENT, "accent")):
            base[group] = np.array(scene.PALETTE[name]) ** 2
        middles = figure.seams[figure.faces].mean(1)
        self.base = base[np.where(middles[:, 1] > 0, ACCENT, np.where(middles[:, 0] > 0, SUIT, SKIN))]

    def draw(self, joints: np.ndarray, rotations: np.ndarray, camera: Camera) -> np.ndarray:
        """(height, width, 3) uint8 picture of joints (dancers, joints, 3), global rotations (dancers, joints, 3, 3)."""
        bodies = [self.figure.pose(*posed).astype(float) for posed in zip(joints, rotations, strict=True)]
        bodies.sort(key=lambda vertices: -float(((vertices.mean(0) - camera.eye) ** 2).sum()))
        picture = Image.fromarray(self._stage(camera))
        self._draw_grid(picture, camera)
        for vertices in bodies:
            self._draw_shadow(picture, vertices, camera)
        for vertices in bodies:
            self._draw_body(picture, vertices, camera)
        return np.asarray(picture)

    def _pixels(self, points: np.ndarray, camera: Camera) -> np.ndarray:
        places, _ = camera.project(points)
        return (places * (0.5, -0.5) + 0.5) * self.size

    def _stage(self, camera: Camera) -> np.ndarray:
        """Backdrop and lit floor; computed at a quarter of the size, because nothing in them is sharp."""
        width, height = self.size
        x = (np.arange(0, width, 4) + 2) / width * 2 - 1
        y = 1 - (np.arange(0, height, 4) + 2) / height * 2
        right, up, back = camera.axes
        horizontal, vertical = camera.slopes
        rays = x[None, :, None] * horizontal * right + y[:, None, None] * vertical * up - back
        rise = rays[..., 1]
        slope = smoothstep(rise * 2.1)[..., None]
        backdrop = np.array(scene.BACKDROP_HORIZON) * (1 - slope) + np.array(scene.BACKDROP_TOP) * slope
        reach = camera.eye[1] / np.maximum(-rise, 5e-4)
        ground = camera.eye[[0, 2]] + reach[..., None] * rays[..., [0, 2]]
        away = ((ground - camera.target[[0, 2]]) ** 2).sum(-1, keepdims=True)
        lit = 1 / (1 + away / scene.LIGHT_POOL_METRES**2)
        haze = np.clip(away * 0.009 - 0.08, 0, 1)
        floor = np.array(scene.FLOOR) * (0.42 + 0.58 * lit)
        floor = floor * (1 - haze) + np.array(scene.BACKDROP_HORIZON) * haze
        colour = np.where(rise[..., None] < 0, floor, backdrop)
        colour *= 1 - 0.09 * (x[None, :, None] ** 2 + y[:, None, None] ** 2)
        small = Image.fromarray((colour * 255 + 0.5).astype(np.uint8))
        return np.asarray(small.resize(self.size, Image.Resampling.BICUBIC))

    def _draw_grid(self, picture: Image.Image, camera: Camera) -> None:
        centre = camera.target[[0, 2]]
        ends = []
        for axis in (0, 1):
            first = np.ceil((centre[axis] - GRID_REACH) / scene.GRID_METRES) * scene.GRID_METRES
            for line in np.arange(first, centre[axis] + GRID_REACH, scene.GRID_METRES):
                along = centre[1 - axis] + np.linspace(-GRID_REACH, GRID_REACH, 33)
                points = np.zeros((33, 3))
                points[:, 2 * axis], points[:, 2 - 2 * axis] = line, along
                ends.append(points)
        points = np.array(ends)
        places, depth = camera.project(points)
        pixels = (places * (1.0, -1.0) + 1.0) * self.size
        away = np.linalg.norm(points[..., [0, 2]] - centre, axis=-1)
        strength = 0.30 / (1 + (away / scene.LIGHT_POOL_METRES) ** 2) * np.clip(1 - away / GRID_REACH, 0, 1)
        mask = Image.new("L", (2 * self.size[0], 2 * self.size[1]))
        pen = ImageDraw.Draw(mask)
        for line, level, near in zip(pixels, strength, depth > 0.5, strict=True):
            for i in np.flatnonzero(near[:-1] & near[1:]):
                pen.line((*line[i], *line[i + 1]), fill=int(255 * (level[i] + level[i + 1]) / 2), width=3)
        mask = mask.reduce(2)
        picture.paste(tuple(int(255 * c) for c in scene.GRID_LINE), None, mask)

    def _draw_shadow(self, picture: Image.Image, vertices: np.ndarray, camera: Camera) -> None:
        """The body projected along the key light onto a map of the floor, blurred, laid into the picture."""
        ground = vertices - vertices[:, 1:2] / self.key[1] * self.key
        centre = (vertices.min(0) + vertices.max(0)) / 2
        centre = (centre - centre[1] / self.key[1] * self.key)[[0, 2]]
        side = int(2 * SHADOW_REACH * SHADOW_PIXELS_PER_METRE)
        spots = (ground[:, [0, 2]] - centre) * SHADOW_PIXELS_PER_METRE + side / 2
        corners = spots[self.figure.faces]
        lit = (
            np.cross(
                vertices[self.figure.faces[:, 1]] - vertices[self.figure.faces[:, 0]],
                vertices[self.figure.faces[:, 2]] - vertices[self.figure.faces[:, 0]],
            )
            @ self.key
        )
        low = vertices[self.figure.faces, 1].mean(1)
        wide, narrow = Image.new("L", (side, side)), Image.new("L", (side, side))
        pens = ImageDraw.Draw(wide), ImageDraw.Draw(narrow)
        for i in np.flatnonzero(lit > 0):
            shape = corners[i].ravel().tolist()
            pens[0].polygon(shape, fill=115)
            if low[i] < 0.3:
                pens[1].polygon(shape, fill=int(150 * np.exp(-max(low[i], 0.0) / 0.16)))
        wide = wide.filter(ImageFilter.GaussianBlur(0.065 * SHADOW_PIXELS_PER_METRE))
        narrow = narrow.filter(ImageFilter.GaussianBlur(0.02 * SHADOW_PIXELS_PER_METRE))
        dark = 255 - (255 - np.asarray(wide, np.float32)) * (255 - np.asarray(narrow, np.float32)) / 255
        shadow = Image.fromarray(dark.astype(np.uint8))
        reach = np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]]) * SHADOW_REACH + centre
        square = np.insert(reach, 1, 0.0, axis=1)
        if (camera.project(square)[1] < 0.5).any():
            return
        source = np.array([[0, 0], [side, 0], [side, side], [0, side]], float)
        flat = shadow.transform(
            self.size,
            Image.Transform.PERSPECTIVE,
            _perspective(self._pixels(square, camera), source),
            Image.Resampling.BILINEAR,
        )
        picture.paste((0, 0, 0), None, flat)

    def _draw_body(self, picture: Image.Image, vertices: np.ndarray, camera: Camera) -> None:
        faces = self.figure.faces
        corners = vertices[faces]
        normals = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
        middles = corners.mean(1)
        towards = camera.eye - middles
        shown = np.flatnonzero((normals * towards).sum(-1) > 0)
        shown = shown[np.argsort(-(towards[shown] ** 2).sum(-1))]
        n = normals[shown] / np.maximum(np.linalg.norm(normals[shown], axis=-1, keepdims=True), 1e-12)
        v = towards[shown] / np.linalg.norm(towards[shown], axis=-1, keepdims=True)
        grounded = np.clip((middles[shown, 1] + 0.15 * n[:, 1]) / 0.35, 0, 1)[:, None] * 0.5 + 0.5
        key = np.maximum(n @ self.key * 0.85 + 0.15, 0)[:, None]
        sky = (0.5 + 0.5 * n[:, 1])[:, None]
        ambient = np.array([0.20, 0.19, 0.19]) * (1 - sky) + np.array([0.27, 0.30, 0.37]) * sky
        light = np.array([1.0, 0.95, 0.88]) * (0.90 * key) + ambient * grounded
        edge = (1 - np.clip((n * v).sum(-1), 0, 1))[:, None] ** 3
        lit = self.base[shown] * light + np.array([0.75, 0.85, 1.0]) * (0.22 * edge)
        colours = (np.sqrt(np.clip(lit, 0, 1)) * 255 + 0.5).astype(int)

        pixels = self._pixels(vertices, camera)
        whole = np.array(self.size)
        low = np.clip(np.floor(pixels.min(0)).astype(int) - 2, 0, whole)
        high = np.clip(np.ceil(pixels.max(0)).astype(int) + 2, 0, whole)
        if (high - low).min() < 2:
            return
        box = (*low.tolist(), *high.tolist())
        big = tuple(((high - low) * OVERSAMPLING).tolist())
        canvas = picture.crop(box).resize(big, Image.Resampling.BILINEAR)
        pen = ImageDraw.Draw(canvas)
        shapes = ((pixels - low) * OVERSAMPLING)[faces[shown]].reshape(-1, 6).tolist()
        for shape, colour in zip(shapes, map(tuple, colours.tolist()), strict=True):
            pen.polygon(shape, fill=colour, outline=colour)
        picture.paste(canvas.resize(tuple((high - low).tolist()), Image.Resampling.BOX), box[:2])

    def __enter__(self) -> "DrawingPainter":
        return self

    def __exit__(self, *_) -> None:
        """Nothing is to be freed; ``GlPainter`` is used the same way."""


def _perspective(places: np.ndarray, source: np.ndarray) -> list[float]:
    """The eight numbers with which Pillow looks up ``source`` (4, 2) for the picture's ``places`` (4, 2)."""
    rows, values = [], []
    for (x, y), (u, v) in zip(places, source, strict=True):
        rows += [[x, y, 1, 0, 0, 0, -u * x, -u * y], [0, 0, 0, x, y, 1, -v * x, -v * y]]
        values += [u, v]
    return np.linalg.solve(np.array(rows), np.array(values)).tolist()
