// The lane of the plan: the phrases of the take as named blocks, to be looked at, chosen and moved.

import { element, exactTime, icon, make } from "./dom.js";

export class PlanLane {
  // `on` has choose(number), move(number, place), look(number, block) and leave(), about(row) for its name, what it
  // shows and its hue, and may(): whether the plan can be changed now. Numbers count from 1.
  constructor(timeline, on) {
    this.timeline = timeline;
    this.on = on;
    this.layer = element("plan");
    this.rows = [];
    this.blocks = [];
    this.chosen = null;
    this.moving = null;
    this.mark = make("div", { id: "plan-mark", hidden: true });
    this.layer.addEventListener("pointerdown", (event) => this.press(event));
    this.layer.addEventListener("keydown", (event) => this.key(event));
    this.layer.addEventListener("pointerover", (event) => this.look(event));
    this.layer.addEventListener("focusin", (event) => this.look(event));
    this.layer.addEventListener("pointerleave", () => on.leave());
    this.layer.addEventListener("focusout", () => on.leave());
    timeline.lanes.push(() => this.place());
  }

  // The phrases of a plan in seconds of the song, as { phrase, from, to, mirrored, locked }; none for no plan.
  show(rows, chosen) {
    element("timeline").classList.toggle("planned", rows.length > 0);
    if (this.moving) return; // what is being dragged is newer
    const focused = this.blocks.indexOf(document.activeElement);
    this.rows = rows;
    this.chosen = chosen;
    this.blocks = rows.map((row, at) => this.block(row, at + 1));
    this.layer.replaceChildren(...this.blocks, this.mark);
    this.place();
    if (focused >= 0) this.blocks[chosen ? chosen - 1 : Math.min(focused, rows.length - 1)]?.focus();
  }

  block(row, number) {
    const { title, tells, hue } = this.on.about(row);
    const marks = [row.locked && icon("lock"), row.mirrored && icon("mirror")].filter(Boolean);
    const chosen = number === this.chosen;
    const shown = make("div", { role: "button" }, make("strong", {}, ...marks, title), make("small", {}, tells));
    shown.className = `block hue-${hue}`;
    shown.classList.toggle("chosen", chosen);
    shown.classList.toggle("locked", Boolean(row.locked));
    // One stop for the Tab key; arrows lead on from there.
    shown.tabIndex = chosen || (!this.chosen && number === 1) ? 0 : -1;
    shown.dataset.number = number;
    const state = [row.mirrored && "mirrored", row.locked && "locked"].filter(Boolean).join(", ");
    const told = `Phrase ${number}: ${title}${tells ? `, ${tells}` : ""}${state ? `, ${state}` : ""}`;
    shown.setAttribute("aria-pressed", String(chosen));
    shown.setAttribute("aria-label", `${told}, ${exactTime(row.from)} to ${exactTime(row.to)}`);
    return shown;
  }

  place() {
    this.rows.forEach(({ from, to }, at) => {
      const left = this.timeline.x(from);
      this.blocks[at].style.left = `${left}px`;
      this.blocks[at].style.width = `${Math.max(this.timeline.x(to) - left - 1, 4)}px`;
    });
  }

  numberOf(event) {
    const shown = event.target.closest?.("#plan .block");
    return shown ? Number(shown.dataset.number) : null;
  }

  look(event) {
    const number = this.numberOf(event);
    if (number && !this.moving) this.on.look(number, this.blocks[number - 1]);
  }

  press(event) {
    const number = this.numberOf(event);
    if (event.button || !number) return;
    const begun = event.clientX;
    const block = this.blocks[number - 1];
    let place = number;
    this.timeline.drag(
      event,
      (moved) => {
        if (!this.on.may()) return;
        this.moving = number;
        this.on.leave();
        block.style.transform = `translateX(${moved.clientX - begun}px)`;
        place = this.placeAt(this.timeline.timeAt(moved), number);
        this.showMark(place, number);
      },
      {
        ended: () => {
          block.style.transform = "";
          this.mark.hidden = true;
          const moved = this.moving !== null && place !== number;
          this.moving = null;
          if (moved) this.on.move(number, place);
        },
        clicked: () => {
          this.on.choose(number);
          this.blocks[number - 1]?.focus();
        },
      },
    );
  }

  // The place in the order that a phrase gets if it is dropped at a time.
  placeAt(time, number) {
    return 1 + this.rows.filter(({ from, to }, at) => at !== number - 1 && (from + to) / 2 < time).length;
  }

  showMark(place, number) {
    const others = this.rows.filter((_, at) => at !== number - 1);
    const time = place > others.length ? others.at(-1).to : others[place - 1].from;
    this.mark.style.left = `${this.timeline.x(time) - 2}px`;
    this.mark.hidden = place === number;
  }

  key(event) {
    const number = this.numberOf(event);
    if (!number || event.ctrlKey || event.metaKey || event.altKey) return;
    const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    const other = number + (step ?? 0);
    if (event.key === "Enter" || event.key === " ") this.on.choose(number);
    else if (!step) return;
    else if (other >= 1 && other <= this.rows.length) {
      if (event.shiftKey) this.on.move(number, other);
      else this.blocks[other - 1].focus();
    }
    event.preventDefault();
    event.stopPropagation();
  }
}
