"""Tables of musical styles: grooves, bass lines, chords and sounds that the composer draws from.

Here belong patterns and choices only; `composer` plays them. A pattern covers one bar of 16 steps or two
bars of 32, a step is a sixteenth.

Drum patterns: `X` loud, `x` normal, `o` soft, `g` ghost, `.` rest. Chord patterns: `X` strike, `o` soft
strike, `-` hold, `.` rest. Bass patterns: `R` root, `O` octave above, `F` fifth, `T` third, `S` seventh,
`A` a half step below the next root, `-` hold, `.` rest.
"""

from dataclasses import dataclass

from tools.soundtracks.synthesis import Timbre, saw, square

DRUM_LEVELS = {"X": 1.0, "x": 0.75, "o": 0.5, "g": 0.3}

CHORD_TONES = {
    "major": (0, 4, 7),
    "minor": (0, 3, 7),
    "major7": (0, 4, 7, 11),
    "minor7": (0, 3, 7, 10),
    "dominant": (0, 4, 7, 10),
    "minor9": (0, 3, 7, 10, 14),
    "suspended": (0, 5, 7),
    "power": (0, 7),
}

MAJOR = (0, 2, 4, 5, 7, 9, 11)
MINOR = (0, 2, 3, 5, 7, 8, 10)
DORIAN = (0, 2, 3, 5, 7, 9, 10)
BLUES = (0, 3, 5, 6, 7, 10)

BASSES = {
    "finger": Timbre((1.0, 0.6, 0.35, 0.2, 0.1, 0.05), decay=0.7, release=0.04, bright_decay=0.25),
    "sub": Timbre((1.0, 0.15, 0.05), attack=0.008, decay=1.5, release=0.06),
    "saw": Timbre(saw(0.8, 16), decay=0.6, bright_decay=0.18, detune_cents=8.0),
    "square": Timbre(square(0.7, 15), decay=0.5, bright_decay=0.2),
    "upright": Timbre((1.0, 0.8, 0.3, 0.25, 0.1, 0.1), attack=0.008, decay=0.35, bright_decay=0.1),
    "growl": Timbre(saw(0.9, 20), decay=0.8, bright_decay=0.35, modulation=1.2, modulation_ratio=0.5),
}

KEYS = {
    "piano": Timbre(
        (1.0, 0.7, 0.45, 0.3, 0.2, 0.15, 0.1, 0.07, 0.04), decay=0.9, bright_decay=0.3, release=0.1
    ),
    "bright_piano": Timbre(saw(0.75, 16), decay=0.6, bright_decay=0.25, release=0.08),
    "electric_piano": Timbre((1.0, 0.1), decay=0.9, modulation=1.6, modulation_ratio=1.0, release=0.12),
    "organ": Timbre((1.0, 0.8, 0.6, 0.4, 0.0, 0.3, 0.0, 0.25), vibrato_cents=8.0, release=0.03),
    "clavinet": Timbre(square(0.95, 24), decay=0.25, bright_decay=0.12, release=0.02),
    "guitar": Timbre((1.0, 0.8, 0.6, 0.5, 0.35, 0.3, 0.2, 0.15, 0.1), decay=0.45, bright_decay=0.12),
    "stab": Timbre(saw(0.95), decay=0.35, bright_decay=0.2, detune_cents=18.0),
    "brass": Timbre(saw(0.7, 18), attack=0.03, release=0.06, detune_cents=7.0, vibrato_cents=6.0),
    "pluck": Timbre(square(0.9), decay=0.22, bright_decay=0.1, release=0.08),
    "harp": Timbre((1.0, 0.5, 0.25, 0.12, 0.06), decay=0.6, bright_decay=0.3, release=0.2),
}

