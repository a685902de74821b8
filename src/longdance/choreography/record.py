"""What a dance's own record says: its beats, what was asked for when. Records may be by another hand."""

import numpy as np

from longdance.errors import InputError
from longdance.motion.motion import Motion


def beats_of(dance: Motion) -> list[float]:
    """Seconds of the beats that the dance's record holds."""
    beats = dance.meta.get("beat_times")
    if not isinstance(beats, list) or not all(isinstance(beat, int | float) for beat in beats):
        return []
    return [float(beat) for beat in beats]


def timeline_of(dance: Motion) -> list[dict]:
    """What was asked for when, as the dance's record holds it; ``InputError`` for a record by another hand."""
    parts = dance.meta.get("timeline")
    if parts is None:
        return []
    times = [part.get(key, 0.0) for part in parts for key in ("from", "to")] if _is_records(parts) else [None]
    if not all(isinstance(time, int | float) and np.isfinite(time) for time in times):
        raise InputError("expected entries with from and to (seconds) under timeline in the dance's record")
    return parts


def _is_records(parts: object) -> bool:
    return isinstance(parts, list) and all(isinstance(part, dict) for part in parts)
