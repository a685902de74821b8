"""Changes of dancers that tests make."""

from dataclasses import replace

from longdance.choreography.dancer import Dancer


def drawn(dancer: Dancer, **changes) -> Dancer:
    """The dancer with another way of drawing of its own."""
    return replace(dancer, sampling=replace(dancer.sampling, **changes))


def made(dancer: Dancer, **changes) -> Dancer:
    """The dancer with a generator that is changed."""
    return replace(dancer, generator=replace(dancer.generator, **changes))
