"""`megabar transition R_T.csv`: transition temperatures from measured curves."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from megabar.cli.options import DryRun, Json, Out, Seed

Criterion = Literal["onset", "midpoint", "zero"]


def transition(
    curves: Annotated[list[Path] | None, typer.Argument(help="R(T) or M(T) tables; several with --fields.")] = None,
    kind: Annotated[Literal["R", "M"] | None, typer.Option("--kind", help="R or M; default: by the header.")] = None,
    fields: Annotated[str | None, typer.Option("--fields", help='Tesla, one per table, like "0,1,3,7".')] = None,
    deuterium: Annotated[Path | None, typer.Option("--deuterium", help="The same with D: isotope exponent.")] = None,
    criterion: Annotated[Criterion, typer.Option("--criterion", help="Tc used with --fields and --deuterium.")]
    = "midpoint",
    history: Annotated[bool, typer.Option("--history", help="Tc against year by family, from cited papers.")] = False,
    out: Out = None,
    seed: Seed = 0,
    json: Json = False,
    dry_run: DryRun = False,
) -> None:
    """Onset, midpoint and zero with errors; isotope exponent; upper critical field; what zero resistance means."""
    from megabar.campaign.files import file_hash, write_json
    from megabar.campaign.record import RunRecord
    from megabar.cli.output import emit, table
    from megabar.errors import InputError
    from megabar.superconductivity import history as records
    from megabar.superconductivity.fields import isotope_exponent, upper_field
    from megabar.superconductivity.transition import Step, read_measured, read_transition

    paths = list(curves or [])
    if history:
        if paths:
            raise InputError("transition: --history needs no table; leave the files out")
        target = out or Path("transition-history")
        if not dry_run:
            records.save(target)
        emit({"records": len(records.records()), "out": None if dry_run else str(target)}, json,
             f"{len(records.records())} records; figure and table in {target}/")
        return
    if not paths:
        raise InputError("transition: no table; name a file with temperature and resistance or moment")
    if fields is None and len(paths) > 1:
        raise InputError("transition: several tables need --fields, one value in tesla for each")
    tesla = _numbers(fields, len(paths)) if fields is not None else []
    steps = [read_transition(read_measured(p, kind), seed or 0) for p in paths]
    result: dict[str, Any] = {"criterion": criterion, **steps[0].to_dict()}

    def chosen(step: Step) -> tuple[float, float]:
        value, error = getattr(step, f"{criterion}_K"), getattr(step, f"{criterion}_error_K")
        if value is None:
            raise InputError(f"{step.source}: zero is not reached; use --criterion midpoint or onset")
        return value, error

    heavy = None
    if deuterium is not None:
        heavy = read_transition(read_measured(deuterium, kind), seed or 0)
        exponent, error = isotope_exponent(*chosen(steps[0]), *chosen(heavy))
        result["isotope"] = {"exponent": exponent, "error": error, "deuterium": heavy.to_dict()}
    hc2 = None
    if tesla:
        values = [chosen(step) for step in steps]
        hc2 = upper_field(tesla, [v for v, _ in values], [e for _, e in values])
        result["upper_field"] = hc2.to_dict()
    target = out or Path(f"transition-{paths[0].stem}")
    if dry_run:
        emit({"would_write": str(target), "cost_s": 3}, json, f"transition: a few seconds; would write {target}/")
        return
    settings = {"curves": paths, "kind": kind, "fields": fields, "deuterium": deuterium, "criterion": criterion}
    with RunRecord(target, "transition", settings, seed) as record:
        steps[0].save(target)
        if heavy is not None:
            heavy.save(target / "deuterium")
        if hc2 is not None:
            hc2.save(target)
        write_json(target / "result.json", result)
        record.results = {k: result[k] for k in ("onset_K", "midpoint_K", "zero_K")}
        record.hashes = {str(p): file_hash(p) for p in [*paths, *([deuterium] if deuterium else [])]}
    rows = [[f"{name} (K)", result[f"{name}_K"], result[f"{name}_error_K"]] for name in ("onset", "midpoint", "zero")]
    if "isotope" in result:
        rows.append(["isotope exponent", result["isotope"]["exponent"], result["isotope"]["error"]])
    if hc2 is not None:
        rows += [["Hc2(0), Ginzburg-Landau (T)", hc2.gl_field_T, hc2.gl_field_error_T],
                 ["Hc2(0), WHH (T)", hc2.whh_field_T, hc2.whh_field_error_T]]
    emit(result, json, table(["quantity", "value", "error"], rows) + f"\n{result['verdict']}\nfigures in {target}/")


def _numbers(text: str, count: int) -> list[float]:
    from megabar.errors import InputError

    try:
        values = [float(part) for part in text.split(",")]
    except ValueError:
        raise InputError(f'--fields {text!r} is not a list of numbers; write tesla like "0,1,3,7"') from None
    if len(values) != count or any(not 0.0 <= v < 1000.0 for v in values):
        raise InputError(f"--fields {text!r}: give one field in tesla (0 or more) for each of the {count} tables")
    return values


def register(app: typer.Typer) -> None:
    app.command("transition")(transition)
