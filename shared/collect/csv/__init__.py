"""Reading CSV: dialect, records, and cells validated a column at a time by a dataset's template."""
