"""megabar: matter under ultra-high pressure, from first principles to the synthesis reaction."""

__version__ = "0.1.0"
