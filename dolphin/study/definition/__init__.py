"""Study files and the splits that they ask for."""
