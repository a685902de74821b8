// Poses that are dragged: handles on hands, feet and hips, what is kept as a key pose, and the stretch around it.

import { Mesh, MeshBasicMaterial, Plane, Raycaster, SphereGeometry, Vector2, Vector3 } from "three";
import { element, exactTime, icon, make, setPressed } from "./dom.js";

const HANDLES = ["left_wrist", "right_wrist", "left_ankle", "right_ankle", "pelvis"];
const SIZE = 0.055; // metres
const SAME = 1e-3; // seconds within which two poses are of one frame

export class Poser {
  // `on` has solve(at, wanted) for a pose, at() for the frame's second, changed(), and run(action).
  constructor(view, on) {
    this.view = view;
    this.on = on;
    this.active = false;
    this.keys = []; // {at, wanted, pose}
    this.draft = null;
    this.handles = HANDLES.map((joint) => {
      const handle = new Mesh(new SphereGeometry(SIZE, 20, 14), new MeshBasicMaterial({ color: 0xffd27a, depthTest: false, transparent: true, opacity: 0.9 }));
      handle.renderOrder = 10;
      handle.visible = false;
      handle.userData.joint = joint;
      view.stage.scene.add(handle);
      return handle;
    });
    this.ray = new Raycaster();
    this.plane = new Plane();
    this.point = new Vector3();
    this.ahead = new Vector3();
    view.beforeRender = () => this.place();
    const picture = element("picture");
    picture.addEventListener("pointerdown", (event) => this.press(event), { capture: true });
    element("pose").onclick = () => this.show(!this.active);
    element("keep-pose").onclick = () => this.keep();
  }

  show(active) {
    this.active = active;
    setPressed(element("pose"), active);
    if (active) element("posing").open = true;
    if (!active) this.draft = null;
    this.refresh();
  }

  clear() {
    this.keys = [];
    this.show(false);
  }

  // The pose that holds at the frame that is looked at.
  get held() {
    const at = this.on.at();
    if (this.draft && Math.abs(this.draft.at - at) < SAME) return this.draft;
    return this.keys.find((key) => Math.abs(key.at - at) < SAME) ?? null;
  }

  refresh() {
    this.view.posed = this.held?.pose ?? null;
    this.view.touch();
    element("keep-pose").disabled = !this.draft?.pose || this.held !== this.draft;
    element("in-between").disabled = !this.keys.length;
    element("key-poses").replaceChildren(
      ...this.keys.map((key) => {
        const go = make("button", { title: "Go there", onclick: () => this.on.seek(key.at) }, exactTime(key.at));
        const label = `Forget the pose at ${exactTime(key.at)}`;
        const remove = make("button", { title: label, "aria-label": label, onclick: () => this.forget(key) }, icon("close"));
        return make("li", { className: "row" }, go, remove);
      }),
    );
    this.on.changed();
  }

  keep() {
    if (!this.draft?.pose) return;
    this.keys = [...this.keys.filter((key) => Math.abs(key.at - this.draft.at) >= SAME), this.draft].sort((one, other) => one.at - other.at);
    this.draft = null;
    this.refresh();
  }

  forget(key) {
    this.keys = this.keys.filter((other) => other !== key);
    this.refresh();
  }

  // Before every picture: handles sit on their joints.
  place() {
    const shown = this.active && !this.view.clock.playing && Boolean(this.view.track?.frames);
    for (const handle of this.handles) {
      const bone = this.view.first.main.bones.get(handle.userData.joint);
      handle.visible = shown && Boolean(bone);
      if (handle.visible) bone.getWorldPosition(handle.position);
    }
  }

  aim(event) {
    const box = element("picture").getBoundingClientRect();
    const at = new Vector2(((event.clientX - box.left) / box.width) * 2 - 1, 1 - ((event.clientY - box.top) / box.height) * 2);
    this.ray.setFromCamera(at, this.view.stage.camera);
  }

  press(event) {
    if (!this.active || event.button) return;
    this.aim(event);
    const hit = this.ray.intersectObjects(this.handles.filter(({ visible }) => visible))[0];
    if (!hit) return;
    event.stopImmediatePropagation();
    event.preventDefault();
    const { joint } = hit.object.userData;
    const at = this.on.at();
    const begun = this.held ?? { at, wanted: {}, pose: null };
    this.draft = { at, wanted: { ...begun.wanted }, pose: begun.pose };
    this.plane.setFromNormalAndCoplanarPoint(this.view.stage.camera.getWorldDirection(this.ahead), hit.object.position);
    const picture = element("picture");
    picture.setPointerCapture(event.pointerId);
    const move = (moved) => {
      this.aim(moved);
      if (!this.ray.ray.intersectPlane(this.plane, this.point)) return;
      this.draft.wanted[joint] = this.point.toArray();
      this.solve();
    };
    const stop = () => {
      picture.removeEventListener("pointermove", move);
      picture.removeEventListener("pointerup", stop);
      picture.removeEventListener("pointercancel", stop);
    };
    picture.addEventListener("pointermove", move);
    picture.addEventListener("pointerup", stop);
    picture.addEventListener("pointercancel", stop);
  }

  // Asks for the pose; what is asked while an answer is awaited is asked once more afterwards.
  async solve() {
    if (this.solving) {
      this.again = true;
      return;
    }
    const { draft } = this;
    this.solving = true;
    try {
      await this.on.run(async () => {
        draft.pose = await this.on.solve(draft.at, draft.wanted);
      });
    } finally {
      this.solving = false;
    }
    this.refresh();
    if (this.again) {
      this.again = false;
      if (this.draft) await this.solve();
    }
  }
}
