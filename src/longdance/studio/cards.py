"""What a page shows of models, genres and movements, told without loading any model."""

from importlib.util import find_spec
from pathlib import Path

from longdance.choreography.capabilities import DANCERS, Capabilities, capabilities
from longdance.data.catalogue import genre_names, load_catalogue
from longdance.errors import InputError
from longdance.features.text_encoders import encoder_lacks
from longdance.models.folders import WEIGHTS, kind_of, parts_of, record_of, shipped


def model_card(name: str, folder: Path) -> dict:
    """What a page shows of a model; ``InputError`` for a folder that holds none."""
    if not parts_of(folder):
        raise InputError(f"{folder}: expected a folder with a trained model")
    record, kind = record_of(folder), kind_of(folder)
    try:
        if "adapts" in record:
            return _adapted_card(name, record)
        known = DANCERS.entry(kind) if kind in DANCERS else None
        able = capabilities(kind) if known else Capabilities()
        return {
            "name": name,
            "describes": known.about if known else kind,
            "fps": float(record["fps"]),
            "genres": [str(genre) for genre in record.get("genres", ())],
            "hears": [str(record["music_encoder"])],
            "edits": able.edits,
            "joints": able.joints,
            "guided": able.guided,
            "streams": able.streams,
            "listens": able.hears,
            "cannot": cannot(name, able),
        }
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise InputError(f"{folder}: expected the configuration of a model ({error!r})") from error


def what_lacks() -> dict:
    """What cannot be done on this computer, with the way to get it: ``prompt``, and ``formats`` by name."""
    lacks = {"prompt": encoder_lacks(), "formats": {}}
    if find_spec("pxr") is None:
        lacks["formats"]["usd"] = "USD needs the package usd-core: pip install 'longdance[usd]' and start anew"
    return lacks


def cannot(name: str, able: Capabilities) -> dict[str, str]:
    """What to say beside the buttons of what a model cannot do."""
    said = {
        "edits": f"{name} cannot make stretches of a dance anew; whole takes can be mirrored and brought to a tempo",
        "joints": f"{name} cannot make some joints anew while others stay",
        "guided": f"{name} has no denoising steps and no guidance",
    }
    return {what: why for what, why in said.items() if not getattr(able, what)}


def _adapted_card(name: str, record: dict) -> dict:
    """The card of a model that is another one in fewer steps."""
    base = str(record["adapts"])
    card = model_card(base, WEIGHTS / base if base in shipped() else Path(base))
    describes = f"{Path(base).name} distilled to {int(record['steps'])} denoising steps: dances soonest"
    said = {what: why.replace(base, name, 1) for what, why in card["cannot"].items()}
    return card | {"name": name, "describes": describes, "cannot": said}


def catalogue_card(trained: frozenset[str]) -> list[dict]:
    """Genres and movements as a page shows them; ``trained`` are those that some model knows."""
    genres = [load_catalogue()[name] for name in genre_names()]
    return [
        {
            "name": genre.name,
            "title": genre.title,
            "aliases": list(genre.aliases),
            "describes": genre.description,
            "trained": genre.name in trained,
            "movements": [
                {
                    "name": movement.name,
                    "aliases": list(movement.aliases),
                    "describes": movement.description,
                    "counts": movement.counts,
                    "fundamental": movement.fundamental,
                    "shown_in_training": movement.trained,
                }
                for movement in genre.movements
            ],
        }
        for genre in genres
    ]
