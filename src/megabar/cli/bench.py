"""`megabar bench --potential P`: how fast it runs here."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from megabar.cli.options import DryRun, Json, Out


def bench(
    structure: Annotated[Path | None, typer.Argument(help="Cell to run; without it a tetrahydride.")] = None,
    potential: Annotated[str, typer.Option("--potential", help="Name of a shipped potential, or a folder.")] = "Ca-H",
    atoms: Annotated[int | None, typer.Option("--atoms", min=1, help="Repeat the cell to about so many atoms.")] = None,
    against: Annotated[list[str] | None, typer.Option(
        "--against", help="Evaluator to compare with; repeatable. Without it, all that are installed.")] = None,
    ranks: Annotated[list[int] | None, typer.Option(
        "--ranks", min=1, help="Number of MPI processes; repeatable. Without it, 1.")] = None,
    repeats: Annotated[int, typer.Option("--repeats", min=1, help="Paired runs of which medians are taken.")] = 5,
    out: Out = None,
    json: Json = False,
    dry_run: DryRun = False,
) -> None:
    """Cost of a step under NPT in LAMMPS by ranks, beside other programs that read the same nep.txt.

    us/atom/step is processor time of one core. "ratio" is our time divided by the other's.
    """
    from megabar.campaign.files import write_json
    from megabar.campaign.record import RunRecord
    from megabar.cli.output import emit, stderr, table
    from megabar.performance import bench as measuring
    from megabar.performance.cells import cell
    from megabar.potential.library import load

    chosen = load(potential)
    system = cell(chosen, structure, atoms)
    if dry_run:
        others = list(measuring.chosen_evaluators(against))
        emit({"potential": chosen.name, "atoms": len(system), "steps": measuring.steps_for(len(system)),
              "ranks": ranks or [1], "against": others, "repeats": repeats}, json)
        return
    settings = {"structure": structure, "potential": potential, "atoms": len(system), "ranks": ranks,
                "repeats": repeats}
    with stderr.status("starting") as status:
        result = measuring.bench(chosen, system, ranks=ranks or [1], against=against, repeats=repeats,
                                 progress=status.update)
    summary = result.as_dict()
    if out is not None:
        with RunRecord(out, "bench", settings) as record:
            write_json(out / "bench.json", summary)
            record.speed["us_per_atom_step"] = summary["us_per_atom_step"]
    host = summary["machine"]
    rows = [[n, t["wall_us_per_atom_step"], t["speedup"], t["ns_per_day"],
             *(round(100 * t["shares"][part], 1) for part in ("kernel", "neighbour_lists", "communication", "output"))]
            for n, t in summary["ranks"].items()]
    text = table(["ranks", "wall us/atom/step", "speed-up", "ns/day", "kernel %", "neighbours %", "comm %", "output %"],
                 rows, f"{chosen.name}, {result.atoms} atoms, {host['processor']}, {host['instruction_set']}")
    text += f"\n{summary['us_per_atom_step']:.2f} us/atom/step of processor time"
    if summary["share_of_processor"] < 0.9:
        text += (f"\nother work took the processor for {1 - summary['share_of_processor']:.0%} of the time: an idle "
                 "machine runs that much faster than the table says")
    for name, values in summary["against"].items():
        text += (f"\n{name}: {values['us_per_atom_step']:.2f} us/atom/step, ours is {values['ratio']:.3f} of that "
                 f"({1 / values['ratio']:.1f} times faster)")
    if summary["grade"]:
        text += f"\nwith grades every {summary['grade']['every']} steps: {summary['grade']['ratio']:.3f} of the time"
    text += "\nprojection: " + ", ".join(f"{p['atoms']:,} atoms {p['ns_per_day']:.3g} ns/day"
                                         for p in summary["projection"])
    emit(summary, json, text)


def register(app: typer.Typer) -> None:
    app.command("bench")(bench)
