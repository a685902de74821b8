// The plan of the shown take: its lane, the tools of the chosen phrase, and the phrases it can be swapped for.

import * as api from "./api.js";
import { element, exactTime, make, setPressed } from "./dom.js";
import { PhraseView } from "./phrase_view.js";
import { PlanLane } from "./plan_lane.js";

const HOLD = "hold";
const TOOLS = ["phrase-earlier", "phrase-later", "phrase-mirror", "phrase-repeat", "phrase-lock"];

export class PlanTools {
  // `on` has take(), takePath(), run(action), fail(error), begun(answer) for a take that is being made, reload(),
  // song() and genre(name) for its title and hue.
  constructor(mannequin, timeline, on) {
    this.on = on;
    this.libraries = new Map(); // by name: what the server tells of each, once it has come
    this.rows = []; // phrases of the plan, in seconds of the song
    this.chosen = null;
    this.fits = []; // what the chosen phrase can be swapped for
    this.view = new PhraseView(mannequin, on.fail);
    this.lane = new PlanLane(timeline, {
      choose: (number) => this.choose(number),
      move: (number, place) => this.change({ do: "move", number, to: place }, place),
      look: (number, block) => this.look(number, block),
      leave: () => this.view.hide(),
      about: (row) => this.about(row),
      may: () => this.may(),
    });
    this.listen();
  }

  listen() {
    const click = (id, act) => (element(id).onclick = () => act());
    const change = (what) => () => this.change({ do: what, number: this.chosen }, this.chosen);
    click("phrase-earlier", () => this.change({ do: "move", number: this.chosen, to: this.chosen - 1 }, this.chosen - 1));
    click("phrase-later", () => this.change({ do: "move", number: this.chosen, to: this.chosen + 1 }, this.chosen + 1));
    click("phrase-mirror", change("mirror"));
    click("phrase-repeat", change("repeat"));
    click("phrase-lock", () => this.lock());
    click("plan-again", () => this.change({ do: "again" }, null));
    click("phrase-close", () => this.choose(null));
    element("phrase-genre").onchange = () => this.fetchFits();
    element("phrase-sort").onchange = () => this.drawList();
    element("phrase-search").oninput = () => this.drawList();
    element("phrase").addEventListener("keydown", (event) => {
      if (event.key !== "Escape") return;
      event.stopPropagation();
      const number = this.chosen;
      this.choose(null);
      this.lane.blocks[number - 1]?.focus();
    });
    const list = element("phrase-list");
    const look = ({ target }) => {
      const row = target.closest("button");
      const fit = row && this.fits.find(({ name }) => name === row.dataset.phrase);
      if (fit) this.view.show({ ...fit, library: this.library }, row, { aside: true });
    };
    list.addEventListener("pointerover", look);
    list.addEventListener("focusin", look);
    list.addEventListener("pointerleave", () => this.view.hide());
    list.addEventListener("focusout", () => this.view.hide());
  }

  // Shows the plan of a take, which begins at `start` seconds of the song and has been danced until `end`.
  show(take, end) {
    const plan = take?.record?.plan;
    const fits = take?.state === "running" || take?.record?.song !== null;
    const known = fits && Array.isArray(plan?.phrases) ? plan.phrases : [];
    const { start = 0 } = take ?? {};
    const until = (to) => (take?.state === "ready" ? Math.min(to + start, end) : to + start);
    this.rows = known.map((row) => ({ ...row, from: row.from + start, to: until(row.to) })).filter(({ from, to }) => to > from);
    this.library = known.length ? plan.library : null;
    if (take?.id !== this.takeId) {
      this.takeId = take?.id;
      this.view.hide();
      this.fitsOf = null;
    }
    if (this.chosen > this.rows.length) this.chosen = null;
    if (this.library) this.fetchLibrary(this.library);
    this.draw();
    if (this.chosen && this.may() && this.fitsOf !== this.key) this.on.run(() => this.fetchFits());
  }

  // Whether the plan can be changed now: not while it is being danced.
  may() {
    return this.rows.length > 0 && this.on.take()?.state === "ready";
  }

  get key() {
    return `${this.takeId} ${this.chosen}`;
  }

  // --- the library ---

  fetchLibrary(name) {
    if (this.libraries.has(name)) return;
    this.libraries.set(name, null);
    const path = `/api/libraries/${encodeURIComponent(name)}`;
    this.on.run(async () => {
      const { phrases } = await api.get(path);
      this.libraries.set(name, new Map(phrases.map((phrase) => [phrase.name, phrase])));
      this.draw();
    });
  }

  facts(name) {
    return this.libraries.get(this.library)?.get(name) ?? null;
  }

  about({ phrase }) {
    if (phrase === HOLD) return { title: "Pose held", tells: "", hue: "none" };
    const facts = this.facts(phrase);
    const title = facts?.movements[0] ?? phrase;
    return { title, tells: facts ? phrase : "", hue: facts ? this.on.genre(facts.genre).hue : "none" };
  }

  // --- the chosen phrase ---

  choose(number) {
    this.chosen = number;
    this.view.hide();
    element("phrase-search").value = "";
    element("phrase-genre").value = "";
    this.draw();
    if (number && this.may()) this.on.run(() => this.fetchFits({ own: true }));
  }

