// The page that plays a dance: three.js draws, the song's own clock leads. Everything it needs is in the page.
//
// Built into viewer.min.js by tools/build_viewer.sh.

import {
  AdditiveBlending,
  AnimationMixer,
  CanvasTexture,
  CircleGeometry,
  Color,
  DirectionalLight,
  Fog,
  HemisphereLight,
  LoopOnce,
  Mesh,
  MeshBasicMaterial,
  MeshStandardMaterial,
  PCFShadowMap,
  PerspectiveCamera,
  RepeatWrapping,
  RingGeometry,
  Scene,
  SRGBColorSpace,
  Vector3,
  WebGLRenderer,
} from "three";
import { OrbitControls } from "three/addons/controls/OrbitControls.js";
import { GLTFLoader } from "three/addons/loaders/GLTFLoader.js";

const SEEK_SECONDS = 2;
const FLASH_SECONDS = 0.16;
const FOLLOW_SECONDS = 0.35;
const DRIFT_ALLOWED = 0.04; // seconds that the picture may be off before it jumps to the sound

const element = (id) => document.getElementById(id);
const facts = JSON.parse(element("facts").textContent);

function bytes(id) {
  const binary = atob(element(id).textContent.trim());
  const array = new Uint8Array(binary.length);
  for (let i = 0; i < binary.length; i++) array[i] = binary.charCodeAt(i);
  element(id).remove();
  return array;
}

// --- time: the song's where there is one, else the computer's -----------------------------------------------

class Player {
  constructor(sound) {
    this.sound = sound;
    this.rate = 1;
    this.loop = false;
    this.playing = false;
    this.at = 0; // seconds at the moment `since`
    this.since = 0;
  }

  time(now = performance.now()) {
    let time = this.at;
    if (this.playing) {
      time += ((now - this.since) / 1000) * this.rate;
      if (this.sound && !this.sound.ended) {
        // A media clock moves in steps; ours runs on and is pulled towards it.
        const off = this.sound.currentTime - time;
        time += Math.abs(off) > DRIFT_ALLOWED ? off : 0.1 * off;
        this.at = time;
        this.since = now;
      }
      if (time >= facts.seconds) {
        if (this.loop) {
          this.seek(0);
          return 0;
        }
        this.halt(facts.seconds);
        return facts.seconds;
      }
    }
    return time;
  }

  halt(at) {
    this.playing = false;
    this.at = at;
    if (this.sound) this.sound.pause();
    showState();
  }

  async play() {
    if (this.at >= facts.seconds - 0.01) this.seek(0);
    if (this.sound) {
      this.sound.playbackRate = this.rate;
      this.sound.currentTime = this.at;
      await this.sound.play();
    }
    this.since = performance.now();
    this.playing = true;
    showState();
  }

  pause() {
    const time = this.time(); // which may be where it ends
    if (this.playing) this.halt(time);
  }

  toggle() {
    if (this.playing) this.pause();
    else this.play();
  }

  seek(seconds) {
    this.at = Math.min(Math.max(seconds, 0), facts.seconds);
    this.since = performance.now();
    if (this.sound) {
      this.sound.currentTime = this.at;
      if (this.playing && this.sound.paused) this.sound.play();
    }
  }

  setRate(rate) {
    this.at = this.time();
    this.since = performance.now();
    this.rate = rate;
    if (this.sound) this.sound.playbackRate = rate;
  }
}

let sound = null;
if (facts.sound) {
  sound = new Audio(URL.createObjectURL(new Blob([bytes("song")], { type: facts.sound })));
  sound.preload = "auto";
  sound.preservesPitch = true;
}
const player = new Player(sound);

// --- the stage ----------------------------------------------------------------------------------------------

