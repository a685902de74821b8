"""Opens exported dances in Blender and compares where its bones are with where the dance's joints are.

    python tools/check_blender.py DANCE.npz --blender PYTHON_OR_BLENDER

The program is either Blender itself or a Python that has the module bpy, in an environment of its own (it needs other
versions of libraries than longdance): `python3.11 -m venv bpy-venv && bpy-venv/bin/pip install "bpy>=4.2,<4.5"`.
The script `dance.blender.py` is run first: rate, range, sound and markers are compared with the dance's, which needs
its song beside it for the sound. BVH, GLB and FBX are written plainly and on a character; each line says the format,
Blender's scene rate, the length in seconds, the largest distance in metres and how many bones were compared.
"""

import argparse
import json
import runpy
import subprocess
import sys
import tempfile
from pathlib import Path


def inside(folder: Path) -> None:
    """Runs in Blender: measures every file of the folder's list."""
    import bpy
    import numpy as np

    rows = []
    if (folder / "dance.blender.py").is_file():
        bpy.ops.wm.read_factory_settings()
        runpy.run_path(str(folder / "dance.blender.py"), run_name="__main__")
        scene = bpy.context.scene
        editor = scene.sequence_editor
        strips = list(editor.strips if hasattr(editor, "strips") else editor.sequences)
        armature = next(item for item in bpy.data.objects if item.type == "ARMATURE")
        facts = {
            "rate": scene.render.fps / scene.render.fps_base,
            "range": [scene.frame_start, scene.frame_end],
            "action": list(armature.animation_data.action.frame_range),
            "sound": [[strip.frame_final_start, strip.frame_final_end] for strip in strips],
            "markers": [[mark.name, mark.frame] for mark in scene.timeline_markers],
        }
        (folder / "script.json").write_text(json.dumps(facts))
    for task in json.loads((folder / "tasks.json").read_text()):
        with np.load(folder / task["reference"]) as reference:
            wanted, names = reference["joints"], [str(name) for name in reference["names"]]
        bpy.ops.wm.read_factory_settings(use_empty=True)
        path, scene = str(folder / task["file"]), bpy.context.scene
        if path.endswith(".fbx"):
            bpy.ops.import_scene.fbx(filepath=path)
        elif path.endswith(".glb"):
            # This importer lays seconds on the scene's frames, which are 24 a second unless told otherwise.
            scene.render.fps = round(task["fps"])
            bpy.ops.import_scene.gltf(filepath=path)
        else:
            bpy.ops.import_anim.bvh(filepath=path, update_scene_fps=True)
        scene = bpy.context.scene
        rate = scene.render.fps / scene.render.fps_base
        armature = next(item for item in bpy.data.objects if item.type == "ARMATURE")
        action = armature.animation_data.action
        start, stop = action.frame_range
        largest, compared = 0.0, 0
        for frame in np.linspace(0, len(wanted) - 1, 12).astype(int):
            scene.frame_set(int(start + frame))
            for joint, name in enumerate(names):
                bone = armature.pose.bones.get(name)
                if bone is None:
                    continue
                place = np.array((armature.matrix_world @ bone.matrix).translation)
                largest = max(largest, float(np.linalg.norm(place - wanted[frame, joint])))
                compared += 1
        seconds = (stop - start + 1) / rate
        meshes = sum(item.type == "MESH" for item in bpy.data.objects)
        rows.append({**task, "rate": rate, "seconds": seconds, "largest": largest, "compared": compared // 12,
                     "meshes": meshes})  # fmt: skip
    (folder / "rows.json").write_text(json.dumps(rows))


def measure(dance: Path, program: str) -> list[dict]:
    """Write the files, let Blender open them; one row each."""
    import numpy as np

    from longdance.export.formats import export
    from longdance.export.naming import joint_names
    from longdance.export.sound import find_song
    from longdance.export.takes import ExportOptions
    from longdance.motion.motion import Motion

    motion = Motion.load(dance)
    names = np.array(joint_names(motion.skeleton.names, "mixamo"))
    tasks = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        joints = motion.joints()[..., [0, 2, 1]] * [1, -1, 1]  # Blender's z points up
        np.savez(folder / "dance.npz", joints=joints, names=names)
        for form in ("bvh", "glb", "fbx"):
            export(motion, folder / f"dance.{form}", options=ExportOptions(naming="mixamo"))
            export(motion.slice(0, 2), folder / f"rig.{form}", options=ExportOptions(naming="mixamo"))
            export(motion, folder / f"on_rig.{form}", options=ExportOptions(rig=folder / f"rig.{form}"))
            for file in (f"dance.{form}", f"on_rig.{form}"):
                tasks.append({"file": file, "reference": "dance.npz", "fps": motion.fps})
        song = find_song(motion, [dance.parent])
        options = ExportOptions(wav=song is not None)
        export(motion, folder / "dance.blender.py", options=options, song_path=song)
        (folder / "tasks.json").write_text(json.dumps(tasks))
        script = [str(Path(__file__).resolve())]
        if Path(program).name.startswith("blender"):
            command = [program, "--background", "--factory-startup", "--python", *script, "--"]
        else:
            command = [program, *script]
        subprocess.run([*command, "--inside", name], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        told = json.loads((folder / "script.json").read_text())
        expect_scene(told, motion, sound=song is not None)
        return json.loads((folder / "rows.json").read_text())


def expect_scene(told: dict, motion, *, sound: bool) -> None:
    """Print what the script set up; ``SystemExit`` where it is not the dance's."""
    from longdance.export.markers import markers

    first = told["range"][0]
    wanted = {(mark.name, first + round(mark.seconds * motion.fps)) for mark in markers(motion) if mark.kind != "beat"}
    right = {
        "rate": abs(told["rate"] - motion.fps) < 1e-6,
        "range": told["range"] == [first, first + motion.frames - 1] and told["action"] == told["range"],
        "sound": told["sound"] == ([[first, first + motion.frames]] if sound else []),
        "markers": wanted <= set(map(tuple, told["markers"])),
    }
    marks, sound_at = len(told["markers"]), told["sound"]
    print(f"script: {told['rate']:g} fps, frames {told['range']}, {marks} markers, sound {sound_at}")
    if not all(right.values()):
        raise SystemExit(f"not as the dance is: {', '.join(key for key, good in right.items() if not good)}; {told}")


def main() -> None:
    arguments = sys.argv[sys.argv.index("--") + 1 :] if "--" in sys.argv else sys.argv[1:]
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("dance", nargs="?", type=Path)
    parser.add_argument("--blender", default="blender")
    parser.add_argument("--inside", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.inside:
        inside(options.inside)
        return
    for row in measure(options.dance, options.blender):
        print(
            f"{row['file']:12s} {row['rate']:6.2f} fps {row['seconds']:8.2f} s  largest error {row['largest']:.2e} m "
            f"over {row['compared']} bones, {row['meshes']} meshes"
        )


if __name__ == "__main__":
    main()
