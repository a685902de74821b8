// Time: the song's where there is one, else the computer's. Shared by the one-file page and the studio.

const DRIFT_ALLOWED = 0.04; // seconds that the picture may be off before it jumps to the sound

export class Clock {
  // `range` returns {from, to, waits}: the seconds that can be played, and whether more may come after `to`, in which
  // case playing waits there rather than ending. `changed` is called when playing begins, waits or stops.
  constructor({ sound = null, range, changed }) {
    this.sound = sound;
    this.range = range;
    this.changed = changed;
    this.rate = 1;
    this.loop = false;
    this.playing = false;
    this.waiting = false;
    this.at = 0; // seconds at the moment `since`
    this.since = 0;
  }

  time(now = performance.now()) {
    if (!this.playing || this.waiting) return this.at;
    const { from, to, waits } = this.range();
    let time = this.at + ((now - this.since) / 1000) * this.rate;
    if (this.sound && !this.sound.ended) {
      // A media clock moves in steps; ours runs on and is pulled towards it.
      const off = this.sound.currentTime - time;
      time += Math.abs(off) > DRIFT_ALLOWED ? off : 0.1 * off;
      this.at = time;
      this.since = now;
    }
    if (time < to) return time;
    if (waits) {
      this.wait(to);
    } else if (this.loop) {
      this.seek(from);
    } else {
      this.halt(to);
    }
    return this.at;
  }

  halt(at) {
    this.playing = this.waiting = false;
    this.at = at;
    if (this.sound) this.sound.pause();
    this.changed();
  }

  wait(at) {
    this.waiting = true;
    this.at = at;
    if (this.sound) this.sound.pause();
    this.changed();
  }

  async play() {
    const { from, to, waits } = this.range();
    if (!waits && (this.at >= to - 0.01 || this.at < from)) this.seek(from);
    if (this.sound) {
      this.sound.playbackRate = this.rate;
      this.sound.currentTime = this.at;
      await this.sound.play();
    }
    this.since = performance.now();
    this.playing = true;
    this.waiting = false;
    this.changed();
  }

  pause() {
    const time = this.time(); // which may be where it ends
    if (this.playing) this.halt(time);
  }

  toggle() {
    if (this.playing) this.pause();
    else return this.play();
  }

  seek(seconds) {
    this.at = seconds;
    this.since = performance.now();
    if (this.sound) {
      this.sound.currentTime = this.at;
      if (this.playing && !this.waiting && this.sound.paused) this.sound.play();
    }
  }

  setRate(rate) {
    this.at = this.time();
    this.since = performance.now();
    this.rate = rate;
    if (this.sound) this.sound.playbackRate = rate;
  }
}
