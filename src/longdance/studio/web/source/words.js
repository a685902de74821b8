// The left column: model, genre, movements, free text and numbers; of the whole dance or of one block of the score.

import { get, sentence } from "./api.js";
import { element, icon, make, setPressed } from "./dom.js";
import { preview } from "./previews.js";

const TYPING = 350; // milliseconds after the last key that count as a pause
const NUMBERS = ["start", "seconds", "seed", "steps", "music_guidance", "text_guidance", "phrases"];
const NEVER_EMPTY = ["start", "seed", "phrases"]; // the others are left to the song or the model
const SLIDERS = ["beats", "loudness", "floor"];
const USUAL = 1; // where a slider stands while the model's own strength holds
const SWITCHES = ["trm", "cleanup"];

export class Words {
  // `on` has change(words) for what is shown, settings(fields), fail(error), and wholeDance() to leave the block.
  constructor(on, models, catalogue) {
    this.on = on;
    this.models = models;
    this.catalogue = catalogue;
    this.shown = { genre: null, movements: [], prompt: null };
    this.hits = null;
    this.pending = null;
    this.fill();
    this.listen();
  }

  genre(name) {
    return this.catalogue.find((genre) => genre.name === name);
  }

  fill() {
    for (const { name } of this.models) element("model").append(make("option", { value: name, textContent: name }));
    this.fillGenres(this.models[0]);
  }

  // The genres, those first that the model has learnt; the others say so.
  fillGenres(model) {
    this.model = model;
    const hearsWords = model?.listens !== "music";
    const learnt = make("optgroup", { label: hearsWords ? `Learnt by ${model?.name}` : `${model?.name} follows the music alone` });
    const others = make("optgroup", { label: "Not learnt: known by their words alone" });
    for (const genre of this.catalogue) {
      const known = model?.genres.includes(genre.name);
      const option = make("option", { value: genre.name, textContent: known ? genre.title : `${genre.title} (not learnt)` });
      (known ? learnt : others).append(option);
    }
    const only = element("only-trained").checked;
    const groups = [learnt, others].filter((group) => group.children.length && !(only && group === others));
    element("genre").replaceChildren(make("option", { value: "", textContent: "Any: let the music decide" }), ...groups);
    element("genre").value = this.shown.genre ?? "";
  }

  // Whose phrases there are: the shipped ones first, which need no name.
  fillLibraries(libraries) {
    const options = libraries.map(({ name, shipped }) => make("option", { value: shipped ? "" : name, textContent: shipped ? `${name} (shipped)` : name }));
    element("library").replaceChildren(...options);
  }

  // What this computer lacks: said where it is missed.
  showLacks({ prompt, formats }) {
    element("prompt").disabled = Boolean(prompt);
    element("prompt-line").hidden = Boolean(prompt);
    element("prompt-lacks").hidden = !prompt;
    element("prompt-needs").textContent = prompt ? sentence(prompt) : "";
    for (const option of element("format").options) {
      const why = formats[option.value];
      if (!why) continue;
      option.disabled = true;
      option.textContent += " (not installed)";
      element("format-lacks").hidden = false;
      element("format-lacks").textContent = sentence(why);
    }
  }

  listen() {
    element("model").onchange = (event) => this.on.settings({ model: event.target.value });
    element("genre").onchange = (event) => {
      const genre = event.target.value || null;
      this.change({ genre, movements: genre === this.shown.genre ? this.shown.movements : [] });
    };
    element("prompt").oninput = () => this.later(() => this.change({ prompt: element("prompt").value || null }));
    element("prompt").onchange = () => this.flush();
    element("search").oninput = () => this.search();
    element("search").onkeydown = (event) => {
      if (event.key !== "Escape") return;
      element("search").value = "";
      this.search();
    };
    element("only-trained").onchange = () => {
      this.fillGenres(this.model);
      this.drawMovements();
    };
    element("words-back").onclick = () => this.on.wholeDance();
    for (const name of NUMBERS) {
      element(name).onchange = ({ target }) => {
        if (!target.reportValidity()) return;
        if (target.value === "" && NEVER_EMPTY.includes(name)) return this.showSettings(this.settings);
        this.on.settings({ [name]: target.value === "" ? null : Number(target.value) });
      };
    }
    element("library").onchange = ({ target }) => this.on.settings({ library: target.value || null });
    for (const name of SLIDERS) {
      element(name).onchange = ({ target }) => this.on.settings({ [name]: Number(target.value) });
      element(name).ondblclick = () => this.on.settings({ [name]: null });
    }
    for (const name of SWITCHES) element(name).onchange = ({ target }) => this.on.settings({ [name]: target.checked });
    element("dice").onclick = () => this.on.settings({ seed: crypto.getRandomValues(new Uint32Array(1))[0] });
  }

  // Runs `act` when the user pauses typing, or when `flush` is called.
  later(act) {
    clearTimeout(this.timer);
    this.pending = act;
    this.timer = setTimeout(() => this.flush(), TYPING);
  }

  flush() {
    clearTimeout(this.timer);
    const act = this.pending;
    this.pending = null;
    act?.();
  }

  change(fields) {
    this.flush();
    this.shown = { ...this.shown, ...fields };
    this.draw();
    this.on.change({ genre: this.shown.genre, movements: this.shown.movements, prompt: this.shown.prompt });
  }

