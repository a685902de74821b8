"""Dances of any length: windows that overlap, segments that meet, stretches one after the other, streams."""
