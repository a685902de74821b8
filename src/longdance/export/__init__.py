"""Dances to files that other programs and people can use: video and animation formats."""
