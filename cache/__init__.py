"""A content-addressed store of checked entries on disk: it knows keys and bytes, and nothing else."""
