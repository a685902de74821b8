"""Opens the VMD of a dance in three.js' reader of MikuMikuDance's files, on a model of standard bones.

    npm install --prefix FOLDER three@0.160
    python tools/check_mmd.py DANCE.npz --node-modules FOLDER/node_modules

Prints for each limb the angle in degrees between its direction there and the dance's: the largest as the file says it
(legs by their joints), and median and largest with three.js' own inverse kinematics, which gets the same file.
"""

import argparse
import json
import struct
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

from export.test_vmd import LIMBS, skeleton  # noqa: E402
from longdance.export.formats import export  # noqa: E402
from longdance.motion.motion import Motion  # noqa: E402

PROGRAM = """
import { readFileSync, writeFileSync } from 'node:fs';
import { pathToFileURL } from 'node:url';
const [modules, folder, frames] = process.argv.slice(2);
const three = name => import(pathToFileURL(`${modules}/three/${name}`));
const THREE = await three('build/three.module.js');
const { MMDLoader } = await three('examples/jsm/loaders/MMDLoader.js');
const { MMDParser } = await three('examples/jsm/libs/mmdparser.module.js');
const { MMDAnimationHelper } = await three('examples/jsm/animation/MMDAnimationHelper.js');
const bytes = name => new Uint8Array(readFileSync(`${folder}/${name}`)).buffer;
const found = {};
for (const ik of [false, true]) {
  const parser = new MMDParser.Parser(), loader = new MMDLoader();
  loader.meshBuilder.materialBuilder.build = () => new THREE.MeshBasicMaterial();
  const mesh = loader.meshBuilder.build(parser.parsePmd(bytes('model.pmd'), true), '');
  const clip = loader.animationBuilder.build(parser.parseVmd(bytes('dance.vmd'), true), mesh);
  const helper = new MMDAnimationHelper({ pmxAnimation: false });
  helper.add(mesh, { animation: clip, physics: false });
  helper.enable('ik', ik);
  const rows = [];
  for (let frame = 0; frame < Number(frames); frame++) {
    // Just after the key: between keys a thirtieth of a second apart this reader keeps the earlier one.
    const now = frame / 30 + 1e-4;
    helper.update(now - helper.objects.get(mesh).mixer.time);
    mesh.updateMatrixWorld(true);
    const place = bone => new THREE.Vector3().setFromMatrixPosition(bone.matrixWorld).toArray();
    rows.push(Object.fromEntries(mesh.skeleton.bones.map(bone => [bone.name, place(bone)])));
  }
  found[ik ? 'ik' : 'file'] = rows;
}
writeFileSync(`${folder}/found.json`, JSON.stringify(found));
"""


def pmd_bytes() -> bytes:
    """A model of one triangle on the standard bones, with inverse kinematics of both legs."""
    bones = dict(skeleton())
    for sign in "左右":
        ankle, toe = bones[f"{sign}足首"][1], bones[f"{sign}つま先"][1]
        bones[f"{sign}足ＩＫ"] = ("全ての親", ankle)
        bones[f"{sign}つま先ＩＫ"] = (f"{sign}足ＩＫ", toe)
    names = list(bones)

    def text(words: str, size: int) -> bytes:
        return words.encode("cp932").ljust(size, b"\0")

    parts = [b"Pmd", struct.pack("<f", 1.0), text("model", 20), text("", 256), struct.pack("<I", 3)]
    for x in range(3):
        parts.append(struct.pack("<8f2H2B", x, 0, 0, 0, 0, 1, 0, 0, 0, 0, 100, 0))
    parts.append(struct.pack("<I3H", 3, 0, 1, 2))
    parts.append(struct.pack("<I4ff3f3fbBI", 1, *[1.0] * 11, -1, 0, 3) + text("", 20))
    parts.append(struct.pack("<H", len(names)))
    for name, (parent, place) in bones.items():
        above = names.index(parent) if parent else -1
        parts.append(text(name, 20) + struct.pack("<hhBh3f", above, -1, 0, 0, *place))
    chains = [(f"{s}足ＩＫ", f"{s}足首", (f"{s}ひざ", f"{s}足"), 40) for s in "左右"]
    chains += [(f"{s}つま先ＩＫ", f"{s}つま先", (f"{s}足首",), 3) for s in "左右"]
    parts.append(struct.pack("<H", len(chains)))
    for target, effector, links, steps in chains:
        numbers = [names.index(name) for name in (target, effector)]
        parts.append(struct.pack("<HHBHf", *numbers, len(links), steps, 0.5 if steps > 3 else 1.0))
        parts.append(struct.pack(f"<{len(links)}H", *(names.index(name) for name in links)))
    parts.append(struct.pack("<HBBIB", 0, 0, 0, 0, 0) + text("", 1000) + struct.pack("<II", 0, 0))
    return b"".join(parts)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("dance", type=Path)
    parser.add_argument("--node-modules", type=Path, required=True)
    options = parser.parse_args()
    motion = Motion.load(options.dance).resample(30.0)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "model.pmd").write_bytes(pmd_bytes())
        (folder / "check.mjs").write_text(PROGRAM)
        export(motion, folder / "dance.vmd")
        frames = motion.frames - 1  # a loop begins again at the last one
        command = ["node", folder / "check.mjs", options.node_modules.resolve(), folder, frames]
        subprocess.run(list(map(str, command)), check=True)
        found = json.loads((folder / "found.json").read_text())
    joints, index = motion.joints()[:-1], motion.skeleton.index
    print(f"{motion.frames} frames\n| limb | file, degrees | with inverse kinematics: median, worst |\n|---|---|---|")
    for begin, end, from_bone, to_bone in LIMBS:
        if end not in motion.skeleton.names:
            continue
        angles = {}
        for kind, rows in found.items():
            theirs = np.array([np.subtract(row[to_bone], row[from_bone]) for row in rows])
            ours = joints[:, index(end)] - joints[:, index(begin)]
            cosine = (ours * theirs).sum(1) / np.linalg.norm(ours, axis=1) / np.linalg.norm(theirs, axis=1)
            angles[kind] = np.degrees(np.arccos(np.clip(cosine, -1, 1)))
        median, worst = np.median(angles["ik"]), angles["ik"].max()
        print(f"| {begin} to {end} | {angles['file'].max():.3f} | {median:.2f}, {worst:.2f} |")


if __name__ == "__main__":
    main()
