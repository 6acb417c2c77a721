"""Reads and rewrites relocatable ELF objects, packs them into archives, and runs link drivers."""
