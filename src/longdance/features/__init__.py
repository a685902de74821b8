"""Numbers measured from songs, movement and words, and soundtracks composed for dances that have none."""
