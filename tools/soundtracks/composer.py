"""Soundtracks composed for given beats: drums, bass, chords and a little melody, in the style of a genre.

Dances that come without music get several soundtracks each, all different and all on the same beats, which
need not be even. Here belongs the arrangement: what plays when, and the mix. Sounds are made in `synthesis`
or read by `samples`; the choices of each style are in `styles`.
"""

import os
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from tools.soundtracks.synthesis import Timbre

from longdance.errors import InputError
from tools.soundtracks import samples as sampled
from tools.soundtracks import styles, synthesis

MONO_SAMPLE_RATE = 22050
STEREO_SAMPLE_RATE = 44100

_STEPS = 16
_DRUM_LAYERS = {
    "kick": ("kick",),
    "snare": ("snare", "clap", "rim"),
    "hats": ("closed_hat", "open_hat", "ride", "shaker"),
    "percussion": ("tom", "conga_open", "conga_slap", "conga_mute", "cowbell", "clave", "crash"),
}
_LAYER_OF_DRUM = {drum: layer for layer, drums in _DRUM_LAYERS.items() for drum in drums}
_LAYER_GAINS = {
    "kick": 0.85, "snare": 0.65, "hats": 0.38, "percussion": 0.42, "bass": 0.5, "chords": 0.2, "pad": 0.13,
    "arpeggio": 0.17, "melody": 0.24, "effects": 0.2,
}  # fmt: skip
_REVERB_SENDS = {
    "kick": 0.0, "snare": 0.16, "hats": 0.05, "percussion": 0.18, "bass": 0.0, "chords": 0.22, "pad": 0.3,
    "arpeggio": 0.35, "melody": 0.3, "effects": 0.4,
}  # fmt: skip
_PANS = {"hats": 0.25, "percussion": -0.35, "chords": -0.2, "arpeggio": 0.4, "melody": 0.1}
_DUCKED = ("bass", "chords", "pad", "arpeggio")
_RENDERED = tuple(_LAYER_GAINS)


@dataclass(frozen=True, kw_only=True)
class Section:
    """Some bars in which the same layers play."""

    bars: int
    layers: dict[str, float]
    """Level of each layer that plays, 1 is its normal loudness."""
    fill: bool = False
    """Whether the last bar ends with a drum fill."""
    crash: bool = False
    """Whether a cymbal marks the beginning."""
    brighten: tuple[float, float] | None = None
    """Low-pass on everything but the drums, opening from the first to the second frequency in hertz."""
    riser: bool = False
    """Whether noise swells over the last two bars."""
    roll: bool = False
    """Whether a snare roll grows over the whole section."""
    marked: bool = True
    """Whether some drum marks every beat, where no kick plays."""


@dataclass(frozen=True, kw_only=True)
class Plan:
    """Every musical decision of a soundtrack; `perform` adds nothing but the sound."""

    key: int
    """Half steps of the key note above C, 0 to 11."""
    scale: tuple[int, ...]
    progression: tuple[tuple[int, str], ...]
    groove: dict[str, str]
    percussion: dict[str, str]
    marker: str
    """The drum that marks every beat where no kick plays."""
    bass_line: str
    bass: Timbre
    comping: str
    keys: Timbre
    pad: Timbre
    lead: Timbre
    arpeggio: str
    """Chord tones from low to high as digits, `.` rest, one per sixteenth."""
    motif: tuple[tuple[int, int, int], ...]
    """Melody notes: (step within two bars, length in steps, degree of the scale above the key note)."""
    beats_per_quarter: float = 1.0
    """2 is half-time feel, 0.5 double-time."""
    swing_eighths: float = 0.0
    swing_sixteenths: float = 0.0
    duck: float = 0.0
    room_seconds: float = 0.8
    looseness: float = 0.004
    """Standard deviation, in seconds, by which played notes miss the grid; kicks miss it by a quarter of
    that.
    """
    gains: dict[str, float] = field(default_factory=dict)
    """Factors on the normal loudness of the layers."""
    sections: tuple[Section, ...]
    lead_in: bool = True
    """Whether music plays before the first downbeat; the sections are counted from its beginning."""
    sound_seed: int = 0
    """Picks the drum kit and all details of the performance."""
    sampled_share: float = 0.0
    """How many of the drums are recorded samples, if there is a folder of them."""


