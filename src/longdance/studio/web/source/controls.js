// Buttons, switches, files that are dropped, and keys: which of them does what.

import * as api from "./api.js";
import { element, setPressed } from "./dom.js";
import { listenToKeys } from "./keys.js";

export class Controls {
  constructor(app) {
    this.app = app;
  }

  listen() {
    const click = (id, action) => (element(id).onclick = () => this.app.run(action));
    click("projects-button", () => this.app.projects.showProjects());
    click("undo", () => this.app.undo("undo"));
    click("redo", () => this.app.undo("redo"));
    click("generate", () => this.app.jobs.generate());
    click("cancel", () => this.app.jobs.cancelJob());
    click("play", () => this.app.toggle());
    click("to-start", () => this.app.seek(this.app.track?.start ?? 0));
    click("demo", async () => this.app.projects.open((await api.send("POST", "/api/projects/demo")).id));
    click("suggestion-use", () => this.app.words.change({ genre: this.app.project.song.suggested.genre, movements: [] }));
    click("use-score", () => this.app.score.changeScore(this.app.take.score.blocks, null));
    click("in-between", () => this.app.edits.danceThrough());
    click("character-away", async () => this.app.apply(await api.send("DELETE", `${this.app.path}/character`)));
    click("score-save", () => this.app.edits.saveFile(`${this.app.path}/score.yaml`));
    element("takes-filter").onchange = () => this.app.shown.drawTakes();
    element("camera").onchange = ({ target }) => {
      this.app.view.look(target.value);
      target.value = "";
    };
    element("volume").oninput = ({ target }) => (this.app.view.sound.volume = this.app.metronome.volume = Number(target.value));
    click("zoom-in", () => this.app.timeline.zoom(2));
    click("zoom-out", () => this.app.timeline.zoom(0.5));
    click("zoom-fit", () => this.app.timeline.fit());
    click("redo-stretch", () => this.app.edits.redoStretch());
    click("keep-stretch", () => this.app.edits.keepStretch());
    click("fill", () => this.app.edits.edit("in_between", { keep: this.app.shown.keeps }));
    click("forget-keeps", () => this.app.edits.forgetKeeps());
    click("from-here", () => this.app.edits.edit("from_here_on", { at: this.app.view.clock.at }));
    click("mirror", () => this.app.edits.edit("mirror"));
    click("go-on", () => this.app.edits.edit("go_on", { seconds: this.app.edits.number("go-on-seconds") }));
    click("tempo", () => this.app.edits.edit("tempo", { bpm: this.app.edits.number("bpm") }));
    click("blend", () => this.app.edits.edit("blend", { at: this.app.view.clock.at, other: element("other").value }));
    click("download-button", () => this.app.edits.download());
    click("error-close", () => this.app.clearError());
    element("help-button").onclick = () => element("help").showModal();
    element("help-close").onclick = () => element("help").close();
    element("projects-close").onclick = () => element("projects").close();
    // Without a project there is nothing behind the dialog.
    element("projects").oncancel = (event) => !this.app.project && event.preventDefault();
    element("project-name").onchange = ({ target }) => {
      if (target.value.trim()) this.app.save({ name: target.value.trim() });
      else target.value = this.app.project.name;
    };
    element("speed").onchange = ({ target }) => this.app.view.clock.setRate(Number(target.value));
    // A button that was clicked gives the keyboard back, so that Space plays; one reached by keys keeps it.
    addEventListener("click", ({ detail, target }) => detail && target.closest?.("button")?.blur());
    this.toggles();
    this.takeFiles();
    this.keys();
    addEventListener("hashchange", () => {
      const id = location.hash.slice(1);
      if (id && id !== this.app.project?.id) this.app.run(() => this.app.projects.open(id));
    });
    addEventListener("beforeunload", () => this.app.words.flush());
    addEventListener("unhandledrejection", ({ reason }) => this.app.fail(reason instanceof Error ? reason : new Error(String(reason))));
  }

  // What was chosen last is let go of.
  leave() {
    const { plan, score } = this.app;
    if (plan.chosen) plan.choose(null);
    else if (score.blockId) score.chooseBlock(null);
    else this.app.select(null);
  }

  toggles() {
    const toggle = (id, act) => {
      element(id).onclick = ({ currentTarget: button }) => {
        const pressed = button.getAttribute("aria-pressed") !== "true";
        setPressed(button, pressed);
        act(pressed);
        this.app.view.touch();
      };
    };
    toggle("loop", (pressed) => (this.app.view.clock.loop = pressed));
    toggle("mute", (pressed) => (this.app.view.sound.muted = !pressed));
    toggle("metronome", (pressed) => this.app.metronome.switch(pressed));
    toggle("follow", (pressed) => (this.app.view.stage.follow = pressed));
    toggle("snap", (pressed) => (this.app.timeline.snapping = pressed));
    for (const id of ["onion", "contacts", "bones"]) toggle(id, (pressed) => (this.app.view.options[id] = pressed));
  }

  takeFiles() {
    element("song-file").onchange = ({ target }) => target.files[0] && this.app.run(() => this.app.projects.upload(target.files[0]));
    const chosen = (id, act) => {
      element(id).onchange = ({ target }) => {
        const [file] = target.files;
        if (file && this.app.project) this.app.run(() => act(file));
        target.value = "";
      };
    };
    chosen("character-file", (file) => this.app.shown.bringCharacter(file));
    chosen("score-file", async (file) => this.app.apply(await api.send("POST", `${this.app.path}/score.yaml`, { text: await file.text() })));
    const hasFiles = (event) => event.dataTransfer?.types.includes("Files");
    addEventListener("dragover", (event) => {
      if (!hasFiles(event)) return;
      event.preventDefault();
      if (!element("projects").open) this.app.projects.showProjects();
      element("drop").classList.add("target");
    });
    addEventListener("dragleave", (event) => !event.relatedTarget && element("drop").classList.remove("target"));
    addEventListener("drop", (event) => {
      if (!hasFiles(event)) return;
      event.preventDefault();
      element("drop").classList.remove("target");
      const [file] = event.dataTransfer.files;
      if (file) this.app.run(() => this.app.projects.upload(file));
    });
  }

  keys() {
    const click = (id) => () => element(id).disabled || element(id).click();
    const { timeline } = this.app;
    const now = () => this.app.view.clock.time();
    const seek = (time) => () => this.app.seek(time());
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
      [{ ",": () => this.app.step(-1), ".": () => this.app.step(1) }, "a frame back, a frame on"],
      [
        {
          Home: seek(() => this.app.track?.start ?? 0),
          End: seek(() => this.app.track?.end ?? this.app.project?.song.seconds ?? 0),
        },
        "to the start, to the end",
      ],
      [{ "[": () => this.app.mark("from"), "]": () => this.app.mark("to") }, "select from here, to here"],
      [{ Escape: () => this.leave() }, "select nothing"],
      [
        { a: () => this.app.project && this.app.score.addBlock(this.app.score.wordsForBlock(), now(), this.app.selection) },
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
      [{ t: () => this.app.project && this.app.beats.tap() }, "tap a beat"],
      [{ p: click("pose") }, "drag a pose"],
      [{ f: click("follow"), v: () => this.app.view.front() }, "camera follows, camera in front"],
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
