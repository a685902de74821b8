"""``key=value`` on the command line into a configuration, checked field by field."""

import json
from collections.abc import Sequence
from typing import TypeVar

from pydantic import BaseModel, ValidationError

from longdance.errors import InputError, by_likeness

Config = TypeVar("Config", bound=BaseModel)


def override(config: Config, settings: Sequence[str]) -> Config:
    """The configuration with settings such as ``steps=500`` or ``network.width=128`` put in.

    ``InputError`` names an unknown key, and a value that its field cannot take.
    """
    record = config.model_dump()
    for setting in settings:
        key, equals, text = setting.partition("=")
        if not equals:
            raise InputError(f"expected key=value, got {setting!r}")
        *outer, last = key.split(".")
        place = record
        for name in outer:
            place = place.get(name)
            if not isinstance(place, dict):
                raise InputError(f"{setting}: expected an existing group, got {name!r}")
        if last not in place:
            raise InputError(f"{setting}: unknown key; expected one of {', '.join(by_likeness(last, place))}")
        try:
            place[last] = json.loads(text)
        except json.JSONDecodeError:
            place[last] = text
    try:
        return type(config).model_validate(record)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        got = "" if isinstance(first["input"], dict) else f", got {first['input']!r}"
        raise InputError(f"{where}: {first['msg']}{got}") from error
