"""Contracts that any backend must pass, for use in other projects' tests too."""
