"""Made-up dances that come to rest on every beat, and songs of clicks with known form."""

import numpy as np
import torch

from longdance.features.song import Song
from longdance.motion.motion import Motion
from longdance.motion.rotations import matrix_from_axis_angle
from longdance.motion.skeleton import SMPL24


def stepping(tempo_bpm, *, seconds=24.0, fps=30.0, phase=0.0, travel=0.0):
    """A made-up dance that comes to rest on every beat: arms and knees that go from pose to pose."""
    frames = round(seconds * fps)
    beat = np.arange(frames) / fps * tempo_bpm / 60 + phase
    # From beat to beat an eased step: at rest on whole beats.
    part = beat - np.floor(beat)
    eased = np.floor(beat) + part - np.sin(2 * np.pi * part) / (2 * np.pi)
    angle = 2 * np.pi * eased / 4
    turns = np.zeros((frames, len(SMPL24), 3))
    turns[:, SMPL24.index("left_shoulder"), 2] = -1.0 + 0.6 * np.sin(angle)
    turns[:, SMPL24.index("right_shoulder"), 2] = 1.0 + 0.6 * np.sin(angle + 0.4)
    turns[:, SMPL24.index("spine2"), 1] = 0.4 * np.sin(angle)
    bend = 0.2 * (1 - np.cos(angle))
    for side in ("left", "right"):
        turns[:, SMPL24.index(f"{side}_hip"), 0] = -bend
        turns[:, SMPL24.index(f"{side}_knee"), 0] = 2 * bend
        turns[:, SMPL24.index(f"{side}_ankle"), 0] = -bend
    root = np.zeros((frames, 3))
    root[:, 1] = SMPL24.rest_root_height - SMPL24.leg_length * (1 - np.cos(bend))
    root[:, 0] = travel * np.arange(frames) / fps
    return Motion(root, matrix_from_axis_angle(torch.from_numpy(turns)).numpy(), fps=fps)


def clicking(seconds=40.0, bpm=105.0, *, silent=(), parts=()):
    """Clicks on even beats, chords by part, silence between some seconds."""
    rate = 22050
    times = np.arange(round(seconds * rate)) / rate
    beats = np.arange(0.5, seconds - 0.1, 60 / bpm)
    samples = np.zeros(len(times))
    for beat in beats:
        begin = round(beat * rate)
        burst = np.exp(-np.arange(1500) / 300) * np.sin(2 * np.pi * 1000 * np.arange(1500) / rate)
        samples[begin : begin + 1500] += 0.5 * burst[: len(samples) - begin]
    for begin, end, tones in parts:
        inside = (times >= begin) & (times < end)
        for tone in tones:
            samples[inside] += 0.1 * np.sin(2 * np.pi * tone * times[inside])
    for begin, end in silent:
        samples[(times >= begin) & (times < end)] = 0.0
    samples = np.clip(samples, -1, 1).astype(np.float32)
    return Song.from_samples(samples, rate, name="clicks", beat_times=beats, downbeat_times=beats[::4])
