// The studio's page: what is open, what can be done with it, and who is told when it changes.
//
// Built into ../studio.min.js by tools/build_studio.sh. The server owns every project; this page shows the project as
// the server last told it, with the user's latest change on top until that has been saved.

import { lastBefore } from "../../../export/viewer/stage.js";
import * as api from "./api.js";
import { BeatTools } from "./beats.js";
import { loadMannequin } from "./dancer.js";
import { element, exactTime, iconButton, make, setPressed } from "./dom.js";
import { listenToKeys } from "./keys.js";
import { Metronome } from "./metronome.js";
import { PlanTools } from "./plan.js";
import { Poser } from "./poses.js";
import { loadPreviews } from "./previews.js";
import { drawTakes } from "./takes.js";
import { Timeline } from "./timeline.js";
import { Track } from "./track.js";
import { View } from "./view.js";
import { Words } from "./words.js";

const ENOUGH_TO_GO_ON = 1.5; // seconds beyond the playhead after which waiting ends

class Studio {
  constructor(mannequin, models, catalogue, defaults, lacks, libraries) {
    this.models = models;
    this.defaults = defaults;
    const edits = ["redo-stretch", "fill", "from-here", "go-on", "blend"];
    this.titles = Object.fromEntries(edits.map((id) => [id, element(id).title]));
    this.catalogue = catalogue;
    this.project = null;
    this.takeId = null;
    this.comparedId = null;
    this.blockId = null;
    this.selection = null;
    this.keeps = [];
    this.tracks = new Map(); // by take
    this.jobs = new Map(); // what was last told of each, by id
    this.queue = []; // jobs of the project that have not ended, in order
    this.unfollow = () => {}; // stops following the project
    this.saves = Promise.resolve();
    this.unsaved = 0;
    this.view = new View(mannequin, {
      range: () => this.range(),
      changed: () => this.drawTransport(),
      frame: (time) => {
        this.drawTime(time);
        const { clock } = this.view;
        if (clock.playing && !clock.waiting) this.metronome?.at(time, this.project?.song ?? {}, clock.rate);
      },
    });
    this.timeline = new Timeline({
      seek: (time) => this.seek(time),
      select: (range) => this.select(range),
      choose: (id) => this.chooseBlock(id),
      change: (blocks, chosen) => this.changeScore(blocks, chosen),
      drop: (words, time) => this.addBlock(words, time),
      words: () => this.wordsForBlock(),
      hue: (genre) => (genre ? this.catalogue.findIndex(({ name }) => name === genre) % 10 : "none"),
      title: (block) => this.blockTitle(block),
    });
    this.words = new Words(
      {
        change: (words) => this.changeWords(words),
        settings: (fields) => this.changeSettings(fields),
        fail: (error) => this.fail(error),
        wholeDance: () => this.chooseBlock(null),
      },
      models,
      catalogue,
    );
    this.words.showLacks(lacks);
    this.words.fillLibraries(libraries);
    this.metronome = new Metronome();
    const run = (action) => this.run(action);
    this.beats = new BeatTools({
      run,
      lay: async (asked) => this.apply(await api.send("POST", `${this.path}/beats`, asked)),
      playing: () => this.view.clock.playing && !this.view.clock.waiting,
      time: () => this.view.clock.time(),
    });
    this.poser = new Poser(this.view, {
      run,
      solve: (at, wanted) => api.send("POST", `${this.path}/takes/${this.takeId}/pose`, { at, wanted }),
      at: () => this.frameTime(),
      seek: (time) => this.seek(time),
      changed: () => this.drawPoses(),
    });
    this.plan = new PlanTools(mannequin, this.timeline, {
      take: () => this.take,
      takePath: () => `${this.path}/takes/${this.takeId}`,
      run,
      fail: (error) => this.fail(error),
      begun: ({ take }, at) => this.begun(take, at ?? this.view.clock.at),
      reload: () => this.reload(),
      genre: (name) => this.genreCard(name),
    });
    this.listen();
    this.draw();
  }

  // --- errors ---

  fail(error) {
    console.error(error);
    const inDialog = element("projects").open;
    element(inDialog ? "projects-error" : "error-text").textContent = error.message;
    if (!inDialog) element("error").hidden = false;
  }

  clearError() {
    element("error").hidden = true;
    element("projects-error").textContent = "";
  }

  // An action of the user: what goes wrong in it is shown.
  async run(action) {
    this.clearError();
    try {
      return await action();
    } catch (error) {
      this.fail(error);
    }
  }

  // What happens by itself: what was told before stays to be read.
  async quietly(action) {
    try {
      return await action();
    } catch (error) {
      this.fail(error);
    }
  }

  // --- projects ---

  get path() {
    return `/api/projects/${this.project.id}`;
  }

  async showProjects() {
    element("projects-error").textContent = "";
    element("projects-close").hidden = !this.project;
    if (!element("projects").open) element("projects").showModal();
    await this.run(async () => {
      const projects = await api.get("/api/projects");
      element("projects-heading").hidden = !projects.length;
      element("project-list").replaceChildren(...projects.map((project) => this.projectRow(project)));
    });
  }

