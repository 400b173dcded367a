"""The parts of an export: which responses it has, and how they are written. Gateway and worker share it; no I/O."""
