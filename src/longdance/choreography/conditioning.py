"""What a network hears: words and music as it was trained on them."""

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from longdance.choreography.words import Words
from longdance.errors import InputError
from longdance.features.cues import cues_of_song
from longdance.features.music import MUSIC_CHANNELS, MUSIC_ENCODERS
from longdance.features.song import Song
from longdance.features.text import TextPrompt, resolve_prompt
from longdance.models.checkpoint import Checkpoint

Hears = Literal["words", "genre", "music"]
"""Words and music, the genre's name and music, or music alone."""

UNSEEN_GENRE_WEIGHT = 3
"""How many times more the genre's description counts beside words that training did not have."""


@dataclass(frozen=True, eq=False)
class Conditioner:
    """Words and songs as a checkpoint's network takes them."""

    checkpoint: Checkpoint
    name: str
    """Of the model, for messages."""
    hears: Hears = "words"

    def words(self, asked: Words) -> TextPrompt:
        """The prompt of words, with notes where they will not be followed; ``InputError`` for unknown ones."""
        config = self.checkpoint.config
        encoder = config.text_encoder
        if self.hears == "music":
            return self._unheard(resolve_prompt(asked.genre, asked.movements, encoder_name=encoder), asked.text)
        if self.hears == "genre":
            text = resolve_prompt(asked.genre, encoder_name=encoder)
            if asked.movements or asked.text:
                note = f"{self.name} hears the genre alone: movements and free words change nothing"
                text = replace(text, notes=(*text.notes, note))
        else:
            width = config.network_config.text_width
            text = resolve_prompt(asked.genre, asked.movements, text=asked.text, encoder_name=encoder, width=width)
            heard_apart = getattr(config.network_config, "text_pooling", "mean") != "mean"
            if text.genre is not None and not text.shown_in_training and not heard_apart:
                # What training never said may mean anything to the network: the genre outweighs it.
                genre_rows = np.repeat(text.embeddings[:1], UNSEEN_GENRE_WEIGHT, axis=0)
                text = replace(text, embeddings=np.concatenate((genre_rows, text.embeddings)))
        if text.genre is not None and text.genre not in config.genres:
            note = f"{self.name} was not trained on {text.genre}; it knows {', '.join(config.genres)}"
            text = replace(text, notes=(*text.notes, note))
        return text

    def music(self, song: Song, frames: int) -> Tensor:
        """(frames, channels) normalised features; beyond the song's end the last frame goes on."""
        features = self.encode(song)
        return features[torch.arange(frames).clamp(max=len(features) - 1)]

    def encode(self, song: Song) -> Tensor:
        """(song_frames, channels) normalised features, at least one frame."""
        encoder = self.checkpoint.config.music_encoder
        if encoder not in MUSIC_ENCODERS:
            known = ", ".join(MUSIC_ENCODERS)
            raise InputError(f"{self.name} needs the music encoder {encoder}, which is not among {known}")
        features = MUSIC_ENCODERS[encoder](song, self.checkpoint.config.fps)
        if not len(features):  # less than half a frame of sound
            features = np.zeros((1, MUSIC_CHANNELS[encoder]), np.float32)
        return self.checkpoint.normalise_music(torch.from_numpy(features))

    def with_cues(self, song: Song, frames: int) -> Tensor:
        """``music`` with the columns of ``features.cues`` after the network's channels."""
        features = self.encode_with_cues(song)
        return features[torch.arange(frames).clamp(max=len(features) - 1)]

    def encode_with_cues(self, song: Song) -> Tensor:
        """``encode`` with the columns of ``features.cues`` after the network's channels."""
        features, cues = self.encode(song), torch.from_numpy(cues_of_song(song, self.checkpoint.config.fps))
        if len(cues) < len(features):  # less than half a frame of sound
            cues = torch.zeros(len(features), cues.shape[1])
        return torch.cat((features, cues), 1)

    def _unheard(self, text: TextPrompt, prompt: str | None) -> TextPrompt:
        """The empty prompt in place of words that the model does not hear, with a note if there were any."""
        if not len(text.embeddings) and not prompt:
            return text
        note = f"{self.name} dances to the music alone: genre, movements and free words change nothing"
        return replace(text, genre=None, movements=(), texts=(), embeddings=text.embeddings[:0], notes=(note,))
