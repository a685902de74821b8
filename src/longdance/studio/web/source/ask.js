import { element } from "./dom.js";

// A question in a dialog: the text given (or an empty one where none is asked for), null if left.
export function ask({ title, yes, text = null }) {
  const dialog = element("ask");
  element("ask-title").textContent = title;
  element("ask-yes").textContent = yes;
  element("ask-text").hidden = text === null;
  element("ask-text").value = text ?? "";
  dialog.returnValue = "no";
  dialog.showModal();
  return new Promise((resolve) => {
    dialog.onclose = () => resolve(dialog.returnValue === "yes" ? element("ask-text").value : null);
  });
}
