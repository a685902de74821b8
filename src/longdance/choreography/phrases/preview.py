"""A phrase by itself, for people to look at before they choose it."""

from dataclasses import replace

import numpy as np

from longdance.choreography.phrases.library import Library, Phrase
from longdance.motion.motion import Motion


def preview(library: Library, phrase: Phrase, *, mirrored: bool = False) -> Motion:
    """The phrase as it was danced, from the middle of the stage; beats in its record, for a page or a video."""
    first, last = int(np.floor(phrase.marks[0])), int(np.ceil(phrase.marks[-1]))
    whole = library.motion(phrase.take).slice(first, last + 1)
    motion = whole.mirror() if mirrored else whole
    facts = library.facts(phrase)
    meta = {
        "phrase": phrase.name,
        "library": library.name,
        "genre": facts.genre,
        "movements": list(facts.movements),
        "tempo_bpm": round(phrase.tempo_bpm, 2),
        "beat_times": [round((mark - first) / motion.fps, 4) for mark in phrase.marks],
    }
    shift = motion.root_position[0] * np.array([1.0, 0.0, 1.0])
    return replace(motion, root_position=motion.root_position - shift, meta=meta)


def previews(library: Library, phrases: list[Phrase]) -> Motion:
    """Phrases one after the other, each from the middle of the stage."""
    return Motion.joined([replace(preview(library, phrase), meta={}) for phrase in phrases])


def spread(library: Library, count: int) -> list[Phrase]:
    """So many phrases of eight counts, evenly spread over a library; fewer where there are fewer."""
    chosen = [phrase for phrase in library.phrases if phrase.counts == 8] or list(library.phrases)
    places = np.unique(np.linspace(0, len(chosen) - 1, min(count, len(chosen))).round().astype(int))
    return [chosen[place] for place in places]