  // `of` is null for the whole dance, else what the block is called.
  show({ genre, movements, prompt }, of = null) {
    const other = this.of !== of;
    if (other) this.flush();
    this.of = of;
    this.shown = { genre, movements, prompt };
    element("words-title").textContent = of ?? "Whole dance";
    element("words").classList.toggle("of-block", of !== null);
    element("words-back").hidden = of === null;
    if (!this.pending) element("prompt").value = prompt ?? "";
    this.draw();
  }

  showSettings(settings) {
    this.settings = settings;
    element("model").value = settings.model;
    const model = this.models.find(({ name }) => name === settings.model);
    element("model-describes").textContent = model?.describes ?? "";
    element("model-describes").title = model?.describes ?? "";
    if (model && model !== this.model) {
      this.fillGenres(model);
      this.drawMovements();
    }
    for (const name of NUMBERS) {
      if (document.activeElement !== element(name)) element(name).value = settings[name] ?? "";
    }
    for (const name of SLIDERS) {
      const slider = element(name);
      if (document.activeElement !== slider) slider.value = settings[name] ?? USUAL;
    }
    for (const name of SWITCHES) element(name).checked = settings[name];
    this.showLibrary(settings);
  }

  showLibrary({ library, phrases }) {
    const select = element("library");
    const gone = library && ![...select.options].some(({ value }) => value === library);
    if (gone) select.append(make("option", { value: library, textContent: `${library} (gone)` }));
    select.value = library ?? "";
    select.disabled = !phrases;
    select.title = phrases ? "" : "Only for dances by recorded phrases: move the slider above to the right";
  }

  draw() {
    const genre = this.genre(this.shown.genre);
    element("genre").value = genre?.name ?? "";
    element("genre-describes").textContent = genre?.describes ?? "";
    element("genre-describes").title = genre?.describes ?? "";
    element("chosen").replaceChildren(
      ...this.shown.movements.map((name) => {
        const label = `Remove ${name}`;
        const onclick = () => this.toggle(this.shown.genre, name);
        return make("li", {}, make("button", { title: label, "aria-label": label, onclick }, name, icon("close")));
      }),
    );
    this.drawMovements();
  }

  async search() {
    const asked = element("search").value.trim();
    if (!asked) {
      this.hits = null;
      return this.drawMovements();
    }
    try {
      const hits = await get(`/api/catalogue/search?q=${encodeURIComponent(asked)}`);
      if (element("search").value.trim() !== asked) return; // an answer that came late
      this.hits = hits;
      this.drawMovements();
    } catch (error) {
      this.on.fail(error);
    }
  }

  // (genre, movement or null) to be listed: what was found, else those of the chosen genre, else all genres.
  listed() {
    if (this.hits) {
      return this.hits
        .map((hit) => [this.genre(hit.genre), hit.movement])
        .map(([genre, name]) => [genre, name && genre?.movements.find((movement) => movement.name === name)])
        .filter(([genre, movement]) => genre && movement !== undefined);
    }
    const genre = this.genre(this.shown.genre);
    return genre ? genre.movements.map((movement) => [genre, movement]) : this.catalogue.map((one) => [one, null]);
  }

  learnt(genre, movement) {
    return Boolean(this.model?.genres.includes(genre.name)) && (!movement || movement.shown_in_training);
  }

  drawMovements() {
    const only = element("only-trained").checked;
    const listed = this.listed().filter(([genre, movement]) => !only || this.learnt(genre, movement));
    const nothing = make("li", { className: "none", textContent: "Nothing of this name. Try other words." });
    const list = element("movements");
    const focused = list.contains(document.activeElement) ? document.activeElement.dataset.key : null;
    const scrolled = list.scrollTop;
    list.replaceChildren(...(listed.length ? listed.map(([genre, movement]) => this.row(genre, movement)) : [nothing]));
    list.scrollTop = scrolled;
    if (focused) [...list.querySelectorAll("button")].find((button) => button.dataset.key === focused)?.focus();
  }

  row(genre, movement) {
    const chosen = this.shown.genre === genre.name && (!movement || this.shown.movements.includes(movement.name));
    const learnt = this.learnt(genre, movement);
    const name = make("span", { className: "name" }, movement?.name ?? genre.title);
    name.append(make("span", { className: "of", textContent: movement ? (this.hits ? genre.title : "") : "genre" }));
    const button = make(
      "button",
      { draggable: true, title: (movement ?? genre).describes },
      preview(genre.name, movement?.name),
      name,
      make(
        "span",
        {
          className: learnt ? "badge" : "badge not",
          title: learnt ? "Dances like this were in the model's training data" : "Not in the model's training data: it goes by the words",
        },
        learnt ? "learnt" : "not learnt",
      ),
      make("span", { className: "tells", textContent: (movement ?? genre).describes }),
    );
    button.dataset.key = `${genre.name}/${movement?.name ?? ""}`;
    setPressed(button, chosen);
    button.onclick = () => this.toggle(genre.name, movement?.name ?? null);
    button.ondragstart = (event) => {
      const words = { genre: genre.name, movements: movement ? [movement.name] : [], prompt: null };
      event.dataTransfer.setData("application/x-longdance-words", JSON.stringify(words));
      event.dataTransfer.effectAllowed = "copy";
    };
    return make("li", {}, button);
  }

  toggle(genre, movement) {
    if (!movement) {
      if (genre !== this.shown.genre) this.change({ genre, movements: [] });
      return;
    }
    const held = genre === this.shown.genre ? this.shown.movements : [];
    const movements = held.includes(movement) ? held.filter((name) => name !== movement) : [...held, movement];
    this.change({ genre, movements });
  }
}