const background = new Color(0x2a303d);
const scene = new Scene();
scene.background = background;
scene.fog = new Fog(background, 9, 26);
const renderer = new WebGLRenderer({ antialias: true, canvas: element("picture") });
renderer.setPixelRatio(Math.min(window.devicePixelRatio, 2));
renderer.shadowMap.enabled = true;
renderer.shadowMap.type = PCFShadowMap;
const camera = new PerspectiveCamera(32, 1, 0.05, 80);
const controls = new OrbitControls(camera, renderer.domElement);
controls.enableDamping = true;
controls.minDistance = 1;
controls.maxDistance = 20;
controls.maxPolarAngle = 0.53 * Math.PI;

function gridTexture() {
  const size = 256;
  const canvas = document.createElement("canvas");
  canvas.width = canvas.height = size;
  const pen = canvas.getContext("2d");
  pen.fillStyle = "#8790a3";
  pen.fillRect(0, 0, size, size);
  pen.strokeStyle = "#a9b2c4";
  pen.lineWidth = 5;
  pen.strokeRect(0, 0, size, size);
  const texture = new CanvasTexture(canvas);
  texture.wrapS = texture.wrapT = RepeatWrapping;
  texture.repeat.set(120, 120); // half a metre each
  texture.anisotropy = 8;
  texture.colorSpace = SRGBColorSpace;
  return texture;
}

const floor = new Mesh(new CircleGeometry(30, 96), new MeshStandardMaterial({ map: gridTexture(), roughness: 0.9 }));
floor.rotation.x = -Math.PI / 2;
floor.receiveShadow = true;
scene.add(floor);

const flash = new Mesh(
  new RingGeometry(0.62, 0.7, 96),
  new MeshBasicMaterial({ color: 0xffa842, transparent: true, opacity: 0, blending: AdditiveBlending, depthWrite: false }),
);
flash.rotation.x = -Math.PI / 2;
flash.position.y = 0.004;
scene.add(flash);

scene.add(new HemisphereLight(0xe8eefc, 0x565b66, 1.5));
const lamp = new DirectionalLight(0xfff1de, 2.6);
const lampPlace = new Vector3(1.8, 4.2, 2.6);
lamp.castShadow = true;
lamp.shadow.mapSize.set(2048, 2048);
Object.assign(lamp.shadow.camera, { left: -2.2, right: 2.2, top: 2.6, bottom: -2.2, near: 0.5, far: 12 });
lamp.shadow.bias = -0.0004;
lamp.shadow.normalBias = 0.012;
scene.add(lamp, lamp.target);

// --- the dancer ---------------------------------------------------------------------------------------------

let mixer = null;
let action = null;
let hips = null;
let follow = true;
const middle = new Vector3(0, 0.95, 0);
const wanted = new Vector3();
const step = new Vector3();

async function load() {
  const gltf = await new GLTFLoader().parseAsync(bytes("dancer").buffer, "");
  scene.add(gltf.scene);
  gltf.scene.traverse((part) => {
    if (part.isSkinnedMesh) {
      part.castShadow = part.receiveShadow = true;
      part.frustumCulled = false; // its box is that of the rest pose
      hips = hips || part.skeleton.bones[facts.hips];
    }
  });
  mixer = new AnimationMixer(gltf.scene);
  action = mixer.clipAction(gltf.animations[0]);
  action.setLoop(LoopOnce);
  action.clampWhenFinished = true;
  action.play();
  pose(0);
  place(true);
  element("cover").hidden = false;
  element("loading").hidden = true;
}

function pose(time) {
  action.time = Math.min(time, action.getClip().duration);
  action.paused = false;
  action.enabled = true;
  mixer.update(0);
}

function place(atOnce, seconds = 0) {
  hips.getWorldPosition(wanted);
  wanted.y = 0.92; // jumps and falls are seen against a steady floor
  const share = atOnce ? 1 : follow ? 1 - Math.exp(-seconds / FOLLOW_SECONDS) : 0;
  step.copy(wanted).sub(middle).multiplyScalar(share);
  if (step.length() > 3) step.copy(wanted).sub(middle);
  middle.add(step);
  if (atOnce) {
    camera.position.set(middle.x + Math.sin(facts.front) * 4.6, 1.35, middle.z + Math.cos(facts.front) * 4.6);
    controls.target.copy(middle);
  } else {
    camera.position.add(step);
    controls.target.add(step);
  }
  lamp.position.copy(wanted).add(lampPlace);
  lamp.target.position.copy(wanted);
  flash.position.x = wanted.x;
  flash.position.z = wanted.z;
}