  look(number, block) {
    const { phrase, mirrored } = this.rows[number - 1];
    if (phrase === HOLD) return this.view.hide();
    this.view.show({ library: this.library, name: phrase, mirrored }, block);
  }

  // Asks for a changed plan; `chosen` is the phrase that is looked at in the new take.
  change(asked, chosen) {
    if (!this.may()) return;
    const seed = crypto.getRandomValues(new Uint32Array(1))[0];
    return this.on.run(async () => {
      const answer = await api.send("POST", `${this.on.takePath()}/plan`, { ...asked, seed });
      this.chosen = chosen;
      await this.on.begun(answer, this.rows[(chosen ?? 1) - 1]?.from ?? null);
    });
  }

  lock() {
    const { locked } = this.rows[this.chosen - 1];
    return this.on.run(async () => {
      await api.send("PATCH", `${this.on.takePath()}/plan/${this.chosen}?locked=${!locked}`);
      await this.on.reload();
    });
  }

  // What the chosen phrase can be swapped for: of its own genre first, then of the one that was picked.
  async fetchFits({ own = false } = {}) {
    const { key } = this;
    this.fitsOf = key;
    const { phrase } = this.rows[this.chosen - 1];
    const select = element("phrase-genre");
    if (own || !select.options.length) this.fillGenres(this.facts(phrase)?.genre ?? "");
    const query = select.value ? `?genre=${encodeURIComponent(select.value)}` : "";
    const found = await api.get(`${this.on.takePath()}/phrases/${this.chosen}${query}`);
    if (this.key !== key) return; // another one was chosen meanwhile
    this.fits = found;
    this.drawList();
  }

  fillGenres(chosen) {
    const known = [...new Set([...(this.libraries.get(this.library)?.values() ?? [])].map(({ genre }) => genre))].sort();
    const options = known.filter(Boolean).map((name) => make("option", { value: name, textContent: this.on.genre(name).title }));
    element("phrase-genre").replaceChildren(make("option", { value: "", textContent: "All genres" }), ...options);
    element("phrase-genre").value = chosen;
  }

  // --- drawing ---

  draw() {
    this.lane.show(this.rows, this.chosen);
    element("plan-again").disabled = !this.may();
    const row = this.chosen ? this.rows[this.chosen - 1] : null;
    element("phrase").hidden = !row;
    if (!row) return;
    const { title } = this.about(row);
    const facts = this.facts(row.phrase);
    const held = row.phrase === HOLD;
    element("phrase-title").textContent = `Phrase ${this.chosen}: ${title}`;
    const tells = [facts && this.on.genre(facts.genre).title, held ? null : row.phrase, `${exactTime(row.from)} to ${exactTime(row.to)}`];
    element("phrase-about").textContent = this.may() ? tells.filter(Boolean).join(" · ") : "Being danced …";
    for (const id of TOOLS) element(id).disabled = !this.may();
    element("phrase-earlier").disabled ||= this.chosen === 1;
    element("phrase-later").disabled ||= this.chosen === this.rows.length;
    element("phrase-repeat").disabled ||= held || this.chosen === this.rows.length;
    element("phrase-mirror").disabled ||= held;
    setPressed(element("phrase-lock"), Boolean(row.locked));
    element("phrase-lock").textContent = row.locked ? "Locked" : "Lock";
    for (const button of element("phrase-list").querySelectorAll("button")) button.disabled = !this.may();
  }

  drawList() {
    const own = this.rows[this.chosen - 1]?.phrase;
    const words = element("phrase-search").value.trim().toLowerCase().split(/\s+/).filter(Boolean);
    const said = ({ name }) => [name, ...(this.facts(name)?.movements ?? []), this.facts(name)?.genre].join(" ").toLowerCase();
    const found = this.fits.filter((fit) => fit.name !== own && words.every((word) => said(fit).includes(word)));
    if (element("phrase-sort").value === "name") found.sort((one, other) => one.name.localeCompare(other.name, undefined, { numeric: true }));
    element("phrase-list").replaceChildren(...found.map((fit) => this.row(fit)));
    element("phrase-none").hidden = found.length > 0;
  }

  row(fit) {
    const facts = this.facts(fit.name);
    const title = facts?.movements.join(", ") || fit.name;
    const tells = [facts && `${facts.counts} counts`, fit.name].filter(Boolean).join(" · ");
    const onclick = () => this.swap(fit);
    const button = make("button", { onclick, disabled: !this.may(), title: `Dance ${fit.name} here` });
    button.append(make("span", { className: "name" }, title), make("span", { className: "pace" }, paced(fit.pace)));
    button.append(make("span", { className: "tells" }, tells));
    button.dataset.phrase = fit.name;
    return make("li", {}, button);
  }

  swap({ name, mirrored }) {
    return this.change({ do: "swap", number: this.chosen, phrase: name, mirrored }, this.chosen);
  }
}

function paced(pace) {
  const percent = Math.round(100 * Math.abs(pace - 1));
  return percent < 2 ? "its own tempo" : `${percent} % ${pace > 1 ? "faster" : "slower"}`;
}
