// Keys and what they do. What is typed into fields stays there.

import { element, make } from "./dom.js";

// `rows` are [{key: action}, what they do]; a key is written as in KeyboardEvent.key, with "Shift+" before it if held.
export function listenToKeys(rows) {
  const actions = new Map(rows.flatMap(([acts]) => Object.entries(acts)));
  addEventListener("keydown", (event) => {
    if (event.defaultPrevented || document.querySelector("dialog[open]")) return;
    const typing = event.target.matches("input:not([type=checkbox]), textarea, select");
    if (typing) {
      if (event.key === "Escape") event.target.blur();
      return;
    }
    const pressed = event.ctrlKey || event.metaKey ? (event.key.toLowerCase() === "z" ? "z" : null) : event.key;
    if (event.altKey || pressed === null) return;
    if ((pressed === " " || pressed === "Enter") && event.target.matches("button, summary, [type=checkbox]")) return;
    const name = pressed.length === 1 ? pressed.toLowerCase() : pressed;
    const shifted = event.shiftKey && (/^[a-z]$/.test(name) || name.length > 1);
    const action = actions.get(shifted ? `Shift+${name}` : name);
    if (!action) return;
    event.preventDefault();
    action();
  });
  const told = [...rows.map(([acts, what]) => [Object.keys(acts), what]), [["←", "→"], "on a block: move it by a beat"]];
  told.push([["Shift ←", "Shift →"], "on a block: move its end"], [["Enter", "Del"], "on a block: its words, remove it"]);
  told.push([["← →"], "on a phrase: to its neighbours"], [["Shift ← →"], "on a phrase: move it"]);
  element("keys").replaceChildren(
    ...told.flatMap(([keys, what]) => [make("dt", {}, ...caps(keys)), make("dd", {}, what)]),
  );
}

const CAPS = { " ": "Space", ArrowLeft: "←", ArrowRight: "→", Escape: "Esc", "Shift+ArrowLeft": "Shift ←", "Shift+ArrowRight": "Shift →" };

function caps(keys) {
  return keys.flatMap((key, index) => {
    const shown = CAPS[key] ?? key.replace("Shift+", "Shift ").replace(/\b[a-z]$/, (letter) => letter.toUpperCase());
    return index ? [" ", make("kbd", {}, shown)] : [make("kbd", {}, shown)];
  });
}
