"""Draws the mannequin on its stage with OpenGL 3.3 through EGL, without a window or a graphics card."""

from typing import Any

import moderngl
import numpy as np

from longdance.export import painter_shaders as shaders
from longdance.export import scene
from longdance.export.figure import Mannequin, mannequin
from longdance.export.scene import Camera

SHADOW_TEXELS = 512
SHADOW_BLUR_TEXELS = 128
SHADOW_METRES = 3.2
"""Side of the square that the shadow map covers, around the dancer."""

SHADOW_CELL = 0.03
"""Finest edge, in metres, of the mesh that casts the shadow."""

SAMPLES = 4
"""Samples per pixel along the body's edges."""

BODY_MARGIN = 0.12
"""Metres around the outline's points that the body may fill."""

BODY_BLOCK = 64
"""Pixels: the body's own target comes in multiples of this, so that few are made."""


class NoGraphics(RuntimeError):
    """No OpenGL 3.3 context can be made on this machine."""


def _context() -> moderngl.Context:
    # The loader's own default is the names without a number, which only development packages install.
    loader: dict[str, Any] = {"backend": "egl", "libgl": "libGL.so.1", "libegl": "libEGL.so.1"}
    try:
        return moderngl.create_context(standalone=True, require=330, **loader)
    except Exception as error:
        # The loader raises bare ``Exception`` for a missing library or driver, and ``ImportError`` on systems
        # whose build has no EGL; anything more specific is a defect.
        if type(error) not in (Exception, ImportError, moderngl.Error, ValueError):
            raise
        raise NoGraphics(str(error)) from error