def compose(
    beat_times: np.ndarray,
    *,
    seconds: float,
    style: str,
    seed: int,
    downbeat_offset: int = 0,
    samples_folder: str | os.PathLike | None = None,
    stereo: bool = False,
) -> np.ndarray:
    """Compose and render a soundtrack whose beats are `beat_times` (beats,), in seconds, increasing, not
    nec. even.

    `style` is a genre of `styles.STYLES`; `seed` decides everything else. `beat_times[downbeat_offset]`
    starts a bar. The music fills `seconds`; before the first and after the last beat the tempo goes on.
    With a `samples_folder`, about half of the soundtracks use its drums or basses.

    Returns float32 `(samples,)` at 22,050 Hz, or `(samples, 2)` at 44,100 Hz if `stereo`, within [-1, 1].
    Raises InputError for fewer than two beats, beats that do not increase, an unknown style or no duration.
    """
    if style not in styles.STYLES:
        raise InputError(f"expected a style among {', '.join(styles.STYLES)}, got {style!r}; try 'freestyle'")
    grid = BeatGrid(beat_times, downbeat_offset)
    if seed < 0:
        raise InputError(f"expected a seed of at least 0, got {seed}; try 0")
    if not 0 < seconds < np.inf:
        raise InputError(f"expected a duration above 0 seconds, got {seconds}; try 30")
    generator = np.random.default_rng([seed, sum(map(ord, style))])
    pool = styles.STYLES[style]
    chosen = pool[generator.integers(len(pool))]
    plan = draw_plan(chosen, grid, seconds, generator)
    if samples_folder is not None and generator.random() < 0.55:
        plan = replace(plan, sampled_share=generator.uniform(0.4, 1.0))
    return perform(plan, grid, seconds=seconds, samples_folder=samples_folder, stereo=stereo)


class BeatGrid:
    """Time as a function of the beat count: position 0 is the first downbeat, beyond both ends the tempo
    goes on.
    """

    def __init__(self, beat_times: np.ndarray, downbeat_offset: int = 0):
        beats = np.asarray(beat_times, dtype=np.float64)
        if beats.ndim != 1 or len(beats) < 2 or not np.isfinite(beats).all() or (np.diff(beats) <= 0).any():
            raise InputError(
                f"expected at least two increasing beat times of shape (beats,), got shape {beats.shape}; "
                "try an even grid"
            )
        self.beats = beats
        self.first = -int(downbeat_offset)
        edge = min(4, len(beats) - 1)
        self.period_before = (beats[edge] - beats[0]) / edge
        self.period_after = (beats[-1] - beats[-1 - edge]) / edge

    @property
    def tempo_bpm(self) -> float:
        """Beats per minute over the median interval."""
        return float(60.0 / np.median(np.diff(self.beats)))

    def time_at(self, positions: np.ndarray) -> np.ndarray:
        """Seconds at fractional beat positions."""
        index = np.asarray(positions, dtype=np.float64) - self.first
        last = len(self.beats) - 1
        inside = np.interp(index, np.arange(len(self.beats)), self.beats)
        before = self.beats[0] + index * self.period_before
        after = self.beats[-1] + (index - last) * self.period_after
        return np.where(index < 0, before, np.where(index > last, after, inside))

    def position_at(self, time: float) -> float:
        """Fractional beat position at a time in seconds."""
        if time < self.beats[0]:
            return self.first + (time - self.beats[0]) / self.period_before
        if time > self.beats[-1]:
            return self.first + len(self.beats) - 1 + (time - self.beats[-1]) / self.period_after
        return self.first + float(np.interp(time, self.beats, np.arange(len(self.beats))))


