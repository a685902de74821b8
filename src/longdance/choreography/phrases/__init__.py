"""Dances of real phrases: libraries of recorded ones, plans that lay them on a song, and plans danced."""
