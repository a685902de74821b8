"""USD by UsdSkel: skeleton, skinned mannequin, one animation; usd, usda, usdc, or usdz in one package.

Needs the library usd-core, the extra ``usd``.
"""

# The library comes without types.
# pyright: reportAttributeAccessIssue=false

import os
import re
from pathlib import Path

import numpy as np
import torch

from longdance.errors import InputError
from longdance.export.job import Job
from longdance.export.takes import Body, Take
from longdance.files import atomic_write
from longdance.motion import rotations as rot

REGISTER = {
    "format": {
        "usd": {
            "make": "write", "order": 7, "about": "skeleton, mannequin, movement",
            "aliases": ("usda", "usdc", "usdz"), "up": ("y", "z"), "bones": True, "hands": True,
        },
    },
}  # fmt: skip


def save_usd(take: Take, figure: Body | None, path: str | os.PathLike, *, up: str = "y") -> None:
    """Write one take in metres; ``up`` is its upward axis. ``InputError`` where the library is missing."""
    try:
        from pxr import Usd, UsdUtils
    except ImportError as error:
        raise InputError(f"{path}: expected the library usd-core; try: pip install 'longdance[usd]'") from error
    path = Path(path)
    stage = Usd.Stage.CreateInMemory()
    _fill(stage, take, figure, up)
    with atomic_write(path) as temporary:
        if path.suffix.lower() == ".usdz":
            inner = temporary.with_suffix(".usdc")
            try:
                stage.GetRootLayer().Export(str(inner))
                UsdUtils.CreateNewUsdzPackage(str(inner), str(temporary), "dance.usdc")
            finally:
                inner.unlink(missing_ok=True)
        else:
            stage.GetRootLayer().Export(str(temporary))


def _fill(stage, take: Take, figure: Body | None, up: str) -> None:
    from pxr import Gf, UsdGeom, UsdSkel, Vt

    UsdGeom.SetStageUpAxis(stage, UsdGeom.Tokens.z if up == "z" else UsdGeom.Tokens.y)
    UsdGeom.SetStageMetersPerUnit(stage, 1.0)
    stage.SetTimeCodesPerSecond(take.fps)
    stage.SetFramesPerSecond(take.fps)
    stage.SetStartTimeCode(0)
    stage.SetEndTimeCode(take.frames - 1)
    root = UsdSkel.Root.Define(stage, "/dance")
    stage.SetDefaultPrim(root.GetPrim())

    # 1. The skeleton: every joint by its path; matrices for row vectors.
    paths: list[str] = []
    for name, parent in zip(take.names, take.parents, strict=True):
        own = re.sub(r"\W", "_", name)  # names of prims take no colon
        paths.append(f"{paths[parent]}/{own}" if parent >= 0 else own)
    skeleton = UsdSkel.Skeleton.Define(stage, "/dance/skeleton")
    skeleton.CreateJointsAttr(paths)

    def shifts(places: np.ndarray):
        return Vt.Matrix4dArray([Gf.Matrix4d().SetTranslate(Gf.Vec3d(*place)) for place in places.tolist()])

    skeleton.CreateBindTransformsAttr(shifts(take.rest_positions))
    skeleton.CreateRestTransformsAttr(shifts(take.offsets))

    # 2. The animation.
    animation = UsdSkel.Animation.Define(stage, "/dance/animation")
    animation.CreateJointsAttr(paths)
    animation.CreateScalesAttr(Vt.Vec3hArray([Gf.Vec3h(1, 1, 1)] * len(paths)))
    places = np.repeat(take.offsets[None].astype(np.float32), take.frames, axis=0)
    for joint, track in take.translations.items():
        places[:, joint] = track
    turns = rot.quaternion_from_matrix(torch.from_numpy(take.rotations.copy())).numpy()
    turns = np.ascontiguousarray(turns[..., [1, 2, 3, 0]], dtype=np.float32)
    translations, rotations = animation.CreateTranslationsAttr(), animation.CreateRotationsAttr()
    for frame in range(take.frames):
        translations.Set(Vt.Vec3fArray.FromNumpy(places[frame]), frame)
        rotations.Set(Vt.QuatfArray.FromNumpy(turns[frame]), frame)
    for prim in (root.GetPrim(), skeleton.GetPrim()):
        UsdSkel.BindingAPI.Apply(prim).CreateAnimationSourceRel().SetTargets([animation.GetPath()])
    UsdSkel.BindingAPI.Apply(root.GetPrim()).CreateSkeletonRel().SetTargets([skeleton.GetPath()])
    if figure is not None:
        _add_body(stage, figure, skeleton)


