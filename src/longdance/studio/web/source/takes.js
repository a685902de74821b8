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
  pose: "danced through a pose",
  plan: "its plan changed",
  plan_again: "another plan",
};

// `state` has takes, shown and compared (ids), jobs (by id), title(genre); `on` has open, compare, rename, mark, remove.
export function drawTakes({ takes, shown, compared, jobs, title }, on) {
  const list = element("takes");
  const focused = list.contains(document.activeElement) ? document.activeElement.dataset.key : null;
  const scrolled = list.scrollTop;
  const filter = element("takes-filter").value;
  const listed = takes.filter(({ id, mark }) => id === shown || filter === "all" || (filter === "star" ? mark === "star" : mark !== "reject"));
  list.replaceChildren(...[...listed].reverse().map((take) => row(take, takes, { shown, compared, job: jobs.get(take.job), title }, on)));
  list.scrollTop = scrolled;
  element("no-takes").hidden = takes.length > 0;
  if (focused) list.querySelector(`[data-key="${focused}"]`)?.focus();
}

function row(take, takes, { shown, compared, job, title }, on) {
  const open = make("button", { className: "open", title: take.name, onclick: () => on.open(take) });
  open.append(make("strong", {}, take.name), make("small", {}, about(take, takes, job, title)));
  open.title = `${take.name}: ${about(take, takes, job, title)}`;
  setPressed(open, take.id === shown);
  open.dataset.key = `open-${take.id}`;
  const star = iconButton("star", `${take.mark === "star" ? "Take the star off" : "Give a star to"} ${take.name}`, () => on.mark(take, "star"));
  star.classList.add("star");
  setPressed(star, take.mark === "star");
  star.dataset.key = `star-${take.id}`;
  const reject = iconButton("reject", `${take.mark === "reject" ? "Do not reject" : "Reject"} ${take.name}`, () => on.mark(take, "reject"));
  setPressed(reject, take.mark === "reject");
  reject.dataset.key = `reject-${take.id}`;
  const parts = [open, star, reject];
  const more = make("div", { className: "more" });
  if (take.id === shown || take.state === "failed" || take.state === "cancelled") {
    more.append(
      iconButton("name", `Rename ${take.name}`, () => on.rename(take)),
      iconButton("trash", `Delete ${take.name}; undo brings it back`, () => on.remove(take)),
    );
  } else {
    const beside = iconButton("compare", `See ${take.name} beside the other`, () => on.compare(take));
    setPressed(beside, take.id === compared);
    beside.disabled = take.state !== "ready";
    beside.dataset.key = `beside-${take.id}`;
    parts.splice(1, 0, beside);
  }
  if (more.children.length) parts.push(more);
  if (take.state === "running") {
    const bar = make("progress", { max: 1, "aria-label": `Progress of ${take.name}` });
    bar.value = job?.total ? job.done / job.total : 0;
    parts.push(bar);
  }
  const item = make("li", { className: [take.state, take.mark].filter(Boolean).join(" ") }, ...parts);
  item.dataset.take = take.id;
  item.classList.toggle("shown", take.id === shown);
  item.classList.toggle("compared", take.id === compared);
  return item;
}

function about(take, takes, job, title) {
  if (take.state === "failed") return `failed: ${take.error ?? "no reason is known"}`;
  if (take.state === "cancelled") return "cancelled";
  if (take.state === "running") return job?.stage || "waiting for its turn";
  const parent = takes.find((other) => other.id === take.parent);
  const { genre, model, seed } = take.record;
  const words = [take.score?.blocks.length ? "score" : title(genre), model].filter((word) => typeof word === "string");
  const origin = MADE_BY[take.what] ?? take.what;
  const made = parent ? [`${origin}, from ${parent.name}`] : Number.isInteger(seed) ? [`variation ${seed}`] : [];
  return [...words, exactTime(take.seconds), ...made].join(" · ");
}
