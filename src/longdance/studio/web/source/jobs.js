// What is being computed for the project: how far it is, what waits, and dances that are asked for.

import * as api from "./api.js";
import { element, exactTime, make } from "./dom.js";

export class Jobs {
  constructor(app) {
    this.app = app;
    this.clear();
  }

  clear() {
    this.known = new Map(); // what was last told of each, by id
    this.queue = []; // those of the project that have not ended, in order
  }

  progress(told) {
    this.app.projects.found();
    this.queue = told;
    for (const job of told) this.known.set(job.id, job);
    this.drawJob();
    this.app.shown.drawTakes();
    const shown = told.find(({ take }) => take && take === this.app.shown.takeId);
    if (shown?.state === "running" && shown.seconds_ready > 0) this.app.quietly(() => this.app.shown.fetchMotion(shown.take));
    else this.app.status.drawStage();
  }

  get running() {
    if (this.queue.length) return this.queue.find(({ take, state }) => take && state === "running") ?? this.queue[0];
    const { song } = this.app.project ?? {};
    return song?.state === "analysing" ? { stage: "listening to the song", done: 0, total: 1 } : null;
  }

  async generate() {
    this.app.words.flush();
    await this.app.saves;
    element("generate").disabled = true; // a second press while the first is under way would ask for two dances
    try {
      const { take } = await api.send("POST", `${this.app.path}/generate`, { takes: Number(element("how-many").value) });
      await this.begun(take);
    } finally {
      element("generate").disabled = false;
    }
  }

  // A take that is being made is shown from its first seconds on, or from a second of the song.
  async begun(take, at = null) {
    this.app.shown.comparedId = null;
    this.app.shown.autoplay = take;
    this.app.view.clock.pause();
    await this.app.reload();
    const made = this.app.project.takes.find(({ id }) => id === take);
    if (!made) return;
    this.app.shown.takeId = take;
    this.app.draw();
    this.app.shown.showTracks();
    this.app.seek(at ?? made.start, { byUser: false });
    if (made.state === "ready") await this.app.shown.fetchMotion(take);
  }

  async cancelJob(job = this.running) {
    if (job?.id) await api.send("POST", `/api/jobs/${job.id}/cancel`);
  }

  drawJob() {
    const job = this.running;
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
          make("button", { textContent: "Cancel", onclick: () => this.app.run(() => this.cancelJob(other)) }),
        ),
      ),
    );
  }

  jobName({ what, take }) {
    const name = this.app.project?.takes.find(({ id }) => id === take)?.name;
    if (what === "export") return `download of ${name ?? "a take"}`;
    if (what === "dress") return `character in ${name ?? "a take"}`;
    return { listen: "song", beats: "beats" }[what] ?? name ?? "a dance";
  }
}
