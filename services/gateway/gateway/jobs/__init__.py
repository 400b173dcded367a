"""Jobs as requests ask for them: create, restart, correct, and what they leave to download."""
