"""From source files and other inputs to printed IR."""
