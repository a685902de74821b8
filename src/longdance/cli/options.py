"""Options of commands that ask for a dance, made of the fields of ``DanceRequest``."""

import functools
import inspect
import types
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Annotated, Any, get_args, get_type_hints

import typer
from typer.core import TyperCommand

from longdance.choreography.request import MORE, OPTIONS, DanceRequest, Names
from longdance.errors import InputError
from longdance.registry import SAMPLERS

REPLACED = (
    "--refine has become three options: --cleanup/--no-cleanup (everything after the model), --trm/--no-trm (EDMG's "
    "second stage) and --raw (neither)"
)
LARGEST_SHOWN = 1e6
"""Bounds beyond this are checked, not shown."""


class PanelCommand(TyperCommand):
    """A command whose help shows what everyone needs first, the rest under headings of their own."""

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """Write arguments and options, panel after panel."""
        panels: dict[str, list[tuple[str, str]]] = {}
        for parameter in self.get_params(ctx):
            record = parameter.get_help_record(ctx)
            if record is not None:
                first = "Arguments" if parameter.param_type_name == "argument" else "Options"
                panels.setdefault(getattr(parameter, "rich_help_panel", None) or first, []).append(record)
        for title in sorted(panels, key=lambda title: ("Arguments", "Options", MORE).index(title)
                            if title in ("Arguments", "Options", MORE) else len(panels)):  # fmt: skip
            with formatter.section(title):
                formatter.write_dl(panels[title])


def takes_request(
    *, without: Collection[str] = (), helps: Mapping[str, str] | None = None
) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Decorator of a command with a parameter ``request``: in its place come options for the fields of a request.

    ``without`` are fields that it does not offer, ``helps`` what it says of some in its own words.
    """
    offered = [name for name in OPTIONS if name not in without]

    def decorate(command: Callable[..., None]) -> Callable[..., None]:
        @functools.wraps(command)
        def called(**given: Any) -> None:
            asked = {name: given.pop(name) for name in offered}
            if given.pop("refine") is not None:
                raise typer.BadParameter(REPLACED)
            raw = given.pop("raw")
            try:
                request = DanceRequest(**{name: value for name, value in asked.items() if value is not None})
            except InputError as error:
                raise typer.BadParameter(str(error)) from error
            command(**given, request=request.raw() if raw else request)

        signature = inspect.signature(command)
        own = list(signature.parameters.values())
        place = list(signature.parameters).index("request")
        options = [_option(name, (helps or {}).get(name)) for name in offered]
        said = "What the sampler gives: no --trm, --cleanup, --phrases."
        raw = typer.Option("--raw", help=said, rich_help_panel=MORE)
        refine = typer.Option(hidden=True)
        options += [_parameter("raw", bool, raw, False), _parameter("refine", bool | None, refine, None)]
        shown = signature.replace(parameters=[*own[:place], *options, *own[place + 1 :]])
        setattr(called, "__signature__", shown)  # noqa: B010  (no attribute that type checkers know)
        called.__annotations__ = {each.name: each.annotation for each in shown.parameters.values()}
        return called

    return decorate


HINTS = get_type_hints(DanceRequest)
DEFAULTS = {name: parameter.default for name, parameter in inspect.signature(DanceRequest).parameters.items()}


def _option(name: str, said: str | None) -> inspect.Parameter:
    """The option for a field of a request."""
    option, kind, default = OPTIONS[name], HINTS[name], DEFAULTS[name]
    if name == "sampler":
        said = f"{SAMPLERS.names()}; the model's own if not given."
    if kind is Any:  # a file, which Python may have read already
        kind = Path | None
    elif kind == Names:
        kind, default = list[str] | None, None
    elif str in get_args(kind):  # a number or a word, told apart by the request
        kind = str | None
    bounds: dict[str, Any] = {}
    plain = next((part for part in get_args(kind) if part is not type(None)), kind) if _is_union(kind) else kind
    if plain in (int, float):
        bounds = {
            key: bound if plain is float else int(bound)
            for key, bound in (("min", option.least), ("max", option.most))
            if bound is not None and abs(bound) < LARGEST_SHOWN
        }
    asks = typer.Option(help=said or option.help, rich_help_panel=option.panel, **bounds)
    return _parameter(name, kind, asks, default)


def _is_union(kind: Any) -> bool:
    return isinstance(kind, types.UnionType)


def _parameter(name: str, kind: Any, option: Any, default: Any) -> inspect.Parameter:
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=Annotated[kind, option])
