"""Files of mlp: npz with a JSON header, and the run directory. Atomic writes, never a pickle."""