def _add_body(stage, figure: Body, skeleton) -> None:
    from pxr import Gf, Sdf, UsdGeom, UsdShade, UsdSkel, Vt

    mesh = UsdGeom.Mesh.Define(stage, "/dance/mannequin")
    mesh.CreatePointsAttr(Vt.Vec3fArray.FromNumpy(figure.vertices.astype(np.float32)))
    mesh.CreateNormalsAttr(Vt.Vec3fArray.FromNumpy(figure.normals.astype(np.float32)))
    mesh.SetNormalsInterpolation(UsdGeom.Tokens.vertex)
    mesh.CreateFaceVertexCountsAttr(Vt.IntArray.FromNumpy(np.full(len(figure.faces), 3, dtype=np.int32)))
    mesh.CreateFaceVertexIndicesAttr(Vt.IntArray.FromNumpy(figure.faces.reshape(-1).astype(np.int32)))
    mesh.CreateSubdivisionSchemeAttr(UsdGeom.Tokens.none)
    corners = np.stack((figure.vertices.min(0), figure.vertices.max(0))).astype(np.float32)
    mesh.CreateExtentAttr(Vt.Vec3fArray.FromNumpy(corners))
    colour = mesh.CreateDisplayColorPrimvar(UsdGeom.Tokens.vertex)
    linear = np.where(figure.colours <= 0.04045, figure.colours / 12.92, ((figure.colours + 0.055) / 1.055) ** 2.4)
    colour.Set(Vt.Vec3fArray.FromNumpy(linear.astype(np.float32)))
    binding = UsdSkel.BindingAPI.Apply(mesh.GetPrim())
    influences = figure.bones.shape[1]
    bones = np.where(figure.weights > 0, figure.bones, 0).astype(np.int32)
    binding.CreateJointIndicesPrimvar(False, influences).Set(Vt.IntArray.FromNumpy(bones.reshape(-1)))
    weights = figure.weights.astype(np.float32).reshape(-1)
    binding.CreateJointWeightsPrimvar(False, influences).Set(Vt.FloatArray.FromNumpy(weights))
    binding.CreateGeomBindTransformAttr(Gf.Matrix4d(1))
    binding.CreateSkeletonRel().SetTargets([skeleton.GetPath()])

    material = UsdShade.Material.Define(stage, "/dance/material")
    surface = UsdShade.Shader.Define(stage, "/dance/material/surface")
    surface.CreateIdAttr("UsdPreviewSurface")
    surface.CreateInput("roughness", Sdf.ValueTypeNames.Float).Set(0.75)
    reader = UsdShade.Shader.Define(stage, "/dance/material/colour")
    reader.CreateIdAttr("UsdPrimvarReader_float3")
    reader.CreateInput("varname", Sdf.ValueTypeNames.String).Set("displayColor")
    found = reader.CreateOutput("result", Sdf.ValueTypeNames.Float3)
    surface.CreateInput("diffuseColor", Sdf.ValueTypeNames.Color3f).ConnectToSource(found)
    material.CreateSurfaceOutput().ConnectToSource(surface.CreateOutput("surface", Sdf.ValueTypeNames.Token))
    UsdShade.MaterialBindingAPI.Apply(mesh.GetPrim()).Bind(material)


def write(job: Job) -> None:
    """Write one take."""
    take = job.takes()[0]
    save_usd(take, job.figure(take), job.path, up=job.up)
