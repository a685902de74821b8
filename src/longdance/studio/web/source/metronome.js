// Clicks on the beats, laid ahead of time on the sound card's clock.

import { lastBefore } from "../../../export/viewer/stage.js";

const AHEAD = 0.15; // seconds that clicks are laid before they sound

export class Metronome {
  constructor() {
    this.on = false;
    this.volume = 1;
    this.until = 0; // second of the song up to which clicks were laid
    this.clicks = 0;
  }

  switch(on) {
    this.on = on;
    this.context ??= on ? new AudioContext() : null;
    if (on) this.context.resume();
  }

  // Called with every picture that plays: the song's second, its beats and downbeats, and how fast it plays.
  at(time, { beats = [], downbeats = [] }, rate) {
    if (!this.on) return;
    if (time < this.until - AHEAD * rate - 0.05 || time > this.until + 0.5) this.until = time;
    const end = time + AHEAD * rate;
    for (let index = lastBefore(beats, this.until) + 1; index < beats.length && beats[index] <= end; index++) {
      const strong = downbeats.some((downbeat) => Math.abs(downbeat - beats[index]) < 1e-3);
      this.click(this.context.currentTime + Math.max(0, beats[index] - time) / rate, strong);
    }
    this.until = Math.max(this.until, end);
  }

  click(when, strong) {
    const tone = this.context.createOscillator();
    const gain = this.context.createGain();
    tone.frequency.value = strong ? 1760 : 1175;
    gain.gain.setValueAtTime(0.35 * this.volume, when);
    gain.gain.exponentialRampToValueAtTime(1e-4, when + 0.05);
    tone.connect(gain).connect(this.context.destination);
    tone.start(when);
    tone.stop(when + 0.06);
    this.clicks += 1;
  }
}
