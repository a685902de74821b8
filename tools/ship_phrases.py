"""Makes the shipped library of phrases of a prepared store's training takes.

    python tools/ship_phrases.py --data STORE

Dances alone, as they were captured; what is held out stays out.
"""

import argparse
from collections.abc import Iterator

from longdance.choreography.phrases.library import TakeFacts
from longdance.choreography.phrases.shelf import SHIPPED_FILE, shipped_library
from longdance.data.store import Store
from longdance.motion.motion import Motion


def dances(store: Store, split: str) -> Iterator[tuple[TakeFacts, Motion]]:
    """Every dance of a split as captured."""
    for take in store.select(split, original=True):
        if take.genre != "none":
            facts = TakeFacts(clip=take.clip, genre=take.genre, movements=take.movements, source=store.folder.name)
            yield facts, store.layout.decode(store.motion_of(take), store.fps)


def main() -> None:
    """Cut, write, and say what is inside."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", required=True)
    store = Store.open(parser.parse_args().data)
    library = shipped_library(dances(store, "train"), store.licence)
    library.save(SHIPPED_FILE)
    print(f"{SHIPPED_FILE}: {SHIPPED_FILE.stat().st_size / 1e6:.1f} MB, {len(library.takes)} takes")
    for genre, count in library.genres.items():
        print(f"  {genre}: {count} phrases")


if __name__ == "__main__":
    main()
