// Changes of the shown take, and its download.

import * as api from "./api.js";
import { element, exactTime, make } from "./dom.js";

const NEEDS_EDITOR = ["redo-stretch", "fill", "from-here", "go-on", "blend"]; // buttons that need a model which edits

export class Edits {
  constructor(app) {
    this.app = app;
    this.titles = Object.fromEntries(NEEDS_EDITOR.map((id) => [id, element(id).title]));
  }

  // An edit of the shown take; what is made anew gets another seed, so that it differs from what was there.
  async edit(what, fields = {}) {
    this.app.words.flush();
    await this.app.saves;
    const words = element("new-words").checked ? this.app.score.wordsForBlock() : {};
    const seed = crypto.getRandomValues(new Uint32Array(1))[0];
    const asked = what === "mirror" || what === "tempo" ? fields : { ...words, seed, ...fields };
    const { take } = await api.send("POST", `${this.app.path}/takes/${this.app.shown.takeId}/edit`, { what, ...asked });
    await this.app.jobs.begun(take, fields.from ?? this.app.view.clock.at);
  }

  redoStretch() {
    if (!this.canEdit || !this.app.selection) return;
    const { from, to } = this.app.selection;
    const free = { joints: element("joints").value, keep_feet: element("keep-feet").checked, keep: this.app.shown.keeps };
    return this.edit("redo", { from, to: Math.min(to, this.app.track.end), ...free });
  }

  // Dances through the key poses.
  danceThrough() {
    const poses = this.app.poser.keys.map(({ at, wanted }) => ({ at, wanted }));
    return this.edit("pose", { poses, around: this.number("around"), keep: this.app.shown.keeps });
  }

  drawPoses() {
    this.app.timeline.poses = this.app.poser.keys.map(({ at }) => at);
    this.app.timeline.draw();
    this.drawEdit();
  }

  keepStretch() {
    if (!this.app.selection || !this.app.track) return;
    this.app.shown.keeps = joined([...this.app.shown.keeps, [this.app.selection.from, this.app.selection.to]]);
    this.app.shown.showTracks();
    this.app.draw();
  }

  // What the model that edits the take can and cannot do: the one that made it, if it is here.
  get editor() {
    const named = (wanted) => this.app.models.find(({ name }) => name === wanted);
    return named(this.app.take?.record.model) ?? named(this.app.project?.settings.model);
  }

  get canEdit() {
    return this.app.take?.state === "ready" && Boolean(this.app.track) && (this.editor?.edits ?? true);
  }

  async download() {
    const asked = new URLSearchParams({ format: element("format").value, names: element("bone-names").value });
    if (element("fps").value) asked.set("fps", element("fps").value);
    for (const [id, name] of [["in-place", "in_place"], ["as-loop", "loop"], ["with-song", "with_song"]]) {
      if (element(id).checked) asked.set(name, "true");
    }
    const button = element("download-button");
    button.disabled = true;
    button.textContent = "Preparing …";
    try {
      await this.saveFile(`${this.app.path}/takes/${this.app.shown.takeId}/download?${asked}`);
    } finally {
      button.textContent = "Download";
      this.drawEdit();
    }
  }

  async saveFile(path) {
    const { blob, name } = await api.getFile(path);
    const address = URL.createObjectURL(blob);
    make("a", { href: address, download: name }).click();
    setTimeout(() => URL.revokeObjectURL(address), 60_000);
  }

  drawEdit() {
    const { canEdit } = this;
    const { selection, track } = this.app;
    const hint = element("edit-hint");
    hint.classList.toggle("chosen", Boolean(selection));
    if (selection) hint.textContent = `${exactTime(selection.from)} to ${exactTime(selection.to)}, ${this.app.score.barsOf(selection)}`;
    else hint.textContent = "Drag on the song to select a stretch.";
    const { edits: why, joints: whole } = this.editor?.cannot ?? {};
    if (why && this.app.take) hint.textContent = `${why}.`;
    for (const id of NEEDS_EDITOR) element(id).title = why ?? this.titles[id];
    element("joints").disabled = Boolean(whole);
    element("joints").title = whole ?? "";
    const meets = Boolean(selection && track && selection.from < track.end && selection.to > track.start);
    element("redo-stretch").disabled = !canEdit || !meets;
    element("keep-stretch").disabled = !canEdit || !meets;
    element("fill").disabled = !canEdit || !this.app.shown.keeps.length;
    element("forget-keeps").disabled = !this.app.shown.keeps.length;
    for (const id of ["from-here", "go-on"]) element(id).disabled = !canEdit;
    const readyTake = this.app.take?.state === "ready" && Boolean(track);
    for (const id of ["mirror", "tempo", "download-button"]) element(id).disabled = !readyTake;
    const others = (this.app.project?.takes ?? []).filter(({ id, state }) => state === "ready" && id !== this.app.shown.takeId);
    const chosen = element("other").value;
    element("other").replaceChildren(...others.map(({ id, name }) => make("option", { value: id, textContent: name })));
    if (others.some(({ id }) => id === chosen)) element("other").value = chosen;
    element("blend").disabled = !canEdit || !others.length;
    const score = this.app.take?.score;
    element("use-score").hidden = !score?.blocks.length || JSON.stringify(score) === JSON.stringify(this.app.project.score);
    element("pose").disabled = !canEdit || Boolean(whole);
    element("pose").title = why ?? "Show handles on hands, feet and hips (P)";
    element("in-between").disabled = !canEdit || !this.app.poser?.keys.length;
    const tempo = this.app.project?.song.tempo_bpm;
    if (tempo && !element("bpm").value) element("bpm").value = tempo.toFixed(1);
  }

  number(id) {
    if (!element(id).reportValidity() || !element(id).value) throw new Error("A number is needed there.");
    return Number(element(id).value);
  }

  forgetKeeps() {
    this.app.shown.keeps = [];
    this.app.shown.showTracks();
    this.app.draw();
  }
}

// Ranges in order, those that meet made one.
function joined(ranges) {
  const all = [...ranges].sort((one, other) => one[0] - other[0]);
  return all.reduce((kept, [from, to]) => {
    const last = kept.at(-1);
    if (last && from <= last[1]) last[1] = Math.max(last[1], to);
    else kept.push([from, to]);
    return kept;
  }, []);
}
