"""Networks in other programs' formats: NIR files read as graphs, and trained networks written."""
