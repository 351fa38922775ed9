"""Stock SAM2 in torch beside the exported files: each module, each frame, and whole videos."""
