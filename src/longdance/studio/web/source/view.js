// The 3D view: one dancer, or two side by side, in time with the song.

import { Vector3 } from "three";
import { Clock } from "../../../export/viewer/clock.js";
import { beatGlow, Stage } from "../../../export/viewer/stage.js";
import { Character } from "./character.js";
import { Dancer } from "./dancer.js";
import { element } from "./dom.js";

const BESIDE = 0.9; // metres from the middle when two dance side by side
const STILL = 400; // milliseconds after the last change during which it is still drawn, for the camera to come to rest

const CAMERAS = {
  front: {},
  left: { turn: Math.PI / 2 },
  right: { turn: -Math.PI / 2 },
  back: { turn: Math.PI },
  above: { distance: 0.45, height: 4.2 },
  close: { distance: 0.55 },
  far: { distance: 1.9, height: 0.8 },
}; // radians from where the dancer looks, share of the usual distance, metres above the usual eye

export class View {
  // `on` has range() for the clock, changed() when it starts or stops, and frame(time) for every picture.
  constructor(mannequin, on) {
    this.on = on;
    this.sound = new Audio();
    this.sound.preload = "auto";
    this.sound.preservesPitch = true;
    this.clock = new Clock({ sound: null, range: on.range, changed: () => this.changed() });
    this.stage = new Stage(element("picture"));
    this.first = new Dancer(mannequin, this.stage.scene);
    this.second = new Dancer(mannequin, this.stage.scene, { tint: 0x9fd0ff });
    this.character = new Character(this.stage.scene);
    this.posed = null; // a pose that is shown instead of the track's
    this.beforeRender = () => {};
    this.options = { onion: false, contacts: false, bones: false };
    this.beats = [];
    this.beat = 0.5; // seconds
    this.track = null;
    this.other = null;
    this.skew = null;
    this.pictures = 0;
    this.middle = new Vector3();
    this.beside = new Vector3();
    this.drawn = performance.now();
    this.busyUntil = 0;
    this.stage.controls.addEventListener("change", () => this.touch());
    element("picture").addEventListener("pointerdown", () => this.touch());
    this.pose(0);
    this.front();
    new ResizeObserver(() => this.resize()).observe(element("stage"));
    this.stage.renderer.setAnimationLoop(() => this.draw());
  }

  setSong(path, song) {
    if (path !== this.path) {
      this.path = path;
      this.clock.halt(0);
      if (path) this.sound.src = path;
      else this.sound.removeAttribute("src");
    }
    this.beats = song?.beats ?? [];
    this.beat = song?.tempo_bpm ? 60 / song.tempo_bpm : 0.5;
  }

  // What to see; `silent` where the song does not fit the dance.
  show(track, other, silent) {
    const begins = track?.frames && !this.shown;
    this.track = track;
    this.other = other;
    this.clock.sound = silent || !this.path ? null : this.sound;
    this.touch();
    if (begins || track?.start !== this.start) this.fresh = true;
    this.start = track?.start;
    this.shown = Boolean(track?.frames);
  }

  // Draws for a while, though nothing plays.
  touch() {
    this.busyUntil = performance.now() + STILL;
    this.fresher = true; // to be drawn once at least, however long a picture takes
  }

  changed() {
    this.touch();
    this.on.changed();
  }

  resize() {
    const { clientWidth: width, clientHeight: height } = element("stage");
    if (!width || !height) return;
    this.stage.resize(width, height);
    this.touch();
    this.stage.render();
  }

  pose(time) {
    const options = { ...this.options, beat: this.beat };
    const pair = Boolean(this.other?.frames);
    const aside = pair ? -BESIDE : 0;
    if (this.track?.frames) {
      this.first.show(this.track, time, { ...options, aside, posed: this.clock.playing ? null : this.posed });
      const worn = !(this.posed && !this.clock.playing) && this.character.pose(time - this.track.start, aside);
      if (this.character.model) this.character.model.visible = worn;
      this.first.main.mesh.visible = !worn || this.options.bones;
    } else {
      this.first.main.mesh.visible = true;
      this.first.stand();
    }
    if (pair) this.second.show(this.other, time, { ...options, onion: false, aside: BESIDE });
    else this.second.hide();
  }

  place() {
    this.first.hips(this.middle);
    if (this.other?.frames) this.middle.add(this.second.hips(this.beside)).multiplyScalar(0.5);
    return this.middle;
  }

  front() {
    this.look("front");
  }

  // Looks at the dancer from one of CAMERAS.
  look(from) {
    const pair = Boolean(this.other?.frames);
    const { turn = 0, distance = 1, height = 0 } = CAMERAS[from];
    const ahead = this.track?.frames && !pair ? this.first.front() : 0;
    this.stage.face(this.place(), ahead + turn, distance * (pair ? 5.8 : 4.6));
    this.stage.camera.position.y += height;
    this.stage.controls.update();
    this.touch();
  }

  draw() {
    const now = performance.now();
    const seconds = Math.min((now - this.drawn) / 1000, 1);
    this.drawn = now;
    const time = this.clock.time(now);
    const plays = this.clock.playing && !this.clock.waiting;
    if (!plays && now > this.busyUntil && !this.fresher) return;
    this.fresher = false;
    if (plays && this.stage.easeWork(seconds)) this.resize();
    this.pose(time);
    if (this.fresh) {
      this.fresh = false;
      this.front();
    }
    this.stage.move(this.place(), seconds);
    this.stage.controls.update();
    this.stage.glow(plays ? beatGlow(this.beats, time) : 0);
    this.beforeRender();
    this.stage.render();
    this.pictures += 1;
    const shows = plays && this.clock.sound && this.track?.frames && time < this.track.end;
    this.skew = shows ? this.clock.sound.currentTime - this.first.shownTime : null;
    this.on.frame(time);
  }
}
