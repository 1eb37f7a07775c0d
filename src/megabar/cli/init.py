"""`megabar init VERB`: a commented settings template."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def init(
    verb: Annotated[str, typer.Argument(help="The verb whose settings are wanted.")],
    out: Annotated[Path | None, typer.Option("--out", help="File to write; standard output without it.")] = None,
) -> None:
    """Write a commented YAML template with every setting of a verb."""
    from megabar.campaign.files import write_text
    from megabar.campaign.settings import template
    from megabar.cli.main import verbs
    from megabar.errors import InputError

    known = {name: module for name, module in verbs().items() if hasattr(module, "SETTINGS")}
    if verb not in known:
        raise InputError(f"init: {verb!r} has no settings file; verbs that have: {', '.join(sorted(known))}")
    text = template(known[verb].SETTINGS, verb)
    if out is None:
        print(text)
    elif out.exists():
        raise InputError(f"{out}: exists already; give another name to --out")
    else:
        write_text(out, text)


def register(app: typer.Typer) -> None:
    app.command("init")(init)