PADS = {
    "strings": Timbre(saw(0.6), attack=0.25, release=0.4, detune_cents=14.0, vibrato_cents=5.0),
    "warm": Timbre(saw(0.2), attack=0.4, release=0.5, detune_cents=20.0),
    "choir": Timbre(
        (1.0, 0.5, 0.9, 0.4, 0.15, 0.1), attack=0.3, release=0.4, detune_cents=22.0, vibrato_cents=9.0
    ),
    "bright": Timbre(saw(0.9), attack=0.1, release=0.3, detune_cents=24.0),
}

LEADS = {
    "saw": Timbre(saw(0.9), attack=0.01, release=0.08, detune_cents=12.0, vibrato_cents=12.0),
    "square": Timbre(square(0.8), attack=0.006, release=0.06, vibrato_cents=10.0),
    "flute": Timbre((1.0, 0.25, 0.08), attack=0.05, release=0.1, vibrato_cents=12.0),
    "bell": Timbre((1.0,), decay=0.7, modulation=2.5, modulation_ratio=3.5, release=0.3),
    "marimba": Timbre((1.0, 0.0, 0.0, 0.25), decay=0.25, bright_decay=0.05),
    "trumpet": Timbre(saw(0.8, 16), attack=0.025, release=0.05, vibrato_cents=14.0),
    "violin": Timbre(saw(0.75, 20), attack=0.08, release=0.12, vibrato_cents=16.0),
    "vibraphone": Timbre((1.0, 0.0, 0.0, 0.2), decay=1.0, bright_decay=0.2, release=0.2, vibrato_cents=6.0),
}


@dataclass(frozen=True, kw_only=True)
class Style:
    """What a style may choose from. Every tuple is a pool; one entry is drawn from each."""

    grooves: tuple[dict[str, str], ...]
    """Drum patterns by one-shot."""
    percussion: tuple[dict[str, str], ...] = ({},)
    """Patterns on top of the groove."""
    bass_lines: tuple[str, ...]
    basses: tuple[str, ...]
    comping: tuple[str, ...]
    """Chord patterns."""
    keys: tuple[str, ...]
    pads: tuple[str, ...] = ("strings", "warm", "bright")
    leads: tuple[str, ...]
    progressions: tuple[tuple[tuple[int, str], ...], ...]
    """Chords, one per bar, as half steps above the key note and a quality."""
    scale: tuple[int, ...] = MINOR
    swing_eighths: tuple[float, float] = (0.0, 0.0)
    """Range of the delay of off-beat eighths, in beats; 1/6 is a triplet."""
    swing_sixteenths: tuple[float, float] = (0.0, 0.02)
    """Range of the delay of off-beat sixteenths, in beats."""
    duck: tuple[float, float] = (0.0, 0.2)
    """Range of how far chords and bass step back at each kick, as a fraction."""
    softness: float = 0.25
    """How probable a soft introduction or break is."""
    half_time: float = 0.08
    """How probable it is that a bar of the music lasts eight beats."""
    double_time: float = 0.05
    """How probable it is that a bar of the music lasts two beats."""
    arpeggio: float = 0.3
    melody: float = 0.45
    pad: float = 0.4
    room: tuple[float, float] = (0.5, 1.4)
    """Range of the reverberation time, in seconds."""


_POP = (
    ((0, "major"), (7, "major"), (9, "minor"), (5, "major")),
    ((9, "minor"), (5, "major"), (0, "major"), (7, "major")),
    ((0, "major"), (9, "minor"), (5, "major"), (7, "major")),
    ((5, "major"), (7, "major"), (9, "minor"), (9, "minor")),
)
_DARK = (
    ((0, "minor"), (8, "major"), (3, "major"), (10, "major")),
    ((0, "minor"), (0, "minor"), (8, "major"), (10, "major")),
    ((0, "minor"), (5, "minor"), (8, "major"), (7, "minor")),
    ((0, "minor7"),),
)
_FUNK = (
    ((0, "dominant"),),
    ((0, "minor7"), (0, "minor7"), (5, "dominant"), (5, "dominant")),
    ((0, "minor9"), (10, "dominant")),
)
_TWELVE_BARS = (
    (0, "dominant"), (5, "dominant"), (0, "dominant"), (0, "dominant"), (5, "dominant"), (5, "dominant"),
    (0, "dominant"), (0, "dominant"), (7, "dominant"), (5, "dominant"), (0, "dominant"), (7, "dominant"),
)  # fmt: skip

