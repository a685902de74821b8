// The timeline: one scale for all lanes, with zoom, selection and snapping, and the blocks of the score.

import { lastBefore } from "../../../export/viewer/stage.js";
import { element, exactTime, make } from "./dom.js";
import { Picture, SECTIONS, WAVE } from "./timeline_picture.js";

const EDGE = 8; // pixels at the end of a block by which it is made longer or shorter
const CLICK = 4; // pixels that a click may move
const SHORTEST = 0.1; // seconds of a block
const SHORTEST_VIEW = 2; // seconds
const DROPPED_BEATS = 8;

export class Timeline {
  // `on` has seek(time), select(range or null), choose(block id or null), change(blocks), words() for new blocks,
  // hue(genre) and title(block).
  constructor(on) {
    this.on = on;
    this.canvas = element("lanes-picture");
    this.layer = element("score");
    this.picture = new Picture(this);
    this.song = null;
    this.blocks = [];
    this.chosen = null;
    this.selection = null;
    this.keeps = [];
    this.take = null; // {from, to, final, parts: [{from, to, title, hue}], redone and phrases: [{from, to}]}
    this.poses = []; // seconds of key poses
    this.snapping = true;
    this.from = 0;
    this.to = 1;
    this.time = 0;
    this.dragging = false;
    this.lanes = []; // functions that put what lies below at its place
    this.elements = new Map();
    this.canvas.addEventListener("pointerdown", (event) => this.press(event));
    this.layer.addEventListener("pointerdown", (event) => this.pressScore(event));
    this.layer.addEventListener("pointermove", (event) => this.hover(event));
    element("lanes").addEventListener("wheel", (event) => this.wheel(event), { passive: false });
    this.layer.addEventListener("keydown", (event) => this.key(event));
    this.takeDrops();
    new ResizeObserver(() => this.draw()).observe(this.canvas);
  }

  // --- scale ---

  get width() {
    return this.canvas.clientWidth || 1;
  }

  get seconds() {
    return this.song?.seconds || 1;
  }

  x(time) {
    return ((time - this.from) / (this.to - this.from)) * this.width;
  }

  timeAt(event) {
    const x = event.clientX - this.canvas.getBoundingClientRect().left;
    return Math.min(Math.max(this.from + (x / this.width) * (this.to - this.from), 0), this.seconds);
  }

  snap(time, free = false) {
    const beats = this.song?.beats ?? [];
    if (free || !this.snapping || !beats.length) return time;
    const before = lastBefore(beats, time);
    const near = [before < 0 ? 0 : beats[before], before + 1 < beats.length ? beats[before + 1] : this.seconds];
    return time - near[0] <= near[1] - time ? near[0] : near[1];
  }

  // The time `beats` beats after a time.
  shifted(time, beats) {
    const all = this.song?.beats ?? [];
    if (!all.length) return Math.min(Math.max(time + beats * 0.5, 0), this.seconds);
    const at = lastBefore(all, time + 1e-3);
    const onBeat = at >= 0 && Math.abs(all[at] - time) < 2e-3;
    const index = at + beats + (beats < 0 && !onBeat ? 1 : 0);
    return index < 0 ? 0 : index >= all.length ? this.seconds : all[index];
  }

  // `same` where only the beats are others: what is looked at stays.
  show(song, same = false) {
    const other = song !== this.song;
    this.song = song;
    if (other && !same) this.fit();
    else this.draw();
  }

  fit() {
    this.look(0, this.seconds);
  }

  look(from, to) {
    const length = Math.min(Math.max(to - from, SHORTEST_VIEW), this.seconds);
    this.from = Math.min(Math.max(from, 0), this.seconds - length);
    this.to = this.from + length;
    this.draw();
  }

  zoom(factor, around = this.time) {
    const inside = around >= this.from && around <= this.to ? around : (this.from + this.to) / 2;
    this.look(inside - (inside - this.from) / factor, inside + (this.to - inside) / factor);
  }

  wheel(event) {
    event.preventDefault();
    if (event.ctrlKey || event.metaKey) return this.zoom(Math.exp(-event.deltaY / 300), this.timeAt(event));
    const shift = ((event.deltaX || event.deltaY) / this.width) * (this.to - this.from);
    this.look(this.from + shift, this.to + shift);
  }

  // --- playhead ---

  setTime(time, playing) {
    this.time = time;
    const length = this.to - this.from;
    if (playing && length < this.seconds && (time > this.to - 0.05 * length || time < this.from)) {
      this.look(time - 0.1 * length, time + 0.9 * length);
    }
    element("playhead").style.transform = `translateX(${this.x(time)}px)`;
    this.canvas.setAttribute("aria-valuenow", time.toFixed(1));
    this.canvas.setAttribute("aria-valuetext", exactTime(time));
  }

