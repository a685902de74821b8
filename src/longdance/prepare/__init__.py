"""Data sets on disk into prepared stores: a module each, over what they share (``stores``, ``paired``, ``silent``)."""
