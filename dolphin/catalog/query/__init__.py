"""The way out of the catalog: SQL, handles, differences, lineage."""