  // --- seeking and selecting ---

  press(event) {
    if (event.button || !this.song) return;
    const y = event.clientY - this.canvas.getBoundingClientRect().top;
    const begun = this.timeAt(event);
    if (y < SECTIONS.top) return this.drag(event, (moved) => this.on.seek(this.timeAt(moved)), { atOnce: true });
    if (y < WAVE.top) {
      const part = this.song.sections.find((section) => section.from <= begun && begun < section.to);
      if (part) this.on.select({ from: part.from, to: part.to });
      return;
    }
    const anchor = event.shiftKey && this.selection ? this.farEnd(begun) : begun;
    this.drag(event, (moved) => this.on.select(this.range(anchor, this.timeAt(moved), moved.altKey)), {
      clicked: () => {
        if (event.shiftKey) return this.on.select(this.range(this.selection ? anchor : this.time, begun, event.altKey));
        this.on.select(null);
        this.on.seek(begun);
      },
    });
  }

  farEnd(time) {
    const { from, to } = this.selection;
    return Math.abs(time - from) < Math.abs(time - to) ? to : from;
  }

  range(one, other, free) {
    const from = this.snap(Math.min(one, other), free);
    const to = this.snap(Math.max(one, other), free);
    return to - from >= SHORTEST ? { from, to } : null;
  }

  // Calls `moved` for every move until the pointer is lifted, then `ended`; or `clicked` if it hardly moved.
  drag(event, moved, { ended = () => {}, clicked = null, atOnce = false } = {}) {
    const target = event.currentTarget;
    const startX = event.clientX;
    let going = atOnce;
    this.dragging = true;
    target.setPointerCapture(event.pointerId);
    const move = (next) => {
      going ||= Math.abs(next.clientX - startX) > CLICK;
      if (going) moved(next);
    };
    const stop = (last) => {
      target.removeEventListener("pointermove", move);
      target.removeEventListener("pointerup", stop);
      target.removeEventListener("pointercancel", stop);
      this.dragging = false;
      if (going) ended(last);
      else if (clicked) clicked(last);
    };
    target.addEventListener("pointermove", move);
    target.addEventListener("pointerup", stop);
    target.addEventListener("pointercancel", stop);
    if (atOnce) moved(event);
  }

  // --- the score ---

  showScore(blocks, chosen) {
    if (this.dragging) return; // what is being dragged is newer
    this.blocks = blocks.map((block) => ({ ...block }));
    this.chosen = chosen;
    this.drawBlocks();
  }

  // The stretch around a time that no block but `own` covers; null if another block is there.
  gap(time, own = null) {
    let from = 0;
    let to = this.seconds;
    for (const block of this.blocks) {
      if (block.id === own) continue;
      if (block.from <= time && time < block.to) return null;
      if (block.to <= time) from = Math.max(from, block.to);
      if (block.from > time) to = Math.min(to, block.from);
    }
    return { from, to };
  }

  blockAt(event) {
    const shown = event.target.closest(".block");
    return shown && this.blocks.find((block) => block.id === shown.dataset.block);
  }

  edgeAt(event, block) {
    const box = this.elements.get(block.id).getBoundingClientRect();
    const edge = Math.min(EDGE, box.width / 4);
    return event.clientX < box.left + edge ? "from" : event.clientX > box.right - edge ? "to" : null;
  }

  hover(event) {
    const block = this.blockAt(event);
    if (block) this.elements.get(block.id).classList.toggle("edge", this.edgeAt(event, block) !== null);
  }

  pressScore(event) {
    if (event.button || !this.song) return;
    const block = this.blockAt(event);
    if (block) this.pressBlock(event, block);
    else this.pressEmpty(event);
  }

  pressEmpty(event) {
    const begun = this.timeAt(event);
    const gap = this.gap(begun);
    if (!gap) return;
    let made = null;
    const clamp = (time) => Math.min(Math.max(time, gap.from), gap.to);
    this.drag(
      event,
      (moved) => {
        const range = this.range(begun, this.timeAt(moved), moved.altKey);
        if (!range) return;
        const [from, to] = [clamp(range.from), clamp(range.to)];
        if (to - from < SHORTEST) return;
        if (!made) this.blocks.push((made = { id: crypto.randomUUID(), ...this.on.words() }));
        Object.assign(made, { from, to });
        this.drawBlocks();
      },
      { ended: () => made && this.commit(made.id), clicked: () => this.on.choose(null) },
    );
  }

