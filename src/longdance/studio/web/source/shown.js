// The take that is shown, perhaps one beside it, their frames, and the character that dances.

import * as api from "./api.js";
import { ask } from "./ask.js";
import { element } from "./dom.js";
import { drawTakes } from "./takes.js";
import { Track } from "./track.js";

const ENOUGH_TO_GO_ON = 1.5; // seconds beyond the playhead after which waiting ends

export class ShownTake {
  constructor(app) {
    this.app = app;
    this.tracks = new Map(); // by take
    this.clear();
  }

  clear() {
    this.tracks.clear();
    this.takeId = null;
    this.comparedId = null;
    this.autoplay = null; // the take that begins to play by itself
    this.keeps = []; // stretches of it that are to stay
  }

  get take() {
    return this.app.project?.takes.find(({ id }) => id === this.takeId) ?? null;
  }

  get track() {
    return this.tracks.get(this.takeId) ?? null;
  }

  // A take that the user chose brings back what it was asked for; Undo takes that back.
  async chooseTake(take) {
    await this.openTake(take);
    if (!take.settings) return;
    const other = Object.keys(take.settings).filter((key) => JSON.stringify(take.settings[key]) !== JSON.stringify(this.app.project.settings[key]));
    if (other.length) this.app.score.changeSettings(Object.fromEntries(other.map((key) => [key, take.settings[key]])));
    if (!this.app.score.blockId) this.app.score.drawWords();
  }

  async openTake(take) {
    this.takeId = take.id;
    if (this.comparedId === take.id) this.comparedId = null;
    this.keeps = [];
    this.app.poser.clear();
    this.app.draw();
    this.showTracks();
    if (["ready", "running"].includes(take.state)) await this.fetchMotion(take.id);
  }

  async compare(take) {
    this.comparedId = this.comparedId === take.id ? null : take.id;
    this.app.draw();
    if (this.comparedId) await this.fetchMotion(take.id);
    this.showTracks();
    this.app.view.front();
  }

  // Gets the frames of a take that are not here yet; once at a time.
  async fetchMotion(id) {
    const take = this.app.project.takes.find((other) => other.id === id);
    if (!take) return;
    const old = this.tracks.get(id);
    if (old?.final) return this.showTracks();
    if (old?.fetching) return;
    // Contacts at the seams of a growing dance are settled when it is complete: then all of it is fetched again.
    const track = old && take.state === "running" ? old : new Track(take.start);
    track.fetching = true;
    try {
      const path = `${this.app.path}/takes/${id}/motion?from=${track.frames}`;
      track.add(await api.getBytes(path));
    } finally {
      track.fetching = false;
    }
    if (!track.frames) return;
    this.tracks.set(id, track);
    this.showTracks();
    if (id === this.takeId) await this.playOn(track);
  }

  // Playing begins with the first seconds of a dance, and goes on when more of it has come.
  async playOn(track) {
    const { clock } = this.app.view;
    const enough = track.final || track.end - clock.at > ENOUGH_TO_GO_ON;
    if (clock.waiting && enough) await clock.play();
    if (this.autoplay === this.takeId && !clock.playing && enough) {
      this.autoplay = null;
      try {
        await clock.play();
      } catch (error) {
        if (error.name !== "NotAllowedError") throw error;
        this.app.status.note("The browser wants a click before it plays: press Play.");
      }
    }
  }

  showTracks() {
    const other = this.comparedId ? (this.tracks.get(this.comparedId) ?? null) : null;
    const take = this.take;
    const silent = take?.state === "ready" && take.record.song === null;
    this.app.view.show(this.track, other, silent);
    const track = this.track;
    this.app.timeline.take = track ? { from: track.start, to: track.end, final: track.final, ...this.partsOf(take, track) } : null;
    this.app.timeline.keeps = this.keeps;
    this.app.timeline.draw();
    this.app.plan.show(take, track?.end ?? Infinity);
    this.app.edits.drawEdit();
    this.app.status.drawTransport();
    this.showCharacter();
  }

  // What was danced when, of which phrases, and what was made anew since, in seconds of the song.
  partsOf(take, track) {
    const { record = {}, start = 0 } = take ?? {};
    const moved = ({ from, to }) => ({ from: from + start, to: Math.min(to + start, track.end) });
    const named = (genre) => this.app.genreCard(genre);
    const whole = [{ from: 0, to: track.end - start, genre: record.genre ?? take?.settings?.genre }];
    const parts = (record.timeline ?? whole).map((part) => ({ ...moved(part), ...named(part.genre) }));
    const edits = Array.isArray(record.edits) ? record.edits : [];
    const redone = edits.flatMap(({ redo }) => redo ?? []).map(([from, to]) => moved({ from, to }));
    const phrases = Array.isArray(record.plan?.phrases) ? record.plan.phrases.map(moved) : [];
    return { parts, redone, phrases };
  }

  async markTake(take, mark) {
    await api.send("PATCH", `${this.app.path}/takes/${take.id}`, { mark: take.mark === mark ? "none" : mark });
    await this.app.reload();
  }

  // The character of the project, dressed in the shown take, in place of the mannequin.
  async showCharacter() {
    const { character } = this.app.project ?? {};
    element("character-away").hidden = !character;
    const take = this.take;
    const ready = Boolean(character) && take?.state === "ready";
    const key = ready ? `${this.app.project.id} ${take.id} ${character} ${this.characterVersion ?? 0}` : null;
    await this.app.quietly(() => this.app.view.character.show(key, ready ? `${this.app.path}/takes/${take.id}/character.glb` : null));
    this.app.view.touch();
  }

  async bringCharacter(file) {
    this.app.status.note(`Bringing ${file.name} …`);
    const project = await api.upload(`${this.app.path}/character`, "character", file, () => {});
    this.characterVersion = (this.characterVersion ?? 0) + 1;
    this.app.apply(project);
  }

  async rename(take) {
    const name = await ask({ title: `A name for ${take.name}`, yes: "Rename", text: take.name });
    if (!name?.trim()) return;
    await api.send("PATCH", `${this.app.path}/takes/${take.id}`, { name: name.trim() });
    await this.app.reload();
  }

  async removeTake(take) {
    await api.send("DELETE", `${this.app.path}/takes/${take.id}`);
    await this.app.reload();
    if (!this.takeId) this.showTracks();
  }

  // The second of the song of the frame that is looked at.
  frameTime() {
    const { track } = this;
    if (!track?.fps) return this.app.view.clock.at;
    return track.start + Math.round(Math.min(Math.max(this.app.view.clock.at - track.start, 0), track.end - track.start - 1 / track.fps) * track.fps) / track.fps;
  }

  drawTakes() {
    const title = (genre) => this.app.catalogue.find(({ name }) => name === genre)?.title ?? genre;
    const state = { takes: this.app.project?.takes ?? [], shown: this.takeId, compared: this.comparedId, jobs: this.app.jobs.known, title };
    drawTakes(state, {
      open: (take) => this.app.run(() => this.chooseTake(take)),
      compare: (take) => this.app.run(() => this.compare(take)),
      rename: (take) => this.app.run(() => this.rename(take)),
      mark: (take, mark) => this.app.run(() => this.markTake(take, mark)),
      remove: (take) => this.app.run(() => this.removeTake(take)),
    });
  }
}
