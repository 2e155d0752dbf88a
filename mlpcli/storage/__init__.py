"""Our files: npz with a JSON header, and the run directory they stand in. Atomic writes, never a pickle."""