_BACKBEAT = "....X.......X..."
_EIGHTHS = "x.o.x.o.x.o.x.o."
_SIXTEENTHS = "xgogxgogxgogxgog"
_FOUR = "X...X...X...X..."
_OFFBEATS = "..x...x...x...x."

BREAKING = Style(
    grooves=(
        {"kick": "X.X...g...X..X..", "snare": "....X..g.g..X..g", "closed_hat": _SIXTEENTHS},
        {"kick": "X.x.......xx....", "snare": "....X..o.o..X..o", "ride": _EIGHTHS},
        {
            "kick": "X..x..x.X..x..x.",
            "snare": _BACKBEAT,
            "closed_hat": _EIGHTHS,
            "open_hat": "..............x.",
        },
        {
            "kick": "X.....x...x.....",
            "snare": _BACKBEAT,
            "closed_hat": _SIXTEENTHS,
            "cowbell": "x.x..x.x..x.x...",
        },
        {"kick": "X..x....X.x.....", "clap": _BACKBEAT, "closed_hat": _EIGHTHS},
        {"kick": "X.....xX..X.....", "snare": "....X..g....X.g.", "closed_hat": "x.oox.oox.oox.oo"},
    ),
    percussion=(
        {},
        {"conga_slap": "x.xxx.xxx.xxx.xx"},
        {"conga_open": "...x..x....x..xx", "conga_mute": "o.o.o.o.o.o.o.o."},
        {"cowbell": "x...x...x...x..."},
        {"shaker": _SIXTEENTHS},
    ),
    bass_lines=("R..R..O.R.S.F.O.", "R--.R.R..R.S.A..", "R.O...R.F.S.....", "R-----R.O..S..A."),
    basses=("finger", "square", "growl", "saw"),
    comping=("..X.....X.X.....", "X..X..X.........", "....X-.X....X-..", "..XX..XX..XX..XX"),
    keys=("clavinet", "stab", "brass", "guitar", "organ"),
    leads=("square", "trumpet", "saw", "flute"),
    progressions=_FUNK + _DARK,
    scale=DORIAN,
    swing_sixteenths=(0.0, 0.06),
    softness=0.12,
    pad=0.15,
    room=(0.3, 0.9),
)

SALSA = Style(
    grooves=(
        {"kick": "x.....x.x.......", "cowbell": "X...x.x.X...x.x.", "rim": "..............o."},
        {"kick": "X...........x...", "cowbell": "X.o.X.o.X.o.X.o.", "conga_slap": "....x..........."},
        {"kick": "X.....o.x.....o.", "ride": "X.o.x.o.X.o.x.o.", "snare": "......g.......o."},
    ),
    percussion=(
        {
            "clave": "X.....X.....X.......X...X.......",
            "conga_open": "............x.x.",
            "conga_slap": "....x.......g...",
            "conga_mute": "o.o...o.o.o.....",
            "shaker": _EIGHTHS,
        },
        {
            "clave": "....X...X.......X.....X.....X...",
            "conga_open": "......x.....x.x.",
            "conga_slap": "....x...........",
            "shaker": _EIGHTHS,
        },
        {
            "clave": "X.....X.......X.....X...X.......",
            "conga_open": "..........x.x.x.",
            "conga_slap": "....X.......X...",
        },
    ),
    bass_lines=("......F-----O---", "R-----F-----O---", "R.....F.....R.A."),
    basses=("upright", "finger"),
    comping=(
        "X.X.o.X..X.X.X.X.X.X.X.X..X.X.X.",
        "X..X.X.X.X.X.X..X..X.X.X.X.X.X..",
        "X-..X-.X-.X-..X-",
        "..X.X..X..X.X..X",
    ),
    keys=("bright_piano", "piano"),
    pads=("strings",),
    leads=("trumpet", "flute", "trumpet"),
    progressions=(
        ((0, "minor"), (5, "minor"), (7, "dominant"), (7, "dominant")),
        ((0, "minor"), (10, "major"), (8, "major"), (7, "dominant")),
        ((0, "major"), (5, "major"), (7, "dominant"), (5, "major")),
        ((2, "minor7"), (7, "dominant"), (0, "major7"), (0, "major7")),
    ),
    softness=0.15,
    half_time=0.05,
    double_time=0.2,
    pad=0.15,
    arpeggio=0.0,
    melody=0.6,
    room=(0.5, 1.2),
)

