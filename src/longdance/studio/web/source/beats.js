// Setting the song's beats right: level, place, bars, taps, beats of one's own. The server lays them; all follows at once.

import { element, make, setPressed } from "./dom.js";

const FORGET = 2500; // milliseconds after which a tap begins anew
const FEWEST = 4;
const MOST = 8;
const KINDS = {
  even: "exactly even",
  drifting: "drifting, as players do",
  guessed: "guessed: no beat was heard",
};

export class BeatTools {
  // `on` has lay(asked), playing(), time() of the song, and run(action).
  constructor(on) {
    this.on = on;
    this.taps = [];
    const click = (id, asked) => (element(id).onclick = () => on.run(() => this.lay(asked())));
    click("beats-half", () => ({ do: "half" }));
    click("beats-double", () => ({ do: "double" }));
    click("beats-three", () => ({ do: "meter", meter: 3 }));
    click("beats-four", () => ({ do: "meter", meter: 4 }));
    click("beats-heard", () => ({ do: "heard" }));
    click("use-taps", () => ({ do: "taps", taps: this.taps, in_song: this.inSong }));
    element("tap").onclick = () => this.tap();
    for (const button of document.querySelectorAll("#beats-tools [data-shift]")) {
      button.onclick = () => on.run(() => this.lay({ do: "shift", beats: Number(button.dataset.shift) }));
    }
    element("beats-file").onchange = ({ target }) => {
      const [file] = target.files;
      if (file) on.run(async () => this.lay({ do: "own", text: await file.text() }));
      target.value = "";
    };
  }

  async lay(asked) {
    this.forget();
    element("beats-told").textContent = "Laying the beats …";
    try {
      await this.on.lay(asked);
    } finally {
      this.show(this.song);
    }
  }

  tap() {
    const now = performance.now();
    const inSong = this.on.playing();
    if (now - this.last > FORGET || inSong !== this.inSong) this.taps = [];
    this.last = now;
    this.inSong = inSong;
    this.taps = [...this.taps, inSong ? this.on.time() : now / 1000].slice(-MOST);
    const { length } = this.taps;
    const tempo = length > 1 ? (60 * (length - 1)) / (this.taps.at(-1) - this.taps[0]) : 0;
    element("taps-told").textContent = length > 1 ? `${length} taps: ${tempo.toFixed(0)} BPM` : "1 tap";
    element("use-taps").disabled = length < FEWEST;
    if (!element("beats-tools").matches(":popover-open")) element("beats-tools").showPopover();
  }

  forget() {
    this.taps = [];
    element("taps-told").textContent = "";
    element("use-taps").disabled = true;
  }

  show(song) {
    this.song = song;
    const ready = song?.state === "ready";
    const button = element("beats-button");
    button.hidden = !ready;
    if (!ready) return element("beats-tools").hidePopover();
    const guessed = song.kind === "guessed";
    button.textContent = `${song.tempo_bpm.toFixed(1)} BPM${guessed ? ", a guess" : song.corrected ? ", set right" : ""}`;
    button.classList.toggle("guess", guessed);
    const sure = song.corrected ? "as you set them" : `confidence ${Math.round(100 * song.confidence)} %`;
    element("beats-told").textContent = `${song.tempo_bpm.toFixed(1)} BPM, ${song.meter} in a bar; ${KINDS[song.kind] ?? song.kind}; ${sure}.`;
    element("beats-doubts").textContent = song.doubts.map((doubt) => doubt.replace(/ say --bpm if you know it|: --bpm .*$/, "")).join("; ");
    const others = song.alternatives.filter(({ tempo_bpm: tempo }) => ![0.5, 1, 2].some((factor) => Math.abs(tempo / song.tempo_bpm / factor - 1) < 0.02));
    element("beats-others-title").hidden = !others.length;
    element("beats-others").replaceChildren(
      ...others.map(({ tempo_bpm: tempo, fit }) =>
        make("button", {
          title: `Fits ${Math.round(100 * fit)} % as well`,
          textContent: `${tempo.toFixed(1)} BPM`,
          onclick: () => this.on.run(() => this.lay({ do: "level", tempo_bpm: tempo })),
        }),
      ),
    );
    setPressed(element("beats-three"), song.meter === 3);
    setPressed(element("beats-four"), song.meter === 4);
    element("beats-heard").disabled = !song.corrected;
  }
}