def draw_plan(style: styles.Style, grid: BeatGrid, seconds: float, generator: np.random.Generator) -> Plan:
    """Make every decision for a soundtrack in a style."""
    ratio = _draw_feel(style, grid.tempo_bpm, generator)
    first, last = _bar_range(grid, seconds, ratio)
    minor = generator.random() < 0.5
    scale = style.scale if style.scale != styles.MINOR else (styles.MINOR if minor else styles.DORIAN)
    progression = _pick(generator, style.progressions)
    layers = {"kick", "snare", "hats", "bass", "chords"}
    if generator.random() < 0.5:
        layers.add("percussion")
    for layer, chance in (("pad", style.pad), ("arpeggio", style.arpeggio), ("melody", style.melody)):
        if generator.random() < chance:
            layers.add(layer)
    if style is styles.SALSA:
        layers.add("percussion")
    # Now and then an instrument is missing altogether.
    if generator.random() < 0.2:
        layers.discard(_pick(generator, ("bass", "chords", "hats")))
    return Plan(
        key=int(generator.integers(12)),
        scale=scale,
        progression=progression,
        groove=_pick(generator, style.grooves),
        percussion=_pick(generator, style.percussion),
        marker=_pick(generator, ("rim", "closed_hat", "shaker", "clap", "cowbell", "clave", "kick")),
        bass_line=_pick(generator, style.bass_lines),
        bass=styles.BASSES[_pick(generator, style.basses)],
        comping=_pick(generator, style.comping),
        keys=styles.KEYS[_pick(generator, style.keys)],
        pad=styles.PADS[_pick(generator, style.pads)],
        lead=styles.LEADS[_pick(generator, style.leads)],
        arpeggio=_pick(generator, _ARPEGGIOS),
        motif=draw_motif(scale, generator),
        beats_per_quarter=ratio,
        swing_eighths=generator.uniform(*style.swing_eighths),
        swing_sixteenths=generator.uniform(*style.swing_sixteenths),
        duck=generator.uniform(*style.duck),
        room_seconds=generator.uniform(*style.room),
        looseness=generator.uniform(0.0, 0.006),
        gains={layer: float(generator.uniform(0.65, 1.35)) for layer in _RENDERED},
        sections=_draw_sections(style, layers, last - first, generator),
        sound_seed=int(generator.integers(2**31)),
    )


_ARPEGGIOS = (
    "0.1.2.3.2.1.0.1.", "0123012301230123", "0.2.1.2.0.2.1.2.", "0.1.2.1.", "3.2.1.0.", "0..1..2.0..1..2.",
    "0.1.2.3.", "0213021302130213",
)  # fmt: skip


def draw_motif(scale: tuple[int, ...], generator: np.random.Generator) -> tuple[tuple[int, int, int], ...]:
    """A melody of two bars: (step, length in steps, scale degree); its second half repeats or answers the
    first.
    """
    half = []
    step = int(generator.choice((0, 0, 2, 4)))
    degree = int(generator.integers(0, len(scale)))
    while step < _STEPS - 1:
        length = int(generator.choice((1, 2, 2, 3, 4, 4, 6), p=(0.06, 0.25, 0.24, 0.15, 0.15, 0.1, 0.05)))
        length = min(length, _STEPS - step)
        if generator.random() < 0.78:
            half.append((step, length, degree))
        degree = int(np.clip(degree + generator.choice((-2, -1, -1, 0, 1, 1, 2, 3)), -2, len(scale) + 3))
        step += length
    answer = generator.random() < 0.6
    second = [
        (s + _STEPS, length, d + (int(generator.integers(-2, 3)) if answer and s >= 8 else 0))
        for s, length, d in half
    ]
    return tuple(half + second)


def perform(
    plan: Plan,
    grid: BeatGrid,
    *,
    seconds: float,
    samples_folder: str | os.PathLike | None = None,
    stereo: bool = False,
) -> np.ndarray:
    """Render a plan on a grid of beats. Returns what `compose` returns."""
    return _Performance(plan, grid, seconds, samples_folder, stereo).render()


