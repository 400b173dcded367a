"""All benches, one after the other: `python -m bench`."""

from __future__ import annotations

from bench import losses, upload, verbs

if __name__ == "__main__":
    upload.main()
    verbs.main()
    losses.main()
