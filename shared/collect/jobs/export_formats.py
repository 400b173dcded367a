"""The formats of exports."""

from typing import Literal, get_args

Format = Literal["csv", "csv.gz", "jsonl", "parquet"]
FORMATS: tuple[Format, ...] = get_args(Format)
