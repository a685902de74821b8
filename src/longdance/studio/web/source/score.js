// The words of the whole dance and the blocks of the score, as the user lays them down.

import { lastBefore } from "../../../export/viewer/stage.js";
import { element, exactTime } from "./dom.js";

export class Score {
  constructor(app, defaults) {
    this.app = app;
    this.defaults = defaults; // settings before there is a project
    this.blockId = null; // the block whose words are shown
  }

  changeSettings(fields) {
    if (!this.app.project) return this.app.words.showSettings({ ...this.app.words.settings, ...fields });
    this.app.project.settings = { ...this.app.project.settings, ...fields };
    this.app.words.showSettings(this.app.project.settings);
    this.app.save({ settings: fields });
  }

  changeWords(words) {
    if (!this.app.project) return;
    if (!this.blockId) return this.changeSettings(words);
    const blocks = this.app.project.score.blocks.map((block) => (block.id === this.blockId ? { ...block, ...words } : block));
    this.changeScore(blocks, this.blockId);
  }

  wordsForBlock() {
    const { genre, movements, prompt } = this.app.words.shown;
    return { genre, movements: [...movements], prompt };
  }

  changeScore(blocks, chosen) {
    this.app.project.score = { blocks: [...blocks].sort((one, other) => one.from - other.from) };
    this.blockId = chosen;
    this.app.save({ score: this.app.project.score });
    this.drawWords();
    this.app.edits.drawEdit();
  }

  chooseBlock(id) {
    this.app.words.flush();
    this.blockId = id;
    this.drawWords();
  }

  addBlock(words, time, range = null) {
    if (!this.app.timeline.add(words, time, range)) this.app.status.note("There is no room for another block here.");
  }

  blockTitle({ genre, movements, prompt }) {
    const title = this.app.catalogue.find(({ name }) => name === genre)?.title ?? genre;
    const tells = [movements.join(", "), prompt && `“${prompt}”`].filter(Boolean).join(" · ");
    return { title: title ?? (prompt ? "Own words" : "Any genre"), tells };
  }

  drawWords() {
    const { score, settings } = this.app.project ?? { score: { blocks: [] }, settings: this.defaultSettings() };
    const index = score.blocks.findIndex(({ id }) => id === this.blockId);
    this.app.words.showSettings(settings);
    if (index < 0) this.app.words.show(settings);
    else this.app.words.show(score.blocks[index], `Block ${index + 1}: ${this.barsOf(score.blocks[index])}`);
    this.drawSuggestion(index < 0 && !settings.genre && !settings.prompt && !score.blocks.length);
    this.app.timeline.showScore(score.blocks, this.blockId);
  }

  // A genre that fits the song, where none is asked for.
  drawSuggestion(wanted) {
    const { suggested } = this.app.project?.song ?? {};
    const genre = suggested && this.app.catalogue.find(({ name }) => name === suggested.genre);
    element("suggestion").hidden = !wanted || !genre;
    if (!genre) return;
    element("suggestion-why").textContent = `${genre.title} would fit.`;
    element("suggestion").title = suggested.why;
  }

  defaultSettings() {
    const known = this.app.models.some(({ name }) => name === this.defaults.model);
    return known ? this.defaults : { ...this.defaults, model: this.app.models[0]?.name };
  }

  barsOf({ from, to }) {
    const { downbeats = [] } = this.app.project?.song ?? {};
    if (!downbeats.length) return `${exactTime(from)} to ${exactTime(to)}`;
    const first = Math.max(0, lastBefore(downbeats, from + 0.02)) + 1;
    const last = Math.max(first, lastBefore(downbeats, to - 0.02) + 1);
    return first === last ? `bar ${first}` : `bars ${first} to ${last}`;
  }
}
