"""From modules to units: who prevails, what stays together, and each unit's text."""
