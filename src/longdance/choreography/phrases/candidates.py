"""What a planner knows of phrases: how each begins, ends, moves, and what it is called, as arrays over all of them.

Every phrase comes twice, as recorded and mirrored. Poses are seen from the dancer: the pelvis above the origin, turned
to face +z; paths are seen from where a phrase begins.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from longdance.choreography.phrases.library import FPS, Library, Phrase
from longdance.choreography.phrases.rests import rests_of
from longdance.motion.contacts import clearance_of, foot_contacts
from longdance.motion.directions import heading
from longdance.motion.motion import Motion
from longdance.motion.skeleton import Skeleton
from longdance.motion.stances import CONTACT_ORDER

HALVES = 16
"""Half beats of the profile; of a phrase of four counts the first eight come twice."""
CARRIED = 0.15
"""Seconds that a velocity counts for beside positions: about half of a join."""
MARKED = 0.06
"""Seconds between a beat and a rest within which the beat is marked."""
HIP_WEIGHT, LEG_WEIGHT, ARM_WEIGHT = 1.0, 1.5, 0.7
"""How much joints count where phrases meet: feet cannot be blended, arms can."""


@dataclass(frozen=True, eq=False)
class Candidates:
    """Phrases and their mirrored twins; all arrays are (candidates, ...)."""

    library: Library
    phrases: tuple[Phrase, ...]
    """Of each candidate; twins follow each other, the mirrored one second."""
    starts: np.ndarray
    """(candidates, width) pose and velocity where it begins, weighed so that distances are metres."""
    ends: np.ndarray
    start_feet: np.ndarray
    """(candidates, 2) whether the left and right foot stands there, 0 to 1."""
    end_feet: np.ndarray
    turn: np.ndarray
    """Radians from the heading where it begins to where it ends."""
    front: np.ndarray
    """Radians from the take's front to the heading where it begins."""
    path: np.ndarray
    """(candidates,) complex: metres from beginning to end in the frame of the dancer there, z + ix."""
    energy: np.ndarray
    """Logarithm of the mean joint speed as danced, standardised over the candidates."""
    profile: np.ndarray
    """(candidates, HALVES) speed by half beats, standardised within each phrase."""
    unmarked: np.ndarray
    """Share of its beats on which the body does not come to rest."""
    airborne: np.ndarray
    """Metres off the floor at both ends, the larger one."""

    def __len__(self) -> int:
        return len(self.phrases)

    @property
    def mirrored(self) -> np.ndarray:
        """(candidates,) booleans."""
        return np.arange(len(self)) % 2 == 1

    @cached_property
    def counts(self) -> np.ndarray:
        """(candidates,) of each."""
        return np.array([phrase.counts for phrase in self.phrases])

    @cached_property
    def tempo(self) -> np.ndarray:
        """(candidates,) beats per minute as danced."""
        return np.array([phrase.tempo_bpm for phrase in self.phrases])

    @cached_property
    def take(self) -> np.ndarray:
        """(candidates,) number of the take."""
        return np.array([phrase.take for phrase in self.phrases])

    @cached_property
    def marks(self) -> np.ndarray:
        """(candidates, 2) frames of the take where it begins and ends."""
        return np.array([(phrase.marks[0], phrase.marks[-1]) for phrase in self.phrases])

    @cached_property
    def genres(self) -> np.ndarray:
        """(candidates,) names."""
        return np.array([self.library.facts(phrase).genre for phrase in self.phrases])

    @cached_property
    def words(self) -> tuple[frozenset[str], ...]:
        """Movements of each, in lower case."""
        return tuple(
            frozenset(name.lower() for name in self.library.facts(phrase).movements) for phrase in self.phrases
        )

    def index(self, name: str, mirrored: bool) -> int | None:
        """Number of a phrase among the candidates."""
        for number in range(0, len(self), 2):
            if self.phrases[number].name == name:
                return number + int(mirrored)
        return None

    @classmethod
    def of(cls, library: Library, genres: Collection[str]) -> "Candidates | None":
        """Those of some genres; None where there is none."""
        chosen = [phrase for phrase in library.phrases if library.facts(phrase).genre in genres]
        if not chosen:
            return None
        tracks = {
            (take, mirrored): Track.of(library.motion(take), mirrored)
            for take in {phrase.take for phrase in chosen}
            for mirrored in (False, True)
        }
        rows = [_row(tracks[phrase.take, mirrored], phrase) for phrase in chosen for mirrored in (False, True)]
        columns = {name: np.array([row[name] for row in rows]) for name in rows[0]}
        energy = columns["energy"]
        columns["energy"] = (energy - np.median(energy)) / max(float(energy.std()), 0.15)
        return cls(library, tuple(phrase for phrase in chosen for _ in range(2)), **columns)


