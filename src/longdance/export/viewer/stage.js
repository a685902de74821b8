// The stage a dance is seen on: floor, light, shadows, a camera that follows. Shared by the one-file page and the studio.

import {
  AdditiveBlending,
  CanvasTexture,
  CircleGeometry,
  Color,
  DirectionalLight,
  Fog,
  HemisphereLight,
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

const FOLLOW_SECONDS = 0.35;
const EYE_LEVEL = 0.92; // metres; jumps and falls are seen against a steady floor
export const DISTANCE = 4.6; // metres
const JUMP = 3; // metres beyond which the camera does not travel but cuts
const FLASH_SECONDS = 0.16;
const SLOW_FRAME = 0.045; // seconds
const PIXEL_RATIOS = [0.5, 1, 2]; // by quality, at most; the coarsest has no shadows

export class Stage {
  constructor(canvas) {
    const background = new Color(0x2a303d);
    this.scene = new Scene();
    this.scene.background = background;
    this.scene.fog = new Fog(background, 9, 26);
    this.renderer = new WebGLRenderer({ antialias: true, canvas });
    this.renderer.shadowMap.type = PCFShadowMap;
    this.camera = new PerspectiveCamera(32, 1, 0.05, 80);
    this.controls = new OrbitControls(this.camera, canvas);
    this.controls.enableDamping = true;
    this.controls.minDistance = 1;
    this.controls.maxDistance = 20;
    this.controls.maxPolarAngle = 0.53 * Math.PI;
    this.follow = true;
    this.middle = new Vector3(0, EYE_LEVEL, 0);
    this.step = new Vector3();
    this.patience = 2; // seconds without a slow frame before a finer picture is tried
    this.furnish();
    this.setQuality(PIXEL_RATIOS.length - 1);
  }

  furnish() {
    const floor = new Mesh(
      new CircleGeometry(30, 96),
      new MeshStandardMaterial({ map: gridTexture(), roughness: 0.9 }),
    );
    floor.rotation.x = -Math.PI / 2;
    floor.receiveShadow = true;
    this.flash = new Mesh(
      new RingGeometry(0.62, 0.7, 96),
      new MeshBasicMaterial({
        color: 0xffa842,
        transparent: true,
        opacity: 0,
        blending: AdditiveBlending,
        depthWrite: false,
      }),
    );
    this.flash.rotation.x = -Math.PI / 2;
    this.flash.position.y = 0.004;
    this.lamp = new DirectionalLight(0xfff1de, 2.6);
    this.lampPlace = new Vector3(1.8, 4.2, 2.6);
    this.lamp.castShadow = true;
    this.lamp.shadow.mapSize.set(2048, 2048);
    Object.assign(this.lamp.shadow.camera, { left: -2.2, right: 2.2, top: 2.6, bottom: -2.2, near: 0.5, far: 12 });
    this.lamp.shadow.bias = -0.0004;
    this.lamp.shadow.normalBias = 0.012;
    const sky = new HemisphereLight(0xe8eefc, 0x565b66, 1.5);
    this.scene.add(floor, this.flash, sky, this.lamp, this.lamp.target);
  }

  // Makes room in the shadows for dancers up to `reach` metres beside the middle.
  widen(reach) {
    const camera = this.lamp.shadow.camera;
    Object.assign(camera, { left: -2.2 - reach, right: 2.2 + reach, top: 2.6 + reach, bottom: -2.2 - reach });
    camera.near = 0.5 - Math.min(reach, 4);
    camera.far = 12 + reach;
    camera.updateProjectionMatrix();
    this.scene.fog.far = 26 + 3 * reach;
    this.scene.fog.near = 9 + 2.4 * reach;
    this.controls.maxDistance = 20 + 3 * reach;
  }

  // Moves camera, light and beat ring with the place `wanted` (world, metres) over `seconds`.
  move(wanted, seconds) {
    wanted.y = EYE_LEVEL;
    const far = this.middle.distanceTo(wanted) > JUMP;
    const share = !this.follow ? 0 : far ? 1 : 1 - Math.exp(-seconds / FOLLOW_SECONDS);
    this.step.copy(wanted).sub(this.middle).multiplyScalar(share);
    this.middle.add(this.step);
    this.camera.position.add(this.step);
    this.controls.target.add(this.step);
    this.light(wanted);
  }

  // Looks at the place `wanted` from the side to which the angle `front` points, radians from +z.
  face(wanted, front, distance = DISTANCE) {
    wanted.y = EYE_LEVEL;
    this.middle.copy(wanted);
    this.camera.position.set(wanted.x + Math.sin(front) * distance, 1.35, wanted.z + Math.cos(front) * distance);
    this.controls.target.copy(wanted);
    this.light(wanted);
  }

  light(wanted) {
    this.lamp.position.copy(wanted).add(this.lampPlace);
    this.lamp.target.position.copy(wanted);
    this.flash.position.x = wanted.x;
    this.flash.position.z = wanted.z;
  }

  // The ring under the dancer, from 0 to 1.
  glow(strength) {
    this.flash.material.opacity = 0.9 * strength;
    this.flash.scale.setScalar(1 + 0.12 * (1 - strength));
  }

  resize(width, height) {
    this.renderer.setSize(width, height, false);
    this.camera.aspect = width / height;
    this.camera.fov = width < height ? 50 : 32;
    this.camera.updateProjectionMatrix();
  }

  // A machine that is too slow, or busy for a while, gets a coarser picture rather than a jerky one. The finer picture is
  // tried again after seconds without a slow frame: twice as many for every time that it was too much. True if the
  // picture changed now.
  easeWork(seconds) {
    const slow = seconds > SLOW_FRAME;
    this.slowFrames = slow ? this.slowFrames + (seconds > 0.2 ? 4 : 1) : Math.max(0, this.slowFrames - 2);
    this.swiftSeconds = slow ? 0 : this.swiftSeconds + seconds;
    if (this.slowFrames >= 12 && this.quality > 0) {
      this.patience *= 2;
      return this.setQuality(this.quality - 1);
    }
    return this.swiftSeconds > this.patience && this.quality < PIXEL_RATIOS.length - 1 && this.setQuality(this.quality + 1);
  }

  setQuality(quality) {
    Object.assign(this, { quality, slowFrames: 0, swiftSeconds: 0 });
    this.renderer.shadowMap.enabled = this.lamp.castShadow = quality > 0;
    this.renderer.setPixelRatio(Math.min(window.devicePixelRatio, PIXEL_RATIOS[quality]));
    return true;
  }

  render() {
    this.renderer.render(this.scene, this.camera);
  }
}

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

// The last of the ascending `times` that is not after `time`; -1 if there is none.
export function lastBefore(times, time) {
  let low = 0;
  let high = times.length;
  while (low < high) {
    const half = (low + high) >> 1;
    if (times[half] <= time) low = half + 1;
    else high = half;
  }
  return low - 1;
}

// How strongly the beat before `time` still glows.
export function beatGlow(beats, time) {
  const beat = lastBefore(beats, time);
  return beat < 0 ? 0 : Math.exp(-(time - beats[beat]) / FLASH_SECONDS);
}

export function clockText(seconds) {
  const whole = Math.floor(seconds);
  return `${Math.floor(whole / 60)}:${String(whole % 60).padStart(2, "0")}`;
}