  projectRow({ id, name, seconds, updated }) {
    const day = new Date(updated);
    const when = Number.isNaN(day.getTime()) ? "" : day.toLocaleDateString(undefined, { day: "numeric", month: "short" });
    const open = make("button", { className: "open", onclick: () => this.run(() => this.open(id)) });
    open.append(make("strong", {}, name), make("span", { className: "dim" }, exactTime(seconds)), make("span", { className: "dim" }, when));
    const remove = iconButton("trash", `Delete ${name} for good`, () => this.run(() => this.deleteProject(id, name)));
    return make("li", {}, open, remove);
  }

  async deleteProject(id, name) {
    if ((await ask({ title: `Delete “${name}” with its song and takes? This cannot be undone.`, yes: "Delete" })) === null) return;
    await api.send("DELETE", `/api/projects/${id}`);
    if (this.project?.id === id) this.close();
    await this.showProjects();
  }

  async upload(file) {
    const bar = element("upload-bar");
    bar.hidden = false;
    bar.value = 0;
    try {
      const project = await api.upload("/api/projects", "song", file, (share) => (bar.value = share));
      try {
        await this.open(project.id);
      } catch (error) {
        // A file that is no song may be refused before its project is opened.
        const { error: why } = await api.get(`/api/jobs/${project.song.job}`);
        throw why ? new Error(api.sentence(why)) : error;
      }
    } finally {
      bar.hidden = true;
      element("song-file").value = "";
    }
  }

  async open(id) {
    this.words.flush();
    await this.saves;
    const project = await api.get(`/api/projects/${id}`);
    this.close();
    location.hash = id;
    if (element("projects").open) element("projects").close();
    this.apply(project);
    this.follow(id);
    const last = [...project.takes].reverse().find((take) => ["ready", "running"].includes(take.state));
    if (last) await this.openTake(last);
  }

  // What is happening to the project, also by other tabs.
  follow(id) {
    this.unfollow = api.followProject(id, {
      jobs: (told) => this.progress(told),
      changed: ({ updated }) => {
        this.found();
        if (this.unsaved || updated === this.project?.updated) return;
        this.quietly(() => this.reload());
      },
      gone: ({ error }) => this.quietly(() => this.gone(error)),
      lost: (error) => {
        this.lost = true;
        this.fail(error);
      },
    });
  }

  // The project is no more: it was deleted, or its file was no song.
  async gone(error) {
    const { job } = this.project.song;
    this.close();
    await this.showProjects();
    const why = error ?? (job && (await api.get(`/api/jobs/${job}`).catch(() => ({}))).error);
    this.fail(new Error(api.sentence(why ?? "this project was deleted")));
  }

  // The connection is there again.
  found() {
    if (this.lost) this.clearError();
    this.lost = false;
  }

  close() {
    this.unfollow();
    this.tracks.clear();
    this.jobs.clear();
    this.project = null;
    Object.assign(this, { takeId: null, comparedId: null, blockId: null, selection: null, keeps: [], queue: [] });
    this.poser.clear();
    this.view.setSong(null, null);
    Object.assign(this.timeline, { selection: null, poses: [] });
    this.timeline.show(null);
    this.showTracks();
    element("bpm").value = "";
    history.replaceState(null, "", location.pathname);
    this.draw();
  }

  // Takes over what the server told; a song that is the same stays the same object.
  apply(project) {
    const before = this.project;
    const same = before?.id === project.id;
    if (same && JSON.stringify(before.song) === JSON.stringify(project.song)) project.song = before.song;
    this.project = project;
    if (!project.takes.some((take) => take.id === this.takeId)) this.takeId = null;
    if (!project.takes.some((take) => take.id === this.comparedId)) this.comparedId = null;
    if (!project.score.blocks.some((block) => block.id === this.blockId)) this.blockId = null;
    const { song } = project;
    this.view.setSong(song.state === "ready" ? `${this.path}/song` : null, song);
    this.timeline.show(song, same && before.song.state === song.state);
    this.beats.show(song);
    if (song.state === "failed" && song !== before?.song) this.fail(new Error(api.sentence(song.error ?? "the song could not be used")));
    if (same) this.noticeTakes(before);
    this.draw();
    this.plan.show(this.take, this.track?.end ?? Infinity);
    if (!this.takeId && same) {
      const last = [...project.takes].reverse().find((take) => take.state === "ready");
      if (last) this.quietly(() => this.openTake(last));
      else this.showTracks();
    }
    this.showCharacter();
  }

  // Takes that have ended since: what failed is told, what is shown is fetched to its end.
  noticeTakes(before) {
    for (const take of this.project.takes) {
      if (before.takes.find(({ id }) => id === take.id)?.state !== "running" || take.state === "running") continue;
      if (take.state === "failed") this.fail(new Error(api.sentence(take.error ?? "this failed, and no reason is known")));
      if (take.state === "ready" && take.id === this.takeId) this.quietly(() => this.fetchMotion(take.id));
    }
  }

  async reload() {
    if (this.project) this.apply(await api.get(this.path));
  }

