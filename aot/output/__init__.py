"""From units' objects to the output: under which names, in which order, and with what else."""
