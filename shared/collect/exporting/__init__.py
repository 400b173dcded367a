"""What an export is made of: which responses, and how they are written. Shared by gateway and worker; no I/O."""