class GlPainter:
    """Draws frames of ``width`` x ``height`` pixels; ``key`` is the unit vector towards the key lamp.

    Raises ``NoGraphics`` where no OpenGL 3.3 is to be had. Use as a context manager: the GPU's memory is
    freed at the end.
    """

    def __init__(self, figure: Mannequin, width: int, height: int, key: np.ndarray):
        self.context = context = _context()
        self.figure, self.size, self.key = figure, (width, height), key
        skinning = {"JOINTS": str(len(figure.skeleton))}

        def program(vertex, fragment):
            for word, value in skinning.items():
                vertex = vertex.replace(word, value)
            return context.program(vertex_shader=vertex, fragment_shader=fragment)

        self.light_program = program(shaders.LIGHT_VERTEX, shaders.LIGHT_FRAGMENT)
        self.body_program = program(shaders.BODY_VERTEX, shaders.BODY_FRAGMENT)
        self.backdrop_program = program(shaders.STAGE_VERTEX, shaders.BACKDROP_FRAGMENT)
        self.floor_program = program(shaders.STAGE_VERTEX, shaders.FLOOR_FRAGMENT)
        self.paste_program = program(shaders.SQUARE_VERTEX, shaders.PASTE_FRAGMENT)
        self.shrink_program = program(shaders.SQUARE_VERTEX, shaders.SHRINK_FRAGMENT)
        self.blur_program = program(shaders.SQUARE_VERTEX, shaders.BLUR_FRAGMENT)

        # A shadow is blurred anyway, so a coarse body casts it.
        caster = mannequin(figure.skeleton, cell=SHADOW_CELL)
        square = context.buffer(np.array([[-1, -1], [3, -1], [-1, 3]], np.float32))
        self.light_array = _upload(self.light_program, caster, context)
        self.body_array = _upload(self.body_program, figure, context)
        self.backdrop_array, self.floor_array, self.paste_array, self.shrink_array, self.blur_array = (
            context.vertex_array(which, [(square, "2f", "corner")])
            for which in (
                self.backdrop_program,
                self.floor_program,
                self.paste_program,
                self.shrink_program,
                self.blur_program,
            )
        )

        side = (SHADOW_TEXELS, SHADOW_TEXELS)
        self.cover = context.texture(side, 2)
        self.depth = context.depth_texture(side)
        self.depth.compare_func = "<="
        self.light_buffer = context.framebuffer([self.cover], self.depth)
        small = (SHADOW_BLUR_TEXELS, SHADOW_BLUR_TEXELS)
        self.blurred = [context.texture(small, 2) for _ in range(2)]
        for texture in (self.cover, self.depth, *self.blurred):
            texture.repeat_x = texture.repeat_y = False
        self.blur_buffers = [context.framebuffer([texture]) for texture in self.blurred]
        self.picture = context.framebuffer([context.renderbuffer(self.size, 3)])
        self.body_targets: dict[
            tuple[int, int], tuple[moderngl.Framebuffer, moderngl.Framebuffer, moderngl.Texture]
        ] = {}
        self._set_constants()

    def _set_constants(self):
        yaw_side = np.cross((0.0, 1.0, 0.0), self.key)
        yaw_side /= np.linalg.norm(yaw_side)
        front = np.cross(yaw_side, (0.0, 1.0, 0.0))
        body, floor = self.body_program, self.floor_program
        body["key"] = tuple(self.key)
        body["fill"] = tuple(_unit(-0.8 * yaw_side + 0.35 * np.array([0, 1, 0]) + 0.5 * front))
        body["back"] = tuple(_unit(-0.9 * front + np.array([0, 0.55, 0]) - 0.2 * yaw_side))
        body["shadow_texel"] = 1.0 / SHADOW_TEXELS
        for name, colour in scene.PALETTE.items():
            body[f"{name}_colour"] = colour
        self.backdrop_program["top"] = scene.BACKDROP_TOP
        for stage in (self.backdrop_program, floor):
            stage["horizon"] = scene.BACKDROP_HORIZON
        floor["floor_colour"], floor["line_colour"] = scene.FLOOR, scene.GRID_LINE
        floor["pool"], floor["density"] = scene.LIGHT_POOL_METRES**-2, 1 / scene.GRID_METRES
        body["depth"], floor["cover"], self.paste_program["body"] = 0, 0, 0
        self.shrink_program["source"] = 0
        self.blur_program["source"] = 0
        self.shrink_program["texel"] = (1.0 / SHADOW_TEXELS,) * 2

    def draw(self, joints: np.ndarray, rotations: np.ndarray, camera: Camera) -> np.ndarray:
        """(height, width, 3) uint8 picture of joints (dancers, joints, 3), global rotations (dancers, joints, 3, 3)."""
        bodies = [rows.astype(np.float32).tobytes() for rows in self.figure.transforms(joints, rotations)]
        light_matrix = self._light_matrix(joints)
        light = _column_major(light_matrix)
        context = self.context

        context.enable(moderngl.DEPTH_TEST)
        self.light_buffer.use()
        self.light_buffer.clear()
        _write(self.light_program, "light", light)
        for rows in bodies:
            _write(self.light_program, "rows", rows)
            self.light_array.render()

        context.disable(moderngl.DEPTH_TEST)
        self.blur_buffers[0].use()
        self.cover.use(0)
        self.shrink_array.render()
        for source, along in ((0, (1.0, 0.0)), (1, (0.0, 1.0))):
            self.blur_buffers[1 - source].use()
            self.blurred[source].use(0)
            self.blur_program["texel"] = tuple(a / SHADOW_BLUR_TEXELS for a in along)
            self.blur_array.render()

        context.enable(moderngl.DEPTH_TEST | moderngl.CULL_FACE)
        (left, bottom), (columns, lines) = self._region(joints, rotations, camera)
        smooth, resolved, texture = self._body_target(columns, lines)
        # Moves and stretches the region of the picture that holds the body onto its own small target.
        crop = np.eye(4)
        for axis, (corner, length, whole) in enumerate(
            ((left, columns, self.size[0]), (bottom, lines, self.size[1]))
        ):
            crop[axis, axis] = whole / length
            crop[axis, 3] = (whole - 2 * corner - length) / length
        smooth.use()
        smooth.clear()
        body = self.body_program
        _write(body, "light", light)
        _write(body, "view", _column_major(crop @ camera.matrix()))
        body["eye"] = tuple(camera.eye)
        self.depth.use(0)
        for rows in bodies:
            _write(body, "rows", rows)
            self.body_array.render()
        context.copy_framebuffer(resolved, smooth)

        context.disable(moderngl.DEPTH_TEST | moderngl.CULL_FACE)
        self.picture.use()
        right, up, back = camera.axes
        horizontal, vertical = camera.slopes
        for stage in (self.backdrop_program, self.floor_program):
            stage["ray_centre"], stage["ray_right"] = tuple(-back), tuple(right * horizontal)
            stage["ray_up"] = tuple(up * vertical)
        self.floor_program["eye"] = tuple(camera.eye)
        self.floor_program["centre"] = (camera.target[0], camera.target[2])
        on_ground = light_matrix[:2][:, [0, 2, 3]] * 0.5 + ((0, 0, 0.5), (0, 0, 0.5))
        _write(self.floor_program, "ground_light", _column_major(on_ground))
        horizon = int(np.clip((back[1] / (up[1] * vertical) * 0.5 + 0.5) * self.size[1], 0, self.size[1]))
        self.picture.scissor = (0, horizon, self.size[0], self.size[1] - horizon)
        self.backdrop_array.render()
        self.picture.scissor = (0, 0, self.size[0], horizon)
        self.blurred[0].use(0)
        self.floor_array.render()
        self.picture.scissor = (left, bottom, columns, lines)
        context.enable(moderngl.BLEND)
        context.blend_func = moderngl.ONE, moderngl.ONE_MINUS_SRC_ALPHA
        self.paste_program["corner_pixel"] = (left, bottom)
        texture.use(0)
        self.paste_array.render()
        context.disable(moderngl.BLEND)
        self.picture.scissor = (0, 0, *self.size)
        picture = np.frombuffer(self.picture.read(components=3, alignment=1), np.uint8)
        return picture.reshape(self.size[1], self.size[0], 3)[::-1]

    def _region(self, joints: np.ndarray, rotations: np.ndarray, camera: Camera):
        """Corner (left, bottom) and size, in pixels, of the part of the picture that holds the bodies."""
        points = scene.outline(joints, rotations, self.figure.skeleton.names).reshape(-1, 3)
        places, depth = camera.project(points)
        margin = BODY_MARGIN / (np.array(camera.slopes) * depth[:, None])
        whole = np.array(self.size)
        low = np.floor(((places - margin).min(0) * 0.5 + 0.5) * whole).astype(int)
        high = np.ceil(((places + margin).max(0) * 0.5 + 0.5) * whole).astype(int)
        low, high = np.clip(low, 0, whole - 1), np.clip(high, 1, whole)
        size = np.minimum(-(-(high - low) // BODY_BLOCK) * BODY_BLOCK, whole)
        corner = np.clip(low, 0, whole - size)
        return tuple(corner.tolist()), tuple(size.tolist())

    def _body_target(self, columns: int, lines: int):
        """A target with several samples per pixel, the one it resolves into, and that one's texture."""
        size = (columns, lines)
        if size not in self.body_targets:
            context = self.context
            texture = context.texture(size, 4)
            smooth = context.framebuffer(
                [context.renderbuffer(size, 4, samples=SAMPLES)],
                context.depth_renderbuffer(size, samples=SAMPLES),
            )
            self.body_targets[size] = (smooth, context.framebuffer([texture]), texture)
        return self.body_targets[size]

    def _light_matrix(self, joints: np.ndarray) -> np.ndarray:
        """(4, 4) orthographic view from the key lamp, around the bodies and the floor below them."""
        middles = joints.mean(1)
        wide = SHADOW_METRES + float(np.ptp(middles, axis=0).max())  # of one body no more than it needs
        right = _unit(np.cross((0.0, 1.0, 0.0), self.key))
        axes = np.stack((right, np.cross(self.key, right), self.key))
        centre = (joints.min((0, 1)) + joints.max((0, 1))) / 2
        matrix = np.eye(4)
        matrix[:3, :3] = axes * np.array([[2 / wide], [2 / wide], [-2 / (8.0 + wide - SHADOW_METRES)]])
        matrix[:3, 3] = -matrix[:3, :3] @ centre
        return matrix

    def __enter__(self) -> "GlPainter":
        return self

    def __exit__(self, *_):
        self.context.release()


def _upload(program: moderngl.Program, figure: Mannequin, context: moderngl.Context) -> moderngl.VertexArray:
    """The figure's vertices and faces, with those attributes that the program reads."""
    columns = {
        "position": figure.vertices,
        "normal": figure.normals,
        "bones": figure.bones,
        "weights": figure.weights,
        "seams": figure.seams,
    }
    kept = {name: values for name, values in columns.items() if name in program}
    packed = np.ascontiguousarray(np.concatenate(list(kept.values()), axis=1), dtype=np.float32)
    layout = " ".join(f"{values.shape[1]}f" for values in kept.values())
    faces = context.buffer(np.ascontiguousarray(figure.faces, dtype=np.int32))
    return context.vertex_array(program, [(context.buffer(packed), layout, *kept)], faces)


def _write(program: moderngl.Program, name: str, values: bytes) -> None:
    """Set a uniform from its bytes."""
    uniform = program[name]
    assert isinstance(uniform, moderngl.Uniform)
    uniform.write(values)


def _unit(vector: np.ndarray) -> np.ndarray:
    return vector / np.linalg.norm(vector)


def _column_major(matrix: np.ndarray) -> bytes:
    return np.ascontiguousarray(matrix.T, dtype=np.float32).tobytes()