  pressBlock(event, block) {
    const edge = this.edgeAt(event, block);
    const begun = this.timeAt(event);
    const { from, to } = block;
    const gap = this.gap(from, block.id);
    this.drag(
      event,
      (moved) => {
        const shift = this.timeAt(moved) - begun;
        if (edge === "from") {
          block.from = Math.min(Math.max(this.snap(from + shift, moved.altKey), gap.from), to - SHORTEST);
        } else if (edge === "to") {
          block.to = Math.max(Math.min(this.snap(to + shift, moved.altKey), gap.to), from + SHORTEST);
        } else {
          const placed = this.snap(from + shift, moved.altKey);
          const end = moved.altKey || !this.snapping ? placed + to - from : this.snap(placed + to - from);
          if (placed < gap.from || end > gap.to || end - placed < SHORTEST) return;
          Object.assign(block, { from: placed, to: end });
        }
        this.drawBlocks();
      },
      {
        ended: () => this.commit(block.id),
        clicked: () => {
          this.on.choose(block.id);
          this.elements.get(block.id)?.focus();
        },
      },
    );
  }

  commit(chosen) {
    this.blocks.sort((one, other) => one.from - other.from);
    this.on.change(this.blocks, chosen);
  }

  // A block at the selection, else of some beats at a time; false where there is no room.
  add(words, time, range = null) {
    const from = range ? range.from : this.snap(time);
    const gap = this.gap(from);
    if (!gap) return false;
    const to = Math.min(range ? range.to : this.shifted(from, DROPPED_BEATS), gap.to);
    if (to - from < SHORTEST) return false;
    const block = { id: crypto.randomUUID(), from, to, ...words };
    this.blocks.push(block);
    this.commit(block.id);
    return true;
  }

  remove(id) {
    this.blocks = this.blocks.filter((block) => block.id !== id);
    this.commit(null);
  }

  key(event) {
    const block = this.blockAt(event);
    if (!block || event.ctrlKey || event.metaKey) return;
    const beats = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (event.key === "Enter") this.on.choose(block.id);
    else if (event.key === "Delete" || event.key === "Backspace") this.remove(block.id);
    else if (beats) this.nudge(block, beats, event.shiftKey);
    else return;
    event.preventDefault();
    event.stopPropagation();
  }

  nudge(block, beats, endOnly) {
    const gap = this.gap(block.from, block.id);
    const from = endOnly ? block.from : this.shifted(block.from, beats);
    const to = this.shifted(block.to, beats);
    if (from < gap.from - 1e-6 || to > gap.to + 1e-6 || to - from < SHORTEST) return;
    Object.assign(block, { from, to });
    this.commit(block.id);
  }

  takeDrops() {
    const isWords = (event) => event.dataTransfer.types.includes("application/x-longdance-words");
    const lanes = element("lanes");
    lanes.addEventListener("dragover", (event) => {
      if (!isWords(event) || !this.song) return;
      event.preventDefault();
      this.layer.classList.add("target");
    });
    lanes.addEventListener("dragleave", () => this.layer.classList.remove("target"));
    lanes.addEventListener("drop", (event) => {
      if (!isWords(event)) return;
      event.preventDefault();
      this.layer.classList.remove("target");
      this.on.drop(JSON.parse(event.dataTransfer.getData("application/x-longdance-words")), this.timeAt(event));
    });
  }

  // --- drawing ---

  drawBlocks() {
    const left = new Set(this.elements.keys());
    for (const block of this.blocks) {
      left.delete(block.id);
      let shown = this.elements.get(block.id);
      if (!shown) {
        shown = make("div", { tabIndex: 0, role: "button" }, make("strong"), make("small"));
        shown.dataset.block = block.id;
        this.elements.set(block.id, shown);
        this.layer.append(shown);
      }
      const { title, tells } = this.on.title(block);
      shown.className = `block hue-${this.on.hue(block.genre)}`;
      shown.classList.toggle("chosen", block.id === this.chosen);
      shown.setAttribute("aria-pressed", String(block.id === this.chosen));
      shown.setAttribute("aria-label", `${title} ${tells}, ${exactTime(block.from)} to ${exactTime(block.to)}`);
      shown.title = `${title}${tells ? `: ${tells}` : ""}\n${exactTime(block.from)} to ${exactTime(block.to)}`;
      shown.children[0].textContent = title;
      shown.children[1].textContent = tells;
      shown.style.left = `${this.x(block.from)}px`;
      shown.style.width = `${Math.max(this.x(block.to) - this.x(block.from) - 1, 4)}px`;
    }
    for (const id of left) {
      this.elements.get(id).remove();
      this.elements.delete(id);
    }
    element("score-empty").hidden = this.blocks.length > 0 || !this.song?.seconds;
  }

  draw() {
    this.canvas.setAttribute("aria-valuemax", this.seconds.toFixed(1));
    this.picture.draw();
    this.drawBlocks();
    for (const place of this.lanes) place();
    this.setTime(this.time, false);
  }
}
