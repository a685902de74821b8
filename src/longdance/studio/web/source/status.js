// What is said on the stage and beside the transport: what is to be seen, why nothing is, and when.

import { lastBefore } from "../../../export/viewer/stage.js";
import { element, exactTime } from "./dom.js";

export class Status {
  constructor(app) {
    this.app = app;
  }

  note(text) {
    element("stage-note").textContent = text;
  }

  drawStage() {
    const { take, project } = this.app;
    const other = project?.takes.find(({ id }) => id === this.app.shown.comparedId);
    element("name-a").textContent = take?.name ?? "";
    element("name-b").textContent = other?.name ?? "";
    if (!project) return this.note("");
    if (project.song.state === "analysing") return this.note("Listening to the song …");
    if (project.song.state === "failed") return this.note("This song could not be used. Begin with another one.");
    if (!take) return this.note("Choose what to dance at the left, then generate.");
    if (take.state === "failed" || take.state === "cancelled") return this.note(`${take.name}: ${take.state}`);
    if (!this.app.track?.frames) return this.note(this.promise(take));
    if (this.app.view.clock.waiting) return this.note("Waiting for the next seconds of the dance …");
    if (take.state === "running" && project.character) return this.note(`${project.character} dances as soon as the whole take is there.`);
    if (take.state === "ready" && take.record.song === null) return this.note("At another tempo: played without the song");
    this.note("");
  }

  // What a take that is being made will do: only what its model keeps.
  promise(take) {
    const stage = this.app.jobs.known.get(take.job)?.stage;
    const told = stage ? `${take.name}: ${stage}.` : `${take.name} is being made.`;
    const model = this.app.models.find(({ name }) => name === take.settings?.model);
    const early = take.what === "generate" && model?.streams;
    return `${told} ${early ? "Its first seconds will play as soon as they are there." : "It will be shown when all of it is done."}`;
  }

  drawTransport() {
    const { clock } = this.app.view;
    const icon = clock.playing ? "pause" : "play";
    element("play-icon").setAttribute("href", `#i-${icon}`);
    element("play").setAttribute("aria-label", clock.playing ? "Pause" : "Play");
    this.drawStage();
    this.drawTime(clock.at);
  }

  drawTime(time) {
    element("clock").textContent = exactTime(time);
    const { beats = [], downbeats = [] } = this.app.project?.song ?? {};
    const bar = lastBefore(downbeats, time + 1e-3);
    const beat = bar < 0 ? -1 : lastBefore(beats, time + 1e-3) - lastBefore(beats, downbeats[bar] + 1e-3);
    element("bar").textContent = bar < 0 ? "–" : `${bar + 1} . ${beat + 1}`;
    this.app.timeline.setTime(time, this.app.view.clock.playing);
  }
}