  // Saves changes one after the other; what the server answers to the last of them is shown.
  save(fields) {
    const { id } = this.project;
    this.unsaved += 1;
    element("saved").textContent = "Saving …";
    this.saves = this.saves.then(async () => {
      try {
        const project = await api.send("PATCH", `/api/projects/${id}`, fields);
        this.unsaved -= 1;
        if (!this.unsaved && this.project?.id === id) {
          element("saved").textContent = "Saved";
          this.apply(project);
        }
      } catch (error) {
        this.unsaved -= 1;
        element("saved").textContent = "Not saved";
        this.fail(error);
        if (!this.unsaved) await this.reload().catch((problem) => this.fail(problem));
      }
    });
    return this.saves;
  }

  async undo(way) {
    if (!this.project) return;
    this.words.flush();
    await this.saves;
    this.apply(await api.send("POST", `${this.path}/${way}`));
  }

  // --- jobs ---

  progress(told) {
    this.found();
    this.queue = told;
    for (const job of told) this.jobs.set(job.id, job);
    this.drawJob();
    this.drawTakes();
    const shown = told.find(({ take }) => take && take === this.takeId);
    if (shown?.state === "running" && shown.seconds_ready > 0) this.quietly(() => this.fetchMotion(shown.take));
    else this.drawStage();
  }

  get runningJob() {
    if (this.queue.length) return this.queue.find(({ take, state }) => take && state === "running") ?? this.queue[0];
    const { song } = this.project ?? {};
    return song?.state === "analysing" ? { stage: "listening to the song", done: 0, total: 1 } : null;
  }

  async generate() {
    this.words.flush();
    await this.saves;
    element("generate").disabled = true; // a second press while the first is under way would ask for two dances
    try {
      const { take } = await api.send("POST", `${this.path}/generate`, { takes: Number(element("how-many").value) });
      await this.begun(take);
    } finally {
      element("generate").disabled = false;
    }
  }

  // A take that is being made is shown from its first seconds on, or from a second of the song.
  async begun(take, at = null) {
    this.comparedId = null;
    this.autoplay = take;
    this.view.clock.pause();
    await this.reload();
    const made = this.project.takes.find(({ id }) => id === take);
    if (!made) return;
    this.takeId = take;
    this.draw();
    this.showTracks();
    this.seek(at ?? made.start, { byUser: false });
    if (made.state === "ready") await this.fetchMotion(take);
  }

  async cancelJob(job = this.runningJob) {
    if (job?.id) await api.send("POST", `/api/jobs/${job.id}/cancel`);
  }

  // --- takes ---

  get take() {
    return this.project?.takes.find(({ id }) => id === this.takeId) ?? null;
  }

  get track() {
    return this.tracks.get(this.takeId) ?? null;
  }

  // A take that the user chose brings back what it was asked for; Undo takes that back.
  async chooseTake(take) {
    await this.openTake(take);
    if (!take.settings) return;
    const other = Object.keys(take.settings).filter((key) => JSON.stringify(take.settings[key]) !== JSON.stringify(this.project.settings[key]));
    if (other.length) this.changeSettings(Object.fromEntries(other.map((key) => [key, take.settings[key]])));
    if (!this.blockId) this.drawWords();
  }

  async openTake(take) {
    this.takeId = take.id;
    if (this.comparedId === take.id) this.comparedId = null;
    this.keeps = [];
    this.poser.clear();
    this.draw();
    this.showTracks();
    if (["ready", "running"].includes(take.state)) await this.fetchMotion(take.id);
  }

  async compare(take) {
    this.comparedId = this.comparedId === take.id ? null : take.id;
    this.draw();
    if (this.comparedId) await this.fetchMotion(take.id);
    this.showTracks();
    this.view.front();
  }

