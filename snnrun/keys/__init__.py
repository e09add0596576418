"""Keys of a configuration: their types, bounds and tables, and the checks between them."""
