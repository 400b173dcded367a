"""How a worker runs slices: parent, slots, the loop, and the contract that a task fulfils."""