  // Gets the frames of a take that are not here yet; once at a time.
  async fetchMotion(id) {
    const take = this.project.takes.find((other) => other.id === id);
    if (!take) return;
    const old = this.tracks.get(id);
    if (old?.final) return this.showTracks();
    if (old?.fetching) return;
    // Contacts at the seams of a growing dance are settled when it is complete: then all of it is fetched again.
    const track = old && take.state === "running" ? old : new Track(take.start);
    track.fetching = true;
    try {
      const path = `${this.path}/takes/${id}/motion?from=${track.frames}`;
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
    const { clock } = this.view;
    const enough = track.final || track.end - clock.at > ENOUGH_TO_GO_ON;
    if (clock.waiting && enough) await clock.play();
    if (this.autoplay === this.takeId && !clock.playing && enough) {
      this.autoplay = null;
      try {
        await clock.play();
      } catch (error) {
        if (error.name !== "NotAllowedError") throw error;
        this.note("The browser wants a click before it plays: press Play.");
      }
    }
  }

  showTracks() {
    const other = this.comparedId ? (this.tracks.get(this.comparedId) ?? null) : null;
    const take = this.take;
    const silent = take?.state === "ready" && take.record.song === null;
    this.view.show(this.track, other, silent);
    const track = this.track;
    this.timeline.take = track ? { from: track.start, to: track.end, final: track.final, ...this.partsOf(take, track) } : null;
    this.timeline.keeps = this.keeps;
    this.timeline.draw();
    this.plan.show(take, track?.end ?? Infinity);
    this.drawEdit();
    this.drawTransport();
    this.showCharacter();
  }

  // What was danced when, of which phrases, and what was made anew since, in seconds of the song.
  partsOf(take, track) {
    const { record = {}, start = 0 } = take ?? {};
    const moved = ({ from, to }) => ({ from: from + start, to: Math.min(to + start, track.end) });
    const named = (genre) => this.genreCard(genre);
    const whole = [{ from: 0, to: track.end - start, genre: record.genre ?? take?.settings?.genre }];
    const parts = (record.timeline ?? whole).map((part) => ({ ...moved(part), ...named(part.genre) }));
    const edits = Array.isArray(record.edits) ? record.edits : [];
    const redone = edits.flatMap(({ redo }) => redo ?? []).map(([from, to]) => moved({ from, to }));
    const phrases = Array.isArray(record.plan?.phrases) ? record.plan.phrases.map(moved) : [];
    return { parts, redone, phrases };
  }

  // What a genre is called and its colour; nothing and grey for an unknown one.
  genreCard(genre) {
    const index = this.catalogue.findIndex(({ name }) => name === genre);
    return { title: index < 0 ? (genre ?? "") : this.catalogue[index].title, hue: index < 0 ? "none" : index % 10 };
  }

  async markTake(take, mark) {
    await api.send("PATCH", `${this.path}/takes/${take.id}`, { mark: take.mark === mark ? "none" : mark });
    await this.reload();
  }

  // The character of the project, dressed in the shown take, in place of the mannequin.
  async showCharacter() {
    const { character } = this.project ?? {};
    element("character-away").hidden = !character;
    const take = this.take;
    const ready = Boolean(character) && take?.state === "ready";
    const key = ready ? `${this.project.id} ${take.id} ${character} ${this.characterVersion ?? 0}` : null;
    await this.quietly(() => this.view.character.show(key, ready ? `${this.path}/takes/${take.id}/character.glb` : null));
    this.view.touch();
  }

  async bringCharacter(file) {
    this.note(`Bringing ${file.name} …`);
    const project = await api.upload(`${this.path}/character`, "character", file, () => {});
    this.characterVersion = (this.characterVersion ?? 0) + 1;
    this.apply(project);
  }

  async rename(take) {
    const name = await ask({ title: `A name for ${take.name}`, yes: "Rename", text: take.name });
    if (!name?.trim()) return;
    await api.send("PATCH", `${this.path}/takes/${take.id}`, { name: name.trim() });
    await this.reload();
  }

  async removeTake(take) {
    await api.send("DELETE", `${this.path}/takes/${take.id}`);
    await this.reload();
    if (!this.takeId) this.showTracks();
  }

  // --- editing ---

  // An edit of the shown take; what is made anew gets another seed, so that it differs from what was there.
  async edit(what, fields = {}) {
    this.words.flush();
    await this.saves;
    const words = element("new-words").checked ? this.wordsForBlock() : {};
    const seed = crypto.getRandomValues(new Uint32Array(1))[0];
    const asked = what === "mirror" || what === "tempo" ? fields : { ...words, seed, ...fields };
    const { take } = await api.send("POST", `${this.path}/takes/${this.takeId}/edit`, { what, ...asked });
    await this.begun(take, fields.from ?? this.view.clock.at);
  }

  redoStretch() {
    if (!this.canEdit || !this.selection) return;
    const { from, to } = this.selection;
    const free = { joints: element("joints").value, keep_feet: element("keep-feet").checked, keep: this.keeps };
    return this.edit("redo", { from, to: Math.min(to, this.track.end), ...free });
  }

  // Dances through the key poses.
  danceThrough() {
    const poses = this.poser.keys.map(({ at, wanted }) => ({ at, wanted }));
    return this.edit("pose", { poses, around: this.number("around"), keep: this.keeps });
  }

  // The second of the song of the frame that is looked at.
  frameTime() {
    const { track } = this;
    if (!track?.fps) return this.view.clock.at;
    return track.start + Math.round(Math.min(Math.max(this.view.clock.at - track.start, 0), track.end - track.start - 1 / track.fps) * track.fps) / track.fps;
  }

  drawPoses() {
    this.timeline.poses = this.poser.keys.map(({ at }) => at);
    this.timeline.draw();
    this.drawEdit();
  }

  keepStretch() {
    if (!this.selection || !this.track) return;
    this.keeps = joined([...this.keeps, [this.selection.from, this.selection.to]]);
    this.showTracks();
    this.draw();
  }

  // What the model that edits the take can and cannot do: the one that made it, if it is here.
  get editor() {
    const named = (wanted) => this.models.find(({ name }) => name === wanted);
    return named(this.take?.record.model) ?? named(this.project?.settings.model);
  }

  get canEdit() {
    return this.take?.state === "ready" && Boolean(this.track) && (this.editor?.edits ?? true);
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
      await this.saveFile(`${this.path}/takes/${this.takeId}/download?${asked}`);
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

  // --- words and score ---

  changeSettings(fields) {
    if (!this.project) return this.words.showSettings({ ...this.words.settings, ...fields });
    this.project.settings = { ...this.project.settings, ...fields };
    this.words.showSettings(this.project.settings);
    this.save({ settings: fields });
  }

  changeWords(words) {
    if (!this.project) return;
    if (!this.blockId) return this.changeSettings(words);
    const blocks = this.project.score.blocks.map((block) => (block.id === this.blockId ? { ...block, ...words } : block));
    this.changeScore(blocks, this.blockId);
  }

  wordsForBlock() {
    const { genre, movements, prompt } = this.words.shown;
    return { genre, movements: [...movements], prompt };
  }

  changeScore(blocks, chosen) {
    this.project.score = { blocks: [...blocks].sort((one, other) => one.from - other.from) };
    this.blockId = chosen;
    this.save({ score: this.project.score });
    this.drawWords();
    this.drawEdit();
  }

  chooseBlock(id) {
    this.words.flush();
    this.blockId = id;
    this.drawWords();
  }

  addBlock(words, time, range = null) {
    if (!this.timeline.add(words, time, range)) this.note("There is no room for another block here.");
  }

  blockTitle({ genre, movements, prompt }) {
    const title = this.catalogue.find(({ name }) => name === genre)?.title ?? genre;
    const tells = [movements.join(", "), prompt && `“${prompt}”`].filter(Boolean).join(" · ");
    return { title: title ?? (prompt ? "Own words" : "Any genre"), tells };
  }

  // --- time ---

  range() {
    if (this.view.clock.loop && this.selection) return { ...this.selection, waits: false };
    const song = this.project?.song.seconds ?? 0;
    const track = this.track;
    if (!track?.frames) return { from: 0, to: song, waits: false };
    const inside = this.view.clock.at <= track.end + 0.02;
    if (!inside) return { from: 0, to: song, waits: false };
    return { from: track.start, to: track.end, waits: !track.final && this.take?.state === "running" };
  }

  seek(time, { byUser = true } = {}) {
    if (byUser) this.autoplay = null;
    const end = Math.max(this.project?.song.seconds ?? 0, this.track?.end ?? 0);
    const { clock } = this.view;
    clock.seek(Math.min(Math.max(time, 0), end));
    if (clock.waiting && this.track && clock.at < this.track.end - 0.1) this.run(() => clock.play());
    this.poser.draft = null;
    this.poser.refresh();
    this.view.touch();
    this.drawTime(clock.at);
  }

  toggle() {
    if (this.project?.song.state !== "ready") return;
    this.autoplay = null;
    return this.view.clock.toggle();
  }

  step(frames) {
    const { clock } = this.view;
    const fps = this.track?.fps || 30;
    const start = this.track?.start ?? 0;
    clock.pause();
    this.seek(start + (Math.round((clock.at - start) * fps) + frames) / fps);
  }

  select(range) {
    this.selection = range;
    this.timeline.selection = range;
    this.timeline.draw();
    this.drawEdit();
  }

  // Sets one end of the selection to the playhead.
  mark(end) {
    const time = this.timeline.snap(this.view.clock.at);
    const { from = 0, to = this.track?.end ?? this.project?.song.seconds ?? 0 } = this.selection ?? {};
    const range = end === "from" ? { from: time, to: to > time ? to : (this.track?.end ?? time) } : { from: from < time ? from : 0, to: time };
    this.select(range.to > range.from ? range : null);
  }

  // --- drawing ---

  draw() {
    const open = this.project !== null;
    const ready = open && this.project.song.state === "ready";
    element("project-name").hidden = !open;
    if (open && document.activeElement !== element("project-name")) element("project-name").value = this.project.name;
    element("song-facts").textContent = ready ? this.songFacts() : "";
    element("undo").disabled = !open || !this.project.history.undo;
    element("redo").disabled = !open || !this.project.history.redo;
    element("generate").disabled = !ready;
    element("play").disabled = !ready;
    this.drawWords();
    this.drawJob();
    this.drawTakes();
    this.drawEdit();
    this.drawStage();
    this.drawTransport();
  }

  songFacts() {
    const { name, seconds } = this.project.song;
    return `${name} · ${exactTime(seconds)}`;
  }

  drawWords() {
    const { score, settings } = this.project ?? { score: { blocks: [] }, settings: this.defaultSettings() };
    const index = score.blocks.findIndex(({ id }) => id === this.blockId);
    this.words.showSettings(settings);
    if (index < 0) this.words.show(settings);
    else this.words.show(score.blocks[index], `Block ${index + 1}: ${this.barsOf(score.blocks[index])}`);
    this.drawSuggestion(index < 0 && !settings.genre && !settings.prompt && !score.blocks.length);
    this.timeline.showScore(score.blocks, this.blockId);
  }

  // A genre that fits the song, where none is asked for.
  drawSuggestion(wanted) {
    const { suggested } = this.project?.song ?? {};
    const genre = suggested && this.catalogue.find(({ name }) => name === suggested.genre);
    element("suggestion").hidden = !wanted || !genre;
    if (genre) element("suggestion-why").textContent = `${genre.title} would fit this song (${suggested.why}).`;
  }

  defaultSettings() {
    const known = this.models.some(({ name }) => name === this.defaults.model);
    return known ? this.defaults : { ...this.defaults, model: this.models[0]?.name };
  }

  barsOf({ from, to }) {
    const { downbeats = [] } = this.project?.song ?? {};
    if (!downbeats.length) return `${exactTime(from)} to ${exactTime(to)}`;
    const first = Math.max(0, lastBefore(downbeats, from + 0.02)) + 1;
    const last = Math.max(first, lastBefore(downbeats, to - 0.02) + 1);
    return first === last ? `bar ${first}` : `bars ${first} to ${last}`;
  }

  drawJob() {
    const job = this.runningJob;
    element("job").hidden = !job;
    if (!job) return;
    const share = job.total ? job.done / job.total : 0;
    const ready = job.seconds_ready ? `, ${exactTime(job.seconds_ready)} ready` : "";
    element("job-stage").textContent = `${this.jobName(job)}: ${job.stage || "about to begin"} · ${Math.round(100 * share)}%${ready}`;
    element("job-stage").title = element("job-stage").textContent;
    element("job-bar").value = share;
    element("cancel").hidden = !job.id || job.what === "listen";
    const others = this.queue.filter(({ id }) => id !== job.id);
    element("queue").replaceChildren(
      ...others.map((other) =>
        make(
          "li",
          {},
          make("span", { title: other.stage }, `${this.jobName(other)}: ${other.stage || "being made"}`),
          make("button", { textContent: "Cancel", onclick: () => this.run(() => this.cancelJob(other)) }),
        ),
      ),
    );
  }

  jobName({ what, take }) {
    const name = this.project?.takes.find(({ id }) => id === take)?.name;
    if (what === "export") return `download of ${name ?? "a take"}`;
    if (what === "dress") return `character in ${name ?? "a take"}`;
    return { listen: "song", beats: "beats" }[what] ?? name ?? "a dance";
  }

  drawTakes() {
    const title = (genre) => this.catalogue.find(({ name }) => name === genre)?.title ?? genre;
    const state = { takes: this.project?.takes ?? [], shown: this.takeId, compared: this.comparedId, jobs: this.jobs, title };
    drawTakes(state, {
      open: (take) => this.run(() => this.chooseTake(take)),
      compare: (take) => this.run(() => this.compare(take)),
      rename: (take) => this.run(() => this.rename(take)),
      mark: (take, mark) => this.run(() => this.markTake(take, mark)),
      remove: (take) => this.run(() => this.removeTake(take)),
    });
  }

  drawEdit() {
    const { canEdit, selection, track } = this;
    const hint = element("edit-hint");
    hint.classList.toggle("chosen", Boolean(selection));
    if (selection) hint.textContent = `${exactTime(selection.from)} to ${exactTime(selection.to)}, ${this.barsOf(selection)}`;
    else hint.textContent = "Drag on the song to select a stretch.";
    const { edits: why, joints: whole } = this.editor?.cannot ?? {};
    if (why && this.take) hint.textContent = `${why}.`;
    for (const id of ["redo-stretch", "fill", "from-here", "go-on", "blend"]) element(id).title = why ?? this.titles[id];
    element("joints").disabled = Boolean(whole);
    element("joints").title = whole ?? "";
    const meets = Boolean(selection && track && selection.from < track.end && selection.to > track.start);
    element("redo-stretch").disabled = !canEdit || !meets;
    element("keep-stretch").disabled = !canEdit || !meets;
    element("fill").disabled = !canEdit || !this.keeps.length;
    element("forget-keeps").disabled = !this.keeps.length;
    for (const id of ["from-here", "go-on"]) element(id).disabled = !canEdit;
    const readyTake = this.take?.state === "ready" && Boolean(track);
    for (const id of ["mirror", "tempo", "download-button"]) element(id).disabled = !readyTake;
    const others = (this.project?.takes ?? []).filter(({ id, state }) => state === "ready" && id !== this.takeId);
    const chosen = element("other").value;
    element("other").replaceChildren(...others.map(({ id, name }) => make("option", { value: id, textContent: name })));
    if (others.some(({ id }) => id === chosen)) element("other").value = chosen;
    element("blend").disabled = !canEdit || !others.length;
    const score = this.take?.score;
    element("use-score").hidden = !score?.blocks.length || JSON.stringify(score) === JSON.stringify(this.project.score);
    element("pose").disabled = !canEdit || Boolean(whole);
    element("pose").title = why ?? "Show handles on hands, feet and hips (P)";
    element("in-between").disabled = !canEdit || !this.poser?.keys.length;
    const tempo = this.project?.song.tempo_bpm;
    if (tempo && !element("bpm").value) element("bpm").value = tempo.toFixed(1);
  }

  note(text) {
    element("stage-note").textContent = text;
  }

  drawStage() {
    const { take, project } = this;
    const other = project?.takes.find(({ id }) => id === this.comparedId);
    element("name-a").textContent = take?.name ?? "";
    element("name-b").textContent = other?.name ?? "";
    if (!project) return this.note("");
    if (project.song.state === "analysing") return this.note("Listening to the song …");
    if (project.song.state === "failed") return this.note("This song could not be used. Begin with another one.");
    if (!take) return this.note("Choose what to dance at the left, then generate.");
    if (take.state === "failed" || take.state === "cancelled") return this.note(`${take.name}: ${take.state}`);
    if (!this.track?.frames) return this.note(this.promise(take));
    if (this.view.clock.waiting) return this.note("Waiting for the next seconds of the dance …");
    if (take.state === "ready" && take.record.song === null) return this.note("At another tempo: played without the song");
    this.note("");
  }

  // What a take that is being made will do: only what its model keeps.
  promise(take) {
    const stage = this.jobs.get(take.job)?.stage;
    const told = stage ? `${take.name}: ${stage}.` : `${take.name} is being made.`;
    const model = this.models.find(({ name }) => name === take.settings?.model);
    const early = take.what === "generate" && model?.streams;
    return `${told} ${early ? "Its first seconds will play as soon as they are there." : "It will be shown when all of it is done."}`;
  }

  drawTransport() {
    const { clock } = this.view;
    const icon = clock.playing ? "pause" : "play";
    element("play-icon").setAttribute("href", `#i-${icon}`);
    element("play").setAttribute("aria-label", clock.playing ? "Pause" : "Play");
    this.drawStage();
    this.drawTime(clock.at);
  }

  drawTime(time) {
    element("clock").textContent = exactTime(time);
    const { beats = [], downbeats = [] } = this.project?.song ?? {};
    const bar = lastBefore(downbeats, time + 1e-3);
    const beat = bar < 0 ? -1 : lastBefore(beats, time + 1e-3) - lastBefore(beats, downbeats[bar] + 1e-3);
    element("bar").textContent = bar < 0 ? "–" : `${bar + 1} . ${beat + 1}`;
    this.timeline.setTime(time, this.view.clock.playing);
  }

  // --- what the user does ---

  listen() {
    const click = (id, action) => (element(id).onclick = () => this.run(action));
    click("projects-button", () => this.showProjects());
    click("undo", () => this.undo("undo"));
    click("redo", () => this.undo("redo"));
    click("generate", () => this.generate());
    click("cancel", () => this.cancelJob());
    click("play", () => this.toggle());
    click("to-start", () => this.seek(this.track?.start ?? 0));
    click("demo", async () => this.open((await api.send("POST", "/api/projects/demo")).id));
    click("suggestion-use", () => this.words.change({ genre: this.project.song.suggested.genre, movements: [] }));
    click("use-score", () => this.changeScore(this.take.score.blocks, null));
    click("in-between", () => this.danceThrough());
    click("character-away", async () => this.apply(await api.send("DELETE", `${this.path}/character`)));
    click("score-save", () => this.saveFile(`${this.path}/score.yaml`));
    element("takes-filter").onchange = () => this.drawTakes();
    element("camera").onchange = ({ target }) => {
      this.view.look(target.value);
      target.value = "";
    };
    element("volume").oninput = ({ target }) => (this.view.sound.volume = this.metronome.volume = Number(target.value));
    click("zoom-in", () => this.timeline.zoom(2));
    click("zoom-out", () => this.timeline.zoom(0.5));
    click("zoom-fit", () => this.timeline.fit());
    click("redo-stretch", () => this.redoStretch());
    click("keep-stretch", () => this.keepStretch());
    click("fill", () => this.edit("in_between", { keep: this.keeps }));
    click("forget-keeps", () => this.forgetKeeps());
    click("from-here", () => this.edit("from_here_on", { at: this.view.clock.at }));
    click("mirror", () => this.edit("mirror"));
    click("go-on", () => this.edit("go_on", { seconds: this.number("go-on-seconds") }));
    click("tempo", () => this.edit("tempo", { bpm: this.number("bpm") }));
    click("blend", () => this.edit("blend", { at: this.view.clock.at, other: element("other").value }));
    click("download-button", () => this.download());
    click("error-close", () => this.clearError());
    element("help-button").onclick = () => element("help").showModal();
    element("help-close").onclick = () => element("help").close();
    element("projects-close").onclick = () => element("projects").close();
    // Without a project there is nothing behind the dialog.
    element("projects").oncancel = (event) => !this.project && event.preventDefault();
    element("project-name").onchange = ({ target }) => {
      if (target.value.trim()) this.save({ name: target.value.trim() });
      else target.value = this.project.name;
    };
    element("speed").onchange = ({ target }) => this.view.clock.setRate(Number(target.value));
    // A button that was clicked gives the keyboard back, so that Space plays; one reached by keys keeps it.
    addEventListener("click", ({ detail, target }) => detail && target.closest?.("button")?.blur());
    this.toggles();
    this.takeFiles();
    this.keys();
    addEventListener("hashchange", () => {
      const id = location.hash.slice(1);
      if (id && id !== this.project?.id) this.run(() => this.open(id));
    });
    addEventListener("beforeunload", () => this.words.flush());
    addEventListener("unhandledrejection", ({ reason }) => this.fail(reason instanceof Error ? reason : new Error(String(reason))));
  }

  number(id) {
    if (!element(id).reportValidity() || !element(id).value) throw new Error("A number is needed there.");
    return Number(element(id).value);
  }

  forgetKeeps() {
    this.keeps = [];
    this.showTracks();
    this.draw();
  }

  toggles() {
    const toggle = (id, act) => {
      element(id).onclick = ({ currentTarget: button }) => {
        const pressed = button.getAttribute("aria-pressed") !== "true";
        setPressed(button, pressed);
        act(pressed);
        this.view.touch();
      };
    };
    toggle("loop", (pressed) => (this.view.clock.loop = pressed));
    toggle("mute", (pressed) => (this.view.sound.muted = !pressed));
    toggle("metronome", (pressed) => this.metronome.switch(pressed));
    toggle("follow", (pressed) => (this.view.stage.follow = pressed));
    toggle("snap", (pressed) => (this.timeline.snapping = pressed));
    for (const id of ["onion", "contacts", "bones"]) toggle(id, (pressed) => (this.view.options[id] = pressed));
  }

  takeFiles() {
    element("song-file").onchange = ({ target }) => target.files[0] && this.run(() => this.upload(target.files[0]));
    const chosen = (id, act) => {
      element(id).onchange = ({ target }) => {
        const [file] = target.files;
        if (file && this.project) this.run(() => act(file));
        target.value = "";
      };
    };
    chosen("character-file", (file) => this.bringCharacter(file));
    chosen("score-file", async (file) => this.apply(await api.send("POST", `${this.path}/score.yaml`, { text: await file.text() })));
    const hasFiles = (event) => event.dataTransfer?.types.includes("Files");
    addEventListener("dragover", (event) => {
      if (!hasFiles(event)) return;
      event.preventDefault();
      if (!element("projects").open) this.showProjects();
      element("drop").classList.add("target");
    });
    addEventListener("dragleave", (event) => !event.relatedTarget && element("drop").classList.remove("target"));
    addEventListener("drop", (event) => {
      if (!hasFiles(event)) return;
      event.preventDefault();
      element("drop").classList.remove("target");
      const [file] = event.dataTransfer.files;
      if (file) this.run(() => this.upload(file));
    });
  }

  keys() {
    const click = (id) => () => element(id).disabled || element(id).click();
    const { timeline } = this;
    const now = () => this.view.clock.time();
    const seek = (time) => () => this.seek(time());
    listenToKeys([
      [{ " ": click("play") }, "play or pause"],
      [
        { ArrowLeft: seek(() => timeline.shifted(now(), -1)), ArrowRight: seek(() => timeline.shifted(now(), 1)) },
        "a beat back, a beat on",
      ],
      [
        {
          "Shift+ArrowLeft": seek(() => timeline.shifted(now(), -4)),
          "Shift+ArrowRight": seek(() => timeline.shifted(now(), 4)),
        },
        "four beats back, four on",
      ],
      [{ ",": () => this.step(-1), ".": () => this.step(1) }, "a frame back, a frame on"],
      [
        {
          Home: seek(() => this.track?.start ?? 0),
          End: seek(() => this.track?.end ?? this.project?.song.seconds ?? 0),
        },
        "to the start, to the end",
      ],
      [{ "[": () => this.mark("from"), "]": () => this.mark("to") }, "select from here, to here"],
      [{ Escape: () => (this.plan.chosen ? this.plan.choose(null) : this.blockId ? this.chooseBlock(null) : this.select(null)) }, "select nothing"],
      [
        { a: () => this.project && this.addBlock(this.wordsForBlock(), now(), this.selection) },
        "add a block to the score",
      ],
      [{ "/": () => element("search").focus() }, "search movements"],
      [{ g: click("generate") }, "generate"],
      [{ r: click("redo-stretch") }, "redo the selected stretch"],
      [{ k: click("keep-stretch") }, "keep the selected stretch"],
      [{ d: click("download-button") }, "download"],
      [{ z: click("undo"), "Shift+z": click("redo") }, "undo, redo"],
      [{ l: click("loop") }, "loop"],
      [{ s: click("snap") }, "snap to beats"],
      [{ t: () => this.project && this.beats.tap() }, "tap a beat"],
      [{ p: click("pose") }, "drag a pose"],
      [{ f: click("follow"), v: () => this.view.front() }, "camera follows, camera in front"],
      [{ o: click("onion") }, "ghosts"],
      [{ c: click("contacts") }, "feet on the floor"],
      [{ b: click("bones") }, "skeleton"],
      [{ m: click("mute"), n: click("metronome") }, "sound, metronome"],
      [{ "+": () => timeline.zoom(2), "-": () => timeline.zoom(0.5) }, "zoom in, zoom out"],
      [{ 0: () => timeline.fit() }, "show the whole song"],
      [{ "?": click("help-button") }, "this help"],
    ]);
  }
}

// A question in a dialog: the text given (or an empty one where none is asked for), null if left.
function ask({ title, yes, text = null }) {
  const dialog = element("ask");
  element("ask-title").textContent = title;
  element("ask-yes").textContent = yes;
  element("ask-text").hidden = text === null;
  element("ask-text").value = text ?? "";
  dialog.returnValue = "no";
  dialog.showModal();
  return new Promise((resolve) => {
    dialog.onclose = () => resolve(dialog.returnValue === "yes" ? element("ask-text").value : null);
  });
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

async function begin() {
  try {
    const asked = ["models", "catalogue", "settings", "able", "libraries"].map((name) => api.get(`/api/${name}`));
    const [mannequin, models, catalogue, defaults, lacks, libraries] = await Promise.all([loadMannequin(), ...asked, loadPreviews()]);
    const studio = new Studio(mannequin, models, catalogue, defaults, lacks, libraries);
    // What scripts may look at and drive.
    window.studio = { app: studio, view: studio.view, skew: () => studio.view.skew };
    const id = location.hash.slice(1);
    if (id) await studio.run(() => studio.open(id));
    if (!studio.project) await studio.showProjects();
  } catch (error) {
    console.error(error);
    element("error-text").textContent = `The studio could not start: ${error.message}`;
    element("error").hidden = false;
  }
}

begin();
