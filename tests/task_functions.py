"""Bodies of tasks for the tests; a module of its own so that spawned processes can import it."""

import os
import time
from pathlib import Path


def double(inputs, folder):
    """Twice the number; leaves a mark each time it really runs."""
    with (Path(folder) / "runs").open("a") as handle:
        handle.write("x")
    time.sleep(inputs.get("sleep_s", 0.0))
    return {"value": 2 * inputs["number"]}


def fail_on_odd(inputs, folder):
    if inputs["number"] % 2:
        raise ValueError(f"{inputs['number']} is odd")
    return {"value": inputs["number"]}


def die_on_three(inputs, folder):
    if inputs["number"] == 3:
        os._exit(9)
    return {"value": inputs["number"]}