function beatBefore(time) {
  let low = 0;
  let high = facts.beats.length;
  while (low < high) {
    const half = (low + high) >> 1;
    if (facts.beats[half] <= time) low = half + 1;
    else high = half;
  }
  return low - 1;
}

// --- controls -----------------------------------------------------------------------------------------------

const seekBar = element("seek");
seekBar.max = facts.seconds;
let dragging = false;

function clockText(seconds) {
  const whole = Math.floor(seconds);
  return `${Math.floor(whole / 60)}:${String(whole % 60).padStart(2, "0")}`;
}

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
element("follow").onchange = (event) => (follow = event.target.checked);
element("loop").onchange = (event) => (player.loop = event.target.checked);
element("view").onclick = () => place(true);
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
    ArrowLeft: () => player.seek(player.time() - SEEK_SECONDS),
    ArrowRight: () => player.seek(player.time() + SEEK_SECONDS),
    ",": () => frameStep(-1),
    ".": () => frameStep(1),
    f: () => element("follow").click(),
    l: () => element("loop").click(),
    v: () => place(true),
    m: () => sound && element("mute").click(),
  };
  const act = keys[event.key];
  if (act && !(event.key === " " && event.target.matches("button"))) {
    event.preventDefault();
    act();
  }
});

function frameStep(frames) {
  player.pause();
  player.seek((Math.round(player.at * facts.fps) + frames) / facts.fps);
}

function resize() {
  const { clientWidth: width, clientHeight: height } = element("stage");
  renderer.setSize(width, height, false);
  camera.aspect = width / height;
  camera.fov = width < height ? 50 : 32;
  camera.updateProjectionMatrix();
  drawTicks();
}
addEventListener("resize", resize);

// --- drawing ------------------------------------------------------------------------------------------------

let drawn = performance.now();
let slowFrames = 0;
let quality = 2;

function easeWork(seconds) {
  // Machines without a graphics card get a coarser picture rather than a jerky one.
  slowFrames = seconds > 0.045 ? slowFrames + 1 : Math.max(0, slowFrames - 2);
  if (slowFrames < 12 || quality === 0) return;
  quality -= 1;
  slowFrames = 0;
  if (quality === 0) renderer.shadowMap.enabled = lamp.castShadow = false;
  renderer.setPixelRatio(quality === 0 ? 0.5 : 1);
  resize();
}

function draw() {
  const now = performance.now();
  const seconds = Math.min((now - drawn) / 1000, 1);
  drawn = now;
  easeWork(seconds);
  const time = player.time(now);
  pose(time);
  place(false, seconds);
  controls.update();
  const beat = beatBefore(time);
  const since = beat >= 0 ? time - facts.beats[beat] : Infinity;
  const glow = player.playing || since < 0.02 ? Math.exp(-since / FLASH_SECONDS) : 0;
  flash.material.opacity = 0.9 * glow;
  flash.scale.setScalar(1 + 0.12 * (1 - glow));
  element("time").textContent = `${clockText(time)} / ${clockText(facts.seconds)}`;
  if (!dragging) seekBar.value = time;
  seekBar.setAttribute("aria-valuetext", clockText(time));
  renderer.render(scene, camera);
}

// What scripts may look at and drive.
window.longdance = {
  player,
  facts,
  sound,
  shownTime: () => action.time,
  hips: () => hips.getWorldPosition(new Vector3()).toArray(),
};

resize();
load().then(
  () => {
    window.longdance.ready = true;
    renderer.setAnimationLoop(draw);
  },
  (error) => {
    element("loading").textContent = `This browser could not show the dance: ${error.message}`;
  },
);
