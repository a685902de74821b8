"""Numbers measured from songs, movement and words."""
