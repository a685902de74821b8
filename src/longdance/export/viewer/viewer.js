// The page that plays a dance: three.js draws, the song's own clock leads. Everything it needs is in the page.
//
// Built into viewer.min.js by tools/build_viewer.sh.

import { AnimationMixer, LoopOnce, Vector3 } from "three";
import { GLTFLoader } from "three/addons/loaders/GLTFLoader.js";
import { Clock } from "./clock.js";
import { beatGlow, clockText, DISTANCE, Stage } from "./stage.js";

const SEEK_SECONDS = 2;

const element = (id) => document.getElementById(id);
const facts = JSON.parse(element("facts").textContent);

function bytes(id) {
  const binary = atob(element(id).textContent.trim());
  const array = new Uint8Array(binary.length);
  for (let i = 0; i < binary.length; i++) array[i] = binary.charCodeAt(i);
  element(id).remove();
  return array;
}

// --- time and stage -----------------------------------------------------------------------------------------

let sound = null;
if (facts.sound) {
  sound = new Audio(URL.createObjectURL(new Blob([bytes("song")], { type: facts.sound })));
  sound.preload = "auto";
  sound.preservesPitch = true;
}
const player = new Clock({ sound, range: () => ({ from: 0, to: facts.seconds, waits: false }), changed: showState });
const stage = new Stage(element("picture"));
stage.widen(facts.reach);

// --- the dancer ---------------------------------------------------------------------------------------------

let mixer = null;
let action = null;
const hips = []; // of each dancer
const place = new Vector3();
const wanted = new Vector3();

async function load() {
  const gltf = await new GLTFLoader().parseAsync(bytes("dancer").buffer, "");
  stage.scene.add(gltf.scene);
  gltf.scene.traverse((part) => {
    if (part.isSkinnedMesh) {
      part.castShadow = part.receiveShadow = true;
      part.frustumCulled = false; // its box is that of the rest pose
      hips.push(part.skeleton.bones[facts.hips]);
    }
  });
  mixer = new AnimationMixer(gltf.scene);
  action = mixer.clipAction(gltf.animations[0]);
  action.setLoop(LoopOnce);
  action.clampWhenFinished = true;
  action.play();
  pose(0);
  front();
  element("cover").hidden = false;
  element("loading").hidden = true;
}

function pose(time) {
  action.time = Math.min(time, action.getClip().duration);
  action.paused = false;
  action.enabled = true;
  mixer.update(0);
}

function front() {
  stage.face(middle(), facts.front, DISTANCE + 2.4 * facts.reach);
}

// The place between the dancers.
function middle() {
  wanted.set(0, 0, 0);
  for (const bone of hips) wanted.add(bone.getWorldPosition(place));
  return wanted.divideScalar(hips.length);
}

// --- controls -----------------------------------------------------------------------------------------------

const seekBar = element("seek");
seekBar.max = facts.seconds;
let dragging = false;

function showState() {
  const button = element("play");
  button.textContent = player.playing ? "❚❚" : "▶";
  button.setAttribute("aria-label", player.playing ? "Pause" : "Play");
  if (player.playing) element("cover").hidden = true;
}

function drawTicks() {
  const canvas = element("ticks");
  canvas.width = canvas.clientWidth * devicePixelRatio;
  canvas.height = canvas.clientHeight * devicePixelRatio;
  const pen = canvas.getContext("2d");
  pen.fillStyle = "#ffa842";
  for (const beat of facts.beats) {
    pen.fillRect(Math.round((beat / facts.seconds) * canvas.width), 0, Math.max(1, devicePixelRatio), canvas.height);
  }
}

element("play").onclick = () => player.toggle();
element("cover").onclick = () => player.play();
seekBar.oninput = () => {
  dragging = true;
  player.seek(Number(seekBar.value));
};
seekBar.onchange = () => (dragging = false);
element("speed").onchange = (event) => player.setRate(Number(event.target.value));
element("follow").onchange = (event) => (stage.follow = event.target.checked);
element("loop").onchange = (event) => (player.loop = event.target.checked);
element("view").onclick = front;
if (!sound) element("mute").hidden = true;
element("mute").onclick = () => {
  sound.muted = !sound.muted;
  element("mute").setAttribute("aria-pressed", String(sound.muted));
  element("mute").textContent = sound.muted ? "Sound off" : "Sound on";
};
addEventListener("keydown", (event) => {
  if (event.target.matches("select") || event.ctrlKey || event.metaKey || event.altKey) return;
  const keys = {
    " ": () => player.toggle(),
    ArrowLeft: () => seek(player.time() - SEEK_SECONDS),
    ArrowRight: () => seek(player.time() + SEEK_SECONDS),
    ",": () => frameStep(-1),
    ".": () => frameStep(1),
    f: () => element("follow").click(),
    l: () => element("loop").click(),
    v: front,
    m: () => sound && element("mute").click(),
  };
  const act = keys[event.key];
  if (act && !(event.key === " " && event.target.matches("button"))) {
    event.preventDefault();
    act();
  }
});

function seek(seconds) {
  player.seek(Math.min(Math.max(seconds, 0), facts.seconds));
}

function frameStep(frames) {
  player.pause();
  seek((Math.round(player.at * facts.fps) + frames) / facts.fps);
}

function resize() {
  const { clientWidth: width, clientHeight: height } = element("stage");
  stage.resize(width, height);
  drawTicks();
}
addEventListener("resize", resize);

// --- drawing ------------------------------------------------------------------------------------------------

let drawn = performance.now();

function draw() {
  const now = performance.now();
  const seconds = Math.min((now - drawn) / 1000, 1);
  drawn = now;
  if (stage.easeWork(seconds)) resize();
  const time = player.time(now);
  pose(time);
  stage.move(middle(), seconds);
  stage.controls.update();
  stage.glow(player.playing ? beatGlow(facts.beats, time) : 0);
  element("time").textContent = `${clockText(time)} / ${clockText(facts.seconds)}`;
  if (!dragging) seekBar.value = time;
  seekBar.setAttribute("aria-valuetext", clockText(time));
  stage.render();
}

// What scripts may look at and drive.
window.longdance = {
  player,
  facts,
  sound,
  shownTime: () => action.time,
  hips: () => hips[0].getWorldPosition(new Vector3()).toArray(),
  dancers: () => hips.length,
};

resize();
load().then(
  () => {
    window.longdance.ready = true;
    stage.renderer.setAnimationLoop(draw);
  },
  (error) => {
    element("loading").textContent = `This browser could not show the dance: ${error.message}`;
  },
);
