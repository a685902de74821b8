// The mannequin and what is drawn with it: ghosts before and after, bones, marks under standing feet.

import {
  CircleGeometry,
  Color,
  Group,
  Mesh,
  MeshBasicMaterial,
  MeshStandardMaterial,
  Quaternion,
  SkeletonHelper,
  Vector3,
} from "three";
import { GLTFLoader } from "three/addons/loaders/GLTFLoader.js";
import { clone } from "three/addons/utils/SkeletonUtils.js";
import { CONTACT_JOINTS } from "./track.js";

const GHOSTS = [
  { beats: -1, colour: 0x5aa9ff, opacity: 0.16 },
  { beats: -0.5, colour: 0x5aa9ff, opacity: 0.3 },
  { beats: 0.5, colour: 0xffa842, opacity: 0.3 },
  { beats: 1, colour: 0xffa842, opacity: 0.16 },
];

const AHEAD = new Vector3(0, 0, 1);
const ARMS_DOWN = 1.25; // radians

export async function loadMannequin() {
  return (await new GLTFLoader().loadAsync("/web/mannequin.glb")).scene;
}

// One body that can be put into any pose of a track.
class Figure {
  constructor(mannequin, material) {
    this.scene = clone(mannequin);
    this.bones = new Map();
    this.scene.traverse((part) => {
      if (part.isBone) this.bones.set(part.name, part);
      if (part.isSkinnedMesh) this.mesh = part;
    });
    this.mesh.frustumCulled = false; // its box is that of the rest pose
    this.mesh.material = material ?? this.mesh.material.clone();
    this.scene.visible = false;
    this.from = new Vector3();
    this.to = new Vector3();
    this.turn = new Quaternion();
    this.header = null;
  }

  fit(header) {
    this.header = header;
    this.joints = header.joints.map((name) => this.bones.get(name));
    for (const bone of this.bones.values()) bone.quaternion.identity();
    this.joints.forEach((bone, joint) => joint && bone?.position.fromArray(header.offsets[joint]));
  }

  pose(track, time) {
    if (this.header !== track.header) this.fit(track.header);
    const { frame, next, share } = track.around(time);
    this.joints.forEach((bone, joint) => {
      if (bone) track.turn(frame, joint, bone.quaternion).slerp(track.turn(next, joint, this.turn), share);
    });
    this.joints[0].position.lerpVectors(track.root(frame, this.from), track.root(next, this.to), share);
    return frame;
  }

  // A pose by itself: root and quaternions as the server tells them.
  put({ root, turns }) {
    this.joints.forEach((bone, joint) => bone?.quaternion.fromArray(turns[joint]));
    this.joints[0].position.fromArray(root);
  }
}

export class Dancer {
  constructor(mannequin, scene, { tint = null } = {}) {
    this.group = new Group();
    this.main = new Figure(mannequin, null);
    if (tint) this.main.mesh.material.color = new Color(tint);
    this.main.mesh.castShadow = this.main.mesh.receiveShadow = true;
    this.ghosts = GHOSTS.map(({ beats, colour, opacity }) => {
      const material = new MeshStandardMaterial({ color: colour, transparent: true, opacity, depthWrite: false });
      return { beats, figure: new Figure(mannequin, material) };
    });
    this.group.add(this.main.scene, ...this.ghosts.map((ghost) => ghost.figure.scene));
    this.helper = new SkeletonHelper(this.main.bones.get("pelvis"));
    this.helper.setColors(new Color(0xffe0b0), new Color(0xffa842));
    this.helper.visible = false;
    this.marks = CONTACT_JOINTS.map(() => {
      const material = new MeshBasicMaterial({ color: 0x3ddc84, transparent: true, opacity: 0.85, depthWrite: false });
      const mark = new Mesh(new CircleGeometry(0.055, 32), material);
      mark.rotation.x = -Math.PI / 2;
      mark.visible = false;
      return mark;
    });
    scene.add(this.group, this.helper, ...this.marks);
    this.rest = this.main.bones.get("pelvis").position.clone();
    this.at = new Vector3();
    this.shownTime = 0;
  }

  // Stands and waits, arms down.
  stand() {
    this.hide();
    const { bones, scene } = this.main;
    this.main.header = null;
    for (const bone of bones.values()) bone.quaternion.identity();
    bones.get("pelvis").position.copy(this.rest);
    bones.get("left_shoulder").quaternion.setFromAxisAngle(AHEAD, -ARMS_DOWN);
    bones.get("right_shoulder").quaternion.setFromAxisAngle(AHEAD, ARMS_DOWN);
    this.group.position.x = 0;
    scene.visible = true;
  }

  hide() {
    this.main.scene.visible = this.helper.visible = false;
    for (const { figure } of this.ghosts) figure.scene.visible = false;
    for (const mark of this.marks) mark.visible = false;
  }

  // Shows the track at a second of the song; `show` says what else is to be seen.
  show(track, time, { onion, contacts, bones, beat, aside, posed = null }) {
    if (!track.frames) return this.hide();
    this.group.position.x = aside;
    const frame = this.main.pose(track, time);
    if (posed) this.main.put(posed);
    this.shownTime = Math.min(Math.max(time, track.start), track.end);
    this.main.scene.visible = true;
    this.seeThrough(bones);
    this.helper.visible = bones;
    for (const { beats, figure } of this.ghosts) {
      const other = time + beats * beat;
      figure.scene.visible = onion && other >= track.start && other < track.end;
      if (figure.scene.visible) figure.pose(track, other);
    }
    this.group.updateMatrixWorld(true);
    this.marks.forEach((mark, foot) => {
      mark.visible = contacts && track.contact(frame, foot);
      const bone = this.main.bones.get(CONTACT_JOINTS[foot]);
      if (mark.visible) mark.position.copy(bone.getWorldPosition(this.at)).setY(0.006);
    });
  }

  seeThrough(wanted) {
    const material = this.main.mesh.material;
    if (material.transparent === wanted) return;
    Object.assign(material, { transparent: wanted, opacity: wanted ? 0.3 : 1, depthWrite: !wanted, needsUpdate: true });
  }

  // Where the hips are in the world.
  hips(vector) {
    return this.main.bones.get("pelvis").getWorldPosition(vector);
  }

  // The side to which the hips look, radians from +z.
  front() {
    const ahead = AHEAD.clone().applyQuaternion(this.main.bones.get("pelvis").getWorldQuaternion(new Quaternion()));
    return Math.atan2(ahead.x, ahead.z);
  }
}
