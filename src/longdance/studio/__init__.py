"""The studio: a local web application for making, trying and changing dances. See ``docs/studio.md``."""