MODERN = Style(
    grooves=(
        {"kick": "X.......x.......", "rim": "....o.......o...", "shaker": "o.g.o.g.o.g.o.g."},
        {"kick": "X..x....X..x....", "shaker": "x...o...x...o..."},
        {"kick": "x...o...x...o...", "closed_hat": "..g...g...g...g."},
        {"tom": "X...x..xX...x...", "rim": "....x.......x..."},
        {"kick": "X.......X.x.....", "clap": "........x.......", "closed_hat": "o.g.o.g.o.g.o.g."},
        {"kick": "o...o...o...o...", "clave": "x...x...x...x..."},
    ),
    bass_lines=("R---------------", "R-------F-------", "R-----R-O-----F-", "................"),
    basses=("sub", "upright", "finger"),
    comping=(
        "X-------X-------",
        "X---X---X---X---",
        "X-o-X-o-X-o-X-o-",
        "X---------------",
        "X-----X-----X---",
    ),
    keys=("piano", "piano", "harp", "electric_piano", "guitar"),
    pads=("strings", "choir", "warm"),
    leads=("violin", "flute", "vibraphone", "bell"),
    progressions=(
        ((0, "minor"), (8, "major7"), (3, "major"), (10, "suspended")),
        ((0, "major7"), (9, "minor7"), (5, "major7"), (7, "suspended")),
        ((0, "minor9"), (5, "minor7")),
        ((9, "minor"), (5, "major"), (0, "major"), (7, "suspended")),
    ),
    softness=0.4,
    half_time=0.12,
    arpeggio=0.6,
    melody=0.5,
    pad=0.75,
    room=(1.0, 2.4),
)

COMMERCIAL = Style(
    grooves=(
        {"kick": "X......x..x.....", "snare": _BACKBEAT, "closed_hat": _EIGHTHS},
        {"kick": _FOUR, "clap": _BACKBEAT, "open_hat": _OFFBEATS, "closed_hat": _EIGHTHS},
        {
            "kick": "X.....x...x.....",
            "clap": "........X.......",
            "closed_hat": "x.x.x.xxx.x.xxxx",
            "rim": "o...o...o...o...",
        },
        {"kick": _FOUR, "snare": "...x..x....x..x.", "closed_hat": _EIGHTHS},
        {"kick": "X.....X.X.......", "snare": _BACKBEAT, "closed_hat": _EIGHTHS, "clap": "............x..."},
        {"kick": "X..x..X...x..x..", "snare": _BACKBEAT, "closed_hat": _SIXTEENTHS},
        {"kick": "X...x...X.x.x...", "clap": _BACKBEAT, "shaker": _SIXTEENTHS},
    ),
    percussion=(
        {},
        {},
        {"conga_open": "...x..x....x..x."},
        {"clave": "x..x..x...x.x..."},
        {"tom": "..........x..x.x"},
    ),
    bass_lines=(
        "R.......R.R.....",
        "R-R-R-R-R-R-R-R-",
        "R--R--R-F--F--S-",
        "R-----------R-A-",
        "..R...R...R...R.",
        "RRRRRRRRRRRRRRRR",
    ),
    basses=("sub", "saw", "square", "growl"),
    comping=(
        "X---------------",
        "X--X--X---------",
        "..X...X...X...X.",
        "X.X.X.X.X.X.X.X.",
        "X-----X-----X---",
    ),
    keys=("stab", "pluck", "piano", "electric_piano", "guitar"),
    pads=("bright", "warm", "strings", "choir"),
    leads=("saw", "square", "bell", "marimba"),
    progressions=_POP + _DARK,
    duck=(0.0, 0.6),
    half_time=0.12,
    swing_sixteenths=(0.0, 0.04),
)

