// A phrase danced by itself, over and over, in a small window beside what the pointer or the keyboard is on.

import { Vector3 } from "three";
import { Stage } from "../../../export/viewer/stage.js";
import { getBytes } from "./api.js";
import { Dancer } from "./dancer.js";
import { element } from "./dom.js";
import { Track } from "./track.js";

const REMEMBERED = 60; // phrases that need not be fetched again
const DISTANCE = 2.9; // metres
const GAP = 8; // pixels between the window and what it belongs to
const PLAIN = { onion: false, contacts: false, bones: false, beat: 0.5, aside: 0 };

export class PhraseView {
  constructor(mannequin, fail) {
    this.mannequin = mannequin;
    this.fail = fail;
    this.window = element("phrase-view");
    this.tracks = new Map();
    this.wanted = null; // what was asked for last
    this.track = null;
    this.pictures = 0;
    this.middle = new Vector3();
  }

  // Shows a phrase { library, name, mirrored, pace } beside an element: above it or, where `aside`, at its right.
  async show(phrase, beside, { aside = false } = {}) {
    this.wanted = phrase;
    try {
      const track = await this.fetched(phrase);
      if (this.wanted !== phrase || !beside.isConnected) return; // the pointer has gone on
      this.begin(track, phrase, beside, aside);
    } catch (error) {
      if (this.wanted === phrase) this.fail(error);
    }
  }

  hide() {
    this.wanted = this.track = null;
    this.window.hidden = true;
  }

  fetched({ library, name, mirrored }) {
    const path = `/api/libraries/${encodeURIComponent(library)}/motion?${new URLSearchParams({ phrase: name, mirrored })}`;
    if (!this.tracks.has(path)) {
      const track = new Track(0);
      const coming = getBytes(path).then((bytes) => (track.add(bytes), track));
      coming.catch(() => this.tracks.delete(path));
      this.tracks.set(path, coming);
      if (this.tracks.size > REMEMBERED) this.tracks.delete(this.tracks.keys().next().value);
    }
    return this.tracks.get(path);
  }

  begin(track, { name, mirrored, pace = 1 }, beside, aside) {
    const idle = !this.track;
    this.stage ??= this.furnished();
    this.track = track;
    this.pace = pace;
    this.begun = performance.now();
    this.dancer.show(track, 0, PLAIN);
    this.stage.face(this.dancer.hips(this.middle), this.dancer.front(), DISTANCE);
    element("phrase-view-name").textContent = mirrored ? `${name}, mirrored` : name;
    this.window.hidden = false;
    this.place(beside.getBoundingClientRect(), aside);
    if (idle) requestAnimationFrame(() => this.draw());
  }

  furnished() {
    const canvas = element("phrase-picture");
    const stage = new Stage(canvas);
    stage.lamp.shadow.mapSize.set(512, 512);
    this.window.hidden = false; // without a size there is nothing to draw on
    stage.resize(canvas.clientWidth, canvas.clientHeight);
    this.dancer = new Dancer(this.mannequin, stage.scene);
    return stage;
  }

  place({ left, right, top, width }, aside) {
    const own = this.window.getBoundingClientRect();
    const x = aside ? right + GAP : left + Math.min(width, 200) / 2 - own.width / 2;
    const y = aside ? top - own.height / 2 : top - own.height - GAP;
    this.window.style.left = `${Math.max(GAP, Math.min(x, innerWidth - own.width - GAP))}px`;
    this.window.style.top = `${Math.max(GAP, Math.min(y, innerHeight - own.height - GAP))}px`;
  }

  draw() {
    if (!this.track) return;
    const now = performance.now();
    const seconds = ((now - this.begun) / 1000) * this.pace;
    this.dancer.show(this.track, seconds % this.track.end, PLAIN);
    this.stage.move(this.dancer.hips(this.middle), 0.03);
    this.stage.controls.update();
    this.stage.render();
    this.pictures += 1;
    requestAnimationFrame(() => this.draw());
  }
}
