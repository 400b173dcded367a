"""The monitor: nothing stays lost, nothing waits for ever."""
