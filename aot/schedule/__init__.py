"""From roots to objects: which units are needed, and how each comes to its object."""