class _Performance:
    """State of one rendering: the tracks of all layers, filled one after the other, then mixed."""

    def __init__(self, plan: Plan, grid: BeatGrid, seconds: float, samples_folder, stereo: bool):
        self.plan = plan
        self.grid = grid
        self.stereo = stereo
        self.sample_rate = STEREO_SAMPLE_RATE if stereo else MONO_SAMPLE_RATE
        self.length = max(1, round(seconds * self.sample_rate))
        self.generator = np.random.default_rng(plan.sound_seed)
        self.folder = Path(samples_folder) if samples_folder is not None and plan.sampled_share > 0 else None
        self.first_bar, self.last_bar = _bar_range(grid, seconds, plan.beats_per_quarter)
        if not plan.lead_in:
            self.first_bar = max(0, self.first_bar)
        self.tracks = {layer: np.zeros(self.length, dtype=np.float32) for layer in _RENDERED}
        self.kick_starts: list[int] = []
        self.kit = self._kit()
        self.section_of_bar = self._section_of_bar()

    def render(self) -> np.ndarray:
        for bar in range(self.first_bar, self.last_bar):
            self._play_drums(bar)
            self._play_bass(bar)
            self._play_chords(bar)
            self._play_arpeggio(bar)
            self._play_melody(bar)
            self._play_effects(bar)
        return self._mix()

    def _kit(self) -> dict[str, np.ndarray]:
        found = sampled.find_samples(self.folder) if self.folder else {}
        kit = {}
        for drum, maker in synthesis.DRUMS.items():
            kit[drum] = maker(self.generator, self.sample_rate)
            if drum in found and self.generator.random() < self.plan.sampled_share:
                kit[drum] = sampled.load_sample(_pick(self.generator, found[drum]), self.sample_rate)
        self.bass_sample: tuple[np.ndarray, int] | None = None
        if "bass" in found and self.generator.random() < 0.4 * self.plan.sampled_share:
            path = _pick(self.generator, found["bass"])
            self.bass_sample = (sampled.load_sample(path, self.sample_rate), sampled.pitch_class_of(path))
            self.bass_notes: dict[int, np.ndarray] = {}
        return kit

    def _section_of_bar(self) -> dict[int, tuple[Section, int]]:
        """Section and place within it of every bar; the last section goes on, if there are too few."""
        places = {}
        bar = self.first_bar
        for number, section in enumerate(self.plan.sections):
            bars = section.bars
            if number == len(self.plan.sections) - 1:
                bars = max(bars, self.last_bar - bar)
            for place in range(bars):
                places[bar] = (section, place)
                bar += 1
        return places

    def _level(self, bar: int, layer: str) -> float:
        return self.section_of_bar[bar][0].layers.get(layer, 0.0)

    def _time(self, bar: int, step: float) -> float:
        """Seconds of a step of a bar, swung."""
        quarter, fraction = divmod(step / 4.0, 1.0)
        fraction = _swung(fraction, self.plan.swing_eighths, self.plan.swing_sixteenths)
        position = (bar * 4 + quarter + fraction) * self.plan.beats_per_quarter
        return float(self.grid.time_at(np.array(position)))

    def _start(self, time: float, looseness: float) -> int:
        return round((time + looseness * self.generator.standard_normal()) * self.sample_rate)

    def _play_drums(self, bar: int) -> None:
        section, place = self.section_of_bar[bar]
        filling = section.fill and place == section.bars - 1
        patterns = dict(self.plan.groove)
        if section.layers.get("percussion", 0.0) > 0:
            patterns |= self.plan.percussion
        if section.marked and not section.layers.get("kick", 0.0) > 0:
            self._hit(bar, self.plan.marker, "x...x...x...x...", 0.8, "percussion")
        for drum, pattern in patterns.items():
            layer = _LAYER_OF_DRUM[drum]
            level = section.layers.get(layer, 0.0)
            if drum in self.plan.groove and layer == "percussion":
                level = max(level, section.layers.get("kick", 0.0))
            if level > 0:
                until = 12 if filling and layer in ("snare", "percussion") else _STEPS
                self._hit(bar, drum, pattern, level, layer, until=until)
        if filling:
            drum = _pick(self.generator, ("snare", "tom", "snare", "clap", "conga_open"))
            fill = _pick(self.generator, ("xxxx", "x.xx", "xxoX", "ooxX", "x.x.", ".xxX"))
            self._hit(bar, drum, "." * 12 + fill, 0.9, _LAYER_OF_DRUM[drum])
        if section.roll:
            for quarter in range(4):
                progress = (place + quarter / 4) / section.bars
                strokes = "x.x." if progress < 0.5 else "xxxx"
                self._hit(bar, "snare", "." * 4 * quarter + strokes, 0.3 + 0.6 * progress, "snare")
        if section.crash and place == 0:
            self._hit(bar, "crash", "X" + "." * 15, 0.7, "percussion")

    def _hit(
        self, bar: int, drum: str, pattern: str, level: float, layer: str, *, until: int = _STEPS
    ) -> None:
        sound = self.kit[drum]
        looseness = self.plan.looseness * (0.25 if drum == "kick" else 1.0)
        bars = max(1, len(pattern) // _STEPS)
        part = (pattern * _STEPS)[bar % bars * _STEPS :][:until]
        for step, mark in enumerate(part):
            if mark == ".":
                continue
            start = self._start(self._time(bar, step), looseness)
            gain = level * styles.DRUM_LEVELS[mark] * self.generator.uniform(0.88, 1.0)
            synthesis.add_at(self.tracks[layer], start, sound, gain)
            if drum == "kick" and gain > 0.4:
                self.kick_starts.append(start)

    def _chord(self, bar: int) -> tuple[int, str]:
        return self.plan.progression[bar % len(self.plan.progression)]

    def _chord_pitches(self, bar: int, centre: int = 60) -> list[int]:
        """MIDI numbers of the bar's chord, its tones brought within half an octave of `centre`."""
        root, quality = self._chord(bar)
        tones = [self.plan.key + root + tone for tone in styles.CHORD_TONES[quality]]
        return sorted({centre - 6 + (tone - (centre - 6)) % 12 for tone in tones})

    def _play(self, layer: str, timbre: Timbre, midi: int, begin: float, end: float, gain: float) -> None:
        sound = synthesis.note(timbre, midi, max(0.04, end - begin), self.sample_rate)
        synthesis.add_at(self.tracks[layer], self._start(begin, self.plan.looseness), sound, gain)

    def _play_bass(self, bar: int) -> None:
        level = self._level(bar, "bass")
        if not level > 0:
            return
        root, quality = self._chord(bar)
        tones = styles.CHORD_TONES[quality]
        low = 28 + (self.plan.key + root - 28) % 12
        if low > 36:
            low -= 12 if low - 12 >= 26 else 0
        following = 28 + (self.plan.key + self._chord(bar + 1)[0] - 28) % 12
        degrees = {
            "R": low, "O": low + 12, "F": low + 7, "T": low + tones[1], "A": following - 1,
            "S": low + (tones[3] if len(tones) > 3 else 10),
        }  # fmt: skip
        for step, length, mark in _held(_bar_of(self.plan.bass_line, bar)):
            midi = degrees[mark]
            begin, end = self._time(bar, step), self._time(bar, step + length)
            gain = level * self.generator.uniform(0.85, 1.0)
            if self.bass_sample is not None:
                self._play_bass_sample(*self.bass_sample, midi, begin, end, gain)
            else:
                self._play("bass", self.plan.bass, midi, begin, begin + 0.92 * (end - begin), gain)

    def _play_bass_sample(
        self, sound: np.ndarray, pitch_class: int, midi: int, begin: float, end: float, gain: float
    ) -> None:
        if midi not in self.bass_notes:
            shift = (midi - pitch_class + 6) % 12 - 6
            self.bass_notes[midi] = sampled.transposed(sound, shift)
        whole = self.bass_notes[midi][: round((end - begin) * self.sample_rate)].copy()
        fade = min(len(whole), round(0.01 * self.sample_rate))
        whole[len(whole) - fade :] *= np.linspace(1.0, 0.0, fade, dtype=np.float32)
        synthesis.add_at(self.tracks["bass"], self._start(begin, self.plan.looseness), whole, gain)

    def _play_chords(self, bar: int) -> None:
        level = self._level(bar, "chords")
        if level > 0:
            pitches = self._chord_pitches(bar)
            for step, length, mark in _held(_bar_of(self.plan.comping, bar)):
                begin, end = self._time(bar, step), self._time(bar, step + length)
                gain = level * (1.0 if mark == "X" else 0.6) * self.generator.uniform(0.85, 1.0)
                for midi in pitches:
                    self._play("chords", self.plan.keys, midi, begin, begin + 0.95 * (end - begin), gain)
        level = self._level(bar, "pad")
        if level > 0:
            begin, end = self._time(bar, 0), self._time(bar, _STEPS)
            for midi in self._chord_pitches(bar, centre=66):
                self._play("pad", self.plan.pad, midi, begin, end, level)

    def _play_arpeggio(self, bar: int) -> None:
        level = self._level(bar, "arpeggio")
        if not level > 0:
            return
        tones = self._chord_pitches(bar, centre=72)
        ladder = tones + [tone + 12 for tone in tones]
        pattern = (self.plan.arpeggio * _STEPS)[:_STEPS]
        for step, mark in enumerate(pattern):
            if mark != ".":
                begin, end = self._time(bar, step), self._time(bar, step + 1.5)
                gain = level * (1.0 if step % 4 == 0 else 0.7)
                self._play("arpeggio", self.plan.keys, ladder[int(mark)], begin, end, gain)

    def _play_melody(self, bar: int) -> None:
        level = self._level(bar, "melody")
        if not level > 0:
            return
        root, quality = self._chord(bar)
        chord = {(self.plan.key + root + tone) % 12 for tone in styles.CHORD_TONES[quality]}
        half = bar % 2 * _STEPS
        for step, length, degree in self.plan.motif:
            if not half <= step < half + _STEPS:
                continue
            octave, place = divmod(degree, len(self.plan.scale))
            midi = 72 + self.plan.key - 12 * (self.plan.key > 6) + 12 * octave + self.plan.scale[place]
            if step % 4 == 0 or length >= 4:
                # On strong steps the nearest chord tone is played.
                midi += min(
                    range(-3, 4),
                    key=lambda shift: (abs(shift), shift) if (midi + shift) % 12 in chord else (9, 0),
                )
            begin, end = self._time(bar, step - half), self._time(bar, step - half + 0.9 * length)
            self._play("melody", self.plan.lead, midi, begin, end, level * self.generator.uniform(0.8, 1.0))

    def _play_effects(self, bar: int) -> None:
        section, place = self.section_of_bar[bar]
        if section.riser and place == max(0, section.bars - 2):
            begin = self._time(bar, 0)
            end = self._time(bar + min(2, section.bars), 0)
            sound = synthesis.riser(self.generator, self.sample_rate, end - begin)
            synthesis.add_at(self.tracks["effects"], round(begin * self.sample_rate), sound, 1.0)

    def _mix(self) -> np.ndarray:
        duck = self._ducking()
        cutoffs = self._cutoffs()
        ears = 2 if self.stereo else 1
        dry = np.zeros((ears, self.length), dtype=np.float32)
        send = np.zeros(self.length, dtype=np.float32)
        for layer, track in self.tracks.items():
            if not track.any():
                continue
            if layer in _DUCKED and duck is not None:
                track = track * duck
            if cutoffs is not None and layer not in _DRUM_LAYERS:
                track = synthesis.sweep_low_pass(track, self.sample_rate, cutoffs)
            gain = _LAYER_GAINS[layer] * self.plan.gains.get(layer, 1.0)
            pan = _PANS.get(layer, 0.0) if self.stereo else 0.0
            angle = (pan + 1.0) * np.pi / 4
            for ear, share in enumerate((np.cos(angle), np.sin(angle))[:ears]):
                dry[ear] += np.float32(gain * share) * track
            send += np.float32(gain * _REVERB_SENDS[layer]) * track
        for ear in range(ears):
            dry[ear] += synthesis.reverberate(
                send, self.sample_rate, seconds=self.plan.room_seconds, seed=self.plan.sound_seed % 1000 + ear
            )
        loud = np.percentile(np.abs(dry), 99.7)
        mixed = synthesis.soft_limit(dry * np.float32(0.75 / max(float(loud), 1e-6)))
        return np.ascontiguousarray(mixed.T) if self.stereo else mixed[0]

    def _ducking(self) -> np.ndarray | None:
        starts = np.unique([start for start in self.kick_starts if start < self.length])
        if not len(starts) or self.plan.duck <= 0:
            return None
        places = np.arange(self.length)
        latest = np.searchsorted(starts, places, side="right") - 1
        since = (places - starts[np.maximum(latest, 0)]) / self.sample_rate
        dip = np.where(latest >= 0, np.exp(-np.maximum(since, 0.0) / 0.12), 0.0)
        return (1.0 - self.plan.duck * dip).astype(np.float32)

    def _cutoffs(self) -> np.ndarray | None:
        """Cut-off frequency every 50 ms, or None if no section asks for any."""
        if not any(section.brighten for section in self.plan.sections):
            return None
        times = np.arange(0.0, self.length / self.sample_rate, 0.05)
        cutoffs = np.full(len(times), 0.45 * self.sample_rate)
        for bar, (section, place) in self.section_of_bar.items():
            if section.brighten is None or bar >= self.last_bar:
                continue
            begin, end = self._time(bar, 0), self._time(bar, _STEPS)
            inside = (times >= begin) & (times < end)
            progress = (place + (times[inside] - begin) / (end - begin)) / section.bars
            low, high = section.brighten
            cutoffs[inside] = low * (high / low) ** np.clip(progress, 0.0, 1.0)
        return cutoffs


def _draw_feel(style: styles.Style, tempo_bpm: float, generator: np.random.Generator) -> float:
    """Beats per quarter note of the music; slow beats ask for double time, fast ones for half time."""
    half, double = style.half_time, style.double_time
    if tempo_bpm > 140:
        half = min(0.5, 3 * half)
    if tempo_bpm < 85:
        half, double = 0.0, min(0.5, 3 * double)
    if tempo_bpm < 60:
        double = 1.0
    if tempo_bpm > 200:
        half = 1.0
    draw = generator.random()
    return 2.0 if draw < half else 0.5 if draw < half + double else 1.0


def _bar_range(grid: BeatGrid, seconds: float, ratio: float) -> tuple[int, int]:
    """First bar, and the bar after the last one, of those that sound between 0 and `seconds`."""
    quarters = 4.0 * ratio
    return int(np.floor(grid.position_at(0.0) / quarters)), int(np.ceil(grid.position_at(seconds) / quarters))


def _draw_sections(
    style: styles.Style, layers: set[str], bars: int, generator: np.random.Generator
) -> tuple[Section, ...]:
    """Sections that fill `bars` bars: perhaps a soft introduction, then fuller and thinner stretches."""
    drums = layers & set(_DRUM_LAYERS)
    tunes = sorted(layers - drums)
    sections: list[Section] = []
    left = max(1, bars)
    if left >= 6 and generator.random() < style.softness:
        length = int(generator.choice((2, 4))) if left >= 10 else 2
        kept = {layer: float(generator.uniform(0.6, 1.0)) for layer in tunes if generator.random() < 0.6}
        if generator.random() < 0.5:
            kept["hats"] = 0.6
        sections.append(Section(bars=length, layers=kept, fill=generator.random() < 0.5))
        left -= length
    while left > 0:
        length = min(left, int(generator.choice((2, 4, 4, 8))))
        soft = sections and left > length and generator.random() < 0.4 * style.softness
        levels = {layer: float(generator.uniform(0.85, 1.1)) for layer in sorted(drums)}
        if soft:
            levels = {"hats": 0.7} if generator.random() < 0.5 else {}
        for layer in tunes:
            if generator.random() < (0.85 if layer in ("bass", "chords") else 0.65):
                levels[layer] = float(generator.uniform(0.7, 1.1))
        sections.append(
            Section(
                bars=length,
                layers=levels,
                fill=generator.random() < 0.6,
                crash=bool(sections) and generator.random() < 0.5,
            )
        )
        left -= length
    return tuple(sections)


def _swung(fraction: float, eighths: float, sixteenths: float) -> float:
    """Where a note at a fraction of a quarter note is played: off-beat eighths and sixteenths come later."""
    half, rest = divmod(fraction, 0.5)
    rest = rest + sixteenths * (rest / 0.25 if rest <= 0.25 else (0.5 - rest) / 0.25)
    straight = half * 0.5 + rest
    middle = 0.5 + eighths
    return straight * middle / 0.5 if straight < 0.5 else middle + (straight - 0.5) * (1 - middle) / 0.5


def _bar_of(pattern: str, bar: int) -> str:
    bars = max(1, len(pattern) // _STEPS)
    return pattern[bar % bars * _STEPS :][:_STEPS]


def _held(pattern: str) -> list[tuple[int, int, str]]:
    """Notes of a pattern: (step, length in steps, mark)."""
    notes = []
    for step, mark in enumerate(pattern):
        if mark in ".-":
            continue
        length = 1
        while step + length < len(pattern) and pattern[step + length] == "-":
            length += 1
        notes.append((step, length, mark))
    return notes


def _pick(generator: np.random.Generator, pool):
    return pool[int(generator.integers(len(pool)))]
