"""The way into the catalog: imports, definitions, generated markets."""
