"""Printed IR as values: modules, their entities, and what may be read off them."""
