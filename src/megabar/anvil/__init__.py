"""The anvil bench: gauges, markers, diffraction, shock and pyrometry."""
