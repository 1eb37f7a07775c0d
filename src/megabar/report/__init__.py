"""What a run is shown with: a self-contained page with figures, a 3D viewer and references, and movies."""
