// The page's studio: the open project, the parts of the page, and who is told when something changes.
//
// The server owns every project; the page shows the project as the server last told it, with the user's latest change
// on top until that has been saved.

import * as api from "./api.js";
import { BeatTools } from "./beats.js";
import { Controls } from "./controls.js";
import { element, exactTime } from "./dom.js";
import { Edits } from "./edits.js";
import { Jobs } from "./jobs.js";
import { Metronome } from "./metronome.js";
import { PlanTools } from "./plan.js";
import { Poser } from "./poses.js";
import { Projects } from "./projects.js";
import { Score } from "./score.js";
import { ShownTake } from "./shown.js";
import { Status } from "./status.js";
import { Timeline } from "./timeline.js";
import { View } from "./view.js";
import { Words } from "./words.js";

export class Studio {
  constructor(mannequin, models, catalogue, defaults, lacks, libraries) {
    this.models = models;
    this.catalogue = catalogue;
    this.project = null;
    this.selection = null;
    this.saves = Promise.resolve();
    this.unsaved = 0;
    this.projects = new Projects(this);
    this.jobs = new Jobs(this);
    this.shown = new ShownTake(this);
    this.edits = new Edits(this);
    this.score = new Score(this, defaults);
    this.status = new Status(this);
    this.view = new View(mannequin, {
      range: () => this.range(),
      changed: () => this.status.drawTransport(),
      frame: (time) => {
        this.status.drawTime(time);
        const { clock } = this.view;
        if (clock.playing && !clock.waiting) this.metronome?.at(time, this.project?.song ?? {}, clock.rate);
      },
    });
    this.timeline = new Timeline({
      seek: (time) => this.seek(time),
      select: (range) => this.select(range),
      choose: (id) => this.score.chooseBlock(id),
      change: (blocks, chosen) => this.score.changeScore(blocks, chosen),
      drop: (words, time) => this.score.addBlock(words, time),
      words: () => this.score.wordsForBlock(),
      hue: (genre) => (genre ? this.catalogue.findIndex(({ name }) => name === genre) % 10 : "none"),
      title: (block) => this.score.blockTitle(block),
    });
    this.words = new Words(
      {
        change: (words) => this.score.changeWords(words),
        settings: (fields) => this.score.changeSettings(fields),
        fail: (error) => this.fail(error),
        wholeDance: () => this.score.chooseBlock(null),
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
      solve: (at, wanted) => api.send("POST", `${this.path}/takes/${this.shown.takeId}/pose`, { at, wanted }),
      at: () => this.shown.frameTime(),
      seek: (time) => this.seek(time),
      changed: () => this.edits.drawPoses(),
    });
    this.plan = new PlanTools(mannequin, this.timeline, {
      take: () => this.take,
      takePath: () => `${this.path}/takes/${this.shown.takeId}`,
      run,
      fail: (error) => this.fail(error),
      begun: ({ take }, at) => this.jobs.begun(take, at ?? this.view.clock.at),
      reload: () => this.reload(),
      genre: (name) => this.genreCard(name),
    });
    new Controls(this).listen();
    this.draw();
  }

  get take() {
    return this.shown.take;
  }

  get track() {
    return this.shown.track;
  }

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

  get path() {
    return `/api/projects/${this.project.id}`;
  }

  // Takes over what the server told; a song that is the same stays the same object.
  apply(project) {
    const before = this.project;
    const same = before?.id === project.id;
    if (same && JSON.stringify(before.song) === JSON.stringify(project.song)) project.song = before.song;
    this.project = project;
    if (!project.takes.some((take) => take.id === this.shown.takeId)) this.shown.takeId = null;
    if (!project.takes.some((take) => take.id === this.shown.comparedId)) this.shown.comparedId = null;
    if (!project.score.blocks.some((block) => block.id === this.score.blockId)) this.score.blockId = null;
    const { song } = project;
    this.view.setSong(song.state === "ready" ? `${this.path}/song` : null, song);
    this.timeline.show(song, same && before.song.state === song.state);
    this.beats.show(song);
    if (song.state === "failed" && song !== before?.song) this.fail(new Error(api.sentence(song.error ?? "the song could not be used")));
    if (same) this.noticeTakes(before);
    this.draw();
    this.plan.show(this.take, this.track?.end ?? Infinity);
    if (!this.shown.takeId && same) {
      const last = [...project.takes].reverse().find((take) => take.state === "ready");
      if (last) this.quietly(() => this.shown.openTake(last));
      else this.shown.showTracks();
    }
    this.shown.showCharacter();
  }

  // Nothing is open any more.
  forget() {
    this.project = null;
    this.selection = null;
    this.score.blockId = null;
    this.shown.clear();
    this.jobs.clear();
  }

  // Takes that have ended since: what failed is told, what is shown is fetched to its end.
  noticeTakes(before) {
    for (const take of this.project.takes) {
      if (before.takes.find(({ id }) => id === take.id)?.state !== "running" || take.state === "running") continue;
      if (take.state === "failed") this.fail(new Error(api.sentence(take.error ?? "this failed, and no reason is known")));
      if (take.state === "ready" && take.id === this.shown.takeId) this.quietly(() => this.shown.fetchMotion(take.id));
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

  // What a genre is called and its colour; nothing and grey for an unknown one.
  genreCard(genre) {
    const index = this.catalogue.findIndex(({ name }) => name === genre);
    return { title: index < 0 ? (genre ?? "") : this.catalogue[index].title, hue: index < 0 ? "none" : index % 10 };
  }

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
    if (byUser) this.shown.autoplay = null;
    const end = Math.max(this.project?.song.seconds ?? 0, this.track?.end ?? 0);
    const { clock } = this.view;
    clock.seek(Math.min(Math.max(time, 0), end));
    if (clock.waiting && this.track && clock.at < this.track.end - 0.1) this.run(() => clock.play());
    this.poser.draft = null;
    this.poser.refresh();
    this.view.touch();
    this.status.drawTime(clock.at);
  }

  toggle() {
    if (this.project?.song.state !== "ready") return;
    this.shown.autoplay = null;
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
    this.edits.drawEdit();
  }

  // Sets one end of the selection to the playhead.
  mark(end) {
    const time = this.timeline.snap(this.view.clock.at);
    const { from = 0, to = this.track?.end ?? this.project?.song.seconds ?? 0 } = this.selection ?? {};
    const range = end === "from" ? { from: time, to: to > time ? to : (this.track?.end ?? time) } : { from: from < time ? from : 0, to: time };
    this.select(range.to > range.from ? range : null);
  }

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
    this.score.drawWords();
    this.jobs.drawJob();
    this.shown.drawTakes();
    this.edits.drawEdit();
    this.status.drawStage();
    this.status.drawTransport();
  }

  songFacts() {
    const { name, seconds } = this.project.song;
    return `${name} · ${exactTime(seconds)}`;
  }
}
