"""What builds remember, so that the next one need not do it again."""
