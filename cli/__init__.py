"""The `nativecache` command."""
