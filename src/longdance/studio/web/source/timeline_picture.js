// What is drawn on the timeline: bars, sections, waveform, the take and the selection.

import { exactTime } from "./dom.js";

const RULER = { top: 0, height: 22 };
export const SECTIONS = { top: 22, height: 22 };
export const WAVE = { top: 44, height: 64 };
const SCORE = { top: 108, height: 50 };
const TAKE = { top: 158, height: 26 };
const HUES = {
  0: "#7a3f1c", 1: "#274f7d", 2: "#2b5f42", 3: "#5d3a7c", 4: "#7a2f4c", 5: "#1f5d66", 6: "#665417", 7: "#4c5320",
  8: "#3b4390", 9: "#6b3a34", none: "#3c4454",
}; // as the blocks of the score in studio.css
const SECTION_COLOURS = ["#2c3a52", "#3d3350", "#2c4a44", "#4d3b2e", "#45303a", "#3a4428"];

export class Picture {
  constructor(timeline) {
    this.timeline = timeline;
  }

  draw() {
    const { canvas, song, width } = this.timeline;
    const ratio = devicePixelRatio;
    canvas.width = width * ratio;
    canvas.height = canvas.clientHeight * ratio;
    const pen = canvas.getContext("2d");
    pen.scale(ratio, ratio);
    pen.fillStyle = "#0c0f14";
    pen.fillRect(0, 0, width, canvas.clientHeight);
    pen.fillStyle = "#12161d";
    pen.fillRect(0, SCORE.top, width, SCORE.height);
    if (song?.seconds) {
      this.drawSections(pen);
      this.drawGrid(pen);
      this.drawWave(pen);
      this.drawTake(pen);
      this.drawSelection(pen);
    }
    pen.fillStyle = "#2a3140";
    for (const { top } of [SECTIONS, WAVE, SCORE, TAKE]) pen.fillRect(0, top, width, 1);
  }

  drawSections(pen) {
    const labels = [...new Set(this.timeline.song.sections.map((section) => section.label))];
    pen.font = "12px system-ui, sans-serif";
    pen.textBaseline = "middle";
    for (const { from, to, label } of this.timeline.song.sections) {
      const [left, right] = [this.timeline.x(from), this.timeline.x(to)];
      if (right < 0 || left > this.timeline.width) continue;
      pen.fillStyle = SECTION_COLOURS[labels.indexOf(label) % SECTION_COLOURS.length];
      pen.fillRect(left + 1, SECTIONS.top + 3, right - left - 2, SECTIONS.height - 5);
      pen.save();
      pen.beginPath();
      pen.rect(left, SECTIONS.top, right - left - 4, SECTIONS.height);
      pen.clip();
      pen.fillStyle = "#e3e9f3";
      pen.fillText(label, Math.max(left, 0) + 8, SECTIONS.top + SECTIONS.height / 2 + 1);
      pen.restore();
    }
  }

  drawGrid(pen) {
    const { beats, downbeats } = this.timeline.song;
    const perBeat = this.timeline.width / Math.max(1, ((this.timeline.to - this.timeline.from) * beats.length) / this.timeline.seconds);
    pen.fillStyle = "#252c39";
    if (perBeat >= 5) {
      for (const beat of beats) pen.fillRect(Math.round(this.timeline.x(beat)), WAVE.top, 1, TAKE.top - WAVE.top);
    }
    const perBar = this.timeline.width / Math.max(1, ((this.timeline.to - this.timeline.from) * downbeats.length) / this.timeline.seconds);
    const every = 2 ** Math.max(0, Math.ceil(Math.log2(34 / perBar)));
    pen.font = "11px system-ui, sans-serif";
    pen.textBaseline = "middle";
    downbeats.forEach((time, bar) => {
      const x = Math.round(this.timeline.x(time));
      if (x < -40 || x > this.timeline.width || (perBar < 5 && bar % every)) return;
      pen.fillStyle = "#465168";
      pen.fillRect(x, WAVE.top, 1, TAKE.top - WAVE.top);
      if (bar % every) return;
      pen.fillRect(x, 4, 1, RULER.height - 4);
      pen.fillStyle = "#b9c3d5";
      pen.fillText(String(bar + 1), x + 4, RULER.height / 2 + 1);
    });
    if (!downbeats.length) this.drawSeconds(pen);
  }

  drawSeconds(pen) {
    const every = [1, 2, 5, 10, 30, 60, 300].find((step) => (step / (this.timeline.to - this.timeline.from)) * this.timeline.width > 50) ?? 600;
    pen.fillStyle = "#b9c3d5";
    for (let time = 0; time < this.timeline.seconds; time += every) pen.fillText(exactTime(time), this.timeline.x(time) + 3, 12);
  }

