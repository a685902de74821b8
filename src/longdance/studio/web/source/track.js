// The frames of a dance as the server sends them: root positions, quaternions and foot contacts, perhaps not all yet.

export const CONTACT_JOINTS = ["left_ankle", "right_ankle", "left_foot", "right_foot"];

export class Track {
  constructor(start) {
    this.start = start; // second of the song at which frame 0 is
    this.clear();
  }

  clear() {
    this.header = null;
    this.frames = 0;
    this.final = false;
    this.parts = [];
  }

  // One answer of the server: u32 length, JSON header, float32 roots (frames, 3), float32 quaternions xyzw
  // (frames, joints, 4), uint8 contacts (frames, 4).
  add(buffer) {
    const length = new DataView(buffer).getUint32(0, true);
    const header = JSON.parse(new TextDecoder().decode(new Uint8Array(buffer, 4, length)));
    if (header.final) this.final = true;
    if (!header.frames) return;
    if (header.from !== this.frames) throw new Error("Frames of the dance are missing; reload the page.");
    const body = buffer.slice(4 + length); // numbers need an aligned beginning
    const joints = header.joints.length;
    const turnsAt = header.frames * 12;
    const contactsAt = turnsAt + header.frames * joints * 16;
    this.header = header;
    this.parts.push({
      first: header.from,
      frames: header.frames,
      roots: new Float32Array(body, 0, header.frames * 3),
      turns: new Float32Array(body, turnsAt, header.frames * joints * 4),
      contacts: new Uint8Array(body, contactsAt, header.frames * 4),
    });
    this.frames += header.frames;
  }

  get fps() {
    return this.header?.fps ?? 0;
  }

  // Seconds of the song from which and to which there is something to see.
  get end() {
    return this.frames ? this.start + this.frames / this.fps : this.start;
  }

  part(frame) {
    let index = this.parts.length - 1;
    while (this.parts[index].first > frame) index -= 1;
    return this.parts[index];
  }

  // The two frames around a second of the song and how far it is between them; times outside meet the ends.
  around(time) {
    const at = Math.min(Math.max((time - this.start) * this.fps, 0), this.frames - 1);
    const frame = Math.min(Math.floor(at), this.frames - 1);
    return { frame, next: Math.min(frame + 1, this.frames - 1), share: at - frame };
  }

  root(frame, vector) {
    const part = this.part(frame);
    return vector.fromArray(part.roots, (frame - part.first) * 3);
  }

  turn(frame, joint, quaternion) {
    const part = this.part(frame);
    return quaternion.fromArray(part.turns, ((frame - part.first) * this.header.joints.length + joint) * 4);
  }

  contact(frame, foot) {
    const part = this.part(frame);
    return part.contacts[(frame - part.first) * 4 + foot] > 0;
  }
}