SOCIAL = Style(
    grooves=(
        {"kick": _FOUR, "clap": _BACKBEAT, "closed_hat": _OFFBEATS},
        {"kick": "X.....x.X.......", "snare": _BACKBEAT, "closed_hat": _EIGHTHS},
        {"kick": _FOUR, "snare": _BACKBEAT, "open_hat": _OFFBEATS, "shaker": _SIXTEENTHS},
        {"kick": "X..x..x.X..x....", "clap": _BACKBEAT, "closed_hat": _SIXTEENTHS},
    ),
    percussion=(
        {},
        {"cowbell": "x...x...x...x..."},
        {"conga_open": "...x..xx...x..x."},
        {"conga_slap": "..x..x....x..x.."},
    ),
    bass_lines=("R-R-R-R-R-R-R-A-", "..R...R...R...R.", "R...F...R...F...", "R--R--O-R--R--F-"),
    basses=("finger", "saw", "square", "sub"),
    comping=("..X...X...X...X.", "X---X---X---X---", "X--X--X-..X.X...", "X---------------"),
    keys=("piano", "organ", "stab", "guitar", "pluck"),
    leads=("square", "marimba", "saw", "trumpet"),
    progressions=_POP + _FUNK,
    scale=MAJOR,
    duck=(0.0, 0.5),
)

BROADWAY = Style(
    grooves=(
        {"kick": "o...o...o...o...", "ride": "X...X.x.X...X.x.", "rim": "....x.......x..."},
        {"kick": "X.......X.......", "ride": "X...X.x.X...X.x.", "snare": "....X.......X.g."},
        {"kick": "X...x...X...x...", "snare": "....X...g...X...", "closed_hat": "..x...x...x...x."},
        {"kick": "X.......x.......", "snare": "g.g.X.g.g.g.X.g.", "open_hat": "X...x...X...x..."},
    ),
    percussion=({}, {}, {"clap": "....x.......x..."}, {"tom": "X.x.X.x.X.x.X.x."}),
    bass_lines=("R---T---F---A---", "R---F---R---F---", "R---T---F---S---", "R---S---F---A---"),
    basses=("upright", "finger"),
    comping=(
        "X-..........X-..",
        "..X-......X-....",
        "X---..X-....X-..",
        "......X-......X-",
        "X...X...X...X...",
    ),
    keys=("brass", "piano", "brass", "bright_piano"),
    pads=("strings",),
    leads=("trumpet", "vibraphone", "flute", "violin"),
    progressions=(
        ((0, "major7"), (9, "minor7"), (2, "minor7"), (7, "dominant")),
        ((0, "major"), (0, "dominant"), (5, "major"), (7, "dominant")),
        ((0, "minor"), (5, "minor"), (7, "dominant"), (0, "minor")),
        _TWELVE_BARS,
    ),
    scale=MAJOR,
    swing_eighths=(0.1, 0.167),
    pad=0.25,
    arpeggio=0.1,
    melody=0.6,
)

