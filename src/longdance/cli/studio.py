"""``longdance studio``: the web studio."""

from pathlib import Path
from typing import Annotated

import typer

from longdance.cli.terminal import app, say


@app.command()
def studio(
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 for any that is free.")] = 8700,
    host: Annotated[str, typer.Option(help="Address to listen at; beyond this computer with a token.")] = "127.0.0.1",
    projects: Annotated[Path | None, typer.Option(help="Folder that projects are kept in.")] = None,
    token: Annotated[str | None, typer.Option(help="What a browser must know to come in; made up if needed.")] = None,
    model: Annotated[list[Path] | None, typer.Option(help="A folder with a trained model; may be repeated.")] = None,
) -> None:
    """Make, try and change dances in a browser."""
    from longdance.studio.server import serve

    serve(host=host, port=port, projects=projects, token=token, models=model or [], say=say)
