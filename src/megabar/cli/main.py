"""The `megabar` program: finds the verbs, runs one, and turns errors into one line and an exit status.

A verb is a module of this package with a function `register(app)`; `options.py` and `output.py` hold what they share.
A verb that takes settings also sets `SETTINGS`, its pydantic model, from which `megabar init VERB` writes a template.
"""

from __future__ import annotations

import importlib
import pkgutil
import sys
from types import ModuleType

import typer

import megabar.cli
from megabar.errors import MegabarError

_SHARED = {"main", "options", "output"}


def verbs() -> dict[str, ModuleType]:
    """Verb modules by name; their imports are light, heavy ones stand inside the functions."""
    found = {}
    for module in pkgutil.iter_modules(megabar.cli.__path__):
        if module.name not in _SHARED:
            found[module.name] = importlib.import_module(f"megabar.cli.{module.name}")
    return found


def build_app() -> typer.Typer:
    app = typer.Typer(
        name="megabar", add_completion=False, pretty_exceptions_enable=False,
        help="From a hydride, a pressure and a temperature to the synthesis reaction and its diamond-anvil experiment.",
        epilog="Every verb takes --json for scripts; --debug anywhere shows the traceback of an error.",
    )

    @app.callback(invoke_without_command=True)
    def _root(
        context: typer.Context,
        version: bool = typer.Option(False, "--version", help="Print the version and leave."),
    ) -> None:
        if version:
            typer.echo(megabar.__version__)
        elif context.invoked_subcommand is None:
            typer.echo(context.get_help())

    for module in verbs().values():
        module.register(app)
    return app


def main(argv: list[str] | None = None) -> int:
    """Run the command line; returns the exit status (0 done, 1 failed run, 2 bad input, 130 interrupted)."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    debug = "--debug" in arguments
    arguments = [a for a in arguments if a != "--debug"]
    command = typer.main.get_command(build_app())
    try:
        status = command.main(args=arguments, prog_name="megabar", standalone_mode=False)
        return status if isinstance(status, int) else 0
    except MegabarError as error:
        if debug:
            raise
        print(f"megabar: {' '.join(str(error).split())}", file=sys.stderr)
        return error.exit_status
    except typer.TyperException as error:
        print(f"megabar: {error.format_message()}; see 'megabar --help'", file=sys.stderr)
        return error.exit_code
    except (typer.Abort, KeyboardInterrupt):
        print("megabar: interrupted; the same command goes on from here", file=sys.stderr)
        return 130
    except BrokenPipeError:
        return 0
    except Exception as error:
        if debug:
            raise
        reason = " ".join(str(error).split())[:300]
        print(f"megabar: unexpected {type(error).__name__}: {reason}; run again with --debug and report it",
              file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
