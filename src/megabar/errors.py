"""Errors that name the input, the reason and the remedy in one line.

`InputError` and its children mean that what was asked cannot be done as asked (exit status 2, nothing written);
`RunError` and its children mean that a run which was rightly asked for has failed (exit status 1).
"""

from __future__ import annotations


class MegabarError(Exception):
    """Base of every error that megabar raises on purpose; `exit_status` is what the command line returns."""

    exit_status = 1


class InputError(MegabarError):
    """The input is wrong; the message says which, why, and what to write instead."""

    exit_status = 2


class UnitMissing(InputError):
    """A physical quantity came without its unit."""


class PhaseUnknown(InputError):
    """No such element, phase or prototype."""


class PotentialUnknown(InputError):
    """No potential of that name or folder, or its files are damaged or lack an element."""


class LabelMissing(InputError):
    """A frame lacks a reference energy, force or stress."""


class ExtraMissing(InputError):
    """An optional dependency is not installed; the message names the extra."""


class RunError(MegabarError):
    """A run failed; the message names its log."""


class NotConverged(RunError):
    """A self-consistent or relaxation loop ended before its criterion was met."""


class GuardFired(RunError):
    """A molecular-dynamics run left the domain in which its potential can be trusted."""
