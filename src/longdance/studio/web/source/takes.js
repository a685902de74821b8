// The right column's list of takes.

import { element, exactTime, iconButton, make, setPressed } from "./dom.js";

const MADE_BY = {
  generate: "generated",
  redo: "a stretch redone",
  in_between: "filled in between",
  go_on: "gone on",
  from_here_on: "anew from a beat on",
  blend: "blended",
  mirror: "mirrored",
  tempo: "another tempo",
};

// `state` has takes, shown and compared (ids), jobs (by id); `on` has open, compare, rename, remove, all of a take.
export function drawTakes({ takes, shown, compared, jobs }, on) {
  const list = element("takes");
  const focused = list.contains(document.activeElement) ? document.activeElement.dataset.key : null;
  list.replaceChildren(...[...takes].reverse().map((take) => row(take, takes, { shown, compared, job: jobs.get(take.job) }, on)));
  element("no-takes").hidden = takes.length > 0;
  if (focused) list.querySelector(`[data-key="${focused}"]`)?.focus();
}

function row(take, takes, { shown, compared, job }, on) {
  const open = make("button", { className: "open", onclick: () => on.open(take) });
  open.append(make("strong", {}, take.name), make("small", {}, about(take, takes, job)));
  setPressed(open, take.id === shown);
  open.dataset.key = `open-${take.id}`;
  const beside = iconButton("compare", `See ${take.name} beside the other`, () => on.compare(take));
  setPressed(beside, take.id === compared);
  beside.disabled = take.id === shown || take.state !== "ready";
  beside.dataset.key = `beside-${take.id}`;
  const parts = [
    open,
    beside,
    iconButton("name", `Rename ${take.name}`, () => on.rename(take)),
    iconButton("trash", `Delete ${take.name}; undo brings it back`, () => on.remove(take)),
  ];
  if (take.state === "running") {
    const bar = make("progress", { max: 1, "aria-label": `Progress of ${take.name}` });
    bar.value = job?.total ? job.done / job.total : 0;
    parts.push(bar);
  }
  const item = make("li", { className: take.state }, ...parts);
  item.dataset.take = take.id;
  item.classList.toggle("shown", take.id === shown);
  item.classList.toggle("compared", take.id === compared);
  return item;
}

function about(take, takes, job) {
  if (take.state === "failed") return `failed: ${take.error ?? "no reason is known"}`;
  if (take.state === "cancelled") return "cancelled";
  if (take.state === "running") return job?.state === "running" ? job.stage || "being made" : "waiting for its turn";
  const parent = takes.find((other) => other.id === take.parent);
  const words = [take.record.genre, take.record.model].filter((word) => typeof word === "string");
  const origin = MADE_BY[take.what] ?? take.what;
  return [exactTime(take.seconds), parent ? `${origin}, from ${parent.name}` : origin, ...words].join(" · ");
}