  drawWave(pen) {
    const { peaks } = this.timeline.song;
    const middle = WAVE.top + WAVE.height / 2;
    const reach = WAVE.height / 2 - 5;
    const loudest = Math.max(0.05, ...peaks.map(([low, high]) => Math.max(-low, high)));
    for (let x = 0; x < this.timeline.width; x++) {
      const from = this.timeline.from + (x / this.timeline.width) * (this.timeline.to - this.timeline.from);
      const to = this.timeline.from + ((x + 1) / this.timeline.width) * (this.timeline.to - this.timeline.from);
      const first = Math.floor((from / this.timeline.seconds) * peaks.length);
      const last = Math.max(first + 1, Math.ceil((to / this.timeline.seconds) * peaks.length));
      let [low, high] = [0, 0];
      for (const peak of peaks.slice(first, last)) {
        low = Math.min(low, peak[0]);
        high = Math.max(high, peak[1]);
      }
      const danced = this.timeline.take && from >= this.timeline.take.from && from < this.timeline.take.to;
      pen.fillStyle = danced ? "#8fb4dc" : "#5d708c";
      pen.fillRect(x, middle - (high / loudest) * reach, 1, Math.max(1, ((high - low) / loudest) * reach));
    }
  }

  drawTake(pen) {
    if (this.timeline.take && this.timeline.take.to > this.timeline.take.from) {
      const [left, right] = [this.timeline.x(this.timeline.take.from), this.timeline.x(this.timeline.take.to)];
      pen.fillStyle = this.timeline.take.final ? "#3f7d5c" : "#8a6426";
      pen.fillRect(left, TAKE.top + 5, right - left, 16);
      for (const part of this.timeline.take.parts ?? []) this.drawPart(pen, part);
      for (const { from, to } of this.timeline.take.phrases ?? []) {
        pen.fillStyle = "#ffffffb0";
        pen.fillRect(this.timeline.x(from), TAKE.top + 3, Math.max(this.timeline.x(to) - this.timeline.x(from) - 2, 1), 2);
      }
      for (const { from, to } of this.timeline.take.redone ?? []) this.drawRedone(pen, this.timeline.x(from), this.timeline.x(to));
    }
    pen.fillStyle = "#fff";
    for (const time of this.timeline.poses) {
      const [x, y] = [this.timeline.x(time), TAKE.top + 13];
      pen.beginPath();
      pen.moveTo(x, y - 6);
      pen.lineTo(x + 5, y);
      pen.lineTo(x, y + 6);
      pen.lineTo(x - 5, y);
      pen.fill();
    }
    pen.fillStyle = "#6cb6ff";
    for (const [from, to] of this.timeline.keeps) {
      const [left, right] = [this.timeline.x(from), this.timeline.x(to)];
      pen.fillRect(left, TAKE.top + 5, Math.max(2, right - left), 3);
      pen.fillRect(left, TAKE.top + 18, Math.max(2, right - left), 3);
    }
  }

  // A stretch of the take that was danced to one genre, in the colour of that genre's blocks.
  drawPart(pen, { from, to, title, hue }) {
    const [left, right] = [this.timeline.x(from), this.timeline.x(to)];
    pen.fillStyle = HUES[hue] ?? HUES.none;
    pen.fillRect(left + 0.5, TAKE.top + 5, Math.max(right - left - 1, 1), 16);
    pen.save();
    pen.beginPath();
    pen.rect(left, TAKE.top, right - left - 4, TAKE.height);
    pen.clip();
    pen.fillStyle = "#fff";
    pen.font = "11px system-ui, sans-serif";
    pen.textBaseline = "middle";
    pen.fillText(title, Math.max(left, 0) + 6, TAKE.top + 13.5);
    pen.restore();
  }

  // Stripes along the lower edge of what was made anew.
  drawRedone(pen, left, right) {
    pen.save();
    pen.beginPath();
    pen.rect(left, TAKE.top + 17, Math.max(right - left, 2), 6);
    pen.clip();
    pen.strokeStyle = "#ffd27a";
    pen.lineWidth = 2;
    for (let x = Math.floor(left / 6) * 6 - 6; x < right + 6; x += 6) {
      pen.beginPath();
      pen.moveTo(x, TAKE.top + 23);
      pen.lineTo(x + 6, TAKE.top + 17);
      pen.stroke();
    }
    pen.restore();
  }

  drawSelection(pen) {
    if (!this.timeline.selection) return;
    const [left, right] = [this.timeline.x(this.timeline.selection.from), this.timeline.x(this.timeline.selection.to)];
    pen.fillStyle = "#6cb6ff33";
    pen.fillRect(left, WAVE.top, right - left, WAVE.height);
    pen.fillRect(left, TAKE.top, right - left, TAKE.height);
    pen.fillStyle = "#6cb6ff";
    pen.fillRect(left, 0, 1, SCORE.top);
    pen.fillRect(right - 1, 0, 1, SCORE.top);
    pen.fillRect(left, RULER.height - 3, right - left, 3);
  }
}
