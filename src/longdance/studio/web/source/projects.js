// Projects: the list of them, songs that become one, and what happens to the one that is open.

import * as api from "./api.js";
import { ask } from "./ask.js";
import { element, exactTime, iconButton, make } from "./dom.js";

export class Projects {
  constructor(app) {
    this.app = app;
    this.lost = false; // whether the connection is
    this.unfollow = () => {}; // stops following the project
  }

  async showProjects() {
    element("projects-error").textContent = "";
    element("projects-close").hidden = !this.app.project;
    if (!element("projects").open) element("projects").showModal();
    await this.app.run(async () => {
      const projects = await api.get("/api/projects");
      element("projects-heading").hidden = !projects.length;
      element("project-list").replaceChildren(...projects.map((project) => this.projectRow(project)));
    });
  }

  projectRow({ id, name, seconds, updated }) {
    const day = new Date(updated);
    const when = Number.isNaN(day.getTime()) ? "" : day.toLocaleDateString(undefined, { day: "numeric", month: "short" });
    const open = make("button", { className: "open", onclick: () => this.app.run(() => this.open(id)) });
    open.append(make("strong", {}, name), make("span", { className: "dim" }, exactTime(seconds)), make("span", { className: "dim" }, when));
    const remove = iconButton("trash", `Delete ${name} for good`, () => this.app.run(() => this.deleteProject(id, name)));
    return make("li", {}, open, remove);
  }

  async deleteProject(id, name) {
    if ((await ask({ title: `Delete “${name}” with its song and takes? This cannot be undone.`, yes: "Delete" })) === null) return;
    await api.send("DELETE", `/api/projects/${id}`);
    if (this.app.project?.id === id) this.close();
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
    this.app.words.flush();
    await this.app.saves;
    const project = await api.get(`/api/projects/${id}`);
    this.close();
    location.hash = id;
    if (element("projects").open) element("projects").close();
    this.app.apply(project);
    this.follow(id);
    const last = [...project.takes].reverse().find((take) => ["ready", "running"].includes(take.state));
    if (last) await this.app.shown.openTake(last);
  }

  // What is happening to the project, also by other tabs.
  follow(id) {
    this.unfollow = api.followProject(id, {
      jobs: (told) => this.app.jobs.progress(told),
      changed: ({ updated }) => {
        this.found();
        if (this.app.unsaved || updated === this.app.project?.updated) return;
        this.app.quietly(() => this.app.reload());
      },
      gone: ({ error }) => this.app.quietly(() => this.gone(error)),
      lost: (error) => {
        this.lost = true;
        this.app.fail(error);
      },
    });
  }

  // The project is no more: it was deleted, or its file was no song.
  async gone(error) {
    const { job } = this.app.project.song;
    this.close();
    await this.showProjects();
    const why = error ?? (job && (await api.get(`/api/jobs/${job}`).catch(() => ({}))).error);
    this.app.fail(new Error(api.sentence(why ?? "this project was deleted")));
  }

  // The connection is there again.
  found() {
    if (this.lost) this.app.clearError();
    this.lost = false;
  }

  close() {
    this.unfollow();
    this.app.forget();
    this.app.poser.clear();
    this.app.view.setSong(null, null);
    Object.assign(this.app.timeline, { selection: null, poses: [] });
    this.app.timeline.show(null);
    this.app.shown.showTracks();
    element("bpm").value = "";
    history.replaceState(null, "", location.pathname);
    this.app.draw();
  }
}