@dataclass(frozen=True, eq=False)
class Track:
    """What is measured of a take, frame by frame."""

    poses: np.ndarray
    """(frames, width) as of ``Candidates.starts``."""
    feet: np.ndarray
    heading: np.ndarray
    """Radians, unwrapped."""
    root: np.ndarray
    """(frames,) complex, z + ix."""
    speed: np.ndarray
    height: np.ndarray
    rests: np.ndarray
    """(rests,) frames."""

    @classmethod
    def of(cls, motion: Motion, mirrored: bool) -> "Track":
        """That of a take, or of its mirror image."""
        motion = motion.mirror() if mirrored else motion
        joints = motion.joints()
        turned = np.unwrap(heading(motion.rotations[:, 0]))
        root = joints[:, 0, 2] + 1j * joints[:, 0, 0]
        # Seen from the dancer: in the plane z + ix a turn to the left is a factor of modulus one.
        plane = (joints[..., 2] + 1j * joints[..., 0] - root[:, None]) * np.exp(-1j * turned)[:, None]
        seen = np.stack((plane.imag, joints[..., 1], plane.real), -1)
        drift = np.gradient(root) * np.exp(-1j * turned)
        velocity = np.gradient(seen, axis=0) + np.stack((drift.imag, 0 * drift.imag, drift.real), -1)[:, None]
        weights = np.sqrt(_weights(motion.skeleton.names))[:, None]
        poses = np.concatenate((seen * weights, CARRIED * FPS * velocity * weights), 1).reshape(len(seen), -1)
        feet = feet_down(joints, FPS, motion.skeleton)
        relative = joints - joints[:, :1]
        speed = np.linalg.norm(np.gradient(relative, axis=0), axis=-1).mean(1) * FPS
        height = clearance_of(joints, motion.skeleton)
        return cls(poses, feet, turned, root, speed, height, rests_of(joints, FPS))


def feet_down(joints: np.ndarray, fps: float, skeleton: Skeleton) -> np.ndarray:
    """(frames, 2) 1 where the left and the right foot stand, 0 where not."""
    contacts = foot_contacts(joints, fps, skeleton=skeleton, joint_names=CONTACT_ORDER)
    return contacts.reshape(-1, 2, 2).max(-1).astype(float)


def _weights(names: Sequence[str]) -> np.ndarray:
    """(joints,) that sum up to one."""
    legs, arms = ("hip", "knee", "ankle", "foot"), ("elbow", "wrist", "hand")
    kind = [
        LEG_WEIGHT if name.endswith(legs) else ARM_WEIGHT if name.endswith(arms) else HIP_WEIGHT for name in names
    ]
    return np.array(kind) / sum(kind)


def _row(track: Track, phrase: Phrase) -> dict:
    """What is known of one candidate."""
    marks = np.asarray(phrase.marks)
    begin, end = round(marks[0]), round(marks[-1])
    edges = np.interp(np.arange(2 * phrase.counts + 1) / 2, np.arange(len(marks)), marks)
    sums = np.concatenate(([0.0], np.cumsum(track.speed)))
    level = np.diff(np.interp(edges, np.arange(len(sums)), sums)) / np.diff(edges)
    level = np.resize(np.log(level + 0.05), HALVES)
    heading = track.heading[begin : end + 1]
    return {
        "starts": track.poses[begin],
        "ends": track.poses[end],
        "start_feet": track.feet[max(0, begin - 2) : begin + 3].mean(0),
        "end_feet": track.feet[max(0, end - 2) : end + 3].mean(0),
        "turn": heading[-1] - heading[0],
        "front": np.angle(np.exp(1j * heading[0])),
        "path": (track.root[end] - track.root[begin]) * np.exp(-1j * heading[0]),
        "energy": np.log(track.speed[begin : end + 1].mean() + 0.05),
        "profile": (level - level.mean()) / max(float(level.std()), 0.15),
        "unmarked": float((np.abs(marks[:, None] - track.rests[None]).min(1) > MARKED * FPS).mean())
        if len(track.rests)
        else 1.0,
        "airborne": max(track.height[begin], track.height[end]),
    }
