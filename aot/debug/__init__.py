"""Debug information without what only says where things stand."""