DISCO = Style(
    grooves=(
        {"kick": _FOUR, "snare": _BACKBEAT, "open_hat": _OFFBEATS, "closed_hat": _SIXTEENTHS},
        {"kick": _FOUR, "clap": _BACKBEAT, "open_hat": _OFFBEATS},
        {"kick": _FOUR, "snare": "....X..g....X.g.", "closed_hat": "x.xxx.xxx.xxx.xx"},
    ),
    percussion=(
        {},
        {"conga_open": "...x..xx...x..xx"},
        {"cowbell": "x.x.xx.x.xx.x.x."},
        {"shaker": _SIXTEENTHS},
    ),
    bass_lines=("R.O.R.O.R.O.R.O.", "..R.O.R.O.R.O.A.", "R.RO..RO..RO..RO", "R..R.RO.F..F.FO."),
    basses=("finger", "saw", "square"),
    comping=("..X...X...X...X.", "..XX..XX..XX..XX", "X--X--X-...X..X.", "X---------------"),
    keys=("guitar", "clavinet", "piano", "electric_piano"),
    pads=("strings", "strings", "bright"),
    leads=("violin", "trumpet", "saw", "flute"),
    progressions=(
        ((0, "minor7"), (5, "dominant"), (0, "minor7"), (5, "dominant")),
        ((0, "minor"), (10, "major"), (8, "major"), (7, "dominant")),
        ((9, "minor7"), (2, "dominant"), (7, "major7"), (0, "major7")),
        *_POP[:2],
    ),
    duck=(0.0, 0.4),
    half_time=0.03,
    pad=0.65,
    softness=0.15,
)

WESTCOAST = Style(
    grooves=(
        {"kick": "X.....x..x......", "snare": _BACKBEAT, "closed_hat": _EIGHTHS},
        {"kick": "X.....x.X.....x.", "clap": _BACKBEAT, "ride": "X.o.x.o.X.o.x.o."},
        {"kick": "X......xX.......", "rim": _BACKBEAT, "closed_hat": "x.o.x.oxx.o.x.o."},
        {"kick": "X...x...X...x...", "snare": _BACKBEAT, "shaker": _EIGHTHS},
    ),
    percussion=({}, {}, {"conga_open": "......x.......x."}, {"shaker": _SIXTEENTHS}),
    bass_lines=("R-----R-F-----A-", "R---T---F---S---", "R-.R--O-F-.F--A-", "R--------R-S-F--"),
    basses=("finger", "upright", "sub"),
    comping=("X-----------o---", "..X-....X-......", "....X-......X-..", "X--o--X---------"),
    keys=("electric_piano", "organ", "guitar", "piano"),
    leads=("vibraphone", "trumpet", "square", "flute"),
    progressions=(_TWELVE_BARS, *_FUNK, ((0, "major7"), (9, "minor7"), (2, "minor7"), (7, "dominant"))),
    scale=BLUES,
    swing_eighths=(0.0, 0.167),
    swing_sixteenths=(0.0, 0.07),
    double_time=0.03,
)

FREESTYLE = Style(
    grooves=(*COMMERCIAL.grooves, *DISCO.grooves, *BREAKING.grooves[:4], *MODERN.grooves[:2]),
    percussion=(*COMMERCIAL.percussion, *BREAKING.percussion),
    bass_lines=(*COMMERCIAL.bass_lines, *BREAKING.bass_lines),
    basses=tuple(BASSES),
    comping=(*COMMERCIAL.comping, *SOCIAL.comping),
    keys=tuple(KEYS),
    pads=tuple(PADS),
    leads=tuple(LEADS),
    progressions=_POP + _DARK + _FUNK,
    duck=(0.0, 0.6),
    half_time=0.1,
    swing_sixteenths=(0.0, 0.05),
)

STYLES: dict[str, tuple[Style, ...]] = {
    "breaking": (BREAKING,),
    "salsa": (SALSA,),
    "modern": (MODERN,),
    "commercial": (COMMERCIAL,),
    "social": (SOCIAL,),
    "broadway": (BROADWAY,),
    "disco": (DISCO,),
    "westcoast": (WESTCOAST,),
    "freestyle": (FREESTYLE,),
    "none": (FREESTYLE, MODERN, COMMERCIAL, SOCIAL, WESTCOAST, BREAKING),
}
"""Styles by genre; of several, one is drawn."""
