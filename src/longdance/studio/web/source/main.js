// Where the page begins: what the server offers is fetched, then the studio opens.
//
// Built into ../studio.min.js by tools/build_studio.sh.

import * as api from "./api.js";
import { loadMannequin } from "./dancer.js";
import { element } from "./dom.js";
import { loadPreviews } from "./previews.js";
import { Studio } from "./studio.js";

async function begin() {
  try {
    const asked = ["models", "catalogue", "settings", "able", "libraries"].map((name) => api.get(`/api/${name}`));
    const [mannequin, models, catalogue, defaults, lacks, libraries] = await Promise.all([loadMannequin(), ...asked, loadPreviews()]);
    const studio = new Studio(mannequin, models, catalogue, defaults, lacks, libraries);
    // What scripts may look at and drive.
    window.studio = { app: studio, view: studio.view, skew: () => studio.view.skew };
    const id = location.hash.slice(1);
    if (id) await studio.run(() => studio.projects.open(id));
    if (!studio.project) await studio.projects.showProjects();
  } catch (error) {
    console.error(error);
    element("error-text").textContent = `The studio could not start: ${error.message}`;
    element("error").hidden = false;
  }
}

begin();
