// A character of the user's own in place of the mannequin: the server dresses it in a take, here it is played.

import { AnimationMixer } from "three";
import { GLTFLoader } from "three/addons/loaders/GLTFLoader.js";

export class Character {
  constructor(scene) {
    this.scene = scene;
    this.key = null; // what is shown or being loaded
    this.model = null;
  }

  // Shows the character as it dances the take behind `address`; null for none. `key` tells one from another.
  async show(key, address) {
    if (key === this.key) return;
    this.away();
    this.key = key;
    if (!address) return;
    const { scene, animations } = await new GLTFLoader().loadAsync(address);
    if (this.key !== key) return; // another one was asked for meanwhile
    let seen = false;
    scene.traverse((part) => {
      part.frustumCulled = false; // boxes are those of the rest pose
      if (part.isMesh) seen = part.castShadow = part.receiveShadow = true;
    });
    if (!seen) throw new Error("Your character has bones but no mesh, so there is nothing of it to see: the mannequin dances.");
    this.model = scene;
    this.mixer = new AnimationMixer(scene);
    this.action = this.mixer.clipAction(animations[0]);
    this.action.clampWhenFinished = true;
    this.action.play();
    this.length = animations[0].duration;
    this.scene.add(scene);
  }

  away() {
    if (this.model) this.scene.remove(this.model);
    this.model = this.mixer = null;
    this.key = null;
  }

  // Puts it into the pose at a second of the take; false where there is no character to see.
  pose(second, aside) {
    if (!this.model) return false;
    this.model.position.x = aside;
    this.mixer.setTime(Math.min(Math.max(second, 0), this.length - 1e-4));
    return true;
  }
}
