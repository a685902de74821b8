"""``python -m longdance``."""

from longdance.cli import main

main()
