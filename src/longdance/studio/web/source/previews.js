// Small moving pictures of genres and movements, from a sheet that tools/draw_previews.py drew of training takes.

import { make } from "./dom.js";

const SHEET = "/web/previews.webp";
const SHOWN = 26; // pixels of a picture's width on the page
let sheet = null;

export async function loadPreviews() {
  try {
    sheet = await (await fetch("/web/previews.json")).json();
  } catch {
    sheet = null; // the list does without
  }
}

// The picture of a movement, or of its genre; it moves while the pointer or the keyboard is on its row.
export function preview(genre, movement) {
  const shown = make("span", { className: "preview" });
  const row = sheet?.rows[`${genre}/${movement ?? ""}`];
  if (row === undefined) return shown;
  const scale = 35 / sheet.height;
  const aside = (sheet.width * scale - SHOWN) / 2; // the figure is in the middle
  const place = (frame) => {
    shown.style.backgroundPosition = `${-(frame * sheet.width * scale + aside)}px ${-row * sheet.height * scale}px`;
  };
  shown.style.backgroundImage = `url(${SHEET})`;
  shown.style.backgroundSize = `${sheet.frames * sheet.width * scale}px auto`;
  place(Math.floor(sheet.frames / 2));
  let timer = null;
  const start = () => {
    let frame = 0;
    clearInterval(timer);
    timer = setInterval(() => (shown.isConnected ? place(frame++ % sheet.frames) : clearInterval(timer)), (1000 * sheet.seconds) / sheet.frames);
  };
  const stop = () => clearInterval(timer);
  queueMicrotask(() => {
    const button = shown.parentElement;
    button?.addEventListener("pointerenter", start);
    button?.addEventListener("pointerleave", stop);
    button?.addEventListener("focus", start);
    button?.addEventListener("blur", stop);
  });
  return shown;
}
